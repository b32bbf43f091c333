"""Identity: SFace features and cosine similarity to reference photos."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ..errors import NotMeasurable
from . import weights
from .evidence import Evidence, Region
from .face import FaceView, Floats, Reference
from .registry import FaceTool

SAME_PERSON_MIN = 0.363
"""Cosine threshold that OpenCV Zoo publishes for SFace (Zhong et al. 2021)."""


def similarity(a: Floats, b: Floats) -> float:
    """Cosine of two features, -1..1; order and length do not matter."""
    return float(a @ b / max(1e-12, float(np.linalg.norm(a) * np.linalg.norm(b))))


def reference_mean(features: Sequence[Floats]) -> Floats:
    """Mean of the features after each is normalised, so that no photo weighs more for its quality."""
    mean: Floats = np.mean([feature / np.linalg.norm(feature) for feature in features], axis=0, dtype=np.float32)
    return mean


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    if not references:
        raise NotMeasurable("No reference photo was given, so identity was not compared.")
    features = [reference.feature for reference in references]
    count = len(features)
    to_mean = similarity(view.feature, reference_mean(features))
    photos = "the reference photo" if count == 1 else f"the mean of {count} reference photos"
    found = [
        _cosine(
            view,
            "similarity",
            to_mean,
            f"Cosine similarity to {photos} is {to_mean:.2f}.",
            () if count == 1 else (count,),
        )
    ]
    for number, feature in enumerate(features, 1):
        value = similarity(view.feature, feature)
        finding = f"Cosine similarity between the face and reference {number} is {value:.2f}."
        found.append(_cosine(view, f"reference.{number}", value, finding, (number,)))
    if count > 1:
        found.append(_agreement(view, features))
    return found


def _agreement(view: FaceView, features: Sequence[Floats]) -> Evidence:
    """Least cosine between two references: below the threshold they may show different people."""
    least = min(similarity(a, b) for a, b in combinations(features, 2))
    word = "disagree" if least < SAME_PERSON_MIN else "agree"
    side = "below" if least < SAME_PERSON_MIN else "not below"
    finding = (
        f"The {len(features)} references {word} with one another: "
        f"their least cosine similarity is {least:.3f}, {side} {SAME_PERSON_MIN}."
    )
    return _cosine(view, "references_agree", least, finding, (len(features), round(least, 3), SAME_PERSON_MIN))


def _cosine(view: FaceView, what: str, value: float, finding: str, numbers: tuple[float, ...]) -> Evidence:
    return Evidence(
        measure=f"identity.{what}",
        tool="identity",
        finding=finding,
        value=round(value, 4),
        unit="cosine",
        numbers=(round(value, 2), *numbers),
        region=Region(*view.face.box),
        model=weights.card("sface"),
    )


TOOL = FaceTool(name="identity", title="Comparing with the reference photos", measure=_measure)
