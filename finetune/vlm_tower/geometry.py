"""Where mesh points go when a crop is mirrored, turned, scaled and shifted.

Places are fractions of the crop's side, (x, y), from its left upper corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.face import Floats
from ...tools.landmarks import BLENDSHAPES

POINTS = 478
_MIDLINE = (
    0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200,
)  # fmt: skip
_FIRST_LEFT, _FIRST_IRIS = 248, 468
_IRISES = (473, 476, 475, 474, 477, 468, 471, 470, 469, 472)


def _mirror_order() -> NDArray[np.intp]:
    """MediaPipe numbers the right half of its canonical face first and the left half in the same order."""
    order = np.arange(POINTS)
    right = np.setdiff1d(np.arange(_FIRST_LEFT), _MIDLINE)
    left = np.arange(_FIRST_LEFT, _FIRST_IRIS)
    order[right], order[left], order[_FIRST_IRIS:] = left, right, _IRISES
    return order


def _swapped(name: str) -> str:
    if name.endswith("Left"):
        return name.removesuffix("Left") + "Right"
    return name.removesuffix("Right") + "Left" if name.endswith("Right") else name


MIRRORED_POINTS = _mirror_order()
"""(478,) which point of a face lies, in the mirrored picture, where this point of the mirrored face is."""
MIRRORED_BLENDSHAPES = np.array([BLENDSHAPES.index(_swapped(name)) for name in BLENDSHAPES])
MIRRORED_POSE = np.array([-1.0, 1.0, -1.0], np.float32)
"""Signs of yaw, pitch and roll."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A small change of where the face lies in the crop; mirrored first, if at all.

    Attributes:
        angle: Degrees, clockwise in the picture.
        scale: Greater than 1 enlarges.
        shift: Right and down, as fractions of the side.
        mirror: Whether left and right change places.
    """

    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirror: bool = False

    @property
    def linear(self) -> NDArray[np.float64]:
        """(2, 2) matrix about the middle of the crop."""
        cos, sin = self.scale * np.cos(np.deg2rad(self.angle)), self.scale * np.sin(np.deg2rad(self.angle))
        return np.array([[cos, -sin], [sin, cos]]) * [[-1.0 if self.mirror else 1.0, 1.0]]

    def picture(self, picture: NDArray[np.uint8], side: int, border: int = cv2.BORDER_REPLICATE) -> NDArray[np.uint8]:
        """The crop or mask, (n, n) or (n, n, 3) uint8, changed and brought to a side."""
        old = picture.shape[0]
        linear = self.linear * side / old
        middle = side * (0.5 + np.array(self.shift)) - 0.5
        matrix = np.column_stack([linear, middle - linear @ np.full(2, (old - 1) / 2)])
        made = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
        return made.astype(np.uint8, copy=False)

    def points(self, points: Floats) -> Floats:
        """The mesh, (478, 2), changed alike."""
        moved = (points - 0.5) @ self.linear.T + 0.5 + np.array(self.shift)
        return (moved[MIRRORED_POINTS] if self.mirror else moved).astype(np.float32)

    def pose(self, pose: Floats) -> Floats:
        """(3,) yaw, pitch and roll in degrees; turning the picture turns the roll alone, nearly."""
        kept = pose * MIRRORED_POSE if self.mirror else pose
        return (kept + np.array([0.0, 0.0, self.angle])).astype(np.float32)

    def blendshapes(self, values: Floats) -> Floats:
        """(52,) with the sides changed if mirrored."""
        return values[MIRRORED_BLENDSHAPES] if self.mirror else values
