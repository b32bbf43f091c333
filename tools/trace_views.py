"""A second look for forensic traces beside the network's: spectra, residuals, and what a face recogniser's middle sees.

A linear reading of 2,066 statistics of the crop, fitted by ``facewitness.finetune.trace_views``. Strides cost the
network the finest detail, which the spectra keep; SFace's middle layers know what real faces look like up close.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from . import sface, spectrum
from .alignment import WIDE
from .face import Floats
from .image import RGBImage

Array = NDArray[np.float64]

LAYERS = tuple(sface.layer(f"conv_{number}") for number in (4, 6, 8))
"""SFace's middle: the ends of the blocks at strides 2, 4 and 8 (128, 256 and 512 channels)."""
SIZE = spectrum.SIZE + 2 * (128 + 256 + 512)

_FARTHEST = 6.0


@dataclass(frozen=True, slots=True)
class Linear:
    """Scores of manipulation, synthesis and morph against real.

    Attributes:
        centre, spread: (2066,) of the training data; features count up to ``_FARTHEST`` spreads from the centre.
        slopes, bias: (2066, 3) and (3,).
    """

    centre: Array
    spread: Array
    slopes: Array
    bias: Array

    def scores(self, features: Floats) -> Array:
        """(n, 2066) to (n, 3)."""
        found: Array = self.standard(features) @ self.slopes + self.bias
        return found

    def standard(self, features: Floats) -> Array:
        """(n, 2066) in spreads from the centre."""
        found: Array = ((features - self.centre) / self.spread).clip(-_FARTHEST, _FARTHEST)
        return found


def packed(linear: Linear) -> dict[str, str]:
    """As ``unpacked`` reads it: 32-bit floats, little end first, in base64."""
    arrays = {name: getattr(linear, name).astype("<f4").tobytes() for name in Linear.__slots__}
    return {name: base64.b64encode(data).decode("ascii") for name, data in arrays.items()}


def unpacked(stored: Mapping[str, str]) -> Linear:
    """What ``packed`` was given, to 32 bits."""
    centre, spread, slopes, bias = (
        np.frombuffer(base64.b64decode(stored[name]), "<f4").astype(np.float64) for name in Linear.__slots__
    )
    return Linear(centre, spread, slopes.reshape(SIZE, -1), bias)


def features(crop: RGBImage) -> Floats:
    """(2066,) float32 of a (side, side, 3) uint8 RGB crop of ``alignment.align_wide``."""
    found: Floats = np.hstack([spectrum.features(crop), middle(crop)])
    return found


def middle(crop: RGBImage) -> Floats:
    """(1792,) mean and spread of each channel of SFace's middle layers, on the template's square of the crop."""
    side = sface.SIDE
    scale = side * WIDE / len(crop)
    # Pixel centres of the crop to pixel centres of the template's square.
    shift = scale / 2 - 0.5 - side * (WIDE - 1) / 2
    placed = cv2.warpAffine(crop, np.array([[scale, 0, shift], [0, scale, shift]]), (side, side)).astype(np.uint8)
    maps = sface.layers(placed, LAYERS)
    found: Floats = np.hstack([part for values in maps for part in (values.mean((1, 2)), values.std((1, 2)))])
    return found
