"""Local forgeries: a patch of another photo spliced in, or a patch of the same photo cloned over another place."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.face import Floats
from ...tools.image import RGBImage
from .blending import BLENDINGS, composite
from .colour import match_colour
from .mesh import REGIONS, Side, face_width, hull

PATCHES = ("splice", "clone")

_SPLICED = (0.1, 0.3)  # radius, of the face's width
_CLONED = (0.06, 0.16)
_AROUND = 0.75  # of the face's width: how far from its centre a patch may lie
_CORNERS = 24  # of a blob
_TRIES = 10
_VISIBLE = 6.0  # mean grey levels by which a patch must differ from what it covers


def splice(person: Side, other: Side, rng: np.random.Generator, feather: float) -> tuple[RGBImage, Floats]:
    """Put a blob of any place on or around the other's face anywhere on or around the person's."""
    scale = face_width(person.points) / face_width(other.points)
    size = (max(8, round(other.rgb.shape[1] * scale)), max(8, round(other.rgb.shape[0] * scale)))
    source = cv2.resize(other.rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    radius = rng.uniform(*_SPLICED) * face_width(person.points)
    near = _AROUND * face_width(person.points)
    places = [
        (
            person.points.mean(0) + rng.uniform(-near, near, 2),
            scale * other.points.mean(0) + rng.uniform(-near, near, 2),
        )
        for _ in range(_TRIES)
    ]
    colour = str(rng.choice(("none", "reinhard"), p=(0.7, 0.3)))
    return _cover(person.rgb, source.astype(np.uint8), places, radius, colour, feather, rng)


def clone(person: Side, rng: np.random.Generator, feather: float) -> tuple[RGBImage, Floats]:
    """Cover a place of the face with skin of the same photo, as when a mole or a scar is removed."""
    radius = rng.uniform(*_CLONED) * face_width(person.points)
    skin = hull(person.points[REGIONS["face"]], person.rgb)
    for part in ("eyes", "nose", "mouth"):
        skin &= 1 - hull(person.points[REGIONS[part]], person.rgb)
    points = person.points.astype(np.float64)
    columns, rows = np.rint(points).astype(int).clip(0, np.array(skin.shape[::-1]) - 1).T
    depth = cv2.distanceTransform(skin, cv2.DIST_L2, 5)[rows, columns]
    plain, covered = np.argsort(-depth)[: max(20, int((depth > radius).sum()))], np.flatnonzero(depth > 0)
    places = [(points[rng.choice(covered)], points[rng.choice(plain)]) for _ in range(_TRIES)]
    apart = [(to, of) for to, of in places if np.linalg.norm(to - of) > radius]
    return _cover(person.rgb, person.rgb, apart or places, radius, "none", feather, rng)


def _cover(
    rgb: RGBImage,
    source: RGBImage,
    places: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    radius: float,
    colour: str,
    feather: float,
    rng: np.random.Generator,
) -> tuple[RGBImage, Floats]:
    """Blend a blob in at the first (to, from) of ``places`` where it can be seen, else where it differs most."""
    outline = _blob(radius, rng)
    seen: list[tuple[float, RGBImage, RGBImage]] = []
    for to, of in places:
        inside = _filled(outline + to, rgb)
        shift = np.array([[1, 0, to[0] - of[0]], [0, 1, to[1] - of[1]]])
        moved = cv2.warpAffine(source, np.rint(shift), rgb.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        if not inside.any():
            continue
        difference = float(np.abs(moved[inside > 0].astype(int) - rgb[inside > 0]).mean())
        seen.append((difference, moved.astype(np.uint8), inside))
        if difference > _VISIBLE:
            break
    _, moved, inside = max(seen, key=lambda item: item[0])
    patch = match_colour(moved, rgb, inside, colour)
    return composite(patch, rgb, inside, str(rng.choice(BLENDINGS)), min(feather, radius / 4))


def _filled(outline: NDArray[np.float64], rgb: RGBImage) -> RGBImage:
    """(height, width) uint8: 1 inside the outline."""
    inside = np.zeros(rgb.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.rint(outline).astype(np.int32)], 1)
    return inside


def _blob(radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(_CORNERS, 2) outline around the origin, about ``radius`` wide, not convex."""
    angle = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    waves = np.arange(1, 5)
    bumps = (rng.normal(0, 0.25, 4) / waves * np.cos(waves * angle[:, None] + rng.uniform(0, 2 * np.pi, 4))).sum(1)
    outline: NDArray[np.float64] = (
        np.stack([np.cos(angle), np.sin(angle)], -1) * (radius * (1 + bumps).clip(0.5, 1.5))[:, None]
    )
    return outline
