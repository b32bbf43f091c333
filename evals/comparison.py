"""Two systems on the same samples: paired differences, and whether the second is worse.

A difference is taken in the same draws of people or videos for both. Labels are compared by McNemar's exact test, in
which a person or video counts once, for the system that alone was right more often: frames of a video err together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from ..errors import InvalidOption
from . import figures, metrics
from .runner import Row, Run, right
from .scores import arrays, ordering, threshold_of

LEVEL = 0.05
SMALLER_IS_BETTER = ("eer",)
_ORDERING = ("auc", "average precision", "eer")


@dataclass(frozen=True, slots=True)
class Difference:
    """Second less first.

    Attributes:
        name: Of the figure.
        first, second: Values.
        less: Difference with its interval.
        worse: The whole interval lies on the worse side.
    """

    name: str
    first: float
    second: float
    less: metrics.Figure
    worse: bool

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        shown = {"first": round(self.first, 4), "second": round(self.second, 4), "less": self.less.rounded(4)}
        return {**shown, "worse": self.worse}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a comparison found.

    Attributes:
        samples: Scored by both.
        only_first, only_second: Scored by one of them alone.
        differences: Of figures.
        mcnemar: Labels that only the first, and only the second, gave right; and the two-sided p, see the module.
        lost: The second scores surely fewer samples, by the same test of those that one of them alone scored.
    """

    samples: int
    only_first: int
    only_second: int
    differences: tuple[Difference, ...]
    mcnemar: tuple[int, int, float]
    lost: bool

    @property
    def regressed(self) -> bool:
        """Whether the second is surely worse: in a figure, in its labels, or in what it can score."""
        first, second, p = self.mcnemar
        return any(one.worse for one in self.differences) or (p < LEVEL and second < first) or self.lost

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        first, second, p = self.mcnemar
        return {
            "samples scored by both": self.samples,
            "scored by the first alone": self.only_first,
            "scored by the second alone": self.only_second,
            "differences, second less first": {one.name: one.to_json() for one in self.differences},
            "McNemar": {"right by the first alone": first, "right by the second alone": second, "p": round(p, 6)},
            "regressed": self.regressed,
        }


def compare(first: Run, second: Run, system: str | None = None, rounds: int = metrics.ROUNDS) -> Comparison:
    """Compare the evaluated systems of two runs, or one system in both.

    Raises:
        InvalidOption: They are not of one benchmark, or share no sample; or a run lacks the system.
    """
    if first.plan.benchmark != second.plan.benchmark:
        raise InvalidOption(f"These are runs of {first.plan.benchmark} and of {second.plan.benchmark}.")
    names = [system or run.plan.systems[0] for run in (first, second)]
    for run, name in zip((first, second), names, strict=True):
        if name not in run.rows:
            raise InvalidOption(f"A run has no system {name}; it has {', '.join(run.rows)}.")
    return paired(first.rows[names[0]], second.rows[names[1]], (names[0], names[1]), rounds)


def paired(
    first: Sequence[Row], second: Sequence[Row], names: tuple[str, str], rounds: int = metrics.ROUNDS
) -> Comparison:
    """Compare two lists of answers to the same samples.

    Raises:
        InvalidOption: They share no sample, or the truth of one differs.
    """
    ours, theirs = ({row.item.id: row for row in rows if row.item.split == "test"} for rows in (first, second))
    if any(ours[id_].item.truth != theirs[id_].item.truth for id_ in ours.keys() & theirs):
        raise InvalidOption("The truth of a sample differs between the two runs.")
    ready = [{id_ for id_, row in rows.items() if not row.answer.unscored} for rows in (ours, theirs)]
    both = [id_ for id_ in ours if id_ in ready[0] & ready[1]]
    if not both:
        raise InvalidOption("The two runs share no sample that both could score.")
    one, other = ([rows[id_] for id_ in both] for rows in (ours, theirs))
    differences = (*_labels(one, other, rounds), *_scores(one, other, names, rounds))
    alone = (ready[0] - ready[1]) & theirs.keys(), (ready[1] - ready[0]) & ours.keys()
    fewer = _sign([(ours[id_].item.cluster, 1 if id_ in alone[0] else -1) for id_ in alone[0] | alone[1]])
    lost = len(alone[1]) < len(alone[0]) and fewer < LEVEL
    return Comparison(len(both), len(alone[0]), len(alone[1]), differences, _mcnemar(one, other), lost)


def _mcnemar(first: Sequence[Row], second: Sequence[Row]) -> tuple[int, int, float]:
    hits = [[bool(right(*row)) for row in rows] for rows in (first, second)]
    gained = [a - b for a, b in zip(*hits, strict=True)]
    p = _sign(zip((row.item.cluster for row in first), gained, strict=True))
    return gained.count(1), gained.count(-1), p


def _sign(gained: Iterable[tuple[str, int]]) -> float:
    """Two-sided p of the exact sign test over clusters: how many gain in sum, against how many lose."""
    sums: Counter[str] = Counter()
    for cluster, gain in gained:
        sums[cluster] += gain
    better, worse = sum(total > 0 for total in sums.values()), sum(total < 0 for total in sums.values())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def _labels(first: Sequence[Row], second: Sequence[Row], rounds: int) -> tuple[Difference, ...]:
    if all(row.item.kind in ("units", "text") for row in first):
        return ()
    hits = [figures.share([bool(right(*row)) for row in rows]) for rows in (first, second)]
    clusters = [row.item.cluster for row in first]
    return tuple(_differences({"accuracy, abstentions wrong": (hits[0], hits[1])}, clusters, rounds))


def _scores(first: Sequence[Row], second: Sequence[Row], names: tuple[str, str], rounds: int) -> tuple[Difference, ...]:
    kept = [
        place
        for place, rows in enumerate(zip(first, second, strict=True))
        if all(row.answer.score is not None and row.item.kind in ("forgery", "reference") for row in rows)
    ]
    pair = [[rows[place] for place in kept] for rows in (first, second)]
    truth, one, clusters = arrays(pair[0])
    _, other, _ = arrays(pair[1])
    if not len(kept) or truth.all() or not truth.any():
        return ()
    of = [ordering(truth, score) for score in (one, other)]
    wanted = {name: (of[0][name], of[1][name]) for name in _ORDERING}
    calls = [
        figures.macro((score >= threshold_of(name)) == truth, truth)
        for score, name in zip((one, other), names, strict=True)
    ]
    wanted["balanced accuracy at the shipped threshold"] = (calls[0], calls[1])
    return tuple(_differences(wanted, clusters.tolist(), rounds))


def _differences(
    wanted: Mapping[str, tuple[figures.Weighted, figures.Weighted]], clusters: Sequence[str], rounds: int
) -> list[Difference]:
    found = []
    once = np.ones((1, len(clusters)))
    less = figures.bootstrap({name: _less(*pair) for name, pair in wanted.items()}, clusters, rounds)
    for name, (first, second) in wanted.items():
        worse = less[name].low if name in SMALLER_IS_BETTER else less[name].high
        surely = worse is not None and (worse > 0 if name in SMALLER_IS_BETTER else worse < 0)
        found.append(Difference(name, float(first(once)[0]), float(second(once)[0]), less[name], surely))
    return found


def _less(first: figures.Weighted, second: figures.Weighted) -> figures.Weighted:
    return lambda weight: second(weight) - first(weight)
