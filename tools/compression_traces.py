"""What an earlier JPEG saving and resizing left in a face, against what they left around it.

A face that is put into a photo has been resized, turned and blended, which wipes out the traces that an earlier saving
left in the rest, and may leave traces of its own. They show that face and surroundings have different histories, not
who changed what; equal traces show only that nothing was put in after the earlier saving. Measured rates:
``docs/models/provenance_traces.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version

from ..errors import NotMeasurable
from . import jpeg_quality, jpeg_structure, resampling, saving_history
from .double_jpeg import Earlier
from .evidence import Evidence, ModelCard, Region, Value
from .face import FaceView, Reference
from .image import Photo
from .jpeg_grid import Grid
from .registry import FaceTool
from .saving_history import FACE_ERROR_MAX, Saving
from .trace_regions import Box, Regions

NAME = "compression_traces"

LACKS, SHOWS = 0.25, 0.55
"""Share of the trace around it up to which a face counts as lacking it, and from which as showing it."""

PEAK_MIN = 16.0
"""Contrast from which a peak counts as a trace of resizing."""

AROUND_MIN, ENERGY_MIN = 7.0, 0.5
"""Contrast at the face's peak from which its surroundings show it too, and energy from which they would have to."""

RESIZING_QUALITY_MIN = 95
"""JPEG quality of the last saving below which peaks of resizing do not survive."""

PART_BLOCKS_MIN = 8
"""Patches that a part needs; it is named where its share is below ``SHOWS`` by two standard errors."""

# Outermost points of each part in the MediaPipe face mesh; left and right are the person's.
_PARTS = {
    "left_eye": (300, 334, 336, 446, 450, 464),
    "right_eye": (70, 105, 107, 226, 230, 244),
    "nose": (2, 129, 168, 358),
    "mouth": (17, 57, 164, 287),
}


@cache
def _card() -> ModelCard:
    return ModelCard("compression-traces", version("facewitness"), None, "Apache-2.0", True)


def _item(box: Box, what: str, finding: str, value: Value, name: str = "face") -> Evidence:
    return Evidence(f"{NAME}.{what}", NAME, finding, value, region=Region(*box, name), model=_card())


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    return [*_guarded(_savings, "earlier_saving", view), *_guarded(_resizing, "resizing", view)]


def _guarded(measure: Callable[[FaceView], list[Evidence]], what: str, view: FaceView) -> list[Evidence]:
    """One measure that cannot be taken does not cost the other."""
    try:
        return measure(view)
    except NotMeasurable as error:
        return [Evidence(f"{NAME}.{what}", NAME, str(error), status="not_measurable", model=_card())]


def _savings(view: FaceView) -> list[Evidence]:
    """What speaks of the face first: a short text tells one finding of each tool."""
    boxes = _part_boxes(view)
    parts, table = saving_history.parts_of(view.photo, view.face.box, boxes)
    saving = saving_history.earlier(parts.around, table)
    own = saving_history.own_grid(parts, table)
    found = [] if own is None else [_own(view.face.box, own)]
    if saving is None:
        finding = "There is no trace of an earlier JPEG saving around the face, so the face cannot be compared with it."
        return [*found, _item(view.face.box, "earlier_saving", finding, "none")]
    found += [_face(view.face.box, saving, parts), *_parts_without(boxes, saving, parts)]
    return [*found, _earlier(view.face.box, saving, view.photo.format)]


def _own(box: Box, grid: Grid) -> Evidence:
    finding = f"The face shows a JPEG saving of about quality {grid.quality} that its surroundings do not show."
    return _item(box, "own_saving", finding, grid.quality)


def _part_boxes(view: FaceView) -> dict[str, Box]:
    """Boxes around eyes, nose and mouth; none without a mesh."""
    try:
        points = view.mesh.points[:, :2]
    except NotMeasurable:
        return {}
    boxes = {}
    for name, outermost in _PARTS.items():
        (left, top), (right, bottom) = points[list(outermost)].min(0), points[list(outermost)].max(0)
        boxes[name] = (float(left), float(top), float(right - left), float(bottom - top))
    return boxes


def _earlier(box: Box, saving: Saving, image_format: str) -> Evidence:
    quality = saving.trace.quality
    words = "with tables of its own" if quality is None else f"of about quality {quality}"
    if isinstance(saving.trace, Earlier):
        finding = f"Around the face, the photo was a JPEG {words} before its last saving."
    elif (saving.trace.row, saving.trace.column) == (0, 0):
        finding = f"Around the face, the {image_format} was a JPEG {words} before."
    else:
        finding = f"Around the face, the photo was a JPEG {words} before it was cropped."
    return _item(box, "earlier_saving", finding, "unknown" if quality is None else quality)


def _face(box: Box, saving: Saving, parts: Regions) -> Evidence:
    """What the face keeps of the trace around it."""
    share, error = saving.kept(parts.inside)
    if error > FACE_ERROR_MAX:
        finding = (
            f"The face says too little of the earlier saving: the error of its share is {error:.2f}, "
            f"and at most {FACE_ERROR_MAX} can be read."
        )
        return Evidence(f"{NAME}.face", NAME, finding, status="not_measurable", model=_card())
    kept = round(min(max(share, 0.0), 1.0), 2)
    return _item(box, "face", f"The face {_said(kept)}, with a share of {kept:.2f}.", kept)


def _parts_without(boxes: Mapping[str, Box], saving: Saving, parts: Regions) -> list[Evidence]:
    """Parts that lack the trace around the face, or a part of it."""
    found = []
    for name, patches in parts.parts.items():
        if len(patches) < PART_BLOCKS_MIN:
            continue
        share, error = saving.kept(patches)
        if share + 2 * error <= SHOWS:
            part = round(max(share, 0.0), 2)
            finding = f"The {name.replace('_', ' ')} {_said(part)}, with a share of {part:.2f}."
            found.append(_item(boxes[name], name, finding, part, name=name))
    return found


def _said(kept: float) -> str:
    verb = "lacks" if kept <= LACKS else "shows" if kept >= SHOWS else "shows part of"
    return f"{verb} the trace of the earlier saving around the face"


def _resizing(view: FaceView) -> list[Evidence]:
    """Whether the face was resized or turned, and whether its surroundings were too."""
    face, rgb = view.face, view.photo.rgb
    square = resampling.face_square(rgb, face)
    if square is None:
        least = resampling.SIDE_MIN
        raise NotMeasurable(f"The face is {face.size:.0f} px, and {least} px are needed to read traces of resizing.")
    _check_last_saving(view.photo)
    peak = resampling.highest(square)
    contrast = round(peak.contrast, 1)
    if contrast < PEAK_MIN:
        finding = f"There is no trace of resizing in the face, with a highest peak of {contrast}."
        return [_item(face.box, "resizing", finding, contrast)]
    finding = f"The face shows a trace of resizing or turning, with a peak of {contrast}."
    around = _resizing_around(face.box, *resampling.around(rgb, face, peak))
    return [_item(face.box, "resizing", finding, contrast), around]


def _resizing_around(box: Box, contrast: float, energy: float) -> Evidence:
    if contrast < AROUND_MIN and energy < ENERGY_MIN:
        finding = "The surroundings of the face are too small or too smooth to say whether they were resized too."
        return Evidence(f"{NAME}.resizing_around", NAME, finding, status="not_measurable", model=_card())
    shared = "also show it, as if the whole photo was resized" if contrast >= AROUND_MIN else "do not show it"
    finding = f"The surroundings of the face {shared}, with a peak of {contrast:.1f}."
    return _item(box, "resizing_around", finding, round(contrast, 1))


def _check_last_saving(photo: Photo) -> None:
    if photo.format != "JPEG":
        return
    quality = jpeg_quality.estimate(jpeg_structure.parse(photo.data).tables)
    if quality is not None and quality.value < RESIZING_QUALITY_MIN:
        raise NotMeasurable(
            f"The last saving was a JPEG of about quality {quality.value}, and traces of resizing need at least "
            f"{RESIZING_QUALITY_MIN}."
        )


TOOL = FaceTool(name=NAME, title="Comparing compression inside and around the face", measure=_measure)
