"""The ways to look at the photo: which views there are, and what each shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...agent.record import Box, EvidenceInfo, Record
from ...tools.detection import detect
from ...tools.evidence import Picture
from ...tools.image import Photo, RGBImage
from .. import overlays, page
from ..overlays import Layer, surroundings
from ..parts import parts
from ..views import close_up_of

REFERENCE_MARGIN = 0.45
FILE_TOOLS = ("provenance", "compression_traces")
HISTORY = {
    "origin": ("content_credentials", "digital_source", "generator_text", "declared_source"),
    "capture": ("exif", "camera", "times", "digitised", "future_time", "orientation"),
    "edit": ("software", "thumbnail"),
    "earlier": ("earlier_saving", "resizing"),
    "saved": ("jpeg",),
    "file": ("",),
}
"""Stations of a file's way, oldest first, and how the names of what tells of them begin; the first that fits counts."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to look.

    Attributes:
        key: Names the label in the chat's words, where there is one.
        label: Otherwise, the label.
        base: ``photo`` or ``close-up``.
        box: What of the photo is shown.
        layers: What is drawn.
        ids: Evidence that this view is about.
        kind: ``faces``, ``plain``, ``map``, ``compare``, ``expression`` or ``history``.
    """

    key: str
    base: str
    box: Box
    layers: tuple[Layer, ...] = ()
    ids: tuple[str, ...] = ()
    kind: str = "plain"
    label: str = ""


def stage(
    record: Record, rgb: RGBImage, pictures: Mapping[str, Picture], references: Sequence[Photo]
) -> dict[str, Any]:
    """What the template of the evidence on the photo needs."""
    drawn = overlays.layers(record, pictures)
    near = close_up_of(record, rgb, drawn)
    whole = Box(x=0, y=0, width=rgb.shape[1], height=rgb.shape[0])
    return {
        "layers": drawn,
        "views": _views(record, drawn, whole, near),
        "close_up": near and {"box": near, "uri": page.data_uri(overlays.crop(rgb, near))},
        "references": [_reference(photo) for photo in references] if record.comparison else [],
        "parts": [row for row in parts(record.evidence) if "reference_comparison" in row.found],
        "units": _units(record),
        "history": history(record.evidence),
    }


def _views(record: Record, drawn: Sequence[Layer], whole: Box, near: Box | None) -> list[View]:
    base, box = ("close-up", near) if near else ("photo", whole)
    by_id = {item.id: item for item in record.evidence}
    tools = {layer: {by_id[key].tool for key in layer.ids} for layer in drawn}
    found = [View("faces" if record.faces else "photo", "photo", whole, kind="faces")]
    if near:
        found.append(View("close_up", "close-up", near))
    landmarks = [layer for layer in drawn if layer.picture and layer.picture.points]
    found += [View("landmarks", base, box, (layer,), layer.ids) for layer in landmarks]
    maps = [layer for layer in drawn if layer.picture and layer.picture.heat]
    found += [View("map", base, box, (layer,), (*layer.ids, *_about(record, "manipulation")), "map") for layer in maps]
    if record.comparison:
        compared = tuple(layer for layer in drawn if "reference_comparison" in tools[layer])
        ids = (*_about(record, "reference_comparison"), *_about(record, "identity"))
        found.append(View("compare", base, box, compared, ids, "compare"))
    if units := _about(record, "action_units"):
        shown = tuple(layer for layer in drawn if tools[layer] & {"action_units", "expression"})
        found.append(View("expression", base, box, shown, (*units, *_about(record, "expression")), "expression"))
    told = {layer for view in found for layer in view.layers}
    rest = [layer for layer in drawn if layer not in told]
    for label in dict.fromkeys(layer.label for layer in rest):
        alike = tuple(layer for layer in rest if layer.label == label)
        found.append(View("", base, box, alike, tuple(key for layer in alike for key in layer.ids), label=label))
    if told_of := tuple(item.id for items in history(record.evidence).values() for item in items):
        found.append(View("history", "photo", whole, (), told_of, "history"))
    return found


def _about(record: Record, tool: str) -> tuple[str, ...]:
    return tuple(item.id for item in record.evidence if item.tool == tool)


def _units(record: Record) -> list[EvidenceInfo]:
    """Action units, measured or not, and what the expression tool made of them."""
    return [item for item in record.evidence if item.tool in ("action_units", "expression")]


def history(evidence: Sequence[EvidenceInfo]) -> dict[str, list[EvidenceInfo]]:
    """Evidence on the file by the station of its way; stations of which nothing is told are left out."""
    found: dict[str, list[EvidenceInfo]] = {station: [] for station in HISTORY}
    for item in evidence:
        if item.tool in FILE_TOOLS:
            what = item.measure.partition(".")[2]
            station = next(station for station, begins in HISTORY.items() if what.startswith(begins))
            found[station].append(item)
    return {station: items for station, items in found.items() if items}


def _reference(photo: Photo) -> dict[str, Any]:
    """A known photo cropped to its largest face; it was only accepted because it has one."""
    x, y, across, down = detect(photo.rgb)[0].box
    height, width = photo.rgb.shape[:2]
    box = surroundings(Box(x=x, y=y, width=across, height=down), REFERENCE_MARGIN, width, height)
    return {"uri": page.data_uri(overlays.crop(photo.rgb, box)), "box": box}
