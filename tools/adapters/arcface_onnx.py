"""ArcFace-type ONNX matchers, such as AuraFace: a 112 px aligned face in, a feature for cosine similarity out.

Deng et al. 2019 (ArcFace). Runs on OpenVINO.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ToolUnavailable
from ..detectors import MATCHER_SIZE, Crops
from ..face import Floats
from ..once import Once
from ..weights_format import refuse_code
from .entries import ArcFaceEntry
from .loading import checked


class ArcFaceOnnx:
    """A matcher as its entry states it; the weights are loaded at the first face."""

    def __init__(self, entry: ArcFaceEntry) -> None:
        self.card, self.threshold = entry.card, entry.threshold
        self._entry, self._compiled = entry, Once(lambda: _compile(entry))

    def embed(self, crops: Crops) -> Floats:
        """Embed (n, 112, 112, 3) uint8 RGB crops on the ArcFace template as (n, d) float32, not normalised.

        Raises:
            WeightsMissing, WeightsMismatch, WeightsRefused, ToolUnavailable: The network cannot be loaded.
        """
        compiled = self._compiled()
        request = compiled.create_infer_request()  # one for each call: a request is not thread-safe
        pixels = (crops.astype(np.float32) - self._entry.mean) / self._entry.std
        # One at a time: published graphs state an output for one face.
        found = [
            np.array(request.infer({0: one[None]})[compiled.output(0)], np.float32).reshape(-1)
            for one in np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        ]
        return np.stack(found) if found else np.empty((0, 0), np.float32)


def _compile(entry: ArcFaceEntry) -> Any:
    import openvino

    path = checked(entry, entry.name)
    refuse_code(path)
    model = openvino.Core().read_model(path)
    if len(model.inputs) != 1:
        raise ToolUnavailable(f"{entry.file} of the plug-in {entry.name} has {len(model.inputs)} inputs, not one.")
    model.reshape([1, 3, MATCHER_SIZE, MATCHER_SIZE])
    # Where the processor has bfloat16, the default would round to it.
    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
