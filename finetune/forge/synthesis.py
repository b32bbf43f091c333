"""Traces of synthesis made without a generator: what upsampling layers, decoders and smoothing leave in a picture.

A network that draws or redraws a face ends in layers that upsample; they leave periodic spectra (Durall et al. 2020),
lose fine noise and repeat local patterns. Passing a real photo through such layers leaves them on a known original.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ...tools.image import RGBImage
from .chains import INTERPOLATIONS

Redraw = Callable[[RGBImage, np.random.Generator], RGBImage]


def resample(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Down by a factor of 1.3 to 3, and up again with a drawn kernel."""
    height, width = rgb.shape[:2]
    factor = rng.uniform(1.3, 3.0)
    small = cv2.resize(rgb, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    up = (cv2.INTER_NEAREST, *INTERPOLATIONS)[rng.integers(5)]
    return cv2.resize(small, (width, height), interpolation=up).astype(np.uint8, copy=False)


def zero_insertion(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Halved, then doubled by a transposed convolution whose kernel does not sum evenly: a checkerboard."""
    height, width = rgb.shape[:2]
    small = cv2.resize(rgb, (width // 2, height // 2), interpolation=cv2.INTER_AREA).astype(np.float32)
    spread = np.zeros((2 * small.shape[0], 2 * small.shape[1], 3), np.float32)
    spread[::2, ::2] = 4 * small
    kernel = np.outer(*(np.array([1, 3, 3, 1]) / 8 * rng.normal(1, 0.03, 4) for _ in range(2)))
    up = cv2.filter2D(spread, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
    soft = cv2.resize(up, (width, height)).clip(0, 255)
    fine = rgb.astype(np.float32) - cv2.GaussianBlur(rgb, (0, 0), 1.0)
    return np.asarray((soft + rng.uniform(0.0, 0.6) * fine).clip(0, 255), np.uint8)


def spectral_peaks(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """A faint periodic pattern at the frequencies of upsampling by 2, 4 or 8, scaled by the local contrast."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    period = float(rng.choice([2, 4, 8]))
    waves = [np.cos(2 * np.pi * (a * x + b * y) / period + rng.uniform(0, 6.3)) for a, b in ((1, 0), (0, 1), (1, 1))]
    pattern = np.tensordot(rng.uniform(0.2, 1, 3), np.array(waves), 1)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = cv2.blur(np.abs(grey - cv2.blur(grey, (7, 7))), (7, 7)) + 1
    added = rgb + (rng.uniform(0.4, 1.2) * contrast * pattern)[..., None]
    return np.asarray(added.clip(0, 255), np.uint8)


def smooth(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Edges kept, skin and noise flattened, as decoders and beauty filters do."""
    kind = rng.integers(3)
    if kind == 0:
        return cv2.bilateralFilter(rgb, 7, rng.uniform(15, 45), rng.uniform(2, 5)).astype(np.uint8, copy=False)
    if kind == 1:
        wide, high = rng.uniform(5, 25), rng.uniform(0.08, 0.25)
        return cv2.edgePreservingFilter(rgb, flags=1, sigma_s=wide, sigma_r=high).astype(np.uint8, copy=False)
    return cv2.medianBlur(rgb, 3 if rng.random() < 0.6 else 5).astype(np.uint8, copy=False)


REDRAWS: Mapping[str, Redraw] = {
    "resample": resample,
    "checkerboard": zero_insertion,
    "spectrum": spectral_peaks,
    "smooth": smooth,
}
