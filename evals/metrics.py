"""Figures for detectors, each with a 95 % interval by bootstrap over people.

scikit-learn and scipy compute one resample at a time; a table of detectors needs a thousand for every cell. So the
figures here take the weights of all resamples at once, (rounds, n), and give (rounds,); ``tests/test_metrics.py``
holds them to scikit-learn's. A resample draws people, and with a person all of their photos: photos of one person are
no independent evidence, and intervals over photos would be too narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Metric = Callable[[Bools, Array, Array], Array]
"""(n,) truth, (n,) score or probability, (rounds, n) weights, to (rounds,); NaN where it is not defined."""

ROUNDS = 1000
BINS = 10


class Figure(NamedTuple):
    """A value with its 95 % interval; no interval where the test is saturated, as the bootstrap then knows nothing."""

    value: float
    low: float | None
    high: float | None

    def rounded(self, digits: int = 3) -> dict[str, Any]:
        """For JSON; a value that is not defined becomes None."""
        ends = None if self.low is None or self.high is None else [round(self.low, digits), round(self.high, digits)]
        return {"value": None if np.isnan(self.value) else round(self.value, digits), "95% interval": ends}


class Roc(NamedTuple):
    """ROC curves of all rounds: (rounds, points) false and true positive rates, rising from 0 to 1."""

    false: Array
    true: Array


def resamples(people: ArrayLike, rounds: int = ROUNDS, seed: int = 0) -> Array:
    """How often each sample is drawn, (1 + rounds, n): first every sample once, then people with replacement.

    Args:
        people: (n,) who is in each sample, names or numbers.
        rounds: Number of resamples.
        seed: Same people and seed, same draws: differences between scorers are paired.
    """
    names, who = np.unique(np.asarray(people), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
    return np.vstack([np.ones(len(who)), drawn[:, who]])


def balanced(truth: Bools, weight: Array) -> Array:
    """The same weights, scaled so that both classes weigh one half in each round."""
    scaled = np.empty_like(weight, dtype=np.float64)
    for label in (True, False):
        chosen = truth == label
        scaled[:, chosen] = _over(weight[:, chosen], 2 * weight[:, chosen].sum(1, keepdims=True))
    return scaled


def figure(values: Array) -> Figure:
    """Value (first round) and 95 % percentile interval (the other rounds) of what a metric gave."""
    value, drawn = float(values[0]), values[1:][~np.isnan(values[1:])]
    if np.isnan(value) or not len(drawn):
        return Figure(value, None, None)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Figure(value, float(low), float(high)) if high - low > 1e-9 else Figure(value, None, None)


def share(hits: ArrayLike, people: ArrayLike) -> Figure:
    """Share of hits with a Wilson interval whose sample size is the number of people: also near 0 and 1."""
    from scipy.stats import binomtest

    value, size = float(np.mean(np.asarray(hits, bool))), len(np.unique(np.asarray(people)))
    interval = binomtest(round(value * size), size).proportion_ci(method="wilson")
    return Figure(value, float(interval.low), float(interval.high))


def mean(values: Array, weight: Array) -> Array:
    """Weighted mean of (n,) values in each round."""
    return _over(weight @ values, weight.sum(1))


def correlation(a: Array, b: Array, weight: Array) -> Array:
    """Pearson's, of (n,) pairs whose order means nothing."""
    first, second = np.concatenate([a, b]), np.concatenate([b, a])
    twice = np.hstack([weight, weight])
    middle = mean(first, twice)[:, None]
    apart, other = first - middle, second - middle
    return _over((twice * apart * other).sum(1), (twice * apart**2).sum(1))


def roc(truth: Bools, score: Array, weight: Array) -> Roc:
    """ROC curves with a point for each distinct score, the highest first."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=np.nan))
    truth, weight, rates = truth[order], weight[:, order], []
    for label in (False, True):
        caught = np.cumsum(weight * (truth == label), axis=1)
        rates.append(np.pad(_over(caught[:, ends], caught[:, -1:]), ((0, 0), (1, 0))))
    return Roc(*rates)


def auc(truth: Bools, score: Array, weight: Array) -> Array:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counted half."""
    return area(roc(truth, score, weight))


def area(curve: Roc) -> Array:
    """Area under each curve."""
    return np.asarray(np.trapezoid(curve.true, curve.false, axis=1))


def eer(truth: Bools, score: Array, weight: Array) -> Array:
    """Equal error rate, interpolated between the points of the ROC curve."""
    return equal_error(roc(truth, score, weight))


def equal_error(curve: Roc) -> Array:
    """Where false positives are as frequent as misses, on each curve."""
    gap = curve.false + curve.true - 1
    after = np.argmax(gap >= 0, axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    (f0, f1), (g0, g1) = ([np.take_along_axis(of, k, 1)[:, 0] for k in (before, after)] for of in (curve.false, gap))
    rate = f0 + (f1 - f0) * _over(-g0, g1 - g0)
    return np.where(np.isnan(gap).any(1), np.nan, rate)


def tpr_at_fpr(truth: Bools, score: Array, weight: Array, limit: float = 0.01) -> Array:
    """Share of positives above the lowest threshold that at most ``limit`` of the negatives reach."""
    return caught_at(roc(truth, score, weight), limit)


def caught_at(curve: Roc, limit: float = 0.01) -> Array:
    """Highest true positive rate of each curve at a false positive rate of at most ``limit``."""
    allowed = np.where(curve.false <= limit + 1e-12, curve.true, 0).max(1)
    return np.where(np.isnan(curve.false + curve.true).any(1), np.nan, allowed)


def brier(truth: Bools, probability: Array, weight: Array) -> Array:
    """Mean squared error of the probability."""
    return mean((probability - truth) ** 2, weight)


def ece(truth: Bools, probability: Array, weight: Array) -> Array:
    """Expected calibration error of the positive class's probability, ten bins of equal width (Guo et al. 2017)."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = weight @ (np.eye(BINS)[bins] * (probability - truth)[:, None])
    return _over(np.abs(gaps).sum(1), weight.sum(1))


def error_at(truth: Bools, probability: Array, weight: Array, coverage: float = 1.0) -> Array:
    """Error rate among the share ``coverage`` of samples that is most certain (El-Yaniv and Wiener 2010).

    Certain is far from one half; among samples that are equally certain none is preferred.
    """
    certainty = np.abs(probability - 0.5)
    order = np.argsort(-certainty, kind="stable")
    ends = np.flatnonzero(np.diff(certainty[order], append=np.nan))
    wrong = (probability >= 0.5) != truth
    kept, errors = (
        np.pad(np.cumsum(weight[:, order] * of, axis=1)[:, ends], ((0, 0), (1, 0))) for of in (1.0, wrong[order])
    )
    target = coverage * kept[:, -1:]
    after = np.argmax(kept >= target - 1e-12, axis=1)[:, None]
    before = np.maximum(after - 1, 0)
    (k0, k1), (e0, e1) = ([np.take_along_axis(of, k, 1) for k in (before, after)] for of in (kept, errors))
    part = np.nan_to_num(_over(target - k0, k1 - k0))
    return _over(e0 + (e1 - e0) * part, target)[:, 0]


def interval(metric: Metric, truth: Bools, score: Array, people: ArrayLike) -> Figure:
    """One figure with its interval over people."""
    return figure(metric(truth, score, resamples(people)))


def difference(metric: Metric, truth: Bools, score: Array, baseline: Array, people: ArrayLike) -> Figure:
    """Figure of ``score`` minus figure of ``baseline`` on the same samples, in the same draws of people."""
    weight = resamples(people)
    return figure(metric(truth, score, weight) - metric(truth, baseline, weight))


def _over(part: Array, whole: Array) -> Array:
    """Quotient; NaN where the whole is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0))
