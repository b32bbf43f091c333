"""What the cheap baselines read in a face crop: spectra and residuals, a face network's middle, and trivial cues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..tools import weights
from ..tools.alignment import WIDE
from ..tools.image import RGBImage
from .forgery_material import QUALITY, Crops

Array = NDArray[np.float32]

RADII = 64
"""Rings of the radial spectrum, from the mean to the highest frequency along an axis."""

LAYERS = tuple(f"onnx_node!conv_{number}_relu" for number in (4, 6, 8))
"""SFace's middle: the ends of the blocks at strides 2, 4 and 8 (128, 256 and 512 channels)."""

_BATCH = 32
# Residual filters of the spatial rich model (Fridrich and Kodovsky 2012): first to third order, edge, square 3x3, 5x5.
_KB = np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
_KV = (
    np.array(
        [[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]], np.float64
    )
    / 12
)
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


def trivial(crops: Crops) -> Array:
    """(n, 5): file size at JPEG 75, sharpness (log variance of the Laplacian), mean, spread, high-frequency energy."""
    return np.stack([_trivial(rgb) for rgb in crops])


def _trivial(rgb: RGBImage) -> Array:
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    size = len(cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])
    sharp = np.log(cv2.Laplacian(grey, cv2.CV_64F).var() + 1)
    power = np.abs(fft.fft2(grey.astype(np.float32) - grey.mean())) ** 2
    f = np.abs(fft.fftfreq(len(grey)))
    high = power[np.maximum.outer(f, f) > 0.25].sum() / (power.sum() + 1)
    return np.array([size, sharp, grey.mean(), grey.std(), np.log(high + 1e-9)], np.float32)


def spectral(crops: Crops) -> Array:
    """(n, 274): radial spectrum, energies and tails of the 8 x 8 cosine bands, statistics of seven residuals."""
    grey = np.stack([cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in crops]).astype(np.float32)
    return np.hstack([_radial(grey), _cosine(grey), *(np.stack([_residual(g, k) for g in grey]) for k in _RESIDUALS)])


def _radial(grey: Array) -> Array:
    """(n, 64) log power on rings, with a Hann window (Durall et al. 2020)."""
    side = grey.shape[1]
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    power = np.abs(fft.fft2((grey - grey.mean((1, 2), keepdims=True)) * window)) ** 2
    f = fft.fftfreq(side) * 2
    ring = np.minimum((np.hypot(f[:, None], f) * RADII).astype(int), RADII).ravel()
    total = np.stack([np.bincount(ring, of.ravel(), RADII + 1)[:RADII] for of in power])
    return np.log(total / np.maximum(1, np.bincount(ring, minlength=RADII + 1)[:RADII]) + 1e-3).astype(np.float32)


def _cosine(grey: Array) -> Array:
    """(n, 126) of the 63 alternating bands of aligned 8 x 8 blocks: log mean magnitude, log spread over it."""
    count, side = len(grey), grey.shape[1] // 8
    blocks = grey[:, : side * 8, : side * 8].reshape(count, side, 8, side, 8).transpose(0, 1, 3, 2, 4)
    bands = np.abs(fft.dctn(blocks, axes=(3, 4), norm="ortho")).reshape(count, side * side, 64)[..., 1:]
    middle = bands.mean(1) + 1e-2
    return np.hstack([np.log(middle), np.log(bands.std(1) / middle + 1e-2)]).astype(np.float32)


def _residual(grey: Array, kernel: NDArray[Any]) -> Array:
    """12 values: log spread, tails, and how often the residual, cut off at 2, takes each value, in two steps."""
    residual = cv2.filter2D(grey, -1, kernel.astype(np.float32))[4:-4, 4:-4].ravel()
    spread = float(residual.std()) + 1e-3
    found = [np.log(spread), np.log(np.mean((residual / spread) ** 4) + 1)]
    for step in (1.0, spread):
        whole = np.rint(residual / step).clip(-_TRUNCATED, _TRUNCATED).astype(int) + _TRUNCATED
        found += (np.bincount(whole, minlength=2 * _TRUNCATED + 1) / len(whole)).tolist()
    return np.array(found, np.float32)


def sface(crops: Crops) -> Array:
    """(n, 1792) mean and spread of each channel of SFace's middle layers, on the template's square of the crop."""
    found = [_sface(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
    return np.vstack(found)


def _sface(crops: Crops) -> Array:
    scale = 112 * WIDE / crops.shape[1]
    inset = 112 * (WIDE - 1) / 2
    # Pixel centres of the crop to pixel centres of the template's square.
    shift = scale / 2 - 0.5 - inset
    placed = [cv2.warpAffine(rgb, np.array([[scale, 0, shift], [0, scale, shift]]), (112, 112)) for rgb in crops]
    network = _sface_network()
    network.setInput(cv2.dnn.blobFromImages(placed))
    layers = [np.asarray(layer) for layer in network.forward(list(LAYERS))]
    return np.hstack([part for layer in layers for part in (layer.mean((2, 3)), layer.std((2, 3)))]).astype(np.float32)


@cache
def _sface_network() -> Any:
    return cv2.dnn.readNetFromONNX(str(weights.path("sface")))


FEATURES: Mapping[str, Callable[[Crops], Array]] = {"spectral": spectral, "sface": sface, "trivial": trivial}
"""(n, side, side, 3) uint8 RGB crops to (n, features)."""
