"""The tools an examination can call: one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from .evidence import Evidence
from .face import FaceView, Reference
from .image import Photo

MODULES = (
    "quality", "head_pose", "identity", "reference_comparison", "action_units", "expression", "manipulation",
    "synthesis", "morph", "presentation_attack", "compression_traces", "provenance",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PhotoTool:
    """A capability that looks at the file as a whole.

    Attributes:
        name: Key in plans, timings and evidence.
        title: What a person reads while it runs.
        measure: Returns evidence; raises a ``ToolError`` when there is none to give.
    """

    name: str
    title: str
    measure: Callable[[Photo], list[Evidence]]


@dataclass(frozen=True, slots=True)
class FaceTool:
    """A capability that looks at one face, and at the faces to compare it with."""

    name: str
    title: str
    measure: Callable[[FaceView, Sequence[Reference]], list[Evidence]]


Tool = PhotoTool | FaceTool


@cache
def tools() -> dict[str, Tool]:
    """All tools by name, in the order in which their evidence is reported; plug-ins come last."""
    from .plugins import face_tools

    found: list[Tool] = [import_module(f".{module}", __package__).TOOL for module in MODULES]
    found += face_tools()
    return {tool.name: tool for tool in found}
