"""Attributes of one face edited by smooth warping: smile, frown, eyes, nose, jaw, brows."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.face import Floats
from ...tools.image import RGBImage
from .mesh import Side

Shifts = dict[int, tuple[float, float]]
"""Mesh index -> towards the person's left, downwards; in widths between the outer corners of the eyes."""

_SLIGHT = 0.12  # of the largest shift
_STEPS = 8  # the field is smooth: computed so often along its reach
_FELT = 1 / 64  # pixels; ``cv2.remap`` samples to 1/32
_RIGHT = {"brow": (70, 63, 105, 66, 107), "upper": (160, 159, 158), "lower": (144, 145, 153)}
_LEFT = {"brow": (300, 293, 334, 296, 336), "upper": (387, 386, 385), "lower": (373, 374, 380)}


def _mouth(rng: np.random.Generator, up: float) -> Shifts:
    """Corners of the mouth (AU12 or AU15) and cheeks (AU6) or brows (AU4) with them; up < 0 smiles."""
    out, rise = (0.06 if up < 0 else -0.01) * rng.uniform(0.5, 1.5), up * rng.uniform(0.07, 0.14)
    shifts = {61: (-out, rise), 291: (out, rise), 40: (-out / 2, rise / 2), 270: (out / 2, rise / 2)}
    shifts |= {91: (-out / 2, rise / 2), 321: (out / 2, rise / 2)}
    if up < 0:
        return shifts | {50: (0, rise / 3), 280: (0, rise / 3)}
    return shifts | {107: (0.03, 0.05), 336: (-0.03, 0.05), 66: (0.02, 0.04), 296: (-0.02, 0.04)}


def _eyes(rng: np.random.Generator, points: Floats) -> Shifts:
    """Lids closer together or further apart (AU43, AU5)."""
    share = rng.uniform(-0.7, -0.35) if rng.random() < 0.5 else rng.uniform(0.3, 0.7)
    span = float(np.linalg.norm(points[263] - points[33]))
    shifts: Shifts = {}
    for eye in (_RIGHT, _LEFT):
        for upper, lower in zip(eye["upper"], eye["lower"], strict=True):
            gap = share * float(np.linalg.norm(points[upper] - points[lower])) / span
            shifts |= {upper: (0, -0.7 * gap), lower: (0, 0.3 * gap)}
    return shifts


def _nose(rng: np.random.Generator) -> Shifts:
    """Wings in or out, tip up or down."""
    wide, tip = _either(rng, 0.04, 0.09), _either(rng, 0.0, 0.07)
    return {
        64: (-wide, 0),
        294: (wide, 0),
        98: (-wide / 2, tip / 2),
        327: (wide / 2, tip / 2),
        4: (0, tip),
        2: (0, tip),
    }


def _jaw(rng: np.random.Generator) -> Shifts:
    """Jaw slimmer or wider, chin shorter or longer."""
    wide, low = _either(rng, 0.05, 0.11), _either(rng, 0.03, 0.09)
    shifts: Shifts = {132: (-wide / 2, 0), 361: (wide / 2, 0), 152: (0, low), 148: (0, low), 377: (0, low)}
    for right, left, share in ((58, 288, 0.8), (172, 397, 1.0), (136, 365, 1.0), (150, 379, 0.8), (149, 378, 0.5)):
        shifts |= {right: (-share * wide, (1 - share) * low), left: (share * wide, (1 - share) * low)}
    return shifts | {176: (-0.2 * wide, 0.8 * low), 400: (0.2 * wide, 0.8 * low)}


def _brows(rng: np.random.Generator) -> Shifts:
    """Both brows or one up or down (AU1, AU2, AU4)."""
    sides = ((_RIGHT, _LEFT), (_RIGHT,), (_LEFT,))[rng.choice(3, p=(0.6, 0.2, 0.2))]
    rise = _either(rng, 0.05, 0.1)
    return {index: (0, rise) for side in sides for index in side["brow"]}


def _either(rng: np.random.Generator, least: float, most: float) -> float:
    return float(rng.uniform(least, most) * rng.choice((-1, 1)))


_KINDS: dict[str, tuple[Callable[[np.random.Generator, Floats], Shifts], float]] = {
    "smile": (lambda rng, points: _mouth(rng, -1), 0.42),
    "frown": (lambda rng, points: _mouth(rng, 1), 0.36),
    "eyes": (_eyes, 0.16),
    "nose": (lambda rng, points: _nose(rng), 0.28),
    "jaw": (lambda rng, points: _jaw(rng), 0.45),
    "brows": (lambda rng, points: _brows(rng), 0.28),
}
"""What is shifted, and how far each shift is felt, in widths between the outer corners of the eyes."""
EDITS = tuple(f"edit.{kind}" for kind in _KINDS)


def edit(method: str, person: Side, rng: np.random.Generator) -> tuple[RGBImage, Floats]:
    """Move features of a face: the picture, and 1 where it was resampled.

    Args:
        method: One of ``EDITS``.
        person: Points (478, 2) float32.
        rng: Draws direction and strength.
    """
    draw, reach = _KINDS[method.partition(".")[2]]
    shifts = draw(rng, person.points)
    across = person.points[263] - person.points[33]
    by = np.array(list(shifts.values())) @ np.stack([across, [-across[1], across[0]]])
    return _bend(person.rgb, person.points[list(shifts)] + by, by, reach * float(np.linalg.norm(across)))


def _bend(rgb: RGBImage, points: NDArray[np.float64], by: NDArray[np.float64], reach: float) -> tuple[RGBImage, Floats]:
    """Bring what was at ``points - by`` to ``points``, and smoothly less of it up to ``reach`` pixels around."""
    height, width = rgb.shape[:2]
    left, top = np.maximum(0, points.min(0) - reach).astype(int)
    right, bottom = np.minimum((width, height), points.max(0) + reach).astype(int)
    step = max(1, round(reach / _STEPS))
    x, y = np.arange(left, right + step, step), np.arange(top, bottom + step, step)
    nodes = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    coarse = _field(nodes, points, by, reach).reshape(len(y), len(x), 2).astype(np.float32)
    zoom = np.array([[1 / step, 0, 0], [0, 1 / step, 0]])
    field = cv2.warpAffine(coarse, zoom, (right - left, bottom - top), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    across, down = cv2.split(field)
    length = cv2.magnitude(across, down)
    kept = np.maximum(0, 1 - _SLIGHT * length.max() / np.maximum(length, 1e-6))  # what moves a little stays as it was
    columns, rows = np.arange(left, right)[None] - kept * across, np.arange(top, bottom)[:, None] - kept * down
    where = columns.astype(np.float32), rows.astype(np.float32)
    moved = cv2.remap(rgb, *where, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    felt = (kept * length > _FELT).astype(np.uint8)
    box, mask, image = (slice(top, bottom), slice(left, right)), np.zeros((height, width), np.float32), rgb.copy()
    mask[box] = felt
    cv2.copyTo(moved, felt, image[box])
    return image, mask


def _field(
    at: NDArray[np.float64], points: NDArray[np.float64], by: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    """(n, 2) shifts: the near points' mean, faded out by a function of compact support (Wendland 1995)."""
    squared = (at**2).sum(1)[:, None] + (points**2).sum(1) - 2 * (at @ points.T)
    r = np.sqrt(squared.clip(0, reach**2)) / reach
    near = (1 - r) ** 4 * (4 * r + 1)
    total = near.sum(1, keepdims=True)
    mean = (near @ by) / np.maximum(total, 1e-9)
    faded: NDArray[np.float64] = mean * (1 - np.prod(1 - near, axis=1, keepdims=True))
    return faded
