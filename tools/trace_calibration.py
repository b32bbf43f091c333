"""From the forensic network's scores to calibrated probabilities, and whether it may be asked at all.

Parameters are fitted by ``facewitness.finetune.trace_calibration`` on people whom neither the network nor a test saw,
and kept in ``forensics.json``; ``docs/models/forensics.md`` explains them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable, ToolUnavailable, WeightsMismatch
from . import weights
from .conditions import conditions
from .face import FaceView
from .forensic_network import FAMILIES, WEIGHTS, Traces
from .image import RGBImage

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TraceCalibration:
    """Fitted parameters.

    Attributes:
        offset, slopes, spread: A real photo's expected score is ``offset + slopes @ conditions``, give or take
            ``spread``; shapes (3,), (3, 7), (3,).
        span: (2, 7) least and greatest condition fitted; others are taken as the nearer end.
        floor: (3,) normalised scores below this are taken as this: looking "more real" than most real photos is no
            evidence, since unseen generators do.
        single: (3, 2) slope, not negative, and bias of each family's probability against real.
        unlike: Greatest distance of the feature from the training data at which the network is believed.
    """

    offset: Array
    slopes: Array
    spread: Array
    span: Array
    floor: Array
    single: Array
    unlike: float

    def normalised(self, scores: Array, conditions: Array) -> Array:
        """(n, 3) scores in units of the spread of real photos under the same conditions (n, 7)."""
        expected = self.offset + conditions.clip(*self.span) @ self.slopes.T
        result: Array = (scores - expected) / self.spread
        return result

    def alone(self, normalised: Array) -> Array:
        """(n, 3) probability of each family against real at even odds."""
        logits = np.maximum(normalised, self.floor) * self.single[:, 0] + self.single[:, 1]
        result: Array = 1 / (1 + np.exp(-logits))
        return result


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the scores of one face mean.

    Attributes:
        alone: Probability of ``manipulation``, ``synthesis`` and ``morph``, each against real at even odds.
        distance, limit: How unlike the training data the face is; beyond the limit nothing of this is believed.
    """

    alone: dict[str, float]
    distance: float
    limit: float

    @property
    def believed(self) -> bool:
        """Whether the face is enough like the training data."""
        return self.distance <= self.limit


def judged(view: FaceView) -> Judgement:
    """Calibrated reading of a face's traces.

    Raises:
        NotMeasurable: The face is unlike what the network was trained on.
        ToolUnavailable: Only weights for commercial use are wanted.
    """
    if view.commercial_only:
        raise ToolUnavailable("There is no forgery detector whose training data allow commercial use.")
    judgement = view.judgement
    if not judgement.believed:
        raise NotMeasurable(
            f"The face is too unlike the detector's training data: its distance is {judgement.distance:.2f}, "
            f"and {judgement.limit:.2f} is the limit."
        )
    return judgement


def judge(traces: Traces, crop: RGBImage, fitted: TraceCalibration | None = None) -> Judgement:
    """Calibrated reading of one face's traces; ``crop`` as in ``forensic_network.read``, the shipped parameters."""
    fitted = fitted or calibration()
    scores = np.array([[traces.scores[name] for name in FAMILIES[1:]]])
    normalised = fitted.normalised(scores, conditions(crop)[None])
    return Judgement(
        dict(zip(FAMILIES[1:], fitted.alone(normalised)[0].tolist(), strict=True)),
        float(np.linalg.norm(traces.feature) / np.sqrt(traces.feature.size)),
        fitted.unlike,
    )


def printed(probability: float) -> float:
    """As a finding states it: two digits, and never a certainty."""
    return round(min(max(probability, 0.01), 0.99), 2)


@cache
def calibration() -> TraceCalibration:
    """The fitted parameters.

    Raises:
        WeightsMismatch: The file was not fitted for the weights in use.
    """
    held = json.loads(weights.path(f"{WEIGHTS}_calibration").read_text(encoding="utf-8"))
    if held["sha256"] != weights.card(WEIGHTS).sha256:
        raise WeightsMismatch(
            "The calibration of the forensic network was fitted for other weights; install facewitness again."
        )
    return parse(held)


def parse(held: dict[str, Any]) -> TraceCalibration:
    """Parameters as the file holds them."""
    names = ("offset", "slopes", "spread", "span", "floor", "single")
    arrays = {name: np.array(held[name], np.float64) for name in names}
    return TraceCalibration(unlike=float(held["unlike"]), **arrays)
