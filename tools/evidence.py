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
    """Overlay in pixels of the upright photo.

    Attributes:
        points: Landmarks.
        outlines: Closed or open lines.
        heat: Map of what was found where, values 0..1, rows from top to bottom; a coarse one will do, it is smoothed.
        heat_box: x, y, width, height of what ``heat`` covers; not rotated, and may reach beyond the photo.

    Raises:
        ValueError: Heat without a box or the other way round, rows of unequal length, or a value outside 0..1.
    """

    points: tuple[tuple[float, float], ...] = ()
    outlines: tuple[tuple[tuple[float, float], ...], ...] = ()
    heat: tuple[tuple[float, ...], ...] = ()
    heat_box: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse a map that cannot be drawn, while the tool that made it can still be blamed."""
        if bool(self.heat) != (self.heat_box is not None):
            raise ValueError("heat and heat_box go together")
        if len({len(row) for row in self.heat}) > 1 or not all(0 <= value <= 1 for row in self.heat for value in row):
            raise ValueError("heat must have rows of one length with values in 0..1")
        if self.heat_box is not None and not (len(self.heat[0]) and min(self.heat_box[2:]) > 0):
            raise ValueError("heat must have columns, and its box a width and a height")


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
        usual: Least and greatest value that unaltered photos usually show, where that was measured.
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
    usual: tuple[float, float] | None = None


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
