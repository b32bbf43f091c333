"""SFace, the embedded face recogniser (Zhong et al. 2021): its feature, and what its inner layers see on the way to it.

The weights are those of OpenCV Zoo; ``identity`` and ``face_parts`` read the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from . import weights
from .face import Floats
from .image import RGBImage

SIDE = 112
"""Pixels of the crop it reads: the ArcFace template, as ``alignment.align`` makes it."""

STEPS: Mapping[str, int] = {"conv_6": 4, "conv_9": 8, "conv_12": 8}
"""Inner layers, and the step of each in pixels of the crop; a value there depends on 23, 63 and 111 px at most."""

CELLS = 49
"""Of the last map, 7 x 7."""

_LAST_MAP, _LINEAR, _FEATURE = "onnx_node!dropout5", "onnx_node!pre_fc1", "fc1"
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one run gives.

    Attributes:
        maps: By layer of ``STEPS``, (channels, height, width) float32.
        last: (49, 1024) float32: the last map, a row for each cell.
        feature: (128,) float32, not normalised: its norm falls with quality.
    """

    maps: Mapping[str, Floats]
    last: Floats
    feature: Floats


def see(crop: RGBImage) -> Seen:
    """Run it on a (112, 112, 3) uint8 RGB crop."""
    *maps, last, feature = layers(crop, [*map(layer, STEPS), _LAST_MAP, _FEATURE])
    return Seen(dict(zip(STEPS, maps, strict=True)), last.reshape(-1, CELLS).T, feature.reshape(-1))


def layer(name: str) -> str:
    """A convolution's output after its activation."""
    return f"onnx_node!{name}_relu"


def layers(crop: RGBImage, names: Sequence[str]) -> list[Floats]:
    """Outputs of named layers for a (112, 112, 3) uint8 RGB crop; the network is run as far as the last of them."""
    with _lock:
        network = _network()
        network.setInput(cv2.dnn.blobFromImage(crop, 1.0, (SIDE, SIDE)))
        return [np.array(found[0], np.float32) for found in network.forward(list(names))]


@cache
def by_cell() -> Floats:
    """(49, 128, 1024) float32: the last layer's weights; the feature is a sum over the cells of the last map."""
    with _lock:
        stored = np.asarray(_network().getLayer(_LINEAR).blobs[0], np.float32)
    return np.ascontiguousarray(stored.reshape(len(stored), -1, CELLS).transpose(2, 0, 1))


@cache
def _network() -> cv2.dnn.Net:
    """One network for the process; it is not thread-safe, so calls hold the lock."""
    return cv2.dnn.readNetFromONNX(str(weights.path("sface")))
