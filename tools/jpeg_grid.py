"""JPEG compression on a grid of its own: of a PNG that was a JPEG, or of a JPEG that was cropped and saved again.

Coefficients on the right grid lie at multiples of the quantisation step, on any other they do not (Bianchi and Piva
2012, integer periodicity). The mean of cos(2 pi c / step) over the coefficients c is near 1 on the right grid for the
right table, falls with the noise of a later compression, and is the same small number on all other grids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import block_dct
from .block_dct import CENTRES, FREQUENCIES, QUALITIES, STEPS, TABLES
from .face import Floats

Array = NDArray[Any]

_USED = CENTRES[:, None] > STEPS / 2  # what a step rounds to zero says nothing
_COSINES = (np.cos(2 * np.pi * CENTRES[:, None] / STEPS) * _USED).astype(np.float32)
_ONES = _USED.astype(np.float32)
_EDGE = np.array([grid // 8 == 0 or grid % 8 == 0 for grid in range(64)])  # the last compression shows there too
_ROUNDING = 0.12  # variance of a coefficient after decoding to whole RGB values
_CALM = 50.0  # coefficients; keeps a grid with few of them from standing out
_FREQUENCY = np.arange(FREQUENCIES)


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid that stands out most.

    Attributes:
        row: Rows from the top of the picture to the first block, 0..7.
        column: Columns likewise.
        quality: IJG quality of the table that fits best.
        contrast: How far it stands out, in robust standard deviations of the other grids.
        edge: It shares rows or columns of blocks with grid 0, 0.
    """

    row: int
    column: int
    quality: int
    contrast: float
    edge: bool


def find(patches: Floats, table: Array | None) -> Grid:
    """Search all 64 grids.

    Args:
        patches: (n, 15, 15) luminance from ``block_dct.patches``, at multiples of 8 pixels.
        table: (14,) steps of the last compression, whose own grid is left out; None where there was none.
    """
    magnitudes = block_dct.histograms_of_grids(patches)
    cosines, counts = magnitudes @ _COSINES, magnitudes @ _ONES
    excess = cosines - np.median(cosines / np.maximum(counts, 1), 0) * counts
    weights = _weights(table)
    total = (weights * excess)[:, _FREQUENCY, TABLES - 1].sum(2)
    variance = (weights**2 * counts / 2)[:, _FREQUENCY, TABLES - 1].sum(2)
    score = total / np.sqrt(variance + _CALM)
    middle, spread = np.empty_like(score), np.empty_like(score)
    for group in (_EDGE, ~_EDGE) if table is not None else (slice(None),):
        middle[group] = np.median(score[group], 0)
        spread[group] = np.maximum(1.4826 * np.median(np.abs(score[group] - middle[group]), 0), 1)
    excess = score - middle
    if table is not None:
        excess[0] = -np.inf
    grid = int(excess.max(1).argmax())
    quality = len(QUALITIES) - 1 - int(excess[grid, ::-1].argmax())  # of equal tables the higher quality
    contrast = float((excess / spread)[grid, quality])
    return Grid(grid // 8, grid % 8, int(QUALITIES[quality]), contrast, bool(_EDGE[grid]))


def share(patches: Floats, grid: Grid, table: Array | None) -> tuple[float, float]:
    """Share of a region that was compressed on a grid, and its standard error.

    Returns:
        About 1 right after that compression, less after a later one, about 0 without it.
    """
    steps = TABLES[grid.quality - QUALITIES[0]]
    at = (_FREQUENCY, steps - 1)
    cosines, counts = (part[at] for part in _sums(patches, grid.row, grid.column))
    others = [_sums(patches, (grid.row + row) % 8, (grid.column + column) % 8) for row, column in _OTHERS]
    base = sum(part[0][at] for part in others) / np.maximum(sum(part[1][at] for part in others), 1)
    weights = _weights(table)[at]
    room = float((weights**2 * counts).sum())
    if room <= 0:
        return 0.0, float("inf")
    return float((weights * (cosines - base * counts)).sum() / room), float(1 / np.sqrt(2 * room))


_OTHERS = ((2, 3), (3, 6), (5, 1), (6, 5), (1, 4), (4, 2))


def _sums(patches: Floats, row: int, column: int) -> tuple[Array, Array]:
    """(14, 50) sums of cosines and numbers of coefficients, by frequency and step."""
    counts = block_dct.histograms(block_dct.coefficients(patches, row, column))
    return counts @ _COSINES, counts @ _ONES


def _weights(table: Array | None) -> Array:
    """(14, 50): what a later compression's noise leaves of the cosine at each frequency and step."""
    noise = _ROUNDING + (np.zeros(FREQUENCIES) if table is None else table**2 / 12)
    return np.asarray(np.exp(-2 * np.pi**2 * noise[:, None] / STEPS**2) * (STEPS >= 2), np.float32)
