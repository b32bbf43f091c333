"""The forensic network as the evaluation sees it: the shipped weights, or a file from a training run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..agent import fusion
from ..agent.traces import TraceWeights
from ..tools import forensic_network, trace_calibration, weights
from ..tools.forensic_network import Traces
from ..tools.image import RGBImage
from ..tools.trace_calibration import Judgement
from .forgery_conditions import SIDE
from .forgery_material import ANY, FAMILIES, TASKS, Bools, Crops

Array = NDArray[np.float64]

ORDERS = 48


class Reading(NamedTuple):
    """What a detector says of n crops.

    Attributes:
        raw: For each of ``TASKS`` (n,) raw scores, greater is more forged.
        heat: (n, 20, 20) maps in 0..1.
        probabilities: For each of ``TASKS`` (n,) at even odds; None without a calibration. A face that the network is
            not believed on has one half.
        called: (n,) whether a verdict would call the face forged; None without a calibration.
        believed: (n,) whether the face is enough like the training data; None without a calibration.
    """

    raw: dict[str, Array]
    heat: NDArray[np.float32]
    probabilities: dict[str, Array] | None = None
    called: Bools | None = None
    believed: Bools | None = None


@dataclass(frozen=True, slots=True)
class Detector:
    """A forensic network.

    Attributes:
        name: For the record.
        sha256: Of its weights.
        network: (n, 160, 160, 3) uint8 RGB crops to one reading each.
        judge: From a face's traces and crop to calibrated probabilities; None for a network without calibration.
        fused: How a verdict weighs them.
    """

    name: str
    sha256: str | None
    network: Callable[[Crops], list[Traces]]
    judge: Callable[[Traces, RGBImage], Judgement] | None = None
    fused: TraceWeights | None = None

    def read(self, crops: Crops) -> Reading:
        """Crops of any side, enlarged to the network's as small faces are."""
        if crops.shape[1] != SIDE:
            crops = np.stack([cv2.resize(rgb, (SIDE, SIDE)) for rgb in crops]).astype(np.uint8, copy=False)
        traces = self.network(crops)
        raw = {family: np.array([one.scores[family] for one in traces], np.float64) for family in FAMILIES}
        raw[ANY] = np.asarray(logsumexp([raw[family] for family in FAMILIES], axis=0))
        heat = np.stack([one.heat for one in traces])
        if self.judge is None or self.fused is None:
            return Reading(raw, heat)
        judged = [self.judge(one, crop) for one, crop in zip(traces, crops, strict=True)]
        return Reading(raw, heat, *_weighed(judged, self.fused))


def _weighed(judged: list[Judgement], fused: TraceWeights) -> tuple[dict[str, Array], Bools, Bools]:
    """Probabilities, calls and belief, as ``agent.traces`` and ``agent.fusion`` have them."""
    alone = np.array([[one.alone[family] for family in FAMILIES] for one in judged])
    believed = np.array([one.believed for one in judged])
    labels = fused.families(alone)
    odds = labels[:, 1:].mean(1) / labels[:, 0]
    columns = np.where(believed[:, None], np.column_stack([alone, odds / (1 + odds)]), 0.5)
    top = labels.argmax(1)
    called = believed & (top > 0) & (labels.max(1) >= np.array(fused.needed)[top])
    return dict(zip(TASKS, columns.T, strict=True)), called, believed


def from_file(path: Path, name: str) -> Detector:
    """Weights of a training run: ONNX as ``finetune.forensic_model.export`` writes it.

    Scores are calibrated where ``finetune.trace_calibration`` put a JSON file beside it; a verdict's weights are the
    shipped ones.
    """
    import openvino

    compiled = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def network(crops: Crops) -> list[Traces]:
        found = [[np.array(out[0]) for out in compiled(crop[None]).values()] for crop in crops]
        return [
            Traces({family: float(logits[1 + k] - logits[0]) for k, family in enumerate(FAMILIES)}, heat, feature)
            for logits, heat, feature in found
        ]

    digest, beside = hashlib.sha256(path.read_bytes()).hexdigest(), path.with_suffix(".json")
    if not beside.exists():
        return Detector(name, digest, network)
    fitted = trace_calibration.parse(json.loads(beside.read_text(encoding="utf-8")))
    judge = partial(trace_calibration.judge, fitted=fitted)
    return Detector(name, digest, network, judge, fusion.calibration().traces[forensic_network.WEIGHTS])


def shipped() -> Detector:
    """The network, its calibration and the verdict's weights that an examination uses."""
    card = weights.card(forensic_network.WEIGHTS)
    return Detector(
        card.name,
        card.sha256,
        forensic_network.read,
        trace_calibration.judge,
        fusion.calibration().traces[card.name],
    )


def same_in_any_order(detector: Detector, crops: Crops) -> dict[str, Any]:
    """Largest difference of scores and maps when the same crops come singly, in sevens, or last first."""
    crops = crops[:ORDERS]
    once, backwards = detector.read(crops), detector.read(crops[::-1])
    parts = {size: [crops[k : k + size] for k in range(0, len(crops), size)] for size in (1, 7)}
    ways = {"backwards": Reading({k: s[::-1] for k, s in backwards.raw.items()}, backwards.heat[::-1])}
    ways |= {f"in batches of {size}": _joined([detector.read(part) for part in of]) for size, of in parts.items()}
    return {
        "crops": len(crops),
        "largest difference": {
            way: {
                "scores": max(float(np.abs(other.raw[family] - once.raw[family]).max()) for family in FAMILIES),
                "map": float(np.abs(other.heat - once.heat).max()),
            }
            for way, other in ways.items()
        },
    }


def _joined(readings: list[Reading]) -> Reading:
    raw = {family: np.concatenate([one.raw[family] for one in readings]) for family in FAMILIES}
    return Reading(raw, np.concatenate([one.heat for one in readings]))
