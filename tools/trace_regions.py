"""Which parts of a photo are compared: patches in a face, in its parts and around it, on the pixel grid of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from . import block_dct
from .face import Floats
from .image import RGBImage

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

MOST_INSIDE, MOST_AROUND, MOST_IN_PART = 1000, 1400, 300
_REACH = 3.0  # times the face's box, in which its surroundings are looked for
_CLEAR = 1.35  # times the face's ellipse that is left out between the two: hair, and the seam of a swap
_CORNERS = np.array(((0, 0), (0, 14), (14, 0), (14, 14), (7, 7)))


@dataclass(frozen=True, slots=True)
class Regions:
    """Luminance patches, (n, 15, 15) each, at multiples of 8 pixels of the picture as stored."""

    inside: Floats
    around: Floats
    parts: Mapping[str, Floats] = field(default_factory=dict)


def as_stored(rgb: RGBImage, orientation: int | None) -> RGBImage:
    """Undo the EXIF orientation of an upright picture, without copying."""
    if orientation in (3, 4, 7, 8):
        rgb = rgb[::-1]
    if orientation in (2, 3, 6, 7):
        rgb = rgb[:, ::-1]
    return rgb.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else rgb


def regions(rgb: RGBImage, face: Box, parts: Mapping[str, Box], orientation: int | None) -> Regions:
    """Patches inside the ellipse of the face's box, outside of a larger one, and in the boxes of parts.

    Args:
        rgb: (height, width, 3) uint8, RGB, upright.
        face: Box in the upright photo.
        parts: Likewise, by name.
        orientation: EXIF orientation that was applied.
    """
    stored = np.ascontiguousarray(as_stored(rgb, orientation))
    centre, half = _ellipse(_box_as_stored(face, rgb.shape, orientation))
    places = _lattice(centre - _REACH * half, centre + _REACH * half, stored.shape, 4 * (MOST_INSIDE + MOST_AROUND))
    distance = np.hypot(*np.moveaxis((places[:, None] + _CORNERS - centre) / half, -1, 0))
    inside, around = places[distance.max(1) <= 1], places[distance.min(1) >= _CLEAR]
    found = {}
    for name, box in parts.items():
        centre, half = _ellipse(_box_as_stored(box, rgb.shape, orientation))
        # A patch belongs to the part in which its middle eight pixels lie.
        places = _lattice(centre - half - 3, centre + half + 3, stored.shape, 2 * MOST_IN_PART)
        found[name] = _patches(stored, places, MOST_IN_PART)
    return Regions(_patches(stored, inside, MOST_INSIDE), _patches(stored, around, MOST_AROUND), found)


def _ellipse(box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and half axes, rows first."""
    x, y, width, height = box
    return np.array((y + height / 2, x + width / 2)), np.array((height / 2, width / 2))


def _box_as_stored(box: Box, shape: tuple[int, ...], orientation: int | None) -> Box:
    x, y, width, height = box
    if orientation in (3, 4, 7, 8):
        y = shape[0] - y - height
    if orientation in (2, 3, 6, 7):
        x = shape[1] - x - width
    return (y, x, height, width) if orientation in (5, 6, 7, 8) else (x, y, width, height)


def _lattice(
    low: NDArray[np.float64], high: NDArray[np.float64], shape: tuple[int, ...], most: int
) -> NDArray[np.intp]:
    """(n, 2) row and column of patches within bounds, at multiples of 8 or, so that about ``most`` remain, of more."""
    first = -(-np.maximum(low, 0).astype(np.intp) // 8) * 8
    last = np.minimum(high, np.array(shape[:2])).astype(np.intp) - block_dct.PATCH
    step = 8 * int(np.ceil(np.sqrt(np.prod(np.maximum((last - first) // 8 + 1, 1)) / most)))
    rows, columns = (np.arange(start, stop + 1, step) for start, stop in zip(first, last, strict=True))
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def _patches(stored: RGBImage, places: NDArray[np.intp], most: int) -> Floats:
    """Patches that can be used, evenly chosen among them."""
    found = block_dct.patches(stored, places[:: max(1, len(places) // (2 * most))])
    return found[np.linspace(0, len(found) - 1, most).astype(np.intp)] if len(found) > most else found
