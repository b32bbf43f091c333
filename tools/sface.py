"""SFace, the embedded face recogniser (Zhong et al. 2021): its feature, and what its inner layers see on the way to it.

The weights are those of OpenCV Zoo; ``identity`` and ``face_parts`` read the same run. They are quantised in blocks;
unfolded when they are loaded, OpenVINO runs them in single precision, in less time than OpenCV takes with the file.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

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

_INPUT, _LAST_MAP, _LINEAR, _FEATURE = "data", "dropout5", "pre_fc1_weight_dequantized", "fc1"
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
    return f"{name}_relu"


def layers(crop: RGBImage, names: Sequence[str]) -> list[Floats]:
    """Outputs of named layers for a (112, 112, 3) uint8 RGB crop; the network is run as far as the last of them."""
    with _lock:
        found = _compiled(tuple(names))(crop.transpose(2, 0, 1)[None].astype(np.float32))
        return [np.array(found[place][0]) for place in range(len(names))]


@cache
def by_cell() -> Floats:
    """(49, 128, 1024) float32: the last layer's weights; the feature is a sum over the cells of the last map."""
    with _lock:
        stored: Floats = _network()[1][_LINEAR].get_node().data
    return np.ascontiguousarray(stored.reshape(len(stored), -1, CELLS).transpose(2, 0, 1))


@cache
def _compiled(names: tuple[str, ...]) -> Any:
    """The network up to these layers; one run at a time, so calls hold the lock."""
    import openvino
    from openvino import opset13

    model, outputs = _network()
    # Constants stand among the inputs of the file; only the picture is one.
    pictures = [one for one in model.get_parameters() if _INPUT in one.output(0).get_names()]
    cut = openvino.Model([opset13.result(outputs[name]) for name in names], pictures)
    properties = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return openvino.Core().compile_model(cut, "CPU", properties)


@cache
def _network() -> tuple[Any, dict[str, Any]]:
    """The network as OpenVINO reads it, and the outputs in it by name."""
    import openvino
    from openvino.frontend.onnx import ConversionExtension

    core = openvino.Core()
    core.add_extension(ConversionExtension("DequantizeLinear", _unfolded))
    model = core.read_model(str(weights.path("sface")))
    return model, {name: put for part in model.get_ops() for put in part.outputs() for name in put.get_names()}


def _unfolded(node: Any) -> list[Any]:
    """A constant in single precision; OpenVINO's own conversion cannot read vectors that are quantised in blocks."""
    from openvino import opset13

    stored, scale, zero = (node.get_input(place).get_node().data.astype(np.float32) for place in range(3))
    axis, block = node.get_attribute("axis", 1), node.get_attribute("block_size", 0)

    def spread(values: Floats) -> Floats:
        if block:
            return np.repeat(values, block, axis)[tuple(map(slice, stored.shape))]
        shape = [-1 if place == axis else 1 for place in range(stored.ndim)] if values.size > 1 else []
        return values.reshape(shape)

    return [opset13.constant((stored - spread(zero)) * spread(scale)).output(0)]
