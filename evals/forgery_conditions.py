"""What a photo may have gone through before it is examined: fixed strengths, for real and forged alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from ..finetune.forge import chains
from ..tools.image import RGBImage
from .forgery_material import Crops

SIDE = 160
"""Pixels of the crop that the network takes."""

CONDITIONS: Mapping[str, Callable[[RGBImage, np.random.Generator], RGBImage]] = {
    "none": lambda rgb, rng: rgb,
    "JPEG 95": lambda rgb, rng: chains.jpeg(rgb, 95),
    "JPEG 70": lambda rgb, rng: chains.jpeg(rgb, 70),
    "JPEG 50": lambda rgb, rng: chains.jpeg(rgb, 50),
    "JPEG 30": lambda rgb, rng: chains.jpeg(rgb, 30),
    "half size": lambda rgb, rng: chains.resize(rgb, 0.5),
    "quarter size": lambda rgb, rng: chains.resize(rgb, 0.25),
    "blur, sigma 1.5": lambda rgb, rng: chains.blur(rgb, 1.5),
    "noise, sigma 8": lambda rgb, rng: chains.noise(rgb, 8, rng),
    "brighter by 30 %": lambda rgb, rng: chains.brightness(rgb, 1.3),
    "darker by 30 %": lambda rgb, rng: chains.brightness(rgb, 0.7),
    "screenshot": chains.screenshot,
}
"""Applied to the crop as it is in the set, 192 px; what is drawn is drawn from the picture's number."""


def degrade(full: Crops, condition: str) -> Crops:
    """(n, 192, 192, 3) crops through one condition, then reduced to the network's (n, 160, 160, 3)."""
    steps = CONDITIONS[condition]
    made = [steps(rgb, np.random.default_rng(number)) for number, rgb in enumerate(full)]
    return np.stack([cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for rgb in made]).astype(np.uint8)
