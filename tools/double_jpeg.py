"""Earlier JPEG compression on the same grid as the last one, from the gaps that quantising twice leaves.

A coefficient that was rounded to a multiple of one step and then of another takes some values too often and others
never (Popescu and Farid 2004; Bianchi, De Rosa and Piva 2011). For each possible earlier step the counts after the
last step are predicted, with and without it, from the same region on shifted grids, where no quantisation shows. The
log-likelihood ratio of the two says which predicts better, and its expectation under both turns it into a share:
about 1 where the region was compressed twice, about 0 where it was compressed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import erf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import block_dct
from .block_dct import BINS, CENTRES, FREQUENCIES, QUALITIES, STEPS, TABLES
from .face import Floats

Array = NDArray[Any]

_SHIFTS = ((4, 4), (3, 5), (5, 2))
_ROUNDING = 0.45  # grey levels: standard deviation of a coefficient after decoding to whole RGB values
_OUTLIERS = 0.1  # share of coefficients that the twofold model lets behave as if compressed once
_PRIOR = 0.05  # counts added to each value
_MUCH, _SLACK = 1.2, 0.05  # how much better another step must do at a frequency, the slack in nats per block
_ODD = 4  # steps beside a standard table from which it counts as another one
_NORMAL = np.linspace(-6, 6, 2401)
_CUMULATIVE = np.array([(1 + erf(x / 2**0.5)) / 2 for x in _NORMAL])


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier compression.

    Attributes:
        steps: (14,) its quantisation steps.
        quality: IJG quality of the standard table that fits; None where none does.
        gain: Nats per block by which it predicts the counts better than no earlier compression.
        share: Share of the region that shows it, and its standard error: see ``share``.
    """

    steps: Array
    quality: int | None
    gain: float
    share: tuple[float, float]


class _Comparison(NamedTuple):
    """Twofold against single compression, for each frequency and earlier step: see ``_frequency``."""

    gain: Array
    single: Array
    double: Array
    variance: Array


def find(patches: Floats, table: Array) -> Earlier:
    """The most likely earlier compression of a region, near a standard table.

    Args:
        patches: (n, 15, 15) luminance on the grid of the last compression, from ``block_dct.patches``; n > 0.
        table: (14,) steps of the last compression at the frequencies of ``block_dct``.
    """
    compared = _compare(patches, table, np.tile(STEPS, (FREQUENCIES, 1)))
    by_quality = compared.gain[np.arange(FREQUENCIES), TABLES - 1].sum(1)
    best = len(QUALITIES) - 1 - int(by_quality[::-1].argmax())  # of equal tables the higher quality
    steps, quality = _refined(compared.gain, TABLES[best], len(patches)), int(QUALITIES[best])
    chosen = _Comparison(*(part[np.arange(FREQUENCIES), steps - 1] for part in compared))
    standard = (steps != TABLES[best]).sum() < _ODD
    return Earlier(steps, quality if standard else None, float(chosen.gain.sum()) / len(patches), _share(chosen))


def _refined(gain: Array, steps: Array, blocks: int) -> Array:
    """Steps of a standard table, replaced where another one does much better: many cameras have own tables."""
    at = gain[np.arange(FREQUENCIES), steps - 1]
    return np.where(gain.max(1) > _MUCH * np.maximum(at, 0) + _SLACK * blocks, gain.argmax(1) + 1, steps)


def share(patches: Floats, table: Array, steps: Array) -> tuple[float, float]:
    """Share of a region that shows an earlier compression, and its standard error.

    Args:
        patches: Of the region, as for ``find``.
        table: (14,) steps of the last compression.
        steps: (14,) steps of the earlier compression, found elsewhere.

    Returns:
        About 1 if all of the region was compressed twice and 0 if none was; infinite error if the two do not differ.
    """
    return _share(_compare(patches, table, steps[:, None]))


def _share(chosen: _Comparison) -> tuple[float, float]:
    single = float(chosen.single.sum())
    room = float(chosen.double.sum()) - single
    if room <= 0:
        return 0.0, float("inf")
    return (float(chosen.gain.sum()) - single) / room, float(np.sqrt(chosen.variance.sum())) / room


def _compare(patches: Floats, table: Array, earlier: Array) -> _Comparison:
    """Compare both hypotheses at (14, m) earlier steps."""
    values = np.abs(block_dct.coefficients(patches))
    smooth = np.sum([block_dct.histograms(block_dct.coefficients(patches, *shift)) for shift in _SHIFTS], axis=0)
    parts = [_frequency(values[:, f], smooth[f], int(table[f]), earlier[f]) for f in range(FREQUENCIES)]
    return _Comparison(*(np.array(column) for column in zip(*parts, strict=True)))


def _frequency(values: Array, smooth: Array, step: int, earlier: Array) -> tuple[Array, ...]:
    """At one frequency: log-likelihood ratio of twofold to single compression in nats, and its expectations.

    Returns:
        For each earlier step the ratio, what it is expected to be after single and after twofold compression, and the
        larger of its variances under both.
    """
    if not 1 <= step <= STEPS[-1]:
        return (np.zeros(len(earlier)),) * 4
    count = int(BINS * block_dct.BIN / step) + 3
    low, above = (part[earlier - 1] for part in _landing(step))
    numbered = (np.minimum(low, count - 2) + np.arange(len(earlier))[:, None] * count).ravel()
    weights, size = np.tile(smooth, len(earlier)), len(earlier) * count
    above = above.ravel()
    twice = np.bincount(numbered, weights * (1 - above), size) + np.bincount(numbered + 1, weights * above, size)
    once = np.bincount(np.floor(CENTRES / step + 0.5).astype(np.intp), smooth, count)
    # The last levels are incomplete: magnitudes beyond the histogram would fall into them too.
    single = _distribution(once[None, : count - 2])
    double = _distribution(twice.reshape(len(earlier), count)[:, : count - 2])
    double = (1 - _OUTLIERS) * double + _OUTLIERS * single
    observed = np.bincount(np.minimum(values / step + 0.5, count).astype(np.intp), minlength=count)[: count - 2]
    ratio = np.log(double / single)
    expected = [observed.sum() * (ratio * model).sum(1) for model in (single, double)]
    spread = [observed.sum() * ((ratio**2 * model).sum(1) - (ratio * model).sum(1) ** 2) for model in (single, double)]
    return ratio @ observed, *expected, np.maximum(*spread)


def _distribution(counts: Array) -> Array:
    smoothed = counts + _PRIOR
    return np.asarray(smoothed / smoothed.sum(1, keepdims=True))


@lru_cache(maxsize=64)
def _landing(step: int) -> tuple[Array, Array]:
    """Levels of the last step on which magnitudes land behind each earlier step.

    Returns:
        (50, 240) each: the lower level that a magnitude may land on, and the probability that it is the next one.
    """
    before = np.rint(CENTRES / STEPS[:, None]) * STEPS[:, None] / step
    low = np.floor(before)
    return low.astype(np.intp), np.interp((before - low - 0.5) * step / _ROUNDING, _NORMAL, _CUMULATIVE)
