"""Errors to look at: thumbnails with what was marked, for the reader's own report and for no other place."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from ..errors import FacewitnessError
from ..tools.image import load
from .answers import Answer, Box
from .pictures import read
from .runner import Row, right
from .scores import threshold_of

SIDE = 260
"""Pixels of a thumbnail."""
AROUND = 0.45
"""Surroundings of the face that are shown, as a share of its longer side."""
MOST = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of the gallery; boxes and point in the pixels of the thumbnail.

    Attributes:
        row: The sample and the answer.
        why: What is wrong with it.
        uri: The thumbnail; empty where the picture cannot be shown.
        size: Width and height of the thumbnail.
        references: Thumbnails of the references, the first two.
        boxes: Name, x, y, width, height.
        point: Where the map is strongest.
    """

    row: Row
    why: str
    uri: str
    size: tuple[int, int]
    references: tuple[str, ...] = ()
    boxes: tuple[tuple[str, Box], ...] = ()
    point: tuple[float, float] | None = None


def worst(rows: Sequence[Row], system: str, most: int = MOST) -> list[tuple[Row, str]]:
    """Wrong labels first, then scores on the wrong side, those farthest from the threshold first."""
    limit = threshold_of(system)
    found = []
    for row in rows:
        if row.item.split != "test" or row.answer.unscored:
            continue
        if right(row.item, row.answer) is False:
            found.append((2.0 + _far(row, limit), row, f"said {row.answer.label}, is {row.item.truth}"))
        elif row.answer.score is not None and (row.answer.score >= limit) != row.item.positive:
            side = "high" if row.answer.score >= limit else "low"
            found.append((_far(row, limit), row, f"score too {side}"))
    return [(row, why) for _, row, why in sorted(found, key=lambda one: -one[0])[:most]]


def _far(row: Row, limit: float) -> float:
    return abs(row.answer.score - limit) if row.answer.score is not None else 0.0


def shown(rows: Sequence[tuple[Row, str]], root: Path) -> list[Shown]:
    """With thumbnails."""
    return [_one(row, why, root) for row, why in rows]


def _one(row: Row, why: str, root: Path) -> Shown:
    answer = row.answer
    try:
        picture = _open(row.item.images[0], root)
    except (FacewitnessError, OSError):
        return Shown(row, why, "", (SIDE, SIDE))
    window = _window(answer.face, picture.size)
    left, top, right_, bottom = (round(value) for value in window)
    crop = picture.crop((left, top, right_, bottom))
    width = crop.width
    crop.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    scale = crop.width / width
    boxes = tuple((name, _moved(box, window, scale)) for name, box in _boxes(answer))
    point = answer.point and ((answer.point[0] - window[0]) * scale, (answer.point[1] - window[1]) * scale)
    return Shown(row, why, _uri(crop), crop.size, _references(row, root), boxes, point)


def _boxes(answer: Answer) -> list[tuple[str, Box]]:
    return [*([("face", answer.face)] if answer.face else []), *answer.marks]


def _references(row: Row, root: Path) -> tuple[str, ...]:
    found = []
    for name in row.item.references[:2]:
        try:
            picture = _open(name, root)
        except (FacewitnessError, OSError):
            continue
        picture.thumbnail((SIDE // 2, SIDE // 2), Image.Resampling.LANCZOS)
        found.append(_uri(picture))
    return tuple(found)


def _open(name: str, root: Path) -> Image.Image:
    return Image.fromarray(load(read(name, root)).rgb)


def _window(face: Box | None, size: tuple[int, int]) -> Box:
    """Left, top, right, bottom of what is shown: a square about the face, inside the picture."""
    if face is None:
        return (0.0, 0.0, float(size[0]), float(size[1]))
    x, y, width, height = face
    reach = max(width, height) * (0.5 + AROUND)
    middle_x, middle_y = x + width / 2, y + height / 2
    return (
        max(0.0, middle_x - reach),
        max(0.0, middle_y - reach),
        min(float(size[0]), middle_x + reach),
        min(float(size[1]), middle_y + reach),
    )


def _moved(box: Box, window: Box, scale: float) -> Box:
    x, y, width, height = box
    moved = ((x - window[0]) * scale, (y - window[1]) * scale, width * scale, height * scale)
    return (round(moved[0], 1), round(moved[1], 1), round(moved[2], 1), round(moved[3], 1))


def _uri(picture: Image.Image) -> str:
    buffer = BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
