"""What the cheap baselines read in a face crop: spectra and residuals, a face network's middle, and trivial cues."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..tools import spectrum, trace_views
from ..tools.image import RGBImage
from .forgery_material import QUALITY, Crops

Array = NDArray[np.float32]


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
    """(n, 274) of ``tools.spectrum``."""
    return np.stack([spectrum.features(rgb) for rgb in crops])


def sface(crops: Crops) -> Array:
    """(n, 1792) of ``tools.trace_views``: SFace's middle layers."""
    return np.stack([trace_views.middle(rgb) for rgb in crops])


FEATURES: Mapping[str, Callable[[Crops], Array]] = {"spectral": spectral, "sface": sface, "trivial": trivial}
"""(n, side, side, 3) uint8 RGB crops to (n, features)."""
