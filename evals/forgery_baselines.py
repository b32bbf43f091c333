"""Cheap baselines for forgery detectors: logistic regression on hand-made features and on a face network's middle.

Run: ``python -m facewitness.evals.forgery_baselines --set DIR [--left-out EXPRESSION …]``

Each is fitted on the people that the detectors are trained on, on pictures matched in size and compression, one family
against the real photos; the strength of the penalty is chosen on the calibration split. Features, and scores of the
pictures that ``python -m facewitness.evals.forgery`` tests on, are kept in the set's folder.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import print as show

from ..errors import InvalidOption
from ..finetune.forgery_set import load
from . import metrics
from .forgery_features import FEATURES
from .forgery_material import FAMILIES, LIMIT, SIDES, Bools, Material, select

Array = NDArray[np.float64]
Features = Mapping[str, NDArray[Any]]
"""By split, (n, features)."""

FIT_LIMITS = {"fit": 60, "calibration": 20}
"""Pictures of a source and method that are fitted and chosen on."""

PENALTIES = (0.0003, 0.003, 0.03, 0.3)
"""Inverse strengths that are tried."""

_PART = 256


def fit(features: NDArray[Any], forged: Bools, sources: NDArray[np.str_], penalty: float) -> Any:
    """Standardised logistic regression; real and forged weigh the same, and within each the sources."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000, tol=1e-3))
    return model.fit(features, forged, logisticregression__sample_weight=evenly(forged, sources))


def evenly(forged: Bools, sources: NDArray[np.str_]) -> Array:
    """(n,) weights of mean 1: each class one half, and within a class each source the same."""
    weight = np.zeros(len(forged))
    for label in (True, False):
        for source in np.unique(sources[forged == label]):
            chosen = (forged == label) & (sources == source)
            weight[chosen] = 1 / (chosen.sum() * len(np.unique(sources[forged == label])))
    return weight * len(forged) / weight.sum()


def train(features: Features, of: Mapping[str, Material], family: str, left_out: str = "") -> Array:
    """Probabilities of one family on the test split, (n,), by a model that saw no method that is left out."""
    from sklearn.metrics import roc_auc_score

    seen: dict[str, tuple[NDArray[Any], Bools, NDArray[np.str_]]] = {}
    for split in FIT_LIMITS:
        forged = of[split].forged(family) & ~of[split].matching(left_out)
        used = forged | of[split].real
        seen[split] = (features[split][used], forged[used], of[split].words("source")[used])
    if not all(forged.any() for _, forged, _ in seen.values()):
        return np.full(len(of["test"].rows), 0.5)
    fitted = [fit(*seen["fit"], penalty) for penalty in PENALTIES]
    held, forged, _ = seen["calibration"]
    model = max(fitted, key=lambda one: roc_auc_score(forged, one.decision_function(held)))
    return np.asarray(model.predict_proba(features["test"])[:, 1])


def extracted(folder: Path, name: str, material: Material, side: int) -> NDArray[Any]:
    """Features of some pictures, kept in the set's folder."""
    digest = hashlib.sha256(material.rows.tobytes())
    digest.update(np.ascontiguousarray(material.pictures.rgb[material.rows[::50]]).tobytes())
    place = folder / "features" / f"{name}-{side}-{digest.hexdigest()[:12]}.npy"
    if place.exists():
        return np.asarray(np.load(place))
    place.parent.mkdir(exist_ok=True)
    parts = [Material(material.pictures, material.rows[k : k + _PART]) for k in range(0, len(material.rows), _PART)]
    found = np.vstack([FEATURES[name](part.matched(side)) for part in parts])
    np.save(place, found)
    return found


def scores_file(folder: Path, left_out: str = "") -> Path:
    """Where the scores are kept: rows, and for each baseline, side and family (n,) probabilities."""
    word = hashlib.sha256(left_out.encode()).hexdigest()[:8] if left_out else "all"
    return folder / f"baselines-{word}.npz"


def read(folder: Path, material: Material, left_out: str = "") -> dict[str, Array]:
    """Scores of the pictures by ``name/side/family``; empty where the baselines did not run.

    Raises:
        InvalidOption: They ran on other pictures.
    """
    place = scores_file(folder, left_out)
    if not place.exists():
        return {}
    held = dict(np.load(place))
    if not np.array_equal(held.pop("rows"), material.rows):
        raise InvalidOption("The baselines ran on other pictures: run forgery_baselines again with the same --limit.")
    return held


def main() -> None:
    """Fit all, score the test split, print the AUC of each family."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--set", type=Path, required=True, help="folder made by finetune.forgery_set")
    parser.add_argument("--left-out", nargs="*", default=[], help="also without the methods that match, one run each")
    parser.add_argument("--limit", type=int, default=LIMIT, help="pictures of a source and method to test on")
    parser.add_argument("--sides", type=int, nargs="*", default=SIDES, choices=SIDES, help="pixels of a crop")
    options = parser.parse_args()
    pictures = load(options.set)
    of = {split: select(pictures, split, limit) for split, limit in (FIT_LIMITS | {"test": options.limit}).items()}
    without = ("", *options.left_out)
    scores: dict[str, dict[str, NDArray[Any]]] = {left_out: {"rows": of["test"].rows} for left_out in without}
    for side in options.sides:
        for name in FEATURES:
            started = time.monotonic()
            features = {split: extracted(options.set, name, material, side) for split, material in of.items()}
            for left_out, family in ((left_out, family) for left_out in scores for family in FAMILIES):
                found = train(features, of, family, left_out)
                scores[left_out][f"{name}/{side}/{family}"] = found
                _report(f"{name}, {side} px, {family}", of["test"], family, found, left_out)
            show(f"{name}, {side} px: {time.monotonic() - started:.0f} s")
    for left_out, found_by in scores.items():
        np.savez(scores_file(options.set, left_out), allow_pickle=False, **found_by)


def _report(title: str, test: Material, family: str, score: Array, left_out: str) -> None:
    forged = test.forged(family) & (test.matching(left_out) if left_out else True)
    if forged.any():
        used = forged | test.against(forged)
        found = metrics.interval(metrics.auc, forged[used], score[used], test.words("person")[used]).rounded()
        show(f"{title}{f', without {left_out}' if left_out else ''}: AUC {found['value']} {found['95% interval']}")


if __name__ == "__main__":
    main()
