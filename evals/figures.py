"""Figures of evaluation runs, each with a 95 % interval by a bootstrap over people or videos, in bounded memory.

``metrics.py`` has the figures as functions of the weights of many resamples at once; here the resamples are drawn in
parts, since those of 100,000 samples at once would take gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics
from .metrics import Array, Bools, Figure

Weighted = Callable[[Array], Array]
"""(rounds, n) weights to (rounds,) values of one figure; NaN where it is not defined."""
CELLS = 2_000_000
"""Weights in memory at a time."""


def bootstrap(
    figures: Mapping[str, Weighted], clusters: ArrayLike, rounds: int = metrics.ROUNDS, seed: int = 0
) -> dict[str, Figure]:
    """Each figure with its interval; all in the same draws of clusters.

    Args:
        figures: By name.
        clusters: (n,) who or what each sample is drawn with.
        rounds: Number of resamples.
        seed: Same clusters and seed, same draws.
    """
    found: dict[str, list[Array]] = {name: [] for name in figures}
    for weight in draws(clusters, rounds, seed):
        for name, value in figures.items():
            found[name].append(value(weight))
    return {name: metrics.figure(np.concatenate(parts)) for name, parts in found.items()}


def draws(clusters: ArrayLike, rounds: int, seed: int = 0) -> Iterator[Array]:
    """How often each sample is drawn, in parts of (k, n): first every sample once, then clusters with replacement."""
    names, who = np.unique(np.asarray(clusters), return_inverse=True)
    yield np.ones((1, len(who)))
    rng, part = np.random.default_rng(seed), max(1, CELLS // max(1, len(who)))
    even = np.full(len(names), 1 / len(names))
    for start in range(0, rounds, part):
        yield rng.multinomial(len(names), even, size=min(part, rounds - start))[:, who].astype(np.float64)


def average_precision(truth: Bools, score: Array, weight: Array) -> Array:
    """Area under precision over recall as a step function, which is scikit-learn's definition."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=np.nan))
    truth, weight = truth[order], weight[:, order]
    hits, all_ = (np.cumsum(weight * of, axis=1)[:, ends] for of in (truth, np.ones(len(truth))))
    precision = np.divide(hits, all_, out=np.zeros_like(hits), where=all_ > 0)
    steps = np.diff(hits, axis=1, prepend=0)
    total = hits[:, -1]
    area = (steps * precision).sum(1)
    result: Array = np.divide(area, total, out=np.full(len(area), np.nan), where=total > 0)
    return result


def published_eer(truth: Bools, score: Array, weight: Array) -> Array:
    """Equal error rate as DeepfakeBench computes it: the false positive rate where it is nearest to the misses'."""
    curve = metrics.roc(truth, score, weight)
    nearest = np.argmin(np.abs(1 - curve.true - curve.false), axis=1)
    return np.asarray(np.take_along_axis(curve.false, nearest[:, None], 1)[:, 0])


def risk_area(truth: Bools, score: Array, weight: Array, limit: float) -> Array:
    """Area under the error rate over the share answered, the surest first (Geifman and El-Yaniv 2017); less is better.

    Sure is far from ``limit``; among samples that are equally sure none is preferred.
    """
    sure = np.abs(score - limit)
    order = np.argsort(-sure, kind="stable")
    ends = np.flatnonzero(np.diff(sure[order], append=np.nan))
    wrong, weight = ((score >= limit) != truth)[order], weight[:, order]
    kept, errors = (np.cumsum(weight * of, axis=1)[:, ends] for of in (1.0, wrong))
    risk = np.divide(errors, kept, out=np.zeros_like(kept), where=kept > 0)
    before = np.where(np.pad(kept, ((0, 0), (1, 0)))[:, :-1] > 0, np.pad(risk, ((0, 0), (1, 0)))[:, :-1], risk)
    return (np.diff(kept, axis=1, prepend=0) * (risk + before) / 2).sum(1) / kept[:, -1]


def share(hits: ArrayLike, among: ArrayLike | None = None) -> Weighted:
    """Weighted share of hits, among the samples for which ``among`` is true."""
    value = np.asarray(hits, np.float64)
    chosen = np.ones(len(value)) if among is None else np.asarray(among, np.float64)
    return lambda weight: _over(weight @ (value * chosen), weight @ chosen)


def macro(hits: ArrayLike, classes: ArrayLike) -> Weighted:
    """Mean over the classes of the share of hits within each."""
    names = np.asarray(classes)
    each = [share(hits, names == name) for name in np.unique(names)]
    return lambda weight: np.asarray(np.mean([one(weight) for one in each], axis=0))


def f1(truth: ArrayLike, said: ArrayLike) -> Weighted:
    """F1 of the positive class; 0 where nothing is positive and something was said to be."""
    positive, called = np.asarray(truth, np.float64), np.asarray(said, np.float64)
    return lambda weight: _over(2 * (weight @ (positive * called)), weight @ (positive + called))


def mean_of(figures: Sequence[Weighted]) -> Weighted:
    """Mean of several figures."""
    return lambda weight: np.asarray(np.mean([one(weight) for one in figures], axis=0))


def threshold(truth: Bools, score: Array) -> float:
    """Least score called positive, where both classes are told best (Youden's J)."""
    from sklearn.metrics import roc_curve

    false, true, steps = roc_curve(truth, score, drop_intermediate=False)
    best = int(np.argmax(true[1:] - false[1:])) + 1
    below = steps[best + 1] if best + 1 < len(steps) else steps[best]
    return float((steps[best] + below) / 2)


def by_other_folds(truth: Bools, score: Array, folds: NDArray[Any]) -> Bools:
    """(n,) whether each sample is called positive by the threshold of the other folds."""
    called = np.zeros(len(truth), bool)
    for fold in np.unique(folds):
        held, rest = folds == fold, folds != fold
        if not truth[rest].any() or truth[rest].all():
            raise ValueError("A fold leaves only one class.")
        called[held] = score[held] >= threshold(truth[rest], score[rest])
    return called


def _over(part: Array, whole: Array) -> Array:
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0))
