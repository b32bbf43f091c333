"""DCT coefficients of 8 x 8 blocks on any of the 64 grids, computed from decoded luminance.

Recomputed rather than read from the file, so that a PNG made from a JPEG can be examined too, and no second decoder
sees the file. Rounding to whole pixels costs a third of a grey level.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .face import Floats
from .image import RGBImage
from .jpeg_quality import STANDARD_LUMINANCE, ZIGZAG

FREQUENCIES = 14
"""The lowest AC frequencies in zigzag order, of at most 4 half waves in all: higher ones are mostly zero after JPEG."""
PATCH = 15
"""Pixels a side of a patch: all 64 blocks that start in its first 8 x 8 pixels."""
FLAT = 1.0
"""Grey levels: standard deviation of a patch below which it carries no trace."""
BIN, BINS = 0.5, 240
CENTRES = (np.arange(BINS) + 0.5) * BIN
"""Magnitudes at the middle of each bin of ``histograms``."""
STEPS = np.arange(1, 51)
"""Quantisation steps that are looked for."""
QUALITIES = np.arange(35, 100)
TABLES = np.minimum(STANDARD_LUMINANCE[QUALITIES - 1, 1 : 1 + FREQUENCIES], STEPS[-1])
"""(65, 14) standard steps of each quality at the frequencies above."""


_LUMINANCE = np.array([[0.299, 0.587, 0.114]], np.float32)
_ORDER = np.arange(8)
_COSINES = np.where(_ORDER, 0.5, 0.125**0.5) * np.cos(np.pi * (2 * _ORDER[:, None] + 1) * _ORDER / 16)
"""(8, 8): eight values times this give their coefficients (ITU-T T.81, A.3.3)."""
_CHOSEN = np.array([divmod(place, 8) for place in ZIGZAG[1 : 1 + FREQUENCIES]])
_HALF_WAVES = 5
_BASIS = np.kron(_COSINES, _COSINES)[:, _CHOSEN @ (8, 1)].astype(np.float32)
_LOWEST = _COSINES[:, :_HALF_WAVES].astype(np.float32)
_ALL_STARTS = np.hstack([np.pad(_LOWEST, ((start, 7 - start), (0, 0))) for start in range(8)])
"""(15, 8 * 5): fifteen values times this give the lowest coefficients of each eight in a row."""


def patches(rgb: RGBImage, places: NDArray[np.intp]) -> Floats:
    """Luminance of the patches that have structure and no clipped value; clipping moves coefficients.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        places: (n, 2) row and column of each patch's first pixel.

    Returns:
        (m, 15, 15) in 0..255 (ITU-R BT.601, as in JFIF), m at most n.
    """
    height, width = rgb.shape[:2]
    lines = np.ascontiguousarray(rgb).reshape(height, 3 * width)
    windows = np.lib.stride_tricks.sliding_window_view(lines, (PATCH, 3 * PATCH))
    chosen = windows[places[:, 0], 3 * places[:, 1]].reshape(-1, 3 * PATCH * PATCH)
    chosen = chosen[(chosen.max(1) < 255) & (chosen.min(1) > 0)]
    if not len(chosen):
        return np.empty((0, PATCH, PATCH), np.float32)
    luminance = cv2.transform(chosen.reshape(-1, PATCH * PATCH, 3).astype(np.float32), _LUMINANCE)
    found = np.asarray(luminance.reshape(-1, PATCH, PATCH), np.float32)
    return np.asarray(found[found.std(axis=(1, 2)) >= FLAT], np.float32)


def coefficients(patches: Floats, row: int = 0, column: int = 0) -> Floats:
    """(n, 14) coefficients of the block in each patch that starts at this row and column."""
    blocks = patches[:, row : row + 8, column : column + 8].reshape(len(patches), 64)
    return np.asarray(blocks @ _BASIS, np.float32)


def histograms(values: Floats) -> Floats:
    """(14, 240) counts of the magnitudes at each frequency; what exceeds 120 is left out."""
    return _count(values, np.arange(FREQUENCIES)).reshape(FREQUENCIES, BINS)


def histograms_of_grids(patches: Floats) -> Floats:
    """(64, 14, 240) counts as of ``histograms``, for each of the grids."""
    columns = patches.transpose(0, 2, 1).reshape(-1, PATCH) @ _ALL_STARTS
    both = columns.reshape(len(patches), PATCH, -1).transpose(0, 2, 1).reshape(-1, PATCH) @ _ALL_STARTS
    both = both.reshape(len(patches), 8, _HALF_WAVES, 8, _HALF_WAVES)
    values = np.asarray(both[:, :, _CHOSEN[:, 0], :, _CHOSEN[:, 1]], np.float32)
    numbers = np.arange(64).reshape(8, 8) * FREQUENCIES + np.arange(FREQUENCIES)[:, None, None, None]
    return _count(values, numbers).reshape(64, FREQUENCIES, BINS)


def _count(values: Floats, numbers: NDArray[np.intp]) -> Floats:
    """Counts of the magnitudes in each of the numbered histograms, one behind the other."""
    bins = np.minimum(np.abs(values) * (1 / BIN), BINS).astype(np.intp)
    bins += numbers * (BINS + 1)
    counts = np.bincount(bins.ravel(), minlength=(int(numbers.max()) + 1) * (BINS + 1))
    return counts.reshape(-1, BINS + 1)[:, :BINS].astype(np.float32)
