"""Action units (FACS, Ekman, Friesen and Hager 2002) from the 52 blendshapes, see docs/models/action_units.md.

Each unit is a linear map of blendshapes, fitted by finetune/action_units.py. AU12, AU26 and AU43 also respond on
photos of people. A few more are validated on renders only, and say so; they are shown singly only when present. AU6
is not reported, since what the landmarks know of it comes from the mouth, so that every smile would seem to reach the
eyes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable
from . import weights
from .evidence import Evidence, Region
from .face import FaceView, Floats, Reference
from .landmarks import BLENDSHAPES
from .registry import FaceTool

YAW_MAX = 35.0
PITCH_MAX = 25.0
"""Degrees; beyond, the development photos are too few to tell whether AU12 still works."""
NAMES = {
    1: "inner brow raiser",
    2: "outer brow raiser",
    4: "brow lowerer",
    5: "upper lid raiser",
    6: "cheek raiser",
    7: "lid tightener",
    9: "nose wrinkler",
    10: "upper lip raiser",
    12: "lip corner puller",
    14: "dimpler",
    15: "lip corner depressor",
    16: "lower lip depressor",
    17: "chin raiser",
    18: "lip pucker",
    20: "lip stretcher",
    22: "lip funneler",
    24: "lip pressor",
    26: "jaw drop",
    28: "lip suck",
    43: "eyes closed or lowered",
}
_MOUTH = ("mouth", (0, 17, 61, 291))
_PLACES = {
    2: ("brows", (46, 52, 66, 105, 276, 282, 296, 334)),
    12: _MOUTH,
    18: _MOUTH,
    20: _MOUTH,
    26: ("mouth and chin", (0, 61, 291, 152)),
    28: _MOUTH,
    43: ("eyes", (33, 133, 145, 159, 263, 362, 374, 386)),
}
MEASURED = (12, 26, 43)
"""Validated on photos of people; the other units of ``parameters`` on renders only."""

FEATURES = tuple(dict.fromkeys(name.removesuffix("Left").removesuffix("Right") for name in BLENDSHAPES[1:]))
"""Blendshapes with left and right made one; ``_neutral`` is always 0."""
_PAIRS = np.array(
    [[name.removesuffix("Left").removesuffix("Right") == feature for feature in FEATURES] for name in BLENDSHAPES]
).astype(np.float64)
_PAIRS /= _PAIRS.sum(0)


@dataclass(frozen=True, slots=True)
class Unit:
    """Fitted parameters of one unit.

    Attributes:
        weights: (31,) of ``features(blendshapes, power)``.
        bias: So that 0 is the median of neutral real faces; 1 is the full unit of the training renders.
        present_above: Intensity that 95 % of neutral real faces, and of renders without the unit, stay below.
        changed_above: Change that 95 % of pairs of neutral photos of one person stay below.
    """

    weights: NDArray[np.float64]
    bias: float
    present_above: float
    changed_above: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """Contents of action_units.json; ``happiness`` and ``neutral`` are AU12 scores that ``expression`` uses."""

    power: float
    units: dict[int, Unit]
    happiness: float
    neutral: float


@cache
def parameters() -> Parameters:
    """Read the fitted parameters once."""
    stored = json.loads(weights.path("action_units").read_text("utf-8"))
    units = {
        int(number): Unit(
            np.array([unit["weights"].get(feature, 0.0) for feature in FEATURES]),
            unit["bias"],
            unit["present_above"],
            unit["changed_above"],
        )
        for number, unit in stored["units"].items()
    }
    return Parameters(stored["power"], units, **stored["expression"])


def features(blendshapes: Floats | NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """(…, 52) blendshapes to (…, 31): mean of left and right, to a power that spreads the small values out."""
    return np.asarray(np.clip(blendshapes @ _PAIRS, 0.0, 1.0) ** power)


def scores(blendshapes: Floats | NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Intensities before they are cut to 0..1, by number of the unit.

    Args:
        blendshapes: (52,) of one face or (n, 52) of several.

    Returns:
        For each measured unit a () or (n,) array; about 0 at rest, 1 at the full unit.
    """
    fitted = parameters()
    seen = features(blendshapes, fitted.power)
    return {number: np.asarray(seen @ unit.weights + unit.bias) for number, unit in fitted.units.items()}


def read(view: FaceView) -> dict[int, float]:
    """Scores of a face that is not turned too far away.

    Raises:
        NotMeasurable: Yaw or pitch is beyond the limits, or no mesh.
    """
    pose = view.pose
    for axis, angle, limit in (("yaw", pose.yaw, YAW_MAX), ("pitch", pose.pitch, PITCH_MAX)):
        if abs(angle) > limit:
            raise NotMeasurable(f"The head's {axis} is {abs(angle):.0f} degrees; the limit is {limit:.0f}.")
    return {number: float(score) for number, score in scores(view.mesh.blendshapes).items()}


def rest(references: Sequence[Reference]) -> tuple[dict[int, float], int]:
    """Mean scores of the reference photos that can be measured, and how many those are."""
    found = []
    for reference in references:
        try:
            if reference.view is not None:
                found.append(read(reference.view))
        except NotMeasurable:
            continue
    means = {number: float(np.mean([one[number] for one in found])) for number in parameters().units if found}
    return means, len(found)


def title(number: int) -> str:
    """For example ``AU12 (lip corner puller)``."""
    return f"AU{number} ({NAMES[number]})"


def place(view: FaceView, number: int) -> Region:
    """Where on this face the unit shows."""
    name, points = _PLACES[number]
    corners = view.mesh.points[list(points), :2]
    (x, y), (width, height) = corners.min(0), np.ptp(corners, axis=0)
    return Region(float(x), float(y), float(width), float(height), name)


def present(number: int, score: float) -> bool:
    """Whether the intensity, as printed, is above the threshold, as printed."""
    return round(min(score, 1.0), 2) > round(parameters().units[number].present_above, 2)


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    measured = read(view)
    shown = [number for number, score in measured.items() if number in MEASURED or present(number, score)]
    evidence = [_intensity(view, number, measured[number]) for number in shown]
    before, photos = rest(references)
    changes = {number: measured[number] - before[number] for number in before}
    clear = [number for number in shown if abs(changes.get(number, 0)) > parameters().units[number].changed_above]
    evidence += [_change(view, number, changes[number], photos) for number in clear]
    if hidden := [number for number in measured if number not in shown]:
        evidence.append(_not_evident(hidden))
    return [*evidence, _not_measured()]


def _tested(number: int) -> str:
    return "" if number in MEASURED else "; this unit is validated on rendered faces only"


def _intensity(view: FaceView, number: int, score: float) -> Evidence:
    value = round(float(np.clip(score, 0, 1)), 2)
    limit = round(parameters().units[number].present_above, 2)
    shown = present(number, score)
    state = "present" if shown else "not evident"
    return Evidence(
        measure=f"action_units.AU{number}",
        tool="action_units",
        finding=f"{title(number)} is {state}, with an intensity of {value:.2f}, {'above' if shown else 'below'} "
        f"the least of {limit:.2f}{_tested(number)}.",
        value=value,
        numbers=(float(number), limit),
        region=place(view, number),
        model=weights.card("action_units"),
    )


def _change(view: FaceView, number: int, change: float, photos: int) -> Evidence:
    value = round(change, 2)
    limit = round(parameters().units[number].changed_above, 2)
    source = "the reference photo" if photos == 1 else f"the mean of {photos} reference photos"
    return Evidence(
        measure=f"action_units.change.AU{number}",
        tool="action_units",
        finding=f"{title(number)} is {abs(value):.2f} {'stronger' if value > 0 else 'weaker'} than in {source}, where "
        f"{limit:.2f} counts as a change{_tested(number)}.",
        value=value,
        numbers=(float(number), abs(value), float(photos), limit),
        region=place(view, number),
        model=weights.card("action_units"),
    )


def _listed(numbers: Sequence[int]) -> str:
    *first, last = (f"AU{number}" for number in numbers)
    return f"{', '.join(first)} and {last}" if first else last


def _not_evident(numbers: Sequence[int]) -> Evidence:
    return Evidence(
        measure="action_units.not_evident",
        tool="action_units",
        finding=f"Not evident, validated on rendered faces only: {_listed(numbers)}.",
        numbers=tuple(float(number) for number in numbers),
        model=weights.card("action_units"),
    )


def _not_measured() -> Evidence:
    left_out = [number for number in NAMES if number not in parameters().units]
    return Evidence(
        measure="action_units.not_measurable",
        tool="action_units",
        finding=f"{_listed(left_out)} were not measured: no test shows that they can be read reliably from landmarks.",
        numbers=tuple(float(number) for number in left_out),
        status="not_measurable",
        model=weights.card("action_units"),
    )


TOOL = FaceTool(name="action_units", title="Measuring facial actions", measure=_measure)
