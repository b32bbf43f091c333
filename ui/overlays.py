"""Evidence drawn over the photo: what there is to draw, and PNG pictures of it made with Pillow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..agent.record import Box, EvidenceInfo, NamedBox, Record
from ..tools.evidence import Picture
from ..tools.image import RGBImage
from . import heat
from .parts import is_part

MAX_SIDE = 1600
"""Longest side of a drawn picture in pixels."""
MIN_SIDE = 800
"""A close-up smaller than this is enlarged, so that lines stay finer than what they mark."""
MARGIN = 0.9
"""Surroundings shown around a close-up, as a share of its longer side."""
HEAT_MARGIN = 0.15
"""The same around a map, which shows the surroundings of the face itself."""

PLAIN_REGION = "face"
_SUBJECT = (255, 214, 10)
_OTHER = (255, 255, 255)
_MARK = (64, 224, 255)
_CASING = (0, 0, 0)
_PAPER = (24, 24, 24)
_GROUND = (150, 150, 150)
"""Under the colours of the legend: about as light as what they lie on."""

Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layer:
    """One thing to draw, and the ids of all evidence that was measured there."""

    label: str
    ids: tuple[str, ...]
    region: NamedBox | None
    picture: Picture | None

    @property
    def bounds(self) -> Box:
        """What the layer covers, in pixels of the upright photo."""
        return _bounds(self.region, self.picture)


def layers(record: Record, pictures: Mapping[str, Picture]) -> list[Layer]:
    """Pictures, and regions other than the plain face and its parts; evidence from the same place shares a layer."""
    found: dict[tuple[NamedBox | None, Picture | None], list[EvidenceInfo]] = {}
    for item in record.evidence:
        picture = pictures.get(item.id)
        marked = item.region is not None and item.region.name != PLAIN_REGION and not is_part(item)
        if picture is not None or marked:
            # A picture says more than the box around it, and evidence of one mesh shares the picture.
            found.setdefault((None if picture else item.region, picture), []).append(item)
    labels = _labels([items[0] for items in found.values()])
    return [
        Layer(label, tuple(item.id for item in items), region, picture)
        for label, ((region, picture), items) in zip(labels, found.items(), strict=True)
    ]


def _labels(items: Sequence[EvidenceInfo]) -> list[str]:
    """Name of each place; where tools name the same one, the tool as well."""
    names = [_label(item) for item in items]
    return [
        name if names.count(name) == 1 else f"{name}, {item.tool.replace('_', ' ')}"
        for name, item in zip(names, items, strict=True)
    ]


def _label(item: EvidenceInfo) -> str:
    named = item.region is not None and item.region.name != PLAIN_REGION
    name = item.region.name if named and item.region else item.tool
    return name.replace("_", " ").capitalize()


def draw_faces(rgb: RGBImage, record: Record) -> RGBImage:
    """Boxes and ids of all faces, the subject in yellow; RGB, at most ``MAX_SIDE`` pixels a side."""
    canvas = _Canvas(rgb, Box(x=0, y=0, width=rgb.shape[1], height=rgb.shape[0]))
    for face in sorted(record.faces, key=lambda face: face.id == record.subject):
        colour = _SUBJECT if face.id == record.subject else _OTHER
        canvas.line(_corners(face.box), colour)
        canvas.text(face.id, face.box, colour)
    return canvas.pixels()


def draw_evidence(rgb: RGBImage, evidence: EvidenceInfo, picture: Picture | None) -> RGBImage:
    """A close-up of where evidence was measured: its picture, else its region, else the photo as it is; RGB."""
    height, width = rgb.shape[:2]
    if picture is None and evidence.region is None:
        return _Canvas(rgb, Box(x=0, y=0, width=width, height=height)).pixels()
    margin = HEAT_MARGIN if picture and picture.heat else MARGIN
    canvas = _Canvas(rgb, surroundings(_bounds(evidence.region, picture), margin, width, height), MIN_SIDE)
    if picture is not None:
        if picture.heat:
            canvas.heat(picture)
        for outline in picture.outlines:
            canvas.line(outline, _MARK)
        canvas.points(picture.points, _MARK)
    elif evidence.region is not None:
        canvas.line(_corners(evidence.region), _MARK)
        canvas.text(evidence.region.name, evidence.region, _MARK)
    return canvas.pixels()


def surroundings(box: Box, margin: float, width: int, height: int) -> Box:
    """The box with a margin (share of its longer side), whole pixels inside a photo of that size, at least 1 by 1."""
    extra = margin * max(box.width, box.height)
    left, top = int(np.clip(box.x - extra, 0, width - 1)), int(np.clip(box.y - extra, 0, height - 1))
    right = int(np.clip(np.ceil(box.x + box.width + extra), left + 1, width))
    bottom = int(np.clip(np.ceil(box.y + box.height + extra), top + 1, height))
    return Box(x=left, y=top, width=right - left, height=bottom - top)


def crop(rgb: RGBImage, box: Box) -> Image.Image:
    """The pixels of a box that lies inside the photo."""
    left, top = int(box.x), int(box.y)
    return Image.fromarray(rgb[top : top + int(box.height), left : left + int(box.width)])


def _bounds(region: Box | None, picture: Picture | None) -> Box:
    marks = [point for outline in picture.outlines for point in outline] + list(picture.points) if picture else []
    if picture and picture.heat_box:
        x, y, across, down = picture.heat_box
        marks += [(x, y), (x + across, y + down)]
    if not marks:
        assert region is not None
        return region
    (left, top), (right, bottom) = np.min(marks, axis=0), np.max(marks, axis=0)
    return Box(x=left, y=top, width=right - left, height=bottom - top)


def _corners(box: Box) -> list[Point]:
    right, bottom = box.x + box.width, box.y + box.height
    return [(box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom), (box.x, box.y)]


class _Canvas:
    """Part of a photo, scaled, to draw on in pixels of the photo; every mark has a dark casing."""

    def __init__(self, rgb: RGBImage, box: Box, least: int = 0) -> None:
        image = crop(rgb, box)
        longest = max(image.size)
        self._scale = min(MAX_SIDE, max(least, longest)) / longest
        size = (max(1, round(image.width * self._scale)), max(1, round(image.height * self._scale)))
        self._image = image.resize(size, Image.Resampling.LANCZOS) if size != image.size else image
        self._origin = (box.x, box.y)
        self._draw = ImageDraw.Draw(self._image)
        self._width = max(2, round(max(size) / 300))

    def _place(self, point: Point) -> Point:
        return (point[0] - self._origin[0]) * self._scale, (point[1] - self._origin[1]) * self._scale

    def line(self, points: Sequence[Point], colour: Colour) -> None:
        path = [self._place(point) for point in points]
        self._draw.line(path, fill=_CASING, width=self._width + 2, joint="curve")
        self._draw.line(path, fill=colour, width=self._width, joint="curve")

    def points(self, points: Sequence[Point], colour: Colour) -> None:
        for point in points:
            self._draw.circle(self._place(point), self._width * 0.9, fill=colour, outline=_CASING)

    def heat(self, picture: Picture) -> None:
        """A map with its contour lines, a frame around what it covers, and the legend below the photo."""
        assert picture.heat_box is not None
        values = heat.sampled(picture, self._image.size, self._origin, self._scale)
        layer = Image.fromarray(heat.coloured(values))
        self._image.paste(layer, mask=layer)
        x, y, width, height = picture.heat_box
        frame = [self._place(point) for point in _corners(Box(x=x, y=y, width=width, height=height))]
        self._draw.line(frame, fill=_OTHER, width=1)
        for outline in heat.contours(picture):
            self.line(outline, _OTHER)
        self._legend()

    def _legend(self) -> None:
        """The scale with its ends and the contour's level, on a strip of its own so that it hides nothing."""
        width, height = self._image.size
        size = max(14, round(max(width, height) / 40))
        strip = Image.new("RGB", (width, size * 3), _PAPER)
        bar = Image.fromarray(heat.scale()).resize((max(1, width - 2 * size), size), Image.Resampling.BILINEAR)
        strip.paste(_GROUND, (size, size // 2, size + bar.width, size // 2 + size))
        strip.paste(bar, (size, size // 2), bar)
        draw, font = ImageDraw.Draw(strip), ImageFont.load_default(size)
        for value, anchor in ((0.0, "la"), (heat.LEVEL, "ma"), (1.0, "ra")):
            draw.text((size + value * bar.width, size * 1.6), f"{value:g}", _OTHER, font, anchor)
        middle = size + heat.LEVEL * bar.width
        draw.line([(middle, size // 2), (middle, size // 2 + size)], fill=_OTHER, width=self._width)
        extended = Image.new("RGB", (width, height + strip.height))
        extended.paste(self._image)
        extended.paste(strip, (0, height))
        self._image, self._draw = extended, ImageDraw.Draw(extended)

    def text(self, text: str, box: Box, colour: Colour) -> None:
        """Above the box's upper left corner, or inside it where the photo ends."""
        size = max(18, round(max(self._image.size) / 30))
        x, y = self._place((box.x, box.y))
        font, casing = ImageFont.load_default(size), max(1, size // 10)
        below = y < size * 1.4
        place = (x + self._width * 2, y + self._width * 2) if below else (x, y - self._width * 2)
        anchor = "la" if below else "ld"
        self._draw.text(place, text, colour, font, anchor, stroke_width=casing, stroke_fill=_CASING)

    def pixels(self) -> RGBImage:
        return np.asarray(self._image)
