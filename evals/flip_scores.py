"""Does a model follow a stated probability against the picture? The same samples, told as it is and turned round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import logit

from . import figures, metrics
from .runner import Row

_CLIPPED = 1e-6
Found = dict[str, Any]


def flips(told: Sequence[Row], turned: Sequence[Row], rounds: int = metrics.ROUNDS) -> Found:
    """Figures of the samples that both could score.

    Args:
        told: Answers beside the tools' findings.
        turned: Answers beside the same with the strongest probability replaced by its complement.
        rounds: Resamples of the intervals.
    """
    known = {row.item.id: row for row in told if row.answer.score is not None}
    pairs = [
        (known[row.item.id], row)
        for row in turned
        if row.item.id in known and row.answer.score is not None and row.answer.stated is not None
    ]
    if not pairs:
        return {}
    before, after = (np.array([pair[place].answer.score for pair in pairs], np.float64) for place in (0, 1))
    forged = np.array([float(row.answer.stated or 0) > 0.5 for _, row in pairs])
    moved = _moved(before, after) * np.where(forged, 1, -1)
    against = (before >= 0.5) != forged
    followed = (after >= 0.5) == forged
    right = (after >= 0.5) == np.array([row.item.positive for _, row in pairs])
    wanted = {
        "score moved towards a probability turned round": figures.share(moved > 0),
        "mean move of the log odds towards it": figures.share(moved),
        "calls that followed it, of those it speaks against": figures.share(followed, against),
        "right where the call followed": figures.share(right, against & followed),
        "right where the call resisted": figures.share(right, against & ~followed),
    }
    clusters = [row.item.cluster for _, row in pairs]
    drawn = figures.bootstrap(wanted, clusters, rounds)
    return {name: value.rounded(4) for name, value in drawn.items() if not np.isnan(value.value)}


def _moved(before: metrics.Array, after: metrics.Array) -> metrics.Array:
    odds = [logit(np.clip(score, _CLIPPED, 1 - _CLIPPED)) for score in (before, after)]
    return np.asarray(odds[1] - odds[0], np.float64)
