"""Fit the calibration of the reference verdict; writes ``agent/fusion.json``.

Run: ``python -m facewitness.finetune.fusion --data PATH``

Multinomial logistic regression on the cosine s and its square, and a temperature. Every label, and within a label every
source, weighs the same; people never cross splits. How the detectors' evidence and a model's looks are weighed is
fitted by ``facewitness.finetune.trace_calibration`` and ``facewitness.finetune.sight_calibration`` and kept, the
comparison of parts by ``facewitness.finetune.reference_comparison``. Of the calibration people all evidence but looks
is measured, to count what the shipped rule answers: run this after them. Some six minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression

from ..agent.fusion import Calibration
from ..agent.verdict import REFERENCE_LABELS
from .comparisons import (
    LFW_SPLITS,
    Ask,
    Comparison,
    Split,
    forgeries,
    frll,
    lfw,
    lfw_pairs,
    lfw_views,
    measure,
    only_likeness,
    volunteers,
)

VERSION = "1"
PRIOR = (0.45, 0.1, 0.45)
"""In the order of ``REFERENCE_LABELS``: one claim in ten is a forgery. An assumption, see docs/design/fusion.md."""
THRESHOLD = 0.95
OTHER_MAX = 0.02
UNIFORM = (1 / 3, 1 / 3, 1 / 3)
TARGET = Path(__file__).parents[1] / "agent" / "fusion.json"

Array = NDArray[np.float64]


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_pairs_aligned and frll_london")
    data = parser.parse_args().data
    fitted = fit([*_measured(data, "fit", only_likeness), *_measured(data, "calibration", measure)])
    held = json.loads(TARGET.read_text(encoding="utf-8"))
    kept = {name: held[name] for name in ("traces", "sight") if name in held}
    TARGET.write_text(json.dumps({**fitted, **kept}, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(fitted, indent=1))


def _measured(data: Path, split: Split, ask: Ask) -> list[Comparison]:
    """Comparisons of one split."""
    people = [person for person in volunteers(data) if person.split == split]
    pairs = [pair for pair in lfw_pairs(data) if LFW_SPLITS[int(pair["fold"])] == split]
    return [*lfw(pairs, lfw_views(data, pairs), ask), *frll(people, ask), *forgeries(people, ask)]


def fit(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Parameters as ``fusion.json`` holds them."""
    train = [item for item in comparisons if item.split == "fit"]
    held = [item for item in comparisons if item.split == "calibration"]
    s = similarities(train)
    model = LogisticRegression(C=1e4, max_iter=10_000)
    model.fit(np.column_stack([s, s**2]), [item.label for item in train], balanced(train) * len(train))
    rows = [list(model.classes_).index(label) for label in REFERENCE_LABELS]
    weights = tuple((float(model.intercept_[k]), float(model.coef_[k, 0]), float(model.coef_[k, 1])) for k in rows)
    span = float(s.min()), float(s.max())
    raw = Calibration(weights, 1.0, span, UNIFORM, THRESHOLD, OTHER_MAX)
    temperature = _temperature(raw, held)
    return {
        "version": VERSION,
        "labels": REFERENCE_LABELS,
        "weights": [[round(value, 4) for value in row] for row in weights],
        "temperature": round(temperature, 4),
        "span": [round(value, 4) for value in span],
        "prior": PRIOR,
        "threshold": THRESHOLD,
        "other_max": OTHER_MAX,
        "calibration_split": _given(replace(raw, temperature=temperature, prior=PRIOR), held),
        "counts": {split: _counts(comparisons, split) for split in ("fit", "calibration")},
    }


def _given(calibration: Calibration, held: Sequence[Comparison]) -> dict[str, Any]:
    """How often each label is given on the calibration split, and how often wrongly if the prior holds."""
    p = probabilities(calibration, held, full=True)
    truth = np.array([REFERENCE_LABELS.index(item.label) for item in held])
    weight = balanced(held) * np.array(PRIOR)[truth]
    result = {}
    for k, label in enumerate(REFERENCE_LABELS):
        given = p[:, k] >= THRESHOLD
        error = float(weight[given] @ (truth[given] != k) / weight[given].sum()) if given.any() else None
        result[label] = {"given": int(given.sum()), "error": None if error is None else round(error, 4)}
    return result


def similarities(comparisons: Sequence[Comparison]) -> Array:
    """(n,) cosines."""
    return np.array([item.similarity for item in comparisons])


def probabilities(calibration: Calibration, comparisons: Sequence[Comparison], full: bool = False) -> Array:
    """(n, 3) in the order of ``REFERENCE_LABELS``, from the cosine alone or from all evidence."""
    given = [(c.forged, c.parts) if full else (1.0, None) for c in comparisons]
    found = [calibration.probabilities(c.similarity, *more) for c, more in zip(comparisons, given, strict=True)]
    return np.array([list(item.values()) for item in found])


def balanced(comparisons: Sequence[Comparison]) -> Array:
    """(n,) weights that sum to 1: labels weigh the same, within them sources, within them methods."""
    return alike([(item.label, item.source, item.method) for item in comparisons])


def alike(kinds: Sequence[tuple[str, str, str]]) -> Array:
    """(n,) weights as of ``balanced``, by label, source and method."""
    cells = Counter(kinds)
    methods = Counter((label, source) for label, source, _ in cells)
    sources = Counter(label for label, _ in methods)
    return np.array([1 / len(sources) / sources[a] / methods[a, b] / cells[a, b, c] for a, b, c in kinds])


def _temperature(raw: Calibration, held: Sequence[Comparison]) -> float:
    logs, weight = np.log(probabilities(raw, held)), balanced(held)
    truth = [REFERENCE_LABELS.index(item.label) for item in held]

    def loss(temperature: float) -> float:
        scaled = logs / temperature
        scaled -= np.log(np.exp(scaled).sum(1, keepdims=True))
        return -float(weight @ scaled[np.arange(len(truth)), truth])

    return float(minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)


def _counts(comparisons: Sequence[Comparison], split: str) -> dict[str, int]:
    chosen = [item for item in comparisons if item.split == split]
    return dict(sorted(Counter(f"{item.label}, {item.method or item.source}" for item in chosen).items()))


if __name__ == "__main__":
    main()
