"""Five-point alignment to the ArcFace template."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .face import Floats
from .image import RGBImage

TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float64
)
"""ArcFace (Deng et al. 2019): right eye, left eye, nose tip, right and left mouth corner in a 112 px crop."""

WIDE = 1.35
"""How much wider than the template the crop for forensic networks is: from the hairline to below the chin."""

WIDE_SIZE = 160


def align(rgb: RGBImage, points: Floats, size: int = 112) -> RGBImage:
    """Warp a face to the template.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        points: (5, 2) in the order of ``Face.points``.
        size: Side of the square crop in pixels.

    Returns:
        (size, size, 3) uint8, RGB; what lies outside the photo is black.
    """
    transform = similarity_transform(points.astype(np.float64), TEMPLATE * (size / 112))
    return cv2.warpAffine(rgb, transform, (size, size)).astype(np.uint8, copy=False)


def wide_transform(points: Floats, size: int = WIDE_SIZE) -> NDArray[np.float64]:
    """(2, 3) matrix from pixels of the photo to the wide crop of ``align_wide``."""
    inset = 112 * (WIDE - 1) / 2
    return similarity_transform(points.astype(np.float64), (TEMPLATE + inset) * (size / (112 * WIDE)))


def align_wide(rgb: RGBImage, points: Floats, size: int = WIDE_SIZE) -> RGBImage:
    """Warp a face to the template with its surroundings: the template's square widened by ``WIDE``.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        points: (5, 2) in the order of ``Face.points``.
        size: Side of the square crop in pixels.

    Returns:
        (size, size, 3) uint8, RGB; what lies outside the photo repeats its border. Large faces are averaged down.
    """
    transform = wide_transform(points, size)
    scale = float(np.hypot(transform[0, 0], transform[1, 0]))
    rgb, origin = _around(rgb, points, scale, size)
    points = points - origin
    if scale < 0.5:
        # Bilinear sampling beyond a factor of two would alias.
        smaller = 2 * scale
        rgb = cv2.resize(rgb, None, fx=smaller, fy=smaller, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        points = (points + 0.5) * smaller - 0.5
    transform = wide_transform(points, size)
    return cv2.warpAffine(rgb, transform, (size, size), borderMode=cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)


def _around(rgb: RGBImage, points: Floats, scale: float, size: int) -> tuple[RGBImage, Floats]:
    """The part of the photo that the crop can reach, whichever way it is turned, and where that part begins."""
    centre, reach = points.mean(0), size / scale
    low = np.clip(np.floor(centre - reach), 0, None).astype(int)
    high = np.ceil(centre + reach).astype(int) + 1
    return rgb[low[1] : high[1], low[0] : high[0]], low.astype(np.float32)


def similarity_transform(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least-squares rotation, uniform scale and translation (Umeyama 1991) as a (2, 3) matrix.

    ``cv2.estimateAffinePartial2D`` fits by random samples, which is unstable with five points.
    """
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred = source - source_mean
    u, spread, vt = np.linalg.svd((target - target_mean).T @ centred / len(source))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * sign) @ vt
    scale = (spread * sign).sum() / (centred**2).sum(1).mean()
    linear = scale * rotation
    return np.column_stack([linear, target_mean - linear @ source_mean])
