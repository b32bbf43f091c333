"""Synthesis: how probable it is that a whole face was drawn by a generator."""

from __future__ import annotations

from collections.abc import Sequence

from . import weights
from .evidence import Evidence, Region
from .face import FaceView, Reference
from .forensic_network import WEIGHTS
from .registry import FaceTool
from .trace_calibration import judged, printed


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    return [face(view)]


def face(view: FaceView) -> Evidence:
    """How probable it is that a generator drew the face.

    Raises:
        NotMeasurable: The face is unlike what the network was trained on.
    """
    probability = judged(view).alone["synthesis"]
    return Evidence(
        "synthesis.face",
        "synthesis",
        f"The probability that the whole face was generated is {printed(probability):.2f} at even odds.",
        printed(probability),
        probability=probability,
        region=Region(*view.face.box),
        model=weights.card(WEIGHTS),
    )


TOOL = FaceTool(name="synthesis", title="Looking for traces of a generator", measure=_measure)
