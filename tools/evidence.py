"""What a forensic tool hands over: measurements that name their own source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import NotMeasurable, ToolError, ToolUnavailable, WeightsError

Status = Literal["ok", "not_measurable", "unavailable", "failed"]
Value = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Identity and terms of one set of weights (or of one algorithm without weights).

    Attributes:
        name: Key in the weights manifest, for example ``sface``.
        version: Publisher's version or date.
        sha256: Hex digest of the file in use; None for an algorithm without weights.
        licence: SPDX identifier.
        commercial_use: Whether the licence of the weights allows it; None where that is not known.
    """

    name: str
    version: str
    sha256: str | None
    licence: str
    commercial_use: bool | None


@dataclass(frozen=True, slots=True)
class Region:
    """Where in the upright photo: x, y, width, height in pixels, and a name such as ``mouth``."""

    x: float
    y: float
    width: float
    height: float
    name: str = "face"


@dataclass(frozen=True, slots=True)
class Picture:
    """Vector overlay in pixels of the upright photo: landmark points and closed or open outlines."""

    points: tuple[tuple[float, float], ...] = ()
    outlines: tuple[tuple[tuple[float, float], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measurement.

    Attributes:
        measure: Stable key ``tool.what``, for example ``identity.similarity``; unique within a tool and face
            (several references or units append a part: ``action_units.AU12``).
        tool: Name of the tool.
        finding: One plain English sentence that states the measurement; every number in it is ``value``,
            or is named in ``numbers``.
        value: The measurement itself.
        unit: ``px``, ``deg``, ``cosine``, ``dB`` …; None for a pure number or a word.
        probability: Calibrated probability, only where a calibration was fitted.
        numbers: Further numbers that ``finding`` states (thresholds, ranges), so that text can be checked.
        region: Where it was measured.
        picture: Overlay to draw, never pixels of the photo.
        status: ``ok``, or why there is no value.
        model: What produced it; None if no model or algorithm ran.
        id: Short citation key (``e1`` …), given when all evidence of an examination is collected.
        face: Face id (``f1`` …) or None for evidence about the whole photo.
    """

    measure: str
    tool: str
    finding: str
    value: Value = None
    unit: str | None = None
    probability: float | None = None
    numbers: tuple[float, ...] = ()
    region: Region | None = None
    picture: Picture | None = field(default=None, compare=False)
    status: Status = "ok"
    model: ModelCard | None = None
    id: str = ""
    face: str | None = None


def without_value(tool: str, error: BaseException, measure: str | None = None) -> Evidence:
    """Evidence that says a tool gave none, and why; an unexpected error shows only its type."""
    status: Status = "failed"
    if isinstance(error, NotMeasurable):
        status = "not_measurable"
    elif isinstance(error, ToolUnavailable | WeightsError):
        status = "unavailable"
    reason = (
        str(error)
        if isinstance(error, ToolError | WeightsError)
        else f"The {tool} tool failed ({type(error).__name__})."
    )
    return Evidence(measure=measure or tool, tool=tool, finding=reason, status=status)
