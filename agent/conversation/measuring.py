"""What a question may have measured beyond the examination: a closer look, another scale, details of the file.

None of it has a fitted weight, so none of it moves the verdict; a comparison with references does, which the tools of
the examination make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.metadata import version

import cv2
import numpy as np

from ...errors import NotMeasurable, ToolUnavailable
from ...tools import (
    compression_traces,
    containers,
    exif,
    forensic_parts,
    jpeg_quality,
    jpeg_structure,
    quality,
    resampling,
    weights,
)
from ...tools.alignment import WIDE_SIZE, wide_transform
from ...tools.evidence import Evidence, ModelCard, Picture, Region, without_value
from ...tools.face import FaceView, Floats
from ...tools.forensic_network import FAMILIES, WEIGHTS
from ...tools.image import Photo, RGBImage
from ...tools.provenance_items import item as of_file
from ...tools.trace_calibration import judged, printed

ZOOM, SCALE = "zoom", "detect_at_scale"
REGIONS = ("face", *forensic_parts.NAMES)
SCALES = (0.25, 2.0)
"""Least and greatest scale of the photo at which a detector is run again."""
_AROUND = 1.3  # times the longer side of a part that a closer look shows
_LEAST = 16  # pixels; a smaller part has too little texture for a reading of its blur
_PROBES = (1.0, 3.0)  # pixels of the photo
_JITTER = ((0.0, 0.0, 1.0), (0.04, 0.0, 1.0), (-0.04, 0.0, 1.0), (0.0, 0.04, 1.08), (0.0, -0.04, 0.92))
"""Shifts in face sizes and scale of the crops in which the map of alterations is read again; training had such too."""
_WORDS = {
    "manipulation": "was altered",
    "synthesis": "was wholly generated",
    "morph": "was blended from several people",
}


@cache
def _card() -> ModelCard:
    return ModelCard("closer-look", version("facewitness"), None, "Apache-2.0", True)


def zoom(view: FaceView, region: str) -> list[Evidence]:
    """Measure one part of the face again at full resolution.

    Args:
        view: The face.
        region: One of ``REGIONS``.

    Returns:
        The map of alterations over several crops, the blur of the part beside that of the face, traces of resizing;
        what cannot be measured says why.

    Raises:
        NotMeasurable: There is no mesh, or the part lies outside the photo.
    """
    box = box_of(view, region)
    picture = Picture(outlines=(_outline(box),))
    found = [] if region == "face" else _guarded("map", region, lambda: _map(view, region, box))
    found += _guarded("blur", region, lambda: _blur(view, region, box))
    found += _guarded("resizing", region, lambda: _resizing(view, region, box))
    return [replace(found[0], picture=picture), *found[1:]]


def _guarded(what: str, region: str, measure: Callable[[], Evidence]) -> list[Evidence]:
    try:
        return [measure()]
    except (NotMeasurable, ToolUnavailable) as error:
        return [without_value(ZOOM, error, f"{ZOOM}.{region}.{what}")]


def words(region: str) -> str:
    """As a finding names it."""
    return region.replace("_", " ")


def box_of(view: FaceView, region: str) -> Region:
    """Box in the photo around the face or a part of it.

    Raises:
        NotMeasurable: There is no mesh, or nothing of the part is in the photo.
    """
    height, width = view.photo.rgb.shape[:2]
    left, top, wide, high = view.face.box
    if region != "face":
        y, x = np.nonzero(forensic_parts.parts(view)[region])
        if not len(x):
            raise NotMeasurable(f"The {words(region)} is not in the photo, so it was not measured.")
        inverse = cv2.invertAffineTransform(wide_transform(view.face.points))
        points = np.column_stack([x, y]) @ inverse[:, :2].T + inverse[:, 2]
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        wide, high = right - left, bottom - top
    left, top, right, bottom = max(left, 0), max(top, 0), min(left + wide, width), min(top + high, height)
    if right - left < 2 or bottom - top < 2:
        raise NotMeasurable(f"The {words(region)} is not in the photo, so it was not measured.")
    return Region(left, top, right - left, bottom - top, words(region))


def crop(view: FaceView, region: str) -> RGBImage:
    """(n, n, 3) uint8 RGB: the part with a little around it, as it is in the photo."""
    return _square(view.photo.rgb, box_of(view, region))


def _square(rgb: RGBImage, box: Region) -> RGBImage:
    side = min(round(_AROUND * max(box.width, box.height)), *rgb.shape[:2])
    row, column = (
        int(min(max(middle - side / 2, 0), limit - side))
        for middle, limit in zip((box.y + box.height / 2, box.x + box.width / 2), rgb.shape[:2], strict=True)
    )
    return rgb[row : row + side, column : column + side]


def _outline(box: Region) -> tuple[tuple[float, float], ...]:
    right, bottom = box.x + box.width, box.y + box.height
    return ((box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom), (box.x, box.y))


def _blur(view: FaceView, region: str, box: Region) -> Evidence:
    """Of the part and of the whole face, both with the same probes in pixels of the photo, so that they compare."""
    grey = cv2.cvtColor(view.photo.rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    here, whole = (_pixels_of_blur(grey, view, name) for name in (region, "face"))
    text = f"The {words(region)} is {box.width:.0f} x {box.height:.0f} px in the photo, with a blur of {here:.1f} px"
    text += "." if region == "face" else f"; the whole face has a blur of {whole:.1f} px."
    numbers = (round(box.width), round(box.height), here, *(() if region == "face" else (whole,)))
    return Evidence(f"{ZOOM}.{region}.blur", ZOOM, text, here, "px", numbers=numbers, region=box, model=_card())


def _pixels_of_blur(grey: Floats, view: FaceView, region: str) -> float:
    """As ``quality.blur``, over one part: gradient energy falls with the square of the total blur.

    Raises:
        NotMeasurable: The part is too small, or of one colour.
    """
    energies = []
    box = box_of(view, region)
    rows = slice(int(box.y), int(np.ceil(box.y + box.height)))
    columns = slice(int(box.x), int(np.ceil(box.x + box.width)))
    if min(box.width, box.height) < _LEAST:
        raise NotMeasurable(f"The {words(region)} is {min(box.width, box.height):.0f} px; {_LEAST} are needed.")
    for probe in _PROBES:
        part = cv2.GaussianBlur(grey, (0, 0), probe)[rows, columns]
        energies.append([(np.diff(part, axis=axis) ** 2).mean() for axis in (0, 1)])
    less, more = np.array(energies, np.float64)
    if not less.all():
        raise NotMeasurable(f"The {words(region)} is of one colour, so its blur was not measured.")
    ratio = np.minimum(more / less, 0.99)
    variance = (_PROBES[1] ** 2 * ratio - _PROBES[0] ** 2) / (1 - ratio)
    return round(float(np.sqrt(max(0.0, variance.max()))), 1)


def _map(view: FaceView, region: str, box: Region) -> Evidence:
    """The map over a part, read in crops that are shifted and scaled a little."""
    judged(view)  # whether the network may be asked at all
    means = sorted(round(mean, 2) for mean in _means(view, region))
    least, middle, most = means[0], means[len(means) // 2], means[-1]
    mean = f"a mean of {least:.2f}" if least == most else f"a mean between {least:.2f} and {most:.2f}"
    text = f"Read in {len(means)} crops of the face, the map of alterations has {mean} over the {words(region)}."
    numbers = (float(len(means)), least, most)
    model = weights.card(WEIGHTS)
    return Evidence(f"{ZOOM}.{region}.map", ZOOM, text, middle, numbers=numbers, region=box, model=model)


def _means(view: FaceView, region: str) -> Iterator[float]:
    middle = view.face.points.mean(0)
    for right, down, scale in _JITTER:
        shift = np.array([right, down], np.float32) * view.face.size
        points = (middle + shift + (view.face.points - middle) * scale).astype(np.float32)
        moved = FaceView(view.photo, replace(view.face, points=points))
        fine = cv2.resize(moved.traces.heat, (WIDE_SIZE, WIDE_SIZE), interpolation=cv2.INTER_LINEAR)
        inside = forensic_parts.parts(moved)[region]
        yield float(fine[inside].mean()) if inside.any() else 0.0


def _resizing(view: FaceView, region: str, box: Region) -> Evidence:
    part = replace(view.face, box=(box.x, box.y, box.width, box.height))
    square = resampling.face_square(view.photo.rgb, part)
    if square is None:
        raise NotMeasurable(
            f"The {words(region)} is {min(box.width, box.height):.0f} px, and {resampling.SIDE_MIN} px are needed to "
            "read traces of resizing."
        )
    _check_saving(view.photo)
    peak = round(resampling.highest(square).contrast, 1)
    there = peak >= compression_traces.PEAK_MIN
    text = (
        f"The {words(region)} shows a trace of resizing or turning"
        if there
        else (f"There is no trace of resizing in the {words(region)}")
    )
    finding = f"{text}, with a highest peak of {peak}."
    return Evidence(f"{ZOOM}.{region}.resizing", ZOOM, finding, peak, region=box, model=_card())


def _check_saving(photo: Photo) -> None:
    if photo.format != "JPEG":
        return
    saved = jpeg_quality.estimate(jpeg_structure.parse(photo.data).tables)
    least = compression_traces.RESIZING_QUALITY_MIN
    if saved is not None and saved.value < least:
        raise NotMeasurable(
            f"The last saving was a JPEG of about quality {saved.value}, and traces of resizing need at least {least}."
        )


def at_scale(view: FaceView, scale: float) -> list[Evidence]:
    """Ask the forgery detectors again about the photo at another scale.

    Args:
        view: The face.
        scale: Of both sides, within ``SCALES``.

    Raises:
        NotMeasurable: The face would be too small, or is then unlike what the detectors were trained on.
        ToolUnavailable: Only weights for commercial use are wanted.
    """
    least, most = SCALES
    if not least <= scale <= most:
        raise NotMeasurable(f"The photo can be rescaled to {least:.0%} up to {most:.0%} only.".replace("%", " %"))
    if view.face.size * scale < quality.SIZE_MIN:
        raise NotMeasurable(
            f"The face would be {view.face.size * scale:.0f} px then, and at least {quality.SIZE_MIN} px are needed."
        )
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    rgb = np.asarray(cv2.resize(view.photo.rgb, None, fx=scale, fy=scale, interpolation=how), np.uint8)
    box = tuple(scale * length for length in view.face.box)
    face = replace(view.face, box=(box[0], box[1], box[2], box[3]), points=view.face.points * np.float32(scale))
    scaled = FaceView(replace(view.photo, rgb=rgb), face, commercial_only=view.commercial_only)
    alone, percent = judged(scaled).alone, round(100 * scale)
    return [_scaled(view, name, percent, printed(alone[name])) for name in FAMILIES[1:]]


def _scaled(view: FaceView, name: str, percent: int, value: float) -> Evidence:
    """Shown, not weighed: the calibration was fitted on photos as they were."""
    text = f"In the photo at {percent} % of its size, the probability that the face {_WORDS[name]} reads {value:.2f}."
    measure = f"{SCALE}.{percent}.{name}"
    region, model = Region(*view.face.box), weights.card(WEIGHTS)
    return Evidence(measure, SCALE, text, value, numbers=(percent,), region=region, model=model)


def taken(photo: Photo) -> list[Evidence]:
    """When the file says that the photo was taken; nothing if it says nothing."""
    container = containers.inspect(photo.data, photo.format)
    when = exif.read(container.exif).captured if container.exif else None
    if when is None:
        return []
    finding = f"EXIF says that the photo was taken on {_date(when)}; anyone can write or change it."
    return [of_file("taken", finding, when.date().isoformat(), "exif", numbers=(when.day, when.year))]


def _date(when: datetime) -> str:
    return f"{when.day} {when:%B} {when.year}"
