"""Self-blended images: a face blended with an altered copy of itself (Shiohara & Yamasaki 2022).

Needs no second person, and leaves what face swaps leave: a boundary, and an inside whose colour, sharpness, noise or
drawing differs from the outside. The altered copy may also pass through a redrawing step (a decoder's traces), as the
inside of a real face swap does.
"""

from __future__ import annotations

import cv2
import numpy as np

from ...tools.face import Floats
from ...tools.image import RGBImage
from .chains import blur, jpeg, noise, resize
from .mesh import REGIONS, Side
from .synthesis import Redraw

_PARTS = ("eyes", "nose", "mouth")
_SHARES = (0.35, 0.6, 0.85, 1.0, 1.0, 1.0)


def selfblend(person: Side, rng: np.random.Generator, redraw: Redraw | None = None) -> tuple[RGBImage, Floats]:
    """Blend a face with an altered copy of itself.

    Args:
        person: (height, width, 3) uint8 RGB and the mesh in its pixels.
        rng: Draws everything.
        redraw: What the copy passes through besides; a change of colour or sharpness if None.

    Returns:
        The picture, and the (height, width) float32 weight of the copy: 0 exactly where nothing changed.
    """
    copy = person.rgb if redraw is None else redraw(person.rgb, rng)
    if redraw is None or rng.random() < 0.5:
        copy = _recolour(copy, rng)
    if redraw is None and rng.random() < 0.6:
        copy = _refocus(copy, rng)
    weight = _weight(person, rng)
    copy = _shift(copy, rng)
    mixed = weight[..., None] * copy + (1 - weight[..., None]) * person.rgb
    return np.rint(mixed).astype(np.uint8), weight


def _recolour(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 0] = (hsv[..., 0] + rng.uniform(-3, 3)) % 180
    hsv[..., 1:] *= rng.uniform((0.8, 0.9), (1.2, 1.1))
    shifted = cv2.cvtColor(hsv.clip(0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB) + rng.uniform(-8, 8, 3)
    return shifted.clip(0, 255).astype(np.uint8)


def _refocus(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    kind = rng.integers(5)
    if kind == 0:
        return resize(rgb, rng.uniform(0.3, 0.75))
    if kind == 1:
        return cv2.addWeighted(rgb, 1.6, blur(rgb, 1.2), -0.6, 0).astype(np.uint8, copy=False)
    if kind == 2:
        return blur(rgb, rng.uniform(0.6, 1.5))
    if kind == 3:
        return noise(rgb, rng.uniform(3, 9), rng)
    return jpeg(rgb, int(rng.integers(35, 80)))


def _shift(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Moved and scaled by a little, so that features repeat or break at the boundary."""
    height, width = rgb.shape[:2]
    scale, (dx, dy) = rng.uniform(0.96, 1.04), rng.uniform(-0.02, 0.02, 2) * width
    matrix = np.array([[scale, 0, dx + width * (1 - scale) / 2], [0, scale, dy + height * (1 - scale) / 2]])
    return cv2.warpAffine(rgb, matrix, (width, height), borderMode=cv2.BORDER_REFLECT).astype(np.uint8, copy=False)


def _weight(person: Side, rng: np.random.Generator) -> Floats:
    """A face-shaped or part-shaped weight: bent, grown or shrunk, feathered, sometimes not full."""
    part = "face" if rng.random() < 0.7 else str(rng.choice(_PARTS))
    points = person.points[REGIONS[part], :2].astype(np.float32)
    if part == "face" and rng.random() < 0.35:
        points = points[points[:, 1] > np.quantile(points[:, 1], rng.uniform(0.2, 0.5))]
    width = float(np.ptp(person.points[:, 0]))
    points = points.mean(0) + (points - points.mean(0)) * rng.uniform(0.85, 1.1)
    points += rng.normal(0, 0.02 * width, points.shape).astype(np.float32)
    inside = np.zeros(person.rgb.shape[:2], np.float32)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    inside = _bend(inside, width, rng)
    feather = rng.uniform(0.01, 0.08) * width
    soft = cv2.GaussianBlur(inside, (0, 0), max(0.6, feather / 2))
    weight: Floats = soft * np.float32(rng.choice(_SHARES))
    weight[weight < 1 / 255] = 0
    return weight


def _bend(inside: Floats, width: float, rng: np.random.Generator) -> Floats:
    """Elastic deformation."""
    height, columns = inside.shape
    coarse = rng.normal(0, 0.03 * width, (2, 5, 5)).astype(np.float32)
    dx, dy = (cv2.resize(field, (columns, height), interpolation=cv2.INTER_CUBIC) for field in coarse)
    y, x = np.mgrid[:height, :columns].astype(np.float32)
    bent: Floats = cv2.remap(inside, x + dx, y + dy, cv2.INTER_LINEAR).astype(np.float32)
    return bent
