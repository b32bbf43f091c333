"""Morphs: how probable it is that the face is blended from several people's, alone and against the references."""

from __future__ import annotations

from collections.abc import Sequence

from . import weights
from .evidence import Evidence, Region
from .face import FaceView, Reference
from .forensic_network import WEIGHTS
from .registry import FaceTool
from .trace_calibration import judged, printed


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    return [alone(view)]


def alone(view: FaceView) -> Evidence:
    """How probable it is that the face was blended, from this photo alone.

    Raises:
        NotMeasurable: The face is unlike what the network was trained on.
    """
    probability = judged(view).alone["morph"]
    return Evidence(
        "morph.face",
        "morph",
        f"The probability that the face was blended from several people is {printed(probability):.2f} at even odds.",
        printed(probability),
        probability=probability,
        region=Region(*view.face.box),
        model=weights.card(WEIGHTS),
    )


TOOL = FaceTool(name="morph", title="Looking for blended faces", measure=_measure)
