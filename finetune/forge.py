"""Forgeries of a person, made from two photos: whole-face swap, exchange of one region, two-person morph.

Landmark-based (478-point mesh, Delaunay triangles, piecewise affine), so each comes with the exact mask of what was
altered. Only for photos whose people agreed to altered forms; results stay in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..tools.alignment import similarity_transform
from ..tools.face import Floats
from ..tools.image import RGBImage

# Indices of the MediaPipe face mesh; a region is the convex hull of its points.
OVAL = """10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 136 172 58 132 93
    234 127 162 21 54 103 67 109"""
REGIONS = {
    "face": [int(n) for n in OVAL.split()],
    "eyes": [70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 446, 261, 448, 450, 452, 232, 230, 228, 31, 226],
    "nose": [168, 122, 351, 129, 358, 64, 294, 98, 327, 2],
    "mouth": [61, 146, 91, 84, 17, 314, 321, 375, 291, 409, 270, 0, 40, 185],
}
FAMILIES = {
    "swap": ("swap.alpha", "swap.seamless", "swap.mixed"),
    "region": ("region.eyes", "region.nose", "region.mouth"),
    "morph": ("morph",),
}
METHODS = tuple(method for methods in FAMILIES.values() for method in methods)

_RING = 1.5  # a morph bends the photo out to the face oval times this
_FEATHER = (0.02, 0.06)  # of the face's width
_SHARE = (0.3, 0.7)  # of the claimed person in a morph


class Side(NamedTuple):
    """A photo and its mesh: (height, width, 3) uint8 RGB; (478, 2) or (478, 3) pixels, x and y first."""

    rgb: RGBImage
    points: Floats


class Forgery(NamedTuple):
    """A forged photo.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        mask: (height, width) float32 in 0..1: 0 exactly where the photo it was put into is unchanged.
        method: One of ``METHODS``.
    """

    image: RGBImage
    mask: Floats
    method: str


def forge(method: str, person: Side, other: Side, seed: int) -> Forgery:
    """Make a forgery that claims to show ``person``.

    Args:
        method: ``swap.*`` puts the person's face on the other's head; ``region.*`` puts one region of the other's
            face into the person's photo; ``morph`` blends both faces in the person's photo.
        person: Whom the result claims to show.
        other: The second person.
        seed: Draws the feather and, for a morph, the person's share; same arguments, same result.
    """
    rng = np.random.default_rng(seed)
    family, _, kind = method.partition(".")
    person, other = (Side(side.rgb, side.points[:, :2].astype(np.float32)) for side in (person, other))
    feather = rng.uniform(*_FEATHER) * float(np.ptp(person.points[:, 0]))
    if family == "morph":
        return Forgery(*_morph(person, other, rng.uniform(*_SHARE), feather), method)
    if family == "region":
        return Forgery(*_paste(other, person, REGIONS[kind], "alpha", feather), method)
    return Forgery(*_paste(person, other, REGIONS["face"], kind, feather), method)


def _paste(source: Side, canvas: Side, region: list[int], blending: str, feather: float) -> tuple[RGBImage, Floats]:
    """Put a region of the source's face over the same region of the canvas."""
    inside = _hull(canvas.points[region], canvas.rgb)
    warped = warp(source, canvas.points, canvas.rgb)
    if blending != "alpha":
        flag = cv2.NORMAL_CLONE if blending == "seamless" else cv2.MIXED_CLONE
        x, y, width, height = cv2.boundingRect(inside)
        patch = _match_colour(warped, canvas.rgb, inside)
        mask = inside * np.uint8(255)
        image = cv2.seamlessClone(patch, canvas.rgb, mask, (x + width // 2, y + height // 2), flag)
        return _keep_outside(image, canvas.rgb, inside), inside.astype(np.float32)
    soft = _soften(inside, feather)
    return _blend(_match_colour(warped, canvas.rgb, inside), canvas.rgb, soft), soft


def _morph(person: Side, other: Side, share: float, feather: float) -> tuple[RGBImage, Floats]:
    """Blend shape and colour of both faces; between the face and a ring around it the photo is bent to fit."""
    placed = _fit(other.points, person.points)
    between = (share * person.points + (1 - share) * placed).astype(np.float32)
    oval = person.points[REGIONS["face"]]
    height, width = person.rgb.shape[:2]
    ring = (oval.mean(0) + _RING * (oval - oval.mean(0))).clip(1, (width - 2, height - 2)).astype(np.float32)
    bent = warp(Side(person.rgb, np.vstack([person.points, ring])), np.vstack([between, ring]), person.rgb)
    inside = _hull(between[REGIONS["face"]], person.rgb)
    colour = _match_colour(warp(other, between, bent), bent, inside)
    image = _blend(colour, bent, _soften(inside, feather) * np.float32(1 - share))
    altered = _hull(ring, person.rgb)
    return _keep_outside(image, person.rgb, altered), altered.astype(np.float32)


def warp(source: Side, target: Floats, background: RGBImage) -> RGBImage:
    """Move the source's pixels so that its points come to lie on ``target``; beyond the mesh is ``background``."""
    height, width = background.shape[:2]
    triangles = _triangulate(target, width, height)
    index = np.full((height, width), -1, np.int32)
    maps = np.empty((len(triangles), 2, 3))
    for number, triangle in enumerate(triangles):
        maps[number] = cv2.getAffineTransform(target[triangle], source.points[triangle])
        cv2.fillConvexPoly(index, np.rint(target[triangle]).astype(np.int32), number)
    y, x = np.nonzero(index >= 0)
    where = np.zeros((2, height, width), np.float32)
    where[:, y, x] = np.einsum("nij,nj->in", maps[index[y, x]], np.column_stack([x, y, np.ones(len(x))]))
    moved = cv2.remap(source.rgb, where[0], where[1], cv2.INTER_LINEAR)
    return np.where(index[..., None] >= 0, moved, background).astype(np.uint8)


def _triangulate(points: Floats, width: int, height: int) -> NDArray[np.intp]:
    """(n, 3) indices of Delaunay triangles."""
    subdivision = cv2.Subdiv2D((0, 0, width, height))
    number: dict[tuple[float, float], int] = {}
    for index, (x, y) in enumerate(points.clip(0, (width - 1, height - 1)).tolist()):
        number.setdefault((x, y), index)
        subdivision.insert((x, y))
    corners = [
        [number.get((t[i], t[i + 1]), -1) for i in (0, 2, 4)]
        for t in np.asarray(subdivision.getTriangleList()).tolist()
    ]
    return np.array([corner for corner in corners if min(corner) >= 0], np.intp)


def _fit(points: Floats, to: Floats) -> Floats:
    transform = similarity_transform(points.astype(np.float64), to.astype(np.float64))
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def _hull(points: Floats, rgb: RGBImage) -> RGBImage:
    """(height, width) uint8: 1 inside the convex hull."""
    inside = np.zeros(rgb.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return inside


def _soften(inside: RGBImage, feather: float) -> Floats:
    """Weight that rises from 0 at the region's edge to 1 at ``feather`` pixels inside it."""
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    soft: Floats = np.clip(depth / max(1.0, feather), 0, 1).astype(np.float32)
    return soft


def _match_colour(rgb: RGBImage, like: RGBImage, inside: RGBImage) -> RGBImage:
    """Mean and spread of CIELAB inside the region as in ``like`` (Reinhard et al. 2001)."""
    lab, goal = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32) for image in (rgb, like))
    chosen = inside > 0
    mean, spread = lab[chosen].mean(0), lab[chosen].std(0) + 1e-3
    matched = (lab - mean) * (goal[chosen].std(0) / spread) + goal[chosen].mean(0)
    result: RGBImage = cv2.cvtColor(matched.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB).astype(np.uint8)
    return result


def _blend(over: RGBImage, under: RGBImage, weight: Floats) -> RGBImage:
    mixed: RGBImage = np.rint(weight[..., None] * over + (1 - weight[..., None]) * under).astype(np.uint8)
    return mixed


def _keep_outside(image: NDArray[Any], canvas: RGBImage, inside: RGBImage) -> RGBImage:
    return np.where(inside[..., None] > 0, image, canvas).astype(np.uint8)
