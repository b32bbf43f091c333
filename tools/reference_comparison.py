"""Reference comparison: which parts of the face agree with the reference photos, and which differ from them.

A face swap or an exchanged feature leaves parts that are not the person's where the face as a whole still matches. The
parameters are fitted by ``facewitness.finetune.reference_comparison``; see docs/models/reference_comparison.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import NotMeasurable, ToolUnavailable
from . import weights
from .evidence import Evidence, Picture, Region, without_value
from .face import FaceView, Reference
from .face_parts import PARTS
from .part_similarity import WEIGHTS, Array, Part, Reading, compare, fitted, of_face, of_part
from .registry import FaceTool


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a face compares with the reference photos: table and cosine of ``part_similarity.compare``, their number."""

    table: Array
    cosine: float
    photos: int

    @property
    def named(self) -> str:
        """The reference photos in words."""
        return "the reference photo" if self.photos == 1 else f"the mean of {self.photos} reference photos"

    @property
    def counted(self) -> tuple[float, ...]:
        """The number in those words."""
        return () if self.photos == 1 else (self.photos,)


def compared(view: FaceView, references: Sequence[Reference]) -> Likeness:
    """A face against the reference photos.

    Raises:
        NotMeasurable: There is no reference photo, or a face without a mesh.
        ToolUnavailable: Only weights for commercial use are wanted.
    """
    views = [reference.view for reference in references if reference.view is not None]
    if not references:
        raise NotMeasurable("No reference photo was given, so the parts of the face were not compared.")
    if not views:
        raise NotMeasurable("Only stored templates were given, so the parts of the face were not compared.")
    if view.commercial_only:
        raise ToolUnavailable("There is no comparison of parts whose training data allow commercial use.")
    return Likeness(*compare(view, views), len(views))


def likeness(reading: Reading, inputs: Array) -> float:
    """Probability, at even odds, that it is as in the reference photos; four digits, and never a certainty."""
    unlike = float(reading.logit(inputs))
    return round(min(max(0.5 * (1 - math.tanh(unlike / 2)), 0.0001), 0.9999), 4)


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    found = compared(view, references)
    return [_whole(view, found), *(_part(view, found, name) for name in PARTS)]


def whole(view: FaceView, references: Sequence[Reference]) -> Evidence:
    """How probable it is that every part is as in the reference photos; raises as ``compared`` does."""
    return _whole(view, compared(view, references))


def _whole(view: FaceView, found: Likeness) -> Evidence:
    value = likeness(fitted().whole, of_face(found.table, found.cosine))
    finding = f"The probability that every part of the face is as in {found.named} is {value:.4f} at even odds."
    return Evidence(
        "reference_comparison.face",
        "reference_comparison",
        finding,
        value,
        probability=value,
        numbers=found.counted,
        region=Region(*view.face.box),
        model=weights.card(WEIGHTS),
    )


def _part(view: FaceView, found: Likeness, name: str) -> Evidence:
    words, measure = name.replace("_", " "), f"reference_comparison.{name}"
    if name not in fitted().parts:
        reason = f"The {words} was not compared: a change of expression alters it more than an exchange."
        return without_value("reference_comparison", NotMeasurable(reason), measure)
    part = fitted().parts[name]
    value = likeness(part.reading, of_part(found.table, name))
    finding, limits = _said(words, value, part, found.named)
    return Evidence(
        measure,
        "reference_comparison",
        finding,
        value,
        probability=value,
        numbers=(*limits, *found.counted),
        region=_region(view, name),
        picture=Picture(outlines=(_outline(view, name),)),
        model=weights.card(WEIGHTS),
        usual=(part.usual, 1.0),
    )


def _said(words: str, value: float, part: Part, photos: str) -> tuple[str, tuple[float, ...]]:
    """The finding, and the limits that it names."""
    if value < part.differs:
        text = f"The {words} differs from {photos}: its likeness is {value:.4f}, below {part.differs:.4f}."
        return text, (part.differs,)
    if value < part.usual:
        text = (
            f"The {words} is below its usual likeness to {photos}, but not clearly unlike: its likeness is "
            f"{value:.4f}, below {part.usual:.4f}."
        )
        return text, (part.usual,)
    if value >= part.agrees:
        text = f"The {words} agrees with {photos}: its likeness is {value:.4f}, not below {part.agrees:.4f}."
        return text, (part.agrees,)
    text = f"The {words} is neither clearly like {photos} nor unlike: its likeness is {value:.4f}."
    return text, ()


def _outline(view: FaceView, name: str) -> tuple[tuple[float, float], ...]:
    """Closed line around a part."""
    around = cv2.convexHull(view.mesh.points[list(PARTS[name]), :2].astype(np.float32))[:, 0]
    return tuple((float(x), float(y)) for x, y in (*around, around[0]))


def _region(view: FaceView, name: str) -> Region:
    points = view.mesh.points[list(PARTS[name]), :2]
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    return Region(left, top, right - left, bottom - top, name.replace("_", " "))


TOOL = FaceTool("reference_comparison", "Comparing part by part with the reference photos", _measure)
