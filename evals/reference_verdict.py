"""How good the reference verdict is, through the shipped ``fusion.decide``.

Run: ``python -m facewitness.evals.reference_verdict --data PATH --out evals/results/reference_verdict.json``
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from ..agent import fusion
from ..agent.verdict import INCONCLUSIVE, REFERENCE_LABELS
from ..finetune.comparisons import (
    LFW_SPLITS,
    OTHER,
    PERSON,
    Comparison,
    Volunteer,
    forgeries,
    frll,
    lfw,
    lfw_pairs,
    lfw_views,
    measure,
    volunteers,
)
from ..finetune.fusion import balanced
from ..tools.evidence import Evidence
from ..tools.face import FaceView
from ..tools.identity import SAME_PERSON_MIN

Array = NDArray[np.float64]

ROUNDS = 1000
ENROLLED = 3
BINS = 10


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with lfw_pairs_aligned and frll_london")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    people = volunteers(options.data)
    unseen = [person for person in people if person.split == "test"]
    pairs = [pair for pair in lfw_pairs(options.data) if LFW_SPLITS[int(pair["fold"])] == "test"]
    faces = lfw_views(options.data, pairs)
    comparisons = [*lfw(pairs, faces), *frll(unseen), *forgeries(unseen)]
    result = {
        "fusion": {"version": fusion.card().version, "sha256": fusion.card().sha256},
        "enrolment": {
            "held-out people": enrolment(unseen, look_alikes(options.data)),
            "all people": enrolment(people, look_alikes(options.data)),
            f"LFW, held-out people, {ENROLLED} references": several(faces),
        },
        "three-way, held-out people": three_way(comparisons),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _show(result)


def look_alikes(data: Path) -> set[tuple[str, str]]:
    """Names of enrolled person and look-alike."""
    with (data / "frll_london" / "pairs.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["same"] == "0"]
    return {(Path(row["a"]).name[:3], Path(row["b"]).name[:3]) for row in rows}


def enrolment(people: Sequence[Volunteer], alike: set[tuple[str, str]]) -> dict[str, Any]:
    """Each person enrolled from the neutral photo; their smiling photo, and everybody else's photos, examined."""
    others = [(a, view) for a in people for b in people if a is not b for view in (b.neutral, b.smiling)]
    near = [(a, b.smiling) for a in people for b in people if (a.name, b.name) in alike]
    return {
        "own smiling photo": _given([_asked(person, person.smiling) for person in people], PERSON),
        "everybody else's photos": _given([_asked(person, view) for person, view in others], OTHER),
        "look-alikes": _given([_asked(person, view) for person, view in near], OTHER),
    }


def _asked(person: Volunteer, view: FaceView) -> tuple[str, tuple[Evidence, ...]]:
    return person.name, measure(view, person.neutral)


def several(faces: dict[str, FaceView]) -> dict[str, Any]:
    """Enrol the first photos of everybody who has more; examine the rest, and one photo of everybody else."""
    of: dict[str, list[FaceView]] = {}
    for name, view in sorted(faces.items()):
        of.setdefault(name.split("/")[0], []).append(view)
    enrolled = {name: views for name, views in of.items() if len(views) > ENROLLED}
    own, others = [], []
    for name, views in enrolled.items():
        references = views[:ENROLLED]
        own += [(name, measure(view, *references)) for view in views[ENROLLED:]]
        others += [(name, measure(theirs[0], *references)) for other, theirs in of.items() if other != name]
    return {"own photos": _given(own, PERSON), "everybody else's photos": _given(others, OTHER)}


def _given(questions: Sequence[tuple[str, tuple[Evidence, ...]]], right: str) -> dict[str, Any]:
    """Coverage, and the share that is right among what was not abstained from; intervals by enrolled person."""
    decisions = [fusion.decide(evidence, True) for _, evidence in questions]
    given = np.array([not decision.abstained for decision in decisions])
    correct = np.array([decision.label == right for decision in decisions])
    matches = np.array([any(r.code == "identity.matches" for r in decision.reasons) for decision in decisions])
    cluster = np.array([name for name, _ in questions])
    return {
        "photos": len(questions),
        "enrolled people": len(set(cluster)),
        "coverage": _interval(given, np.ones(len(given), bool), cluster),
        f"'{right}' among those not abstained": _interval(correct, given, cluster),
        "likeness is the person's (identity.matches)": _interval(matches, np.ones(len(given), bool), cluster),
    }


def _interval(hit: NDArray[np.bool_], of: NDArray[np.bool_], cluster: NDArray[Any]) -> dict[str, Any]:
    """Share with a 95 % Wilson interval whose sample size is at most the number of people."""
    total, hits = int(of.sum()), int((hit & of).sum())
    if not total:
        return {"value": None, "of": 0}
    size = len(set(cluster[of].tolist()))
    interval = binomtest(min(size, round(hits / total * size)), size).proportion_ci(method="wilson")
    share = {"value": round(hits / total, 4), "right": hits, "of": total}
    return share | {"95% interval": [round(float(interval.low), 4), round(float(interval.high), 4)]}


def three_way(items: Sequence[Comparison]) -> dict[str, Any]:
    """Person, own forgeries and other people on the test split.

    Labels weigh as in the prior for coverage, selective error and calibration, equally for the macro accuracies; the
    confusion counts are plain.
    """
    decisions = [fusion.decide(item.evidence, True) for item in items]
    p = np.array([[decision.probabilities[label] for label in REFERENCE_LABELS] for decision in decisions])
    truth = np.array([REFERENCE_LABELS.index(item.label) for item in items])
    equal, prior, top = balanced(items), np.array(fusion.calibration().prior), p.argmax(1)
    weight = equal * prior[truth]
    kept = np.array([not decision.abstained for decision in decisions])
    cluster = np.array([item.claimed for item in items])
    baseline = np.where([item.similarity >= SAME_PERSON_MIN for item in items], 0, REFERENCE_LABELS.index(OTHER))

    def macro(answer: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], float]:
        return lambda rows: float(equal[rows] @ (answer[rows] == truth[rows]) / equal[rows].sum())

    return {
        "comparisons": len(items),
        "confusion": _confusion(items, [decision.label for decision in decisions]),
        "coverage": _bootstrap(lambda rows: float(weight[rows] @ kept[rows] / weight[rows].sum()), cluster),
        "selective error": _bootstrap(lambda rows: _selective(rows, kept, top == truth, weight), cluster),
        "macro accuracy at full coverage, equal prior": _bootstrap(macro((p / prior).argmax(1)), cluster),
        f"macro accuracy of cosine at {SAME_PERSON_MIN}": _bootstrap(macro(baseline), cluster),
        "ece": _bootstrap(lambda rows: ece(p[rows].max(1), (top == truth)[rows], weight[rows]), cluster),
    }


def _selective(rows: NDArray[np.intp], kept: NDArray[np.bool_], right: NDArray[np.bool_], weight: Array) -> float:
    chosen = rows[kept[rows]]
    return float(weight[chosen] @ ~right[chosen] / weight[chosen].sum()) if len(chosen) else 0.0


def _confusion(items: Sequence[Comparison], given: list[str]) -> dict[str, dict[str, int]]:
    answers = (*REFERENCE_LABELS, INCONCLUSIVE)
    kinds = [(REFERENCE_LABELS.index(item.label), item.method or item.source) for item in items]
    table = {}
    for kind in sorted(set(kinds)):
        of = [answer for theirs, answer in zip(kinds, given, strict=True) if theirs == kind]
        table[f"{REFERENCE_LABELS[kind[0]]}, {kind[1]}"] = {answer: of.count(answer) for answer in answers}
    return table


def ece(confidence: Array, right: NDArray[np.bool_], weight: Array) -> float:
    """Expected calibration error of the top label in ten bins of equal width."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(float(weight[bins == b] @ (confidence - right)[bins == b])) for b in range(BINS)]
    return sum(gaps) / float(weight.sum())


def _bootstrap(figure: Callable[[NDArray[np.intp]], float], cluster: NDArray[Any]) -> dict[str, Any]:
    """Value, and 95 % interval over draws of claimed people."""
    rng, groups = np.random.default_rng(0), [np.flatnonzero(cluster == name) for name in np.unique(cluster)]
    drawn = [
        figure(np.concatenate([groups[k] for k in rng.integers(len(groups), size=len(groups))])) for _ in range(ROUNDS)
    ]
    low, high = np.quantile(drawn, (0.025, 0.975))
    value = figure(np.arange(len(cluster)))
    return {"value": round(value, 4), "95% interval": [round(float(low), 4), round(float(high), 4)]}


def _show(result: dict[str, Any]) -> None:
    for people, tests in result["enrolment"].items():
        for test, figures in tests.items():
            shares = "; ".join(f"{name} {_text(share)}" for name, share in figures.items() if isinstance(share, dict))
            print(f"{people}, {test} ({figures['photos']} photos): {shares}")
    for name, figure in result["three-way, held-out people"].items():
        print(f"three-way, {name}: {_text(figure) if isinstance(figure, dict) and 'value' in figure else figure}")


def _text(share: dict[str, Any]) -> str:
    return f"{share['value']} {share.get('95% interval', '')}".strip()


if __name__ == "__main__":
    main()
