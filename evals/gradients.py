"""The embedded networks in torch, so that attacks can follow their gradients: the graph and weights that ship.

What depends on no input is computed by ONNX's own reference implementation; the few operators that are left have the
same meaning in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch.nn import functional

from ..tools import weights

torch.set_num_threads(1)  # crops are small: on a busy machine threads spin for ten times what they compute
FEATURE, LOGITS = "fc1", "/network/head/Gemm_output_0"
"""SFace's feature, and the forensic network's logits before the mean with the mirrored crop."""


class Network:
    """One ONNX network as a function that can be differentiated.

    Args:
        name: Of its weights.
        output: Name of the value that is wanted; nothing beyond is computed.
    """

    def __init__(self, name: str, output: str) -> None:
        graph = onnx.load(weights.path(name)).graph
        self._output, self._input = output, graph.input[0].name
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._steps = []
        for node in _needed(graph, output):
            if all(part in held or not part for part in node.input):
                found = ReferenceEvaluator(node).run(None, {part: held[part] for part in node.input if part})
                held.update(zip(node.output, (np.asarray(value) for value in found), strict=True))
            else:
                given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
                self._steps.append((_OPERATORS[node.op_type], given, list(node.input), node.output[0]))
        used = {part for _, _, parts, _ in self._steps for part in parts}
        self._held = {part: torch.from_numpy(np.array(value)) for part, value in held.items() if part in used}

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """From pixels as the network takes them, float, to the output."""
        values = {**self._held, self._input: pixels}
        for operator, given, parts, result in self._steps:
            values[result] = operator(given, *(values[part] for part in parts))
        return values[self._output]


def _needed(graph: Any, output: str) -> list[Any]:
    """Nodes that the output depends on, in order."""
    wanted, found = {output}, []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]


def _conv(given: Mapping[str, Any], x: Any, weight: Any, bias: Any = None) -> Any:
    top, left, bottom, right = given["pads"]
    x = functional.pad(x, (left, right, top, bottom))
    return functional.conv2d(x, weight, bias, given["strides"], 0, given["dilations"], given["group"])


def _pad(given: Mapping[str, Any], x: Any, pads: Any, *rest: Any) -> Any:
    del given, rest  # by zero, as is the default
    before, after = pads.tolist()[:4], pads.tolist()[4:]
    return functional.pad(x, [side for axis in (3, 2, 1, 0) for side in (before[axis], after[axis])])


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Add": lambda given, a, b: a + b,
    "BatchNormalization": lambda given, x, scale, bias, mean, var: functional.batch_norm(
        x, mean, var, scale, bias, eps=given["epsilon"]
    ),
    "Cast": lambda given, x: x.float(),
    "Clip": lambda given, x, low, high: x.clamp(low, high),
    "Concat": lambda given, *parts: torch.cat(parts, given["axis"]),
    "Conv": _conv,
    "Div": lambda given, a, b: a / b,
    "Dropout": lambda given, x, *rest: x,
    "Flatten": lambda given, x: x.flatten(1),
    "Gemm": lambda given, x, weight, bias: x @ weight.T + bias,
    "Mul": lambda given, a, b: a * b,
    "PRelu": lambda given, x, slope: torch.where(x > 0, x, slope * x),
    "Pad": _pad,
    "ReduceMean": lambda given, x: x.mean(given["axes"]),
    "Sub": lambda given, a, b: a - b,
    "Transpose": lambda given, x: x.permute(given["perm"]),
}


@cache
def matcher() -> Network:
    """SFace: (1, 3, 112, 112) RGB in 0..255 to the feature (1, 128)."""
    return Network("sface", FEATURE)


@cache
def _one_sided() -> Network:
    return Network("forensics", LOGITS)


def detector(pixels: torch.Tensor) -> torch.Tensor:
    """The forensic network: (1, 160, 160, 3) RGB in 0..255 to logits (1, 4), the mean with the mirrored crop."""
    network = _one_sided()
    return (network(pixels) + network(pixels.flip(2))) / 2
