"""Traces of manipulation or synthesis: there is no detector yet, and that is said."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ToolUnavailable
from .evidence import Evidence
from .face import FaceView, Reference
from .registry import FaceTool


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    raise ToolUnavailable("There is no forgery detector yet, so traces of manipulation or synthesis were not measured.")


TOOL = FaceTool(name="forgery", title="Looking for traces of forgery", measure=_measure)
