"""Ways to put a patch over a photo so that exactly the masked pixels change."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.face import Floats
from ...tools.image import RGBImage
from .mesh import grow, soften

BLENDINGS = ("alpha", "seamless", "mixed", "laplacian")

_LEVELS = 4


def composite(
    patch: RGBImage, canvas: RGBImage, inside: RGBImage, blending: str, feather: float
) -> tuple[RGBImage, Floats]:
    """Put the inside of a region of ``patch`` over the same region of ``canvas``.

    Args:
        patch: (height, width, 3) uint8 RGB.
        canvas: As large.
        inside: (height, width) uint8, 1 inside the region.
        blending: ``alpha``; ``seamless`` or ``mixed`` (Poisson, Pérez et al. 2003); ``laplacian`` (bands, Burt &
            Adelson 1983).
        feather: Pixels over which the patch fades in at the region's edge.

    Returns:
        The picture and its mask in 0..1, (height, width) float32.
    """
    if blending == "alpha":
        soft = soften(inside, feather)
        return blend(patch, canvas, soft), soft
    if blending == "laplacian":
        soft = soften(inside, feather)
        return blend(_bands(patch, canvas, grow(inside, -feather)), canvas, soft), soft
    inside = inside.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = 0  # Poisson cloning needs a border
    x, y, width, height = cv2.boundingRect(inside)
    flag = cv2.NORMAL_CLONE if blending == "seamless" else cv2.MIXED_CLONE
    image = cv2.seamlessClone(patch, canvas, inside * np.uint8(255), (x + width // 2, y + height // 2), flag)
    return keep_outside(image, canvas, inside), inside.astype(np.float32)


def _bands(patch: RGBImage, canvas: RGBImage, inside: RGBImage) -> RGBImage:
    """Blend coarse bands widely and fine bands sharply."""
    x, y, width, height = cv2.boundingRect(inside)
    margin = 2**_LEVELS
    box = slice(max(0, y - margin), y + height + margin), slice(max(0, x - margin), x + width + margin)
    change: NDArray[Any] = patch[box].astype(np.float32) - canvas[box]
    weight: NDArray[Any] = cv2.merge([inside[box].astype(np.float32)] * 3)
    bands = []
    for _ in range(_LEVELS):
        coarse = cv2.pyrDown(change)
        bands.append(weight * (change - cv2.pyrUp(coarse, dstsize=change.shape[1::-1])))
        change, weight = coarse, cv2.pyrDown(weight)
    change *= weight
    for band in reversed(bands):
        change = cv2.pyrUp(change, dstsize=band.shape[1::-1]) + band
    result = canvas.copy()
    result[box] = np.rint((canvas[box] + change).clip(0, 255))
    return result


def blend(over: RGBImage, under: RGBImage, weight: Floats) -> RGBImage:
    """Mix two pictures, (height, width, 3) uint8, by a (height, width) weight of the first."""
    mixed: RGBImage = np.rint(weight[..., None] * over + (1 - weight[..., None]) * under).astype(np.uint8)
    return mixed


def keep_outside(image: NDArray[Any], canvas: RGBImage, inside: RGBImage) -> RGBImage:
    """``image`` inside the region, ``canvas`` outside, exactly."""
    return np.where(inside[..., None] > 0, image, canvas).astype(np.uint8)
