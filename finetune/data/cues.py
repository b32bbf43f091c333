"""Cues of a forgery that can be measured against the untouched photo, and asked of a model (X²-DFD 2024).

Each compares the altered part with a ring around it, and counts only what the untouched photo does not show there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.evidence import Evidence
from ...tools.image import RGBImage
from .sight import TOOL, Made

_RING = 13  # pixels
_INSIDE = 0.3  # weight from which a pixel belongs to the altered part
_FEWEST = 60  # pixels on either side, below which a mean says nothing
_EDGE, _COLOUR, _DETAIL = 3.0, 6.0, 0.35
"""Grey levels of gradient, distance in CIELAB, and logarithm of the energy of fine detail."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One cue.

    Attributes:
        question: Asked of a model with a picture; "yes" speaks for a forgery.
        shown, absent: What is said of a picture that has it, or does not.
        measure: True or False from a picture whose original is known; None where it does not apply.
    """

    question: str
    shown: str
    absent: str
    measure: Callable[[Made], bool | None]


def item(name: str, is_shown: bool) -> Evidence:
    """The cue as seen."""
    cue = CUES[name]
    return Evidence(f"{TOOL}.{name}", TOOL, cue.shown if is_shown else cue.absent, is_shown)


def measured(made: Made) -> dict[str, bool | None]:
    """Every cue of a picture."""
    return {name: cue.measure(made) for name, cue in CUES.items()}


def _sides(made: Made) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Masks of the altered part and of the ring around it; None where one is too small."""
    inside = made.mask > _INSIDE
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _RING + 1,) * 2)
    ring = (cv2.dilate(inside.astype(np.uint8), kernel) > 0) & (made.mask < 0.02)
    return (inside, ring) if min(inside.sum(), ring.sum()) >= _FEWEST else None


def _against_base(made: Made, gap: Callable[[RGBImage], NDArray[np.float64]]) -> NDArray[np.float64] | None:
    if made.base is None:
        return None
    return gap(made.rgb) - gap(made.base)


def _colour(made: Made) -> bool | None:
    if made.label == "authentic":
        return False
    if (sides := _sides(made)) is None:
        return None

    def gap(rgb: RGBImage) -> NDArray[np.float64]:
        lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        return np.asarray(lab[sides[0]].mean(0) - lab[sides[1]].mean(0), np.float64)

    shift = _against_base(made, gap)
    return None if shift is None else bool(np.linalg.norm(shift) > _COLOUR)


def _detail(made: Made) -> bool | None:
    if made.label == "authentic":
        return False
    if (sides := _sides(made)) is None:
        return None

    def gap(rgb: RGBImage) -> NDArray[np.float64]:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
        fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5)) + 0.1
        return np.log([fine[sides[0]].mean() / fine[sides[1]].mean()])

    change = _against_base(made, gap)
    return None if change is None else bool(abs(change[0]) > _DETAIL)


def _edge(made: Made) -> bool | None:
    if made.label == "authentic":
        return False
    rim = cv2.morphologyEx((made.mask > 0.5).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    if made.base is None or rim.sum() < _FEWEST:
        return None
    steps = [_gradient(rgb)[rim].mean() for rgb in (made.rgb, made.base)]
    return bool(steps[0] - steps[1] > _EDGE)


def _gradient(rgb: RGBImage) -> NDArray[np.float64]:
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1.0)
    return np.hypot(cv2.Sobel(grey, cv2.CV_64F, 1, 0), cv2.Sobel(grey, cv2.CV_64F, 0, 1)) / 4


CUES: Mapping[str, Cue] = {
    "edge": Cue(
        "Does an edge of blending run through this face?",
        "An edge of blending is seen in the face.",
        "The face shows no edge of blending.",
        _edge,
    ),
    "colour": Cue(
        "Does a part of this face have another colour than the skin around it?",
        "A part of the face has another colour than its surroundings.",
        "The face has even colour.",
        _colour,
    ),
    "detail": Cue(
        "Is a part of this face clearly smoother or grainier than the rest?",
        "A part of the face has other detail than its surroundings.",
        "The face has even detail.",
        _detail,
    ),
    "generator": Cue(
        "Does this face look as if a computer had drawn the whole of it?",
        "The whole face shows the traces of a generator.",
        "The whole face shows no traces of a generator.",
        lambda made: made.label == "synthetic",
    ),
}
