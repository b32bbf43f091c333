"""Colour transfers: give one picture's region the colours of another's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.image import RGBImage

COLOURS = ("reinhard", "histogram", "covariance", "none")


def match_colour(rgb: RGBImage, like: RGBImage, inside: RGBImage, kind: str = "reinhard") -> RGBImage:
    """Adapt the colours inside a region to those of another picture in the same place.

    Args:
        rgb: (height, width, 3) uint8 RGB.
        like: As large; the goal.
        inside: (height, width) uint8, 1 inside the region; not empty.
        kind: One of ``COLOURS``.

    Returns:
        ``rgb`` with the region's bounding box adapted.
    """
    if kind == "none":
        return rgb
    x, y, width, height = cv2.boundingRect(inside)
    box = slice(y, y + height), slice(x, x + width)
    result = rgb.copy()
    result[box] = _TRANSFERS[kind](rgb[box], like[box], inside[box] > 0)
    return result


def _reinhard(rgb: RGBImage, like: RGBImage, chosen: NDArray[np.bool_]) -> RGBImage:
    """Mean and spread of CIELAB (Reinhard et al. 2001)."""
    lab, goal = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32) for image in (rgb, like))
    have, want = lab[chosen], goal[chosen]
    gain = want.std(0) / (have.std(0) + 1e-3)
    times = len(lab[0])  # flat rows are several times faster than broadcasting three channels
    centre, gain, offset = (np.tile(row, times) for row in (have.mean(0), gain, want.mean(0)))
    matched = ((lab.reshape(len(lab), -1) - centre) * gain + offset).reshape(lab.shape)
    result: RGBImage = cv2.cvtColor(matched.clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB).astype(np.uint8)
    return result


def _histogram(rgb: RGBImage, like: RGBImage, chosen: NDArray[np.bool_]) -> RGBImage:
    """Each channel's cumulative histogram."""
    table = np.empty((256, 1, 3), np.uint8)
    for channel in range(3):
        have, want = (
            np.bincount(image[..., channel][chosen], minlength=256).cumsum() / chosen.sum() for image in (rgb, like)
        )
        table[:, 0, channel] = np.rint(np.interp(have, want, np.arange(256)))
    return cv2.LUT(rgb, table).astype(np.uint8)


def _covariance(rgb: RGBImage, like: RGBImage, chosen: NDArray[np.bool_]) -> RGBImage:
    """Mean and covariance of RGB by the linear Monge-Kantorovitch map (Pitié & Kokaram 2007)."""
    (centre, have), (offset, want) = (_moments(image[chosen]) for image in (rgb, like))
    root = _root(have + np.eye(3))
    inverse = np.linalg.inv(root)
    linear = inverse @ _root(root @ want @ root) @ inverse
    matrix = np.column_stack([linear, offset - linear @ centre]).astype(np.float32)
    result: RGBImage = np.rint(cv2.transform(rgb.astype(np.float32), matrix).clip(0, 255)).astype(np.uint8)
    return result


def _moments(colours: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spread, centre = cv2.calcCovarMatrix(colours, np.empty(0), cv2.COVAR_NORMAL | cv2.COVAR_ROWS | cv2.COVAR_SCALE)
    return centre[0].astype(np.float64), spread.astype(np.float64)


def _root(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(matrix)
    root: NDArray[np.float64] = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


_TRANSFERS = {"reinhard": _reinhard, "histogram": _histogram, "covariance": _covariance}
