"""From the state of a finished run to the verdict record."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime
from importlib.metadata import version

from ..tools import weights
from ..tools.evidence import ModelCard
from . import chat_models, fusion
from .record import EvidenceInfo, ExplanationInfo, GroundingInfo, ModelInfo, OptionsInfo, ReasoningInfo, Record
from .state import Context, Json, State, from_json

SECTIONS = ("observations", "interpretation", "conclusion")


def make_record(subject: str, state: State, context: Context) -> Json:
    """The record of one subject, validated, as JSON types."""
    evidence = [from_json(item) for item in state["evidence"] if item["face"] in (None, subject)]
    models = _models(state, subject, context, [item.model for item in evidence if item.model])
    record = Record(
        id=f"fw_{uuid.uuid4().hex}",
        created_at=datetime.now(UTC),
        software=f"facewitness {version('facewitness')}",
        image=state["image"],
        comparison=_comparison(state, context),
        question=state["question"],
        options=OptionsInfo(commercial_only=context.commercial_only),
        faces=state["faces"],
        subject=subject or None,
        verdict=state["decisions"][subject],
        evidence=[evidence_info(item) for item in state["evidence"] if item["face"] in (None, subject)],
        explanation=_explanation(subject, state, context),
        models=[ModelInfo(**model) for model in models],
        timings_ms=_timings(state["timings_ms"], subject)
        | {"total": round((time.perf_counter() - context.started) * 1000, 2)},
    )
    return record.model_dump(mode="json", by_alias=True)


def evidence_info(item: Json) -> EvidenceInfo:
    """Evidence as a record holds it; raises ``pydantic.ValidationError`` where it cannot."""
    return EvidenceInfo(
        **{key: item[key] for key in EvidenceInfo.model_fields if key != "model"},
        model=item["model"]["name"] if item["model"] else None,
    )


def _timings(taken: dict[str, float], subject: str) -> dict[str, float]:
    """Without the tools that looked at another face; what ``nodes.examine`` notes by tool and face goes by the tool."""
    named = {stage: stage.partition("@") for stage in taken}
    return {name: taken[stage] for stage, (name, at, face) in named.items() if not at or face == subject}


def _comparison(state: State, context: Context) -> Json | None:
    if not context.references:
        return None
    kinds = ["photos"] * bool(state["references"]) + ["enrolled person"] * context.person
    kind = " and ".join(kinds)
    return {"kind": kind, "references": len(context.references), "images": state["references"]}


def _explanation(subject: str, state: State, context: Context) -> ExplanationInfo:
    claims, written_by = state["claims"][subject], state["written_by"][subject]
    writer = context.model if written_by == "model" else None

    def text(section: str) -> str:
        return " ".join(claim["text"] for claim in claims if claim["section"] == section)

    return ExplanationInfo(
        summary=text("summary"),
        claims=[{key: claim[key] for key in ("text", "evidence", "supported")} for claim in claims],
        reasoning=ReasoningInfo(**{section: text(section) for section in SECTIONS}),
        written_by=written_by,
        model=None if writer is None else chat_models.describe(writer).name,
        why_template=state["why_template"].get(subject),
        grounding=_grounding(state["grounding"].get(subject)),
    )


def _grounding(counts: Json | None) -> GroundingInfo | None:
    return None if counts is None else GroundingInfo(**counts, regenerated=counts["refused"] - counts["dropped"])


def _models(state: State, subject: str, context: Context, used: list[ModelCard]) -> list[Json]:
    """Every model that took part: detection, tools, fusion, and the language model if it wrote."""
    cards = [weights.card("yunet"), *used, fusion.card()]
    if context.model is not None and state["written_by"][subject] == "model":
        cards.append(chat_models.describe(context.model))
    unique = {(card.name, card.sha256): card for card in cards}
    return [{key: getattr(card, key) for key in ModelInfo.model_fields} for card in unique.values()]
