"""A second look for forensic traces beside the network's: spectra, residuals, and what a face recogniser's middle sees.

A linear reading of 2,066 statistics of the crop, fitted by ``facewitness.finetune.trace_views``. Strides cost the
network the finest detail, which the spectra keep; SFace's middle layers know what real faces look like up close.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from . import spectrum, weights
from .alignment import WIDE
from .face import Floats
from .image import RGBImage

Array = NDArray[np.float64]

LAYERS = tuple(f"onnx_node!conv_{number}_relu" for number in (4, 6, 8))
"""SFace's middle: the ends of the blocks at strides 2, 4 and 8 (128, 256 and 512 channels)."""
SIZE = spectrum.SIZE + 2 * (128 + 256 + 512)

_SIDE = 112
_FARTHEST = 6.0
_lock = threading.Lock()


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
    scale = _SIDE * WIDE / len(crop)
    # Pixel centres of the crop to pixel centres of the template's square.
    shift = scale / 2 - 0.5 - _SIDE * (WIDE - 1) / 2
    placed = cv2.warpAffine(crop, np.array([[scale, 0, shift], [0, scale, shift]]), (_SIDE, _SIDE))
    with _lock:
        network = _network()
        network.setInput(cv2.dnn.blobFromImage(placed))
        layers = [np.array(layer[0], np.float32) for layer in network.forward(list(LAYERS))]
    found: Floats = np.hstack([part for layer in layers for part in (layer.mean((1, 2)), layer.std((1, 2)))])
    return found


@cache
def _network() -> cv2.dnn.Net:
    """SFace, as ``identity`` runs it; not thread-safe, so calls hold the lock."""
    return cv2.dnn.readNetFromONNX(str(weights.path("sface")))
