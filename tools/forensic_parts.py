"""Parts of the face in the aligned crop, from the mesh: where a map of alterations is read."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .alignment import WIDE_SIZE, wide_transform
from .face import FaceView, Floats

# Indices of the MediaPipe face mesh; a part is the convex hull of its points. Left and right are the person's.
_EYES = {
    "left_eye": (276, 283, 282, 295, 285, 300, 293, 334, 296, 336, 446, 261, 448, 449, 450, 451, 452, 464),
    "right_eye": (46, 53, 52, 65, 55, 70, 63, 105, 66, 107, 226, 31, 228, 229, 230, 231, 232, 244),
}
_NOSE = (168, 122, 351, 129, 358, 64, 294, 98, 327, 2)
_MOUTH = (61, 146, 91, 84, 17, 314, 321, 375, 291, 409, 270, 0, 40, 185, 164, 57, 287)
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
_BROW = (105, 334)

NAMES = ("left_eye", "right_eye", "nose", "mouth", "skin", "hairline", "boundary")

_BAND = 0.06
"""Half the width of the boundary band, as a share of the crop's side."""


def parts(view: FaceView) -> dict[str, NDArray[np.bool_]]:
    """(160, 160) masks over ``view.crop``, in the order of ``NAMES``.

    Skin is the face without eyes, nose and mouth; the boundary is a band along the face oval below the brows, the
    hairline the band above them.
    """
    transform = wide_transform(view.face.points)
    points = (view.mesh.points[:, :2] @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    hulls = {**_EYES, "nose": _NOSE, "mouth": _MOUTH}
    found: dict[str, NDArray[Any]] = {name: _hull(points[list(which)]) for name, which in hulls.items()}
    face = _hull(points[list(OVAL)])
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(_BAND * WIDE_SIZE) + 1,) * 2)
    band = cv2.dilate(face, kernel) - cv2.erode(face, kernel)
    above = np.arange(WIDE_SIZE)[:, None] < points[list(_BROW), 1].mean()
    inner = cv2.erode(face, kernel)
    for feature in list(found.values()):
        inner = inner * (1 - feature)
    found |= {"skin": inner, "hairline": band * above, "boundary": band * ~above}
    return {name: mask > 0 for name, mask in found.items()}


def _hull(points: Floats) -> NDArray[np.uint8]:
    inside = np.zeros((WIDE_SIZE, WIDE_SIZE), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return inside
