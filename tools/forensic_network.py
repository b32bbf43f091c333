"""The embedded forensic network: families of traces and a map of what was altered, on OpenVINO.

EfficientNet-Lite0 trained by ``facewitness.finetune.forensics``; see ``docs/models/forensics.md``.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import weights
from .face import Floats

FAMILIES = ("real", "manipulation", "synthesis", "morph")

WEIGHTS = "forensics"
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Traces:
    """What the network reads in one crop.

    Attributes:
        scores: Logit of ``manipulation``, ``synthesis`` and ``morph`` minus that of ``real``; greater is more forged.
        heat: (20, 20) float32 in 0..1 over the crop: which cells look altered.
        feature: (32,) float32 pooled features, whitened on the training data: the mean square there is 1.
    """

    scores: dict[str, float]
    heat: Floats
    feature: Floats


def read(crops: NDArray[np.uint8]) -> list[Traces]:
    """Run the network.

    Args:
        crops: (n, 160, 160, 3) uint8 RGB from ``alignment.align_wide``.

    Returns:
        One for each crop; the same whatever else is in the batch.
    """
    logits, heat, feature = _run(crops)
    return [
        Traces({name: float(row[k] - row[0]) for k, name in enumerate(FAMILIES) if k}, cells, pooled)
        for row, cells, pooled in zip(logits, heat, feature, strict=True)
    ]


def _run(crops: NDArray[np.uint8]) -> list[Any]:
    with _lock:
        request = _compiled()
        # One crop at a time: kernels chosen by batch size would change the last digits.
        found = [[np.array(out[0]) for out in request(crop[None]).values()] for crop in crops]
    return [np.stack(column) for column in zip(*found, strict=True)]


@cache
def _compiled() -> Any:
    import openvino

    return openvino.Core().compile_model(
        str(weights.path(WEIGHTS)), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    )
