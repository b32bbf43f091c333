"""How well the identity tool tells two people apart: LFW's View 2 and London-set look-alikes.

Run: ``python -m facewitness.evals.identity --data PATH --out evals/results/identity.json``
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t
from sklearn.metrics import roc_auc_score, roc_curve

from ..finetune.comparisons import PERSON, lfw, lfw_pairs, lfw_views, likeness, only_likeness, volunteers
from ..tools import weights
from ..tools.identity import SAME_PERSON_MIN

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROUNDS = 2000
PUBLISHED = {
    "source": "OpenCV Zoo, README of face_recognition_sface; LFW, evaluated with its tools/eval",
    "fp32": 0.9940,
    "int8, blocks of 64 (the weights in use)": 0.9942,
    "int8": 0.9932,
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_pairs_aligned and frll_london")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    result = {
        "model": weights.card("sface").name,
        "sha256": weights.card("sface").sha256,
        "lfw": evaluate_lfw(options.data),
        "frll": evaluate_frll(options.data),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def evaluate_lfw(data: Path) -> dict[str, Any]:
    """The official ten folds; intervals by fold, as each has its own people."""
    named = lfw_pairs(data)
    pairs = lfw(named, lfw_views(data, named), only_likeness)
    s = np.array([pair.similarity for pair in pairs])
    same = np.array([pair.label == PERSON for pair in pairs])
    fold = np.array([pair.fold for pair in pairs])
    by_fold = [
        accuracy(s[fold == k], same[fold == k], best_threshold(s[fold != k], same[fold != k])) for k in range(10)
    ]
    half = float(t.ppf(0.975, 9) * np.std(by_fold, ddof=1) / np.sqrt(10))
    mean = float(np.mean(by_fold))
    return {
        "pairs": len(pairs),
        "accuracy": _rounded(mean, (mean - half, mean + half)),
        "published accuracy": PUBLISHED,
        **_rates(s, same, fold),
    }


def evaluate_frll(data: Path) -> dict[str, Any]:
    """Neutral against smiling photo, same person or a look-alike; intervals by the person of the neutral photo."""
    people = {person.name: person for person in volunteers(data)}
    with (data / "frll_london" / "pairs.csv").open(encoding="utf-8") as file:
        pairs = [(Path(row["a"]).name[:3], Path(row["b"]).name[:3]) for row in csv.DictReader(file)]
    s = np.array([likeness(people[b].smiling, people[a].neutral).value for a, b in pairs]).astype(np.float64)
    same = np.array([a == b for a, b in pairs])
    person = np.array([int(a) for a, _ in pairs])
    return {"genuine": int(same.sum()), "look-alikes": int((~same).sum()), **_rates(s, same, person)}


def _rates(s: Array, same: Bools, cluster: Array) -> dict[str, Any]:
    figures: dict[str, Callable[[Array, Bools], float]] = {
        "auc": lambda s, same: float(roc_auc_score(same, s)),
        "eer": eer,
        "tar at far 1e-3": lambda s, same: tar_at_far(s, same, 1e-3),
        f"tar at {SAME_PERSON_MIN}": lambda s, same: float((s[same] >= SAME_PERSON_MIN).mean()),
        f"far at {SAME_PERSON_MIN}": lambda s, same: float((s[~same] >= SAME_PERSON_MIN).mean()),
    }
    rng, groups = np.random.default_rng(0), [np.flatnonzero(cluster == k) for k in np.unique(cluster)]
    draws = [np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))]) for _ in range(ROUNDS)]
    found = {}
    for name, figure in figures.items():
        low, high = np.quantile([figure(s[draw], same[draw]) for draw in draws], (0.025, 0.975))
        found[name] = _rounded(figure(s, same), (low, high) if round(high - low, 4) else None)
    return found


def accuracy(s: Array, same: Bools, limit: float) -> float:
    """Share of pairs judged right at a threshold."""
    return float(((s >= limit) == same).mean())


def best_threshold(s: Array, same: Bools) -> float:
    """Threshold of the highest accuracy, from 400 steps over -1..1 as LFW's common evaluation code does."""
    steps = np.arange(-1, 1, 0.005)
    return float(steps[np.argmax([accuracy(s, same, step) for step in steps])])


def eer(s: Array, same: Bools) -> float:
    """Equal error rate, interpolated between the points of the ROC curve."""
    far, tar, _ = roc_curve(same, s, drop_intermediate=False)
    k = int(np.argmax(far >= 1 - tar))
    before, after = far[k - 1] - 1 + tar[k - 1], far[k] - 1 + tar[k]
    return float(far[k - 1] + (far[k] - far[k - 1]) * (0 if after == before else -before / (after - before)))


def tar_at_far(s: Array, same: Bools, limit: float) -> float:
    """Share of genuine pairs above the lowest threshold that at most ``limit`` of the impostors reach."""
    impostors = np.sort(s[~same])[::-1]
    return float((s[same] > impostors[int(limit * len(impostors))]).mean())


def _rounded(value: float, interval: tuple[float, float] | None) -> dict[str, Any]:
    """No interval where the test is saturated: the bootstrap then knows nothing."""
    ends = interval and [round(float(end), 4) for end in interval]
    return {"value": round(value, 4), "95% interval": ends}


if __name__ == "__main__":
    main()
