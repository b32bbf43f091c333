"""Face quality: what is measured, and the gate below which a face cannot be examined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NotAssessable, NotMeasurable
from . import weights
from .alignment import align
from .evidence import Evidence, ModelCard, Region
from .face import FaceView, Reference
from .image import RGBImage
from .registry import FaceTool

SIZE_MIN = 32
"""Pixels on the shorter side. Cosine to another photo of the person with SFace falls from 0.74 to 0.68 at 32 px and to
0.40 at 16 px."""

BLUR_MAX = 5.0
"""Pixels at 112 px: the median reading of 60 LFW photos under a Gaussian of 4 px, which takes 45 % of their genuine
pairs below SFace's threshold of 0.363. As published, those photos read at most 2.5.
The last step, from 5.5, was taken after seeing FRLL photos refused under blur, so no refusal rate there is a test."""

YAW_MAX = 60.0
"""Degrees. Beyond it the farther eye is hidden and the mesh guesses half of the face; chosen, not measured."""

CLIPPED = (5, 250)
"""Luminance at or beyond which a pixel carries no shading."""

_PROBES = (1.0, 3.0)
_INNER = (slice(20, 108), slice(16, 96))
"""Rows and columns of the 112 px crop that show face rather than background."""


def assess(view: FaceView) -> dict[str, float]:
    """Refuse a face that cannot be examined.

    Returns:
        What was measured: ``size_px``, ``blur_px`` (at a crop of 112 px) and ``yaw_deg``.

    Raises:
        NotAssessable: ``too_small``, ``turned_away`` or ``too_blurred``; the message says what was measured and needed.
    """
    if view.face.size < SIZE_MIN:
        raise NotAssessable(
            "too_small", f"The face is {view.face.size:.1f} px on its shorter side; at least {SIZE_MIN} px are needed."
        )
    blurred = blur(align(view.photo.rgb, view.face.points))
    if blurred > BLUR_MAX:
        raise NotAssessable(
            "too_blurred",
            f"The face has a blur of {blurred:.1f} px at a crop of 112 px; at most {BLUR_MAX} px can be examined.",
        )
    try:
        yaw = abs(view.pose.yaw)
    except NotMeasurable as error:
        why = str(error)  # joined to one sentence, as the check wants what the explanation repeats
        text = f"The face is turned away or covered: {why[:1].lower()}{why[1:]}"
        raise NotAssessable("turned_away", text) from error
    if yaw > YAW_MAX:
        raise NotAssessable(
            "turned_away", f"The head is turned {yaw:.0f} degrees to the side; at most {YAW_MAX:.0f} can be examined."
        )
    return {"size_px": round(view.face.size, 1), "blur_px": round(blurred, 1), "yaw_deg": round(view.pose.yaw, 1)}


def blur(crop: RGBImage) -> float:
    """Standard deviation in pixels of the Gaussian that has blurred an aligned 112 px crop, along the worse axis.

    In natural pictures gradient energy falls with the square of the total blur (power spectra fall with 1/f²), so the
    ratio of the energies after two further known blurs gives the first one. Contrast and brightness cancel, the lesser
    of the two removes noise, and the worse axis shows motion. Found for Gaussians of 2, 3, 4 and 5 px on FRLL (median
    of 40 faces): 2.9, 3.8, 4.7 and 5.6; below about 1.5 px it says nothing.

    Args:
        crop: (112, 112, 3) uint8, RGB, from ``alignment.align``.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    less, more = (_gradient_energy(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in _PROBES)
    if not less.all():
        return float("inf")
    ratio = np.minimum(more / less, 0.99)
    variance = (_PROBES[1] ** 2 * ratio - _PROBES[0] ** 2) / (1 - ratio)
    return float(np.sqrt(max(0.0, variance.max())))


def _gradient_energy(grey: NDArray[Any]) -> NDArray[np.float64]:
    """Mean squared step downwards and rightwards within the face."""
    inner = grey[_INNER].astype(np.float64)
    return np.array([(np.diff(inner, axis=axis) ** 2).mean() for axis in (0, 1)])


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    crop = align(view.photo.rgb, view.face.points)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[_INNER]
    size, brightness = round(view.face.size), round(float(grey.mean()))
    clipped = round(100 * float(((grey <= CLIPPED[0]) | (grey >= CLIPPED[1])).mean()))
    blurred, norm = round(blur(crop), 1), round(float(np.linalg.norm(view.feature)), 1)
    return [
        _item(view, "size", size, f"The face is {size} px on its shorter side.", "px"),
        _item(
            view,
            "blur",
            blurred,
            f"The face has a blur of {blurred} px at a crop of 112 px; above {BLUR_MAX} px it cannot be examined.",
            "px",
            (112, BLUR_MAX),
        ),
        _item(view, "brightness", brightness, f"The face has a mean brightness of {brightness} of 255.", None, (255,)),
        _item(view, "clipped", clipped, f"{clipped} % of the face is clipped to black or white.", "%"),
        _item(
            view,
            "feature_norm",
            norm,
            f"The length of the identity feature, which falls with quality, is {norm}.",
            None,
            (),
            weights.card("sface"),
        ),
    ]


def _item(
    view: FaceView,
    what: str,
    value: float,
    finding: str,
    unit: str | None,
    numbers: tuple[float, ...] = (),
    model: ModelCard | None = None,
) -> Evidence:
    region = Region(*view.face.box)
    return Evidence(f"quality.{what}", "quality", finding, value, unit, numbers=numbers, region=region, model=model)


TOOL = FaceTool(name="quality", title="Measuring photo quality", measure=_measure)
