"""What the cheap baselines read in a face crop: spectra and residuals, a face network's middle, and trivial cues."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..tools import sface as recogniser
from ..tools.alignment import WIDE
from ..tools.image import RGBImage
from . import forgery_spectrum
from .forgery_material import QUALITY, Crops

Array = NDArray[np.float32]

_LAYERS = [recogniser.layer(f"conv_{number}") for number in (4, 6, 8)]
"""The ends of SFace's blocks at strides 2, 4 and 8 (128, 256 and 512 channels)."""


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
    """(n, 274) of ``forgery_spectrum``."""
    return np.stack([forgery_spectrum.features(rgb) for rgb in crops])


def sface(crops: Crops) -> Array:
    """(n, 1792): mean and spread of each channel of SFace's middle, on the template's square of the crop."""
    return np.stack([_middle(rgb) for rgb in crops])


def _middle(crop: RGBImage) -> Array:
    side = recogniser.SIDE
    scale = side * WIDE / len(crop)
    # Pixel centres of the crop to pixel centres of the template's square.
    shift = scale / 2 - 0.5 - side * (WIDE - 1) / 2
    placed = cv2.warpAffine(crop, np.array([[scale, 0, shift], [0, scale, shift]]), (side, side)).astype(np.uint8)
    maps = recogniser.layers(placed, _LAYERS)
    return np.hstack([part for values in maps for part in (values.mean((1, 2)), values.std((1, 2)))])


FEATURES: Mapping[str, Callable[[Crops], Array]] = {"spectral": spectral, "sface": sface, "trivial": trivial}
"""(n, side, side, 3) uint8 RGB crops to (n, features)."""
