"""The tools that a model may call for a question, with strict schemas, and what becomes of each call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import FacewitnessError
from ..record import EvidenceInfo, Record
from . import further, measuring
from .intents import Intent
from .standing import last_comparison, standing
from .state import Context, Json, Talk

Region = Literal["face", "left_eye", "right_eye", "nose", "mouth", "skin", "hairline", "boundary"]
Compared = Literal["face", "left_eye", "right_eye", "nose", "mouth", "skin", "contour"]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Zoom(_Arguments):
    """Measure one part of the face again at full resolution: blur, map of alterations, traces of resizing."""

    region: Region


class Compare(_Arguments):
    """Compare one part of the face, or the whole face, with the reference photos."""

    region: Compared


class DetectAtScale(_Arguments):
    """Run the forgery detectors on the photo at another size, 1 being its own."""

    scale: Annotated[float, Field(ge=measuring.SCALES[0], le=measuring.SCALES[1])]


class ProvenanceDetail(_Arguments):
    """Read in detail what the file says of its origin and of earlier savings."""


TOOLS: dict[str, type[_Arguments]] = {
    "zoom": Zoom,
    "compare": Compare,
    "detect_at_scale": DetectAtScale,
    "provenance_detail": ProvenanceDetail,
}
OUTCOMES = ("made", "unknown", "malformed", "repeated", "refused", "over_budget")


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a call.

    Attributes:
        outcome: One of ``OUTCOMES``.
        text: For the model.
        record: With what was measured.
        measured: Ids of that.
        show: Part of the face to show to a model that sees pictures.
    """

    outcome: str
    text: str
    record: Record
    measured: tuple[str, ...] = ()
    show: str | None = None


def schemas() -> list[Json]:
    """The tools in the form of the OpenAI protocol, strict."""
    return [
        {
            "type": "function",
            "function": {
                "name": name,
                "description": arguments.__doc__,
                "strict": True,
                "parameters": _parameters(arguments),
            },
        }
        for name, arguments in TOOLS.items()
    ]


def _parameters(arguments: type[_Arguments]) -> Json:
    schema = arguments.model_json_schema()
    return {key: schema[key] for key in ("type", "properties", "additionalProperties")} | {
        "required": list(schema["properties"])
    }


def answer(call: Json, state: Talk, record: Record, context: Context, earlier: Sequence[str]) -> Answered:
    """Do what a model asks for, or say why not.

    Args:
        call: ``name`` and ``args`` as the model gave them; ``args`` is None where they are no JSON object.
        state: Of the turn.
        record: So far.
        context: Of the turn.
        earlier: Signatures of the calls before.
    """
    arguments = TOOLS.get(call["name"])
    if arguments is None:
        return Answered("unknown", f"There is no tool of that name. There are: {', '.join(TOOLS)}.", record)
    try:
        asked = arguments.model_validate(call["args"])
    except ValidationError as error:
        return Answered("malformed", f"The arguments do not fit the schema: {_fault(error)}.", record)
    if signature(call) in earlier:
        return Answered("repeated", "This was asked before; its answer stands above.", record)
    try:
        return _done(asked, state, record, context)
    except FacewitnessError as error:
        return Answered("refused", str(error), record)


def signature(call: Json) -> str:
    """The same for calls that ask for the same."""
    return json.dumps([call["name"], call["args"]], sort_keys=True, default=str)


def _fault(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}"


def _done(asked: _Arguments, state: Talk, record: Record, context: Context) -> Answered:
    intent, prefixes = _intent(asked, state)
    if isinstance(asked, Compare) and not context.references and record.comparison is None:
        return Answered("refused", "There are no references to compare with.", record)
    record, new = further.measure(intent, state, record, context)
    stands = last_comparison(record.evidence) if isinstance(asked, Compare) else standing(record.evidence)
    told = [item for item in stands if item.id in new or item.measure.startswith(prefixes)]
    show = asked.region if isinstance(asked, Zoom) else None
    return Answered("made", _as_json(told), record, tuple(new), show)


def _intent(asked: _Arguments, state: Talk) -> tuple[Intent, tuple[str, ...]]:
    """What the rules call it, and how the measures begin that answer it."""
    if isinstance(asked, Zoom):
        parts = () if asked.region == "face" else (asked.region,)
        return Intent("zoom", parts), (f"{measuring.ZOOM}.{asked.region}.",)
    if isinstance(asked, Compare):
        # The person whom the question names: consent was given before a model is asked.
        return Intent("compare", name=state["intent"]["name"]), ("identity", f"reference_comparison.{asked.region}")
    if isinstance(asked, DetectAtScale):
        return Intent("scale", scale=asked.scale), (f"{measuring.SCALE}.{round(100 * asked.scale)}.",)
    return Intent("provenance"), ("provenance.", "compression_traces.")


def _as_json(items: Sequence[EvidenceInfo]) -> str:
    kept = [{"id": item.id, "finding": item.finding, "status": item.status} for item in items]
    return json.dumps(kept, ensure_ascii=False)
