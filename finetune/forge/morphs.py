"""Morphs: one face that takes after two or three people."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.face import Floats
from ...tools.image import RGBImage
from .blending import blend, keep_outside
from .colour import match_colour
from .mesh import REGIONS, Side, face_width, fit, hull, place, ring, soften, warp

MORPHS = ("morph", "morph.full", "morph3")

_RING = 1.5  # a morph bends the photo out to the face oval times this
_SHARE = (0.3, 0.7)  # of the claimed person
_SHARE_OF_THREE = (0.3, 0.5)
_GHOSTS = 0.5  # probability that a full morph keeps them
_FADE = (0.1, 0.4)  # of the face's width: how far ghosts fade


def morph(method: str, people: tuple[Side, ...], rng: np.random.Generator, feather: float) -> tuple[RGBImage, Floats]:
    """Blend shape and colour of several faces in the first one's photo: the picture and its mask.

    Args:
        method: One of ``MORPHS``: ``morph`` blends two faces and bends the photo around them to fit; ``morph3`` three;
            ``morph.full`` blends the whole of two photos, with or without the ghosts this leaves around the face.
        people: The claimed person first.
        rng: Draws the shares and whether ghosts stay.
        feather: Pixels over which the blended face fades in.
    """
    if method == "morph3":
        share, split = rng.uniform(*_SHARE_OF_THREE), rng.uniform(0.35, 0.65)
        shares = (share, (1 - share) * split, (1 - share) * (1 - split))
        return _face(people[:3], shares, feather)
    share = rng.uniform(*_SHARE)
    if method == "morph":
        return _face(people[:2], (share, 1 - share), feather)
    return _full(people[0], people[1], share, rng)


def _between(people: tuple[Side, ...], shares: tuple[float, ...]) -> Floats:
    """The mean mesh in the first one's place."""
    person = people[0].points
    mean = shares[0] * person
    for other, share in zip(people[1:], shares[1:], strict=True):
        mean = mean + share * place(other.points, fit(other.points, person))
    return mean.astype(np.float32)


def _face(people: tuple[Side, ...], shares: tuple[float, ...], feather: float) -> tuple[RGBImage, Floats]:
    """Blend the faces; between them and a ring around them the photo is bent to fit."""
    person, between = people[0], _between(people, shares)
    height, width = person.rgb.shape[:2]
    around = ring(person.points, _RING).clip(1, (width - 2, height - 2)).astype(np.float32)
    bent = warp(Side(person.rgb, np.vstack([person.points, around])), np.vstack([between, around]), person.rgb)
    inside = hull(between[REGIONS["face"]], person.rgb)
    others = [match_colour(warp(other, between, bent), bent, inside) for other in people[1:]]
    colour: NDArray[Any] = others[0]
    if len(others) == 2:
        colour = cv2.addWeighted(colour, shares[1] / (1 - shares[0]), others[1], shares[2] / (1 - shares[0]), 0)
    image = blend(colour.astype(np.uint8), bent, soften(inside, feather) * np.float32(1 - shares[0]))
    altered = hull(around, person.rgb)
    return keep_outside(image, person.rgb, altered), altered.astype(np.float32)


def _full(person: Side, other: Side, share: float, rng: np.random.Generator) -> tuple[RGBImage, Floats]:
    """Bend both whole photos to the mean mesh and mix them; nothing is left as it was."""
    between = _between((person, other), (share, 1 - share))
    height, width = person.rgb.shape[:2]
    corners = [(x, y) for x in (0, 0.5, 1) for y in (0, 0.5, 1) if (x, y) != (0.5, 0.5)]
    frame = (np.array(corners) * (width - 1, height - 1)).astype(np.float32)
    goal = np.vstack([between, frame])
    bent = warp(Side(person.rgb, np.vstack([person.points, frame])), goal, person.rgb)
    around = place(frame, fit(person.points, other.points))
    mixed_in = warp(Side(other.rgb, np.vstack([other.points, around])), goal, person.rgb)
    inside = hull(between[REGIONS["face"]], person.rgb)
    if rng.random() < _GHOSTS:
        weight = np.full((height, width), 1 - share, np.float32)
    else:
        mixed_in = match_colour(mixed_in, bent, inside)
        away = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) / (rng.uniform(*_FADE) * face_width(between))
        weight = ((1 - share) * (1 - away).clip(0, 1)).astype(np.float32)
    return blend(mixed_in, bent, weight), np.ones((height, width), np.float32)
