"""A photo with its 478-point mesh: regions, bending by triangles, masks."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.alignment import similarity_transform
from ...tools.face import Floats
from ...tools.image import RGBImage

# Indices of the MediaPipe face mesh; a region is the convex hull of its points.
OVAL = """10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 378 400 377 152 148 176 149 150 136 172 58 132 93
    234 127 162 21 54 103 67 109"""
REGIONS = {
    "face": [int(n) for n in OVAL.split()],
    "eyes": [70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 446, 261, 448, 450, 452, 232, 230, 228, 31, 226],
    "nose": [168, 122, 351, 129, 358, 64, 294, 98, 327, 2],
    "mouth": [61, 146, 91, 84, 17, 314, 321, 375, 291, 409, 270, 0, 40, 185],
    "inner": [70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 446, 346, 280, 411, 432, 422, 200, 202, 212, 187, 50, 226],
    "lower": [2, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132],
}


class Side(NamedTuple):
    """A photo and its mesh: (height, width, 3) uint8 RGB; (478, 2) or (478, 3) pixels, x and y first."""

    rgb: RGBImage
    points: Floats


class Forgery(NamedTuple):
    """A forged photo.

    Attributes:
        image: (height, width, 3) uint8 RGB.
        mask: (height, width) float32 in 0..1: 0 exactly where the photo it was put into is unchanged.
        method: How it was made.
    """

    image: RGBImage
    mask: Floats
    method: str


def warp(source: Side, target: Floats, background: RGBImage) -> RGBImage:
    """Move the source's pixels so that its points come to lie on ``target``; beyond the mesh is ``background``.

    Args:
        source: Its points are (n, 2) float32.
        target: (n, 2) float32 pixels of ``background``.
        background: (height, width, 3) uint8 RGB.
    """
    height, width = background.shape[:2]
    triangles = triangulate(target, width, height)
    index = np.full((height, width), -1, np.int32)
    for number, corners in enumerate(np.rint(target[triangles]).astype(np.int32)):
        cv2.fillConvexPoly(index, corners, number)
    x, y, right, bottom = (int(edge) for edge in _box(target, width, height))
    index = index[y:bottom, x:right]
    columns, rows = _look_up(_affine(target[triangles], source.points[triangles]), index, x, y)
    moved = cv2.remap(source.rgb, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    result = background.copy()
    cv2.copyTo(moved, (index >= 0).astype(np.uint8), result[y:bottom, x:right])
    return result


def _box(points: Floats, width: int, height: int) -> NDArray[np.intp]:
    """Left, top, right, bottom of the pixels that the points span inside the picture."""
    ends = np.rint([*points.min(0), *(points.max(0) + 1)]).clip(0, (width, height) * 2)
    return ends.astype(np.intp)


def _look_up(maps: NDArray[np.float64], index: NDArray[np.int32], x: int, y: int) -> list[Floats]:
    """Where each pixel comes from: (height, width) float32 columns, then rows; ``index`` starts at ``x``, ``y``."""
    height, width = index.shape
    chosen = index.ravel()
    across, down = np.tile(np.arange(x, x + width), height), np.repeat(np.arange(y, y + height), width)
    return [
        (row[:, 0].take(chosen) * across + row[:, 1].take(chosen) * down + row[:, 2].take(chosen))
        .astype(np.float32)
        .reshape(height, width)
        for row in (maps[:, 0], maps[:, 1])
    ]


def _affine(corners: Floats, to: Floats) -> NDArray[np.float64]:
    """(n, 2, 3) maps of n triangles onto n others, both (n, 3, 2)."""
    base, goal = corners.astype(np.float64), to.astype(np.float64)
    (ax, ay), (bx, by) = (base[:, 1] - base[:, 0]).T, (base[:, 2] - base[:, 0]).T
    area = ax * by - ay * bx
    area = np.where(area == 0, np.inf, area)[:, None]  # a triangle without area shows its first corner
    u, v = goal[:, 1] - goal[:, 0], goal[:, 2] - goal[:, 0]
    in_x, in_y = (by[:, None] * u - ay[:, None] * v) / area, (ax[:, None] * v - bx[:, None] * u) / area
    return np.stack([in_x, in_y, goal[:, 0] - in_x * base[:, :1, 0] - in_y * base[:, :1, 1]], -1)


def triangulate(points: Floats, width: int, height: int) -> NDArray[np.intp]:
    """(n, 3) indices of Delaunay triangles; points beyond the picture count as on its edge."""
    placed = points.clip(0, (width - 1, height - 1)).astype(np.float32)
    subdivision = cv2.Subdiv2D((0, 0, width, height))
    subdivision.insert(placed.tolist())
    corners = np.ascontiguousarray(subdivision.getTriangleList(), np.float32).reshape(-1, 2)
    known, first = np.unique(_key(placed), return_index=True)
    found = np.searchsorted(known, _key(corners)).clip(max=len(known) - 1)
    indices = np.where(known[found] == _key(corners), first[found], -1).reshape(-1, 3)
    known_only: NDArray[np.intp] = indices[indices.min(1) >= 0]
    return known_only


def _key(points: Floats) -> NDArray[np.complex128]:
    return points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)


def fit(points: Floats, to: Floats) -> NDArray[np.float64]:
    """(2, 3) similarity transform that lays ``points`` on ``to``."""
    return similarity_transform(points.astype(np.float64), to.astype(np.float64))


def place(points: Floats, transform: NDArray[np.float64]) -> Floats:
    """(n, 2) float32 points moved by a (2, 3) matrix."""
    moved: Floats = (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    return moved


def ring(points: Floats, times: float) -> Floats:
    """(36, 2) points around the face: its oval, scaled about the oval's centre."""
    oval = points[REGIONS["face"]]
    wider: Floats = (oval.mean(0) + times * (oval - oval.mean(0))).astype(np.float32)
    return wider


def face_width(points: Floats) -> float:
    """Width of the mesh in pixels."""
    return float(np.ptp(points[:, 0]))


def hull(points: Floats, rgb: RGBImage) -> RGBImage:
    """(height, width) uint8: 1 inside the convex hull."""
    inside = np.zeros(rgb.shape[:2], np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return inside


def grow(inside: RGBImage, pixels: float) -> RGBImage:
    """The (height, width) uint8 region widened, or narrowed where ``pixels`` is negative."""
    if pixels < 0:
        return (cv2.distanceTransform(inside, cv2.DIST_L2, 5) > -pixels).astype(np.uint8)
    return (cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5) <= pixels).astype(np.uint8)


def soften(inside: RGBImage, feather: float) -> Floats:
    """Weight that rises from 0 at the region's edge to 1 at ``feather`` pixels inside it."""
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    soft: Floats = np.clip(depth / max(1.0, feather), 0, 1).astype(np.float32)
    return soft
