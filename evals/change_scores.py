"""What changes of a photo do to answers: each changed photo against the same photo unchanged, by the same system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..agent.verdict import REFERENCE_LABELS, SINGLE_LABELS
from . import figures, metrics
from .metrics import Bools
from .runner import Row

ACCEPTED = (SINGLE_LABELS[0], REFERENCE_LABELS[0])
"""Labels that take a photo for what it is said to be."""
Found = dict[str, Any]


def plain(rows: Sequence[Row]) -> list[Row]:
    """Samples that were not changed."""
    return [row for row in rows if not row.item.of]


def changes(rows: Sequence[Row], limit: float, rounds: int = metrics.ROUNDS) -> dict[str, Found]:
    """By change; ``limit`` is the score from which the system calls a sample positive."""
    test = [row for row in rows if row.item.split == "test"]
    known = {row.item.id: row for row in plain(test) if not row.answer.unscored}
    by_change: dict[str, list[tuple[Row, Row]]] = {}
    for row in test:
        if row.item.of in known:
            by_change.setdefault(row.item.change, []).append((known[row.item.of], row))
    return {name: _one(pairs, limit, rounds) for name, pairs in by_change.items()}


def _one(pairs: Sequence[tuple[Row, Row]], limit: float, rounds: int) -> Found:
    """Of photos that could be scored unchanged; one that cannot be scored after the change is not accepted."""
    both = [(before, after) for before, after in pairs if not after.answer.unscored]
    ratios = [after.answer.psnr for _, after in both if after.answer.psnr is not None]
    return {
        "samples": len(pairs),
        "unscored": dict(Counter(after.answer.unscored for _, after in pairs if after.answer.unscored).most_common()),
        "no reading": sum(bool(after.answer.note) for _, after in both),
        "psnr, dB, median": round(float(np.median(ratios)), 1) if ratios else None,
        **_labels(pairs, both, rounds),
        **_scores(both, limit, rounds),
    }


def _labels(pairs: Sequence[tuple[Row, Row]], both: Sequence[tuple[Row, Row]], rounds: int) -> Found:
    other = [before.answer.label != after.answer.label for before, after in both]
    found = {
        "labels changed": _share(other, both, rounds),
        "abstained before": _share([before.answer.abstained for before, _ in both], both, rounds),
        "abstained after": _share([after.answer.abstained for _, after in both], both, rounds),
    }
    for title, genuine in (("genuine", True), ("not genuine", False)):
        mine = [pair for pair in pairs if (pair[0].item.truth in ACCEPTED) == genuine]
        for when, place in (("before", 0), ("after", 1)):
            accepted = [pair[place].answer.label in ACCEPTED for pair in mine]
            found[f"{title}, accepted {when}"] = _share(accepted, mine, rounds)
    return {name: value for name, value in found.items() if value is not None}


def _scores(both: Sequence[tuple[Row, Row]], limit: float, rounds: int) -> Found:
    """Calls at the shipped threshold, and the order of the samples before and after in the same draws."""
    ready = [pair for pair in both if all(row.answer.score is not None for row in pair)]
    if not ready:
        return {}
    first, second = (np.array([pair[place].answer.score for pair in ready], np.float64) for place in (0, 1))
    truth = np.array([before.item.positive for before, _ in ready], bool)
    genuine = np.array([before.item.truth in ACCEPTED for before, _ in ready], bool)
    called = [(score >= limit) == _positive(ready) for score in (first, second)]
    found: Found = {"calls changed": _share(called[0] != called[1], ready, rounds)}
    for title, among in (("genuine", genuine), ("not genuine", ~genuine)):
        mine = [pair for pair, one in zip(ready, among, strict=True) if one]
        for when, said in zip(("before", "after"), called, strict=True):
            found[f"{title}, called genuine {when}"] = _share(said[among], mine, rounds)
    if truth.any() and not truth.all():
        wanted: dict[str, figures.Weighted] = {
            "auc before": lambda w: metrics.auc(truth, first, w),
            "auc after": lambda w: metrics.auc(truth, second, w),
            "auc, after less before": lambda w: metrics.auc(truth, second, w) - metrics.auc(truth, first, w),
        }
        drawn = figures.bootstrap(wanted, _clusters(ready), rounds)
        found |= {name: value.rounded(4) for name, value in drawn.items()}
    return {name: value for name, value in found.items() if value is not None}


def _positive(pairs: Sequence[tuple[Row, Row]]) -> Bools:
    """Whether a score at or above the threshold means genuine: with references it does."""
    return np.array([before.item.kind == "reference" for before, _ in pairs], bool)


def _clusters(pairs: Sequence[tuple[Row, Row]]) -> list[str]:
    return [before.item.cluster for before, _ in pairs]


def _share(hits: ArrayLike, pairs: Sequence[tuple[Row, Row]], rounds: int) -> Found | None:
    """With Wilson's interval where all or none are hits, of which a bootstrap knows nothing; None without pairs."""
    if not pairs:
        return None
    value = np.asarray(hits, bool)
    if value.all() or not value.any():
        return metrics.share(value, _clusters(pairs)).rounded(4)
    return figures.bootstrap({"": figures.share(value)}, _clusters(pairs), rounds)[""].rounded(4)
