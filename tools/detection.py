"""Face detection with YuNet."""

from __future__ import annotations

import threading
from functools import cache

import cv2
import numpy as np

from . import weights
from .face import Face, Floats
from .image import RGBImage

SCORE_MIN = 0.7
"""On 942 photos of one face (FRLL, ICT renders, FFHQ, StyleGAN2, LFW) the least score was 0.88; on 84 pictures without
a face the highest was 0.64, and 0.68 is a known false positive."""

OVERLAP_MAX = 0.3
MAX_FACES = 20
SIDE = 640
CLOSE_UP_SIDES = (320, 160)
"""A face cropped inside its own outline is missed at 640 and found at one of these."""

CROWD_SIDE = 1280
CROWD_SHARE = 0.1
"""A second look for small faces costs four times the first, so it is taken only where the largest face found is
smaller than this share of the photo's long side."""

_LEAST_SIDE = 64
"""Smaller pictures are padded: OpenCV 4.14 reads beyond a padded side of 32 px, which now and then invents faces with a
score of 1 in a black strip."""

_lock = threading.Lock()


def detect(rgb: RGBImage) -> list[Face]:
    """Find faces with YuNet (Wu et al. 2023; opencv_zoo 2023mar).

    The photo is reduced to a long side of 640 px, where faces of about 13 px and more are found: 2 % of the long side.
    Without a face there, a close-up is looked for at 320 and 160 px. In a photo over 1280 px whose faces are all
    small, faces down to 1 % of the long side are looked for at 1280 px.

    Args:
        rgb: (height, width, 3) uint8, RGB.

    Returns:
        At most 20 faces, largest first; empty if there is none.
    """
    bgr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), np.uint8)
    found = _run(bgr, SIDE)
    for side in CLOSE_UP_SIDES:
        if not len(found):
            found = _run(bgr, side)
    long_side = max(rgb.shape[:2])
    if long_side > CROWD_SIDE and found[:, 2:4].max(initial=0) < CROWD_SHARE * long_side:
        found = _merge(found, _run(bgr, CROWD_SIDE))
    found = found[np.argsort(-found[:, 2] * found[:, 3])][:MAX_FACES]
    return [_face(f"f{number}", row) for number, row in enumerate(found, 1)]


def _run(bgr: RGBImage, side: int) -> Floats:
    """(n, 15) rows of box, five points and score in pixels of the photo."""
    height, width = bgr.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small: cv2.typing.MatLike = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
    right, below = (max(0, _LEAST_SIDE - length) for length in size)
    small = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT)
    with _lock:
        net = _detector()
        net.setInputSize((small.shape[1], small.shape[0]))
        _, rows = net.detect(small)
    if rows is None:
        return np.empty((0, 15), np.float32)
    found: Floats = np.array(rows, np.float32)
    found[:, :14] /= scale
    return found


def _merge(first: Floats, second: Floats) -> Floats:
    """Faces of the first look, and those of the second that lie on none of them."""
    new = [row for row in second if all(_shared(row, known) < OVERLAP_MAX for known in first)]
    return np.vstack([first, *new]) if new else first


def _shared(a: Floats, b: Floats) -> float:
    """Intersection over the smaller of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return float(max(0, width) * max(0, height) / max(1e-6, min(a[2] * a[3], b[2] * b[3])))


def _face(name: str, row: Floats) -> Face:
    x, y, width, height = (float(v) for v in row[:4])
    return Face(id=name, box=(x, y, width, height), points=row[4:14].reshape(5, 2).copy(), score=float(row[14]))


@cache
def _detector() -> cv2.FaceDetectorYN:
    """One network for the process: it is not thread-safe, so calls hold the lock."""
    return cv2.FaceDetectorYN.create(str(weights.path("yunet")), "", (0, 0), SCORE_MIN, OVERLAP_MAX)
