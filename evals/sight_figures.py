"""Figures of answers in words, in all resamples at once, as in ``metrics.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import metrics
from .metrics import Array, Bools
from .sight_samples import Words

LEAST = 20
"""Samples below which no figure of a group is given."""

Figures = dict[str, Any]


def accuracy(truth: Words, given: Words, weight: Array) -> Array:
    """(rounds,) share of right answers."""
    return metrics.mean((truth == given).astype(np.float64), weight)


def macro_accuracy(truth: Words, given: Words, weight: Array) -> Array:
    """(rounds,) mean over the true labels of the share of right answers."""
    return _mean([accuracy(truth[mine], given[mine], weight[:, mine]) for mine in _each(truth)])


def macro_f1(truth: Words, given: Words, weight: Array) -> Array:
    """(rounds,) mean F1 over the true labels."""
    return _mean([f1(truth == label, given == label, weight) for label in np.unique(truth)])


def f1(truth: Bools, said: Bools, weight: Array, clear: Bools | None = None) -> Array:
    """(rounds,) F1, pooled over the columns.

    Args:
        truth: (n,) or (n, columns).
        said: The same shape.
        weight: (rounds, n).
        clear: Where the truth is known; everywhere if not given.
    """
    known = np.ones_like(truth) if clear is None else clear
    both = (known & truth & said).reshape(len(truth), -1).sum(1)
    wrong = (known & (truth != said)).reshape(len(truth), -1).sum(1)
    part, whole = weight @ (2.0 * both), weight @ (2.0 * both + wrong)
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def shown(values: Array) -> Figures:
    """Value and interval, for JSON."""
    return metrics.figure(values).rounded()


def each(values: Mapping[str, Array]) -> Figures:
    """The same of each."""
    return {name: shown(value) for name, value in values.items()}


def drop(before: Array, after: Array) -> Figures:
    """How much less it is, in the same draws of people."""
    return shown(before - after)


def counts(names: Words) -> dict[str, int]:
    """How many there are of each."""
    return {str(name): int((names == name).sum()) for name in np.unique(names)}


def confusion(truth: Words, given: Words) -> dict[str, dict[str, int]]:
    """Plain counts: truth, then answer."""
    return {
        str(label): {str(answer): int((given[truth == label] == answer).sum()) for answer in np.unique(given)}
        for label in np.unique(truth)
    }


def _each(truth: Words) -> list[Bools]:
    return [truth == label for label in np.unique(truth)]


def _mean(values: list[Array]) -> Array:
    """Over labels; a resample without one label takes the others."""
    kept = np.stack(values)
    known = ~np.isnan(kept)
    return np.asarray(np.where(known, kept, 0).sum(0) / known.sum(0).clip(1))
