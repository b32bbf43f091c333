"""The ways in which the page shows the photo: as it is, with faces, enlarged, and one for each layer of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..agent.record import Box, Record
from ..tools.image import RGBImage
from .overlays import Layer, surroundings

CLOSE_UP_MARGIN = 0.45
CLOSE_UP_SHARE = 0.6
"""A close-up that shows more of the photo than this says no more than the photo."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at the photo: ``base`` names the embedded picture that fills ``box``."""

    label: str
    base: str
    box: Box
    layer: Layer | None = None
    faces: bool = False


def close_up_of(record: Record, rgb: RGBImage, drawn: Sequence[Layer]) -> Box | None:
    """The subject with its surroundings and maps, unless that is most of the photo."""
    height, width = rgb.shape[:2]
    for face in record.faces:
        if face.id == record.subject:
            box = surroundings(face.box, CLOSE_UP_MARGIN, width, height)
            for layer in drawn:
                box = _around(box, _clipped(layer.bounds, rgb)) if layer.picture and layer.picture.heat else box
            return box if box.width * box.height < CLOSE_UP_SHARE * width * height else None
    return None


def _clipped(box: Box, rgb: RGBImage) -> Box:
    return surroundings(box, 0, rgb.shape[1], rgb.shape[0])


def _around(one: Box, other: Box) -> Box:
    """The least box that holds both."""
    left, top = min(one.x, other.x), min(one.y, other.y)
    right, bottom = max(one.x + one.width, other.x + other.width), max(one.y + one.height, other.y + other.height)
    return Box(x=left, y=top, width=right - left, height=bottom - top)


def views_of(record: Record, rgb: RGBImage, drawn: Sequence[Layer], close_up: Box | None) -> list[View]:
    """All views in the order in which they are offered; a layer is shown on the close-up if that holds it."""
    whole = Box(x=0, y=0, width=rgb.shape[1], height=rgb.shape[0])
    views = [View("Photo", "photo", whole)]
    if record.faces:
        views.append(View("Faces", "photo", whole, faces=True))
    if close_up:
        views.append(View("Close-up", "close-up", close_up))
    for layer in drawn:
        near = close_up is not None and _inside(_clipped(layer.bounds, rgb), close_up)
        base, box = ("close-up", close_up) if near and close_up else ("photo", whole)
        views.append(View(layer.label, base, box, layer=layer))
    return views


def _inside(inner: Box, outer: Box) -> bool:
    right, bottom = inner.x + inner.width, inner.y + inner.height
    across = outer.x <= inner.x and right <= outer.x + outer.width
    return across and outer.y <= inner.y and bottom <= outer.y + outer.height
