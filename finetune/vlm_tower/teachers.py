"""The networks that teach the tower on every crop: SFace, and the inner layers of the forensic network."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools import sface, weights
from ...tools.alignment import WIDE
from ...tools.face import Floats

DENSE = 112
"""Channels of the forensic network's map at stride 16."""
_SIDE = 160
_ONE_THREAD = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
_MAP, _LOGITS = "/network/_blocks.10/Add_output_0", "/network/head/Gemm_output_0"


class Identity:
    """SFace, its weights unfolded from blocks of 8 bits: OpenVINO then runs it twice as fast as OpenCV does."""

    def __init__(self) -> None:
        import onnx
        import openvino

        stored = onnx.load(weights.path("sface"))
        _unfold(stored.graph)
        core = openvino.Core()
        self._run = core.compile_model(core.read_model(stored.SerializeToString()), "CPU", _ONE_THREAD)

    @staticmethod
    @cache
    def shared() -> Identity:
        """One for the process."""
        return Identity()

    def read(self, wide: NDArray[np.uint8]) -> Floats:
        """(128,) feature, normalised, of a crop of ``align_wide`` of any side."""
        side = wide.shape[0]
        edge = round(side * (1 - 1 / WIDE) / 2)
        close = wide[edge : side - edge, edge : side - edge]
        crop = cv2.resize(close, (sface.SIDE, sface.SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        feature = np.array(self._run(cv2.dnn.blobFromImage(crop))[0][0], np.float32)
        found: Floats = feature / np.linalg.norm(feature)
        return found


def _unfold(graph: Any) -> None:
    """Replace weights that are kept as integers and scales by what they stand for."""
    from onnx import numpy_helper

    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "DequantizeLinear"]:
        axis, block = (next(a.i for a in node.attribute if a.name == name) for name in ("axis", "block_size"))
        whole, scale, zero = (held[name] for name in node.input)
        scale, zero = (np.repeat(part, block, axis).take(range(whole.shape[axis]), axis) for part in (scale, zero))
        values = (whole.astype(np.float32) - zero) * scale
        graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        graph.node.remove(node)


class Traces:
    """The forensic network as far as its map at stride 16 and its logits, without the mirrored run."""

    def __init__(self) -> None:
        import openvino

        core = openvino.Core()
        whole = core.read_model(weights.path("forensics"))
        whole.add_outputs([_MAP, _LOGITS])
        wanted = [whole.output(name) for name in (_MAP, _LOGITS)]
        results = [out.get_node() for out in wanted]
        part = openvino.Model(results, whole.get_parameters())
        self._run = core.compile_model(part, "CPU", _ONE_THREAD)

    @staticmethod
    @cache
    def shared() -> Traces:
        """One for the process."""
        return Traces()

    def read(self, crop: NDArray[np.uint8], grid: int) -> tuple[Floats, Floats]:
        """A square uint8 RGB crop to (grid², 112) of the map, a row a patch, and (4,) logits of the families."""
        found = self._run(cv2.resize(crop, (_SIDE, _SIDE))[None])
        channels, logits = (np.array(found[place][0], np.float32) for place in (0, 1))
        cells = cv2.resize(np.ascontiguousarray(channels.transpose(1, 2, 0)), (grid, grid))
        return cells.reshape(grid * grid, DENSE).astype(np.float32), logits
