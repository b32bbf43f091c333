"""Morphs: how probable it is that the face is blended from several people's, alone and against the references."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import NotMeasurable, ToolError, WeightsError
from . import part_similarity, reference_comparison, weights
from .evidence import Evidence, Region, without_value
from .face import FaceView, Reference
from .forensic_network import WEIGHTS
from .registry import FaceTool
from .trace_calibration import judged, printed


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    if all(reference.view is None for reference in references):
        return [alone(view)]
    asked: dict[str, Callable[[], Evidence]] = {
        "morph.face": lambda: alone(view),
        "morph.against_references": lambda: against(view, references),
    }
    found = []
    for measure, ask in asked.items():
        try:
            found.append(ask())
        except (ToolError, WeightsError) as error:
            found.append(without_value("morph", error, measure))
    return found


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


def against(view: FaceView, references: Sequence[Reference]) -> Evidence:
    """How probable it is that the face was blended from the references' person and others, and is no own photo.

    Raises:
        NotMeasurable: There is no reference photo, or the face is too unlike it to be a blend with its person.
        ToolUnavailable: Only weights for commercial use are wanted.
    """
    found, fitted = reference_comparison.compared(view, references), part_similarity.fitted()
    cosine, least = round(found.cosine, 3), fitted.least_cosine
    if cosine < least:
        raise NotMeasurable(
            f"The face is too unlike {found.named} for a blend: the cosine is {cosine:.3f}, "
            f"and {least:.3f} is the limit."
        )
    own = reference_comparison.likeness(fitted.morph, part_similarity.of_face(found.table, found.cosine))
    probability = printed(1 - own)
    return Evidence(
        "morph.against_references",
        "morph",
        f"Against {found.named}, the probability that the face was blended with other people's is {probability:.2f} "
        "at even odds.",
        probability,
        probability=1 - own,
        numbers=found.counted,
        region=Region(*view.face.box),
        model=weights.card(part_similarity.WEIGHTS),
    )


TOOL = FaceTool(name="morph", title="Looking for blended faces", measure=_measure)
