"""What a plug-in looks like: detectors, matchers and action unit models from outside, and the crops they get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from .alignment import TEMPLATE, similarity_transform
from .evidence import ModelCard
from .face import Floats
from .image import RGBImage

Target = Literal["manipulation", "synthesis", "morph", "presentation_attack"]
"""What a detector's score rises with."""

Kind = Literal["detector", "matcher", "action_units"]
"""What a plug-in is; the first part of its tool's name."""

Crops = NDArray[np.uint8]
"""(n, size, size, 3), RGB."""

MATCHER_SIZE = 112
_SIDE_MAX = 2048  # of the warp before it is averaged down; a larger face is sampled a little more coarsely


@dataclass(frozen=True, slots=True)
class Scores:
    """What a detector says of n crops.

    Attributes:
        logits: (n,) float32, raw: greater is more forged, the scale is the detector's own.
        heat: (n, h, w) float32 in 0..1, how much each place of the crop was altered; None if it does not localise.
    """

    logits: Floats
    heat: Floats | None = None


@runtime_checkable
class Detector(Protocol):
    """Scores aligned faces. Creating one is cheap; weights are loaded at the first score. Thread-safe."""

    @property
    def card(self) -> ModelCard:
        """Identity and terms of the weights."""

    @property
    def target(self) -> Target:
        """What the score rises with."""

    @property
    def size(self) -> int:
        """Side in pixels of the crops it wants."""

    @property
    def margin(self) -> float:
        """How much wider than the ArcFace template the crop is; 1 is the template itself, 1.3 is common."""

    def score(self, crops: Crops) -> Scores:
        """Score (n, size, size, 3) uint8 RGB crops; a crop's score depends on no other crop."""


@runtime_checkable
class Matcher(Protocol):
    """Embeds faces for comparison by cosine similarity. Thread-safe."""

    @property
    def card(self) -> ModelCard:
        """Identity and terms of the weights."""

    @property
    def threshold(self) -> float | None:
        """Cosine from which two faces count as one person's; None where none is published."""

    def embed(self, crops: Crops) -> Floats:
        """Embed (n, 112, 112, 3) uint8 RGB crops on the ArcFace template as (n, d) float32."""


@runtime_checkable
class ActionUnitModel(Protocol):
    """Reads action units (FACS) from aligned faces. Thread-safe."""

    @property
    def card(self) -> ModelCard:
        """Identity and terms of the weights."""

    @property
    def size(self) -> int:
        """Side in pixels of the crops it wants."""

    @property
    def margin(self) -> float:
        """How much wider than the ArcFace template the crop is."""

    def intensities(self, crops: Crops) -> dict[str, Floats]:
        """Values of n crops by unit (``AU12``): (n,) float32 from 0 (absent) to 1 (the model's greatest)."""


Plugged = Detector | Matcher | ActionUnitModel


def aligned(rgb: RGBImage, points: Floats, size: int, margin: float = 1.0) -> RGBImage:
    """Cut out a face for a detector: the ArcFace template's square, ``margin`` times as wide.

    The face is turned upright at its own resolution and then resized with a bicubic kernel that averages, which is what
    detectors trained on DeepfakeBench or CLIP preprocessing saw.

    Args:
        rgb: (height, width, 3) uint8, RGB.
        points: (5, 2) in the order of ``Face.points``.
        size: Side of the crop in pixels.
        margin: Width of the crop, in widths of the template.

    Returns:
        (size, size, 3) uint8, RGB; what lies outside the photo is black.
    """
    from PIL import Image

    template = (TEMPLATE + 112 * (margin - 1) / 2) / (112 * margin)  # in widths of the crop
    transform = similarity_transform(points.astype(np.float64), template)
    side = int(np.clip(round(1 / np.hypot(transform[0, 0], transform[1, 0])), 16, _SIDE_MAX))
    upright = cv2.warpAffine(rgb, transform * side, (side, side)).astype(np.uint8, copy=False)
    return np.array(Image.fromarray(upright).resize((size, size), Image.Resampling.BICUBIC))
