"""Displayed expression by rules on action units: neutral, happiness, or unknown; see docs/models/action_units.md.

The rules name what the face shows, never what the person feels. Surprise, anger, sadness, fear, disgust and contempt
are not named: on real photos too few of those so called were right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import action_units, weights
from .evidence import Evidence, Region
from .face import FaceView, Reference
from .registry import FaceTool

_SMILE, _JAW, _EYES = 12, 26, 43


def classify(scores: dict[int, float]) -> str:
    """``happiness``, ``neutral`` or ``unknown`` from ``action_units.read``."""
    fitted = action_units.parameters()
    if scores[_SMILE] > fitted.happiness:
        return "happiness"
    others = all(scores[number] <= fitted.units[number].present_above for number in (_JAW, _EYES))
    return "neutral" if others and scores[_SMILE] < fitted.neutral else "unknown"


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    scores = action_units.read(view)
    return [_displayed(view, scores), _smile_eyes(view, scores[_SMILE])]


def _displayed(view: FaceView, scores: dict[int, float]) -> Evidence:
    shown = classify(scores)
    smile = round(float(np.clip(scores[_SMILE], 0, 1)), 2)
    finding = {
        "happiness": f"The face displays happiness: a smile, AU12 at intensity {smile:.2f}.",
        "neutral": f"The face displays a neutral expression: no smile (AU12 at intensity {smile:.2f}), "
        "the jaw is not dropped and the eyes are open.",
        "unknown": "The displayed expression is unknown: it is neither clearly neutral nor clearly a smile "
        f"(AU12 at intensity {smile:.2f}).",
    }[shown]
    return Evidence(
        measure="expression.displayed",
        tool="expression",
        finding=finding,
        value=shown,
        numbers=(float(_SMILE), smile),
        region=Region(*view.face.box),
        model=weights.card("action_units"),
    )


def _smile_eyes(view: FaceView, score: float) -> Evidence:
    """Always without a value: AU6 read from the eyes does not tell smiling from neutral real faces."""
    smile = round(float(np.clip(score, 0, 1)), 2)
    limit = round(action_units.parameters().units[_SMILE].present_above, 2)
    if smile > limit:
        finding = (
            f"Whether the eyes share in the smile (AU12 at intensity {smile:.2f}) was not measured: the landmarks do "
            "not tell a raised cheek from the smile itself."
        )
    else:
        finding = (
            f"There is no clear smile, so the eyes were not compared with one: AU12 is at intensity {smile:.2f}, below "
            f"the least of {limit:.2f}."
        )
    return Evidence(
        measure="expression.smile_eyes",
        tool="expression",
        finding=finding,
        numbers=(float(_SMILE), smile, limit),
        region=action_units.place(view, _SMILE),
        status="not_measurable",
        model=weights.card("action_units"),
    )


TOOL = FaceTool(name="expression", title="Naming the expression", measure=_measure)
