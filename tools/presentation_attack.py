"""Print and replay attacks: not measured, since no test shows that it works, see docs/models/presentation_attack.md."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import NotMeasurable
from .evidence import Evidence
from .face import FaceView, Reference
from .registry import FaceTool


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    raise NotMeasurable(
        "Presentation attacks, a face shown on a screen or on paper, were not measured: there were no photos of real "
        "attacks to test a detector on."
    )


TOOL = FaceTool(name="presentation_attack", title="Looking for a screen or a print", measure=_measure)
