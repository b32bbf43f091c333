"""Spectra and residuals of a face crop: statistics in which decoders, smoothing and blending leave traces.

What a network with a stride loses first: the finest detail. Radial spectrum (Durall et al. 2020), cosine bands of
8 x 8 blocks, and residuals of the spatial rich model (Fridrich and Kodovsky 2012).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..tools.face import Floats
from ..tools.image import RGBImage

RADII = 64
"""Rings of the radial spectrum, from the mean to the highest frequency along an axis."""
SIZE = 274
"""Number of features."""

# First to third order, square 3x3 and 5x5.
_KB = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
_KV = np.array([[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]]) / 12
_RESIDUALS = (
    np.array([[-1, 1]]),
    np.array([[-1], [1]]),
    np.array([[1, -2, 1]]) / 2,
    np.array([[1], [-2], [1]]) / 2,
    np.array([[1, -3, 3, -1]]) / 3,
    _KB,
    _KV,
)
_TRUNCATED = 2
_COSINES = cv2.dct(np.eye(8), flags=cv2.DCT_ROWS).T


def features(crop: RGBImage) -> Floats:
    """(274,) float32 of a (side, side, 3) uint8 RGB crop: 64 of the spectrum, 126 of the bands, 84 of the residuals."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    found: Floats = np.hstack([_radial(grey), _cosine(grey), *(_residual(grey, kernel) for kernel in _RESIDUALS)])
    return found.astype(np.float32)


def _radial(grey: Floats) -> NDArray[Any]:
    """(64,) log power on rings, with a Hann window."""
    side = len(grey)
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    f = np.fft.fftfreq(side) * 2
    ring = np.minimum((np.hypot(f[:, None], f) * RADII).astype(int), RADII).ravel()
    total = np.bincount(ring, power.ravel(), RADII + 1)[:RADII]
    return np.log(total / np.maximum(1, np.bincount(ring, minlength=RADII + 1)[:RADII]) + 1e-3)


def _cosine(grey: Floats) -> NDArray[Any]:
    """(126,) of the 63 alternating bands of aligned 8 x 8 blocks: log mean magnitude, log spread over it."""
    side = len(grey) // 8
    blocks = grey[: side * 8, : side * 8].reshape(side, 8, side, 8).transpose(0, 2, 1, 3)
    bands = np.abs(_COSINES @ blocks @ _COSINES.T).reshape(side * side, 64)[:, 1:]
    middle = bands.mean(0) + 1e-2
    return np.hstack([np.log(middle), np.log(bands.std(0) / middle + 1e-2)])


def _residual(grey: Floats, kernel: NDArray[Any]) -> NDArray[Any]:
    """12 values: log spread, tails, and how often the residual, cut off at 2, takes each value, in two steps."""
    residual = cv2.filter2D(grey, -1, kernel.astype(np.float32))[4:-4, 4:-4].ravel()
    spread = float(residual.std()) + 1e-3
    found = [np.log(spread), np.log(np.mean((residual / spread) ** 4) + 1)]
    for step in (1.0, spread):
        whole = np.rint(residual / step).clip(-_TRUNCATED, _TRUNCATED).astype(int) + _TRUNCATED
        found += (np.bincount(whole, minlength=2 * _TRUNCATED + 1) / len(whole)).tolist()
    return np.array(found)
