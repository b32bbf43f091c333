"""What a picture shows, as evidence that the model itself has to give: from true masks, never from a detector.

A region is *altered* where the mask covers enough of it and the pixels differ from the untouched photo, *untouched*
where the mask leaves it alone; of what lies between, nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...agent import sight as asked
from ...tools.evidence import Evidence
from ...tools.face import Floats
from ...tools.forensic_parts import parts
from ...tools.image import RGBImage
from .catalogue import view_of

TOOL = asked.TOOL
REGIONS: Mapping[str, tuple[str, ...]] = {
    "eyes": ("left_eye", "right_eye"),
    "nose": ("nose",),
    "mouth": ("mouth",),
    "skin": ("skin",),
    "outline": ("hairline", "boundary"),
}
"""What is looked at, and the parts of ``forensic_parts`` that it is made of."""
WORDS = asked.REGIONS
"""How each is named in a sentence."""

COVERED_MIN = 0.2
"""Mean weight of the mask over a region from which it counts as altered."""
DIFFERENCE_MIN = 4.0
"""Mean grey levels by which the altered pixels differ from the untouched photo; less is not seen in a face."""
UNTOUCHED_MAX = 0.03
"""Share of a region that the mask may graze."""
_GRAZED = 0.1  # weight from which a pixel counts as covered

Masks = Mapping[str, NDArray[np.bool_]]


class Made(NamedTuple):
    """A picture with the truth about it.

    Attributes:
        rgb: (256, 256, 3) uint8 RGB.
        base: The untouched photo, same shape; None where there never was one.
        mask: (256, 256) float32 in 0..1: 0 where nothing was altered; all 0 for a generated face.
        label: ``authentic``, ``manipulated`` or ``synthetic``.
        method: How it was made; ``real`` for a photo.
        people: Whose photos went into it.
        source: Where the photo is from.
    """

    rgb: RGBImage
    base: RGBImage | None
    mask: Floats
    label: str
    method: str
    people: tuple[str, ...]
    source: str


def masks(rgb: RGBImage) -> Masks:
    """(256, 256) mask of each of ``REGIONS``.

    Raises:
        NotMeasurable: There is no mesh.
    """
    found = parts(view_of(rgb))
    size = rgb.shape[1::-1]
    joined = {name: np.any([found[part] for part in of], axis=0) for name, of in REGIONS.items()}
    return {
        name: cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        for name, mask in joined.items()
    }


def altered(made: Made, where: Masks) -> dict[str, bool | None]:
    """By region: altered, untouched, or None where neither is clear."""
    base = made.rgb if made.base is None else made.base
    difference = np.abs(made.rgb.astype(np.float32) - base).mean(2)
    return {name: _altered(made.mask[inside], difference[inside]) for name, inside in where.items()}


def _altered(mask: Floats, difference: Floats) -> bool | None:
    covered = mask > _GRAZED
    if not covered.size:
        return None
    if covered.mean() <= UNTOUCHED_MAX:
        return False
    clear = mask.mean() >= COVERED_MIN and difference[covered].mean() >= DIFFERENCE_MIN
    return True if clear else None


def region(name: str, is_altered: bool) -> Evidence:
    """What one region shows."""
    show = "show" if name == "eyes" else "shows"
    finding = f"{WORDS[name].capitalize()} {show} {'an' if is_altered else 'no'} alteration."
    return Evidence(f"{TOOL}.{name}", TOOL, finding, "altered" if is_altered else "untouched")


def unreadable(name: str) -> Evidence:
    """A region of a picture that shows too little."""
    finding = f"{WORDS[name].capitalize()} cannot be examined: the picture is too blurred."
    return Evidence(f"{TOOL}.{name}", TOOL, finding, status="not_measurable")
