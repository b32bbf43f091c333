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
