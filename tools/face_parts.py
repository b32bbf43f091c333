"""Parts of a face as SFace sees them on the way to its feature, so that two photos can be compared part by part.

One run of the network gives descriptors at the landmarks of each part, from inner layers that see little around them,
and what each part of the picture adds to the feature: the last layer is linear, so that the feature is a sum over the
cells of a 7 x 7 map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .alignment import TEMPLATE, align, similarity_transform
from .face import FaceView, Floats
from .image import RGBImage
from .sface import SIDE, STEPS, by_cell

_PARTS = {
    "right_eye": "33 133 159 145 160 144 158 153 468 70 63 105 66 107",
    "left_eye": "263 362 386 374 387 373 385 380 473 300 293 334 296 336",
    "nose": "168 6 197 195 5 4 1 2 98 327 129 358 64 294",
    "mouth": "61 291 0 17 13 14 40 270 91 321 37 267 84 314",
    "skin": "50 280 205 425 117 346 123 352 187 411 151 9 69 299 104 333 199 200",
    "contour": """10 338 297 332 284 251 389 356 454 323 361 288 397 365 379 152 150 136 172 58 132 93 234 127 162 21 54
        103 67 109""",
}
PARTS: Mapping[str, tuple[int, ...]] = {name: tuple(map(int, points.split())) for name, points in _PARTS.items()}
"""Mesh points of each part; right and left are the person's. The skin is forehead, cheeks and chin; the contour runs
along hairline and jaw."""
POINTS = np.array([point for part in PARTS.values() for point in part], np.intp)


@dataclass(frozen=True, slots=True)
class Descriptors:
    """What SFace sees of one face.

    Attributes:
        local: By layer, (104, channels) float32 at ``POINTS``.
        cells: (49, 128) float32: what each cell of the last map, row by row, adds to the feature before its scaling.
        feature: (128,) float32, the same as ``FaceView.feature``.
        texture: (6, 6) float32 for each of ``PARTS``: lightness and the two colours of CIELAB less those of the whole
            face, and logarithms of contrast and of two bands of detail relative to it.
        points: (478, 3) float32 mesh in pixels of the 112 px crop of ``alignment.align``.
    """

    local: Mapping[str, Floats]
    cells: Floats
    feature: Floats
    texture: Floats
    points: Floats


def describe(view: FaceView) -> Descriptors:
    """Descriptors of a face.

    Raises:
        NotMeasurable: There is no mesh.
    """
    crop = align(view.photo.rgb, view.face.points)
    points = _placed(view)
    local = {name: _sample(view.seen.maps[name], points[POINTS, :2] / step) for name, step in STEPS.items()}
    cells = (by_cell() @ view.seen.last[:, :, None])[..., 0]
    return Descriptors(local, cells, view.feature, _texture(crop, points[:, :2]), points)


def _placed(view: FaceView) -> Floats:
    """The mesh in the aligned crop; depth in the same scale."""
    transform = similarity_transform(view.face.points.astype(np.float64), TEMPLATE)
    scale = float(np.hypot(*transform[:, 0]))
    flat = view.mesh.points[:, :2] @ transform[:, :2].T + transform[:, 2]
    return np.column_stack([flat, view.mesh.points[:, 2] * scale]).astype(np.float32)


def _texture(crop: RGBImage, points: Floats) -> Floats:
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    light = np.ascontiguousarray(lab[..., 0])
    soft, softer = (cv2.GaussianBlur(light, (0, 0), sigma) for sigma in (0.8, 1.6))
    planes = np.dstack([lab, light**2, (light - soft) ** 2, (soft - softer) ** 2])
    rows = np.array([planes[mask > 0].mean(0) if mask.any() else np.zeros(6) for mask in _masks(points)])
    rows[:, 3] -= rows[:, 0] ** 2
    rows[:, 3:] = np.log(rows[:, 3:].clip(0) + 0.1)
    found: Floats = (rows[:-1] - rows[-1]).astype(np.float32)
    return found


def _masks(points: Floats) -> list[RGBImage]:
    """Where each part is in the crop, and last the whole face; the contour is a band on both sides of its line."""
    oval = points[list(PARTS["contour"])]
    middle = oval.mean(0)
    masks = [_hull(points[list(part)]) for name, part in PARTS.items() if name != "contour"]
    face, inner, outer = (_hull(middle + share * (oval - middle)) for share in (1.0, 0.85, 1.15))
    features = np.maximum.reduce([mask for mask, name in zip(masks, PARTS, strict=False) if name != "skin"])
    masks[list(PARTS).index("skin")] = inner * (1 - features)
    return [*masks, outer * (1 - inner), face]


def _hull(points: Floats) -> RGBImage:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return mask


def _sample(values: Floats, places: NDArray[Any]) -> Floats:
    """(n, channels) at (n, 2) places x, y in cells of a (channels, height, width) map, linear between cells."""
    limit = np.array(values.shape[:0:-1]) - 1
    inside = places.clip(0, limit)
    corner = np.minimum(inside.astype(np.intp), limit - 1)
    (x, y), (right, down) = corner.T, (inside - corner).T.astype(np.float32)
    above = values[:, y, x] * (1 - right) + values[:, y, x + 1] * right
    below = values[:, y + 1, x] * (1 - right) + values[:, y + 1, x + 1] * right
    found: Floats = (above * (1 - down) + below * down).T
    return found
