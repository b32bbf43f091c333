"""Face quality: what is measured, and the gate below which a face cannot be examined."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..errors import NotAssessable, NotMeasurable
from . import weights
from .alignment import align
from .evidence import Evidence, ModelCard, Region
from .face import FaceView, Floats, Reference
from .image import RGBImage
from .registry import FaceTool

SIZE_MIN = 32
"""Pixels on the shorter side. Cosine to another photo of the person with SFace falls from 0.74 to 0.68 at 32 px and to
0.40 at 16 px."""

BLUR_MAX = 4.5
"""Pixels at 112 px. Measured on FRLL and LFW by blurring one photo of each genuine pair: at this blur about half of the
LFW pairs fall below SFace's threshold of 0.363; sharp photos have 0.7 to 1.8."""

YAW_MAX = 60.0
"""Degrees. Beyond it the farther eye is hidden and the mesh guesses half of the face; chosen, not measured."""

CLIPPED = (5, 250)
"""Luminance at or beyond which a pixel carries no shading."""

_PROBE = 3.0
_INNER = (slice(20, 108), slice(16, 96))
"""Rows and columns of the 112 px crop that show face rather than background."""


def assess(view: FaceView) -> None:
    """Refuse a face that cannot be examined.

    Raises:
        NotAssessable: ``too_small``, ``turned_away`` or ``too_blurred``; the message says what was measured and needed.
    """
    if view.face.size < SIZE_MIN:
        raise NotAssessable(
            "too_small", f"The face is {view.face.size:.0f} px on its shorter side; at least {SIZE_MIN} px are needed."
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
        raise NotAssessable("turned_away", f"The face is turned away or covered. {error}") from error
    if yaw > YAW_MAX:
        raise NotAssessable(
            "turned_away", f"The head is turned {yaw:.0f} degrees to the side; at most {YAW_MAX:.0f} can be examined."
        )


def blur(crop: RGBImage) -> float:
    """Standard deviation in pixels of the Gaussian blur that the edges of an aligned 112 px crop have had.

    The crop is blurred once more by 3 px. For edges, gradient energy falls with the inverse of the total blur, so the
    ratio of the energies before and after gives the first blur; contrast and brightness cancel.
    """
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    energy = _gradient_energy(grey)
    if energy == 0:
        return float("inf")
    ratio = _gradient_energy(cv2.GaussianBlur(grey, (0, 0), _PROBE).astype(np.float32)) / energy
    return float("inf") if ratio >= 1 else float(_PROBE * np.sqrt(ratio / (1 - ratio)))


def _gradient_energy(grey: Floats) -> float:
    inner = grey[_INNER]
    return float((np.diff(inner, axis=0) ** 2).mean() + (np.diff(inner, axis=1) ** 2).mean())


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
