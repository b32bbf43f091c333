"""Can the label be had from the prompt without looking? Blind classifiers on a finished set.

Run: ``python -m facewitness.finetune.data.shortcuts DIR [--engine NAME …]``

Three readers, tested on people left out: the *frame* (all of the prompt but what the evidence states, and its length),
the *list* (which measurements there are, without what they say), and the *values* that the evidence states. Only the
last may know anything.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agent.verdict import INCONCLUSIVE
from ...errors import FacewitnessError, InvalidOption
from . import store
from .sample import Sample

FOLDS = 5
_RESAMPLES = 200


class Blind(NamedTuple):
    """Area under the ROC curve, mean over the labels, with a 95 % interval by bootstrap over people."""

    reader: str
    auc: float
    low: float
    high: float


def frame(sample: Sample) -> str:
    """The prompt without the findings, ids and numbers."""
    text = sample.prompt
    for item in sample.evidence:
        if item.id in sample.given:
            text = text.replace(item.finding, "FINDING")
    return re.sub(r"\d+(?:\.\d+)?", "0", text)


def measures(sample: Sample) -> dict[str, float]:
    """Which measurements stand in the prompt, and with which status."""
    found = {f"{item.measure} {item.status}": 1.0 for item in sample.evidence if item.id in sample.given}
    return {**found, "count": float(len(found))}


def values(sample: Sample) -> dict[str, float]:
    """What the evidence in the prompt states."""
    found: dict[str, float] = {}
    for item in sample.evidence:
        if item.id in sample.given and item.status == "ok":
            named = isinstance(item.value, str)
            found[f"{item.measure}={item.value}" if named else item.measure] = 1.0 if named else float(item.value or 0)
    return found


def blind(samples: Sequence[Sample]) -> list[Blind]:
    """The three readers on samples of one engine; those without an answer are left out.

    Raises:
        InvalidOption: Too few samples or people to leave some out.
    """
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kept = [sample for sample in samples if sample.label != INCONCLUSIVE]
    if len(kept) < 10 * FOLDS or len({sample.people[0] for sample in kept}) < FOLDS:
        raise InvalidOption(f"There are {len(kept)} samples with an answer; {10 * FOLDS} are needed.")

    def table() -> Any:
        return make_pipeline(DictVectorizer(sparse=False), StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))

    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression(max_iter=2000))
    readers: dict[str, tuple[Any, list[Any]]] = {
        "frame, words": (words, [frame(sample) for sample in kept]),
        "frame, length": (table(), [{"length": float(len(frame(sample)))} for sample in kept]),
        "list": (table(), [measures(sample) for sample in kept]),
        "values": (table(), [{**values(sample), **measures(sample)} for sample in kept]),
    }
    return [_tested(name, model, inputs, kept) for name, (model, inputs) in readers.items()]


def _tested(name: str, model: Any, inputs: list[Any], samples: Sequence[Sample]) -> Blind:
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    labels = np.array([sample.label for sample in samples])
    people = np.array([sample.people[0] for sample in samples])
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    found = cross_val_predict(model, inputs, labels, groups=people, cv=folds, method="predict_proba")
    rng = np.random.default_rng(0)
    names, of = np.unique(people, return_inverse=True)
    rows = [np.flatnonzero(of == number) for number in range(len(names))]
    drawn = []
    for _ in range(_RESAMPLES):
        chosen = np.concatenate([rows[number] for number in rng.integers(len(names), size=len(names))])
        drawn.append(_auc(labels[chosen], found[chosen], np.unique(labels)))
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Blind(name, _auc(labels, found, np.unique(labels)), float(low), float(high))


def _auc(labels: Any, found: Any, names: Any) -> float:
    from sklearn.metrics import roc_auc_score

    held = [place for place, name in enumerate(names) if 0 < (labels == name).sum() < len(labels)]
    return float(np.mean([roc_auc_score(labels == names[place], found[:, place]) for place in held]))


def main() -> None:
    """Print a table for each engine."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data.shortcuts")
    parser.add_argument("set", type=Path)
    parser.add_argument("--engine", nargs="+", default=["forgery", "reference", "expression"])
    options = parser.parse_args()
    try:
        samples = [sample for file in sorted(options.set.glob("*.parquet")) for sample in store.read(file)]
        for engine in options.engine:
            for reader in blind([sample for sample in samples if sample.engine == engine]):
                print(f"{engine:12}{reader.reader:16}{reader.auc:.3f} [{reader.low:.3f}, {reader.high:.3f}]")
    except FacewitnessError as error:
        sys.exit(f"{error.code}: {error}")


if __name__ == "__main__":
    main()
