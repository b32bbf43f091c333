"""What was measured part by part of a face: one row for each part instead of a finding for each measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..agent.record import EvidenceInfo

TOOLS = {"manipulation": "Altered", "reference_comparison": "Likeness"}
"""Tools that measure each part, with the heading of what they measure: alteration, likeness to the references."""
WHOLE = "face"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the face.

    Attributes:
        name: For example ``left eye``.
        found: Evidence by tool; a tool that said nothing of this part is missing.
    """

    name: str
    found: Mapping[str, EvidenceInfo]


def is_part(item: EvidenceInfo) -> bool:
    """Whether it measures a part of the face; ``manipulation.left_eye`` does, ``manipulation.face`` does not."""
    tool, _, name = item.measure.partition(".")
    measured = isinstance(item.value, float | int) and not isinstance(item.value, bool)
    return tool in TOOLS and name not in ("", WHOLE) and "." not in name and (measured or item.status != "ok")


def parts(evidence: Sequence[EvidenceInfo]) -> list[Part]:
    """Parts in the order in which they were first reported."""
    rows: dict[str, dict[str, EvidenceInfo]] = {}
    for item in filter(is_part, evidence):
        tool, _, name = item.measure.partition(".")
        rows.setdefault(name, {})[tool] = item
    return [Part(name.replace("_", " "), found) for name, found in rows.items()]


def columns(evidence: Sequence[EvidenceInfo]) -> dict[str, str]:
    """Headings of the tools that measured at least one part."""
    there = {item.tool for item in filter(is_part, evidence)}
    return {tool: heading for tool, heading in TOOLS.items() if tool in there}


def position(item: EvidenceInfo) -> str:
    """How the value stands to what is usual; empty where that was not measured."""
    if item.usual is None or not isinstance(item.value, float | int):
        return ""
    low, high = item.usual
    return "below usual" if item.value < low else "above usual" if item.value > high else "usual"
