"""The record of an examination as evidence again, and the record with what a question added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ...tools.evidence import Evidence, ModelCard, Region
from ...tools.face import Reference
from .. import fusion, grounding, relevance, template
from ..examine import image_info
from ..record import ClaimInfo, ComparisonInfo, ExplanationInfo, ModelInfo, ReasoningInfo, Record, VerdictInfo
from ..reporting import SECTIONS, evidence_info
from ..state import to_json
from ..verdict import Brief, Decision, Reason
from .standing import DECIDE, standing

ANEW = "the verdict was computed anew in a conversation"


def evidence_of(record: Record) -> tuple[Evidence, ...]:
    """All of the record's evidence, without overlays; numbers that a finding states are read from its text."""
    cards = {model.name: ModelCard(**model.model_dump()) for model in record.models}
    return tuple(
        Evidence(
            **{key: getattr(item, key) for key in ("measure", "tool", "finding", "value", "unit", "probability")},
            region=Region(**item.region.model_dump()) if item.region else None,
            status=item.status,
            model=cards.get(item.model or ""),
            id=item.id,
            face=item.face,
            usual=item.usual,
        )
        for item in record.evidence
    )


def decision_of(record: Record) -> Decision:
    """The record's verdict."""
    verdict = record.verdict
    return Decision(
        verdict.label,
        dict(verdict.probabilities),
        verdict.abstained,
        verdict.assessable,
        tuple(Reason(reason.code, reason.text) for reason in verdict.reasons),
        tuple(verdict.deciding),
    )


def brief_of(record: Record, question: str | None = None, cited: Sequence[str] = ()) -> Brief:
    """All that an answer may rest on: the evidence that stands, and what the question cites by its id."""
    references = record.comparison.references if record.comparison else 0
    every = evidence_of(record)
    ids = {*cited, *(item.id for item in standing(every))}
    kept = tuple(item for item in every if item.id in ids)
    return Brief(kept, decision_of(record), relevance.clean(question), references)


def extended(
    record: Record, found: Sequence[Evidence], references: Sequence[Reference] = ()
) -> tuple[Record, tuple[Evidence, ...]]:
    """The record with further evidence, and that evidence with its ids.

    Where something is new that fusion weighs, the verdict is computed anew, by fusion and from all evidence that
    stands, the latest of each measure; the explanation is the template's then, since the old one speaks of the old
    verdict.

    Args:
        record: Of one subject.
        found: Measured since; without ids.
        references: What the subject was compared with, if it was.
    """
    last = max((int(item.id[1:]) for item in record.evidence), default=0)
    numbered = tuple(
        replace(item, id=f"e{n}", face=item.face or record.subject) for n, item in enumerate(found, last + 1)
    )
    cards = {model.name: model for model in record.models}
    for item in numbered:
        if item.model is not None:
            cards.setdefault(item.model.name, ModelInfo(**asdict(item.model)))
    changes: dict[str, Any] = {
        "evidence": [*record.evidence, *(evidence_info(to_json(item)) for item in numbered)],
        "models": list(cards.values()),
    }
    record = record.model_copy(update=changes)
    if record.verdict.assessable and DECIDE & {item.measure for item in numbered}:
        record = _decided(record, references)
    return record, numbered


def _decided(record: Record, references: Sequence[Reference]) -> Record:
    if references:
        record = record.model_copy(update={"comparison": compared_with(references)})
    decision = fusion.decide(standing(evidence_of(record)), with_references=record.comparison is not None)
    if decision == decision_of(record):
        return record
    record = record.model_copy(update={"verdict": VerdictInfo.model_validate(asdict(decision))})
    return Record.model_validate(record.model_copy(update={"explanation": _explained(record)}).model_dump())


def compared_with(references: Sequence[Reference]) -> ComparisonInfo:
    """What a record says of references, at least one."""
    photos = [image_info(reference.view.photo) for reference in references if reference.view]
    kinds = ["photos"] * bool(photos) + ["enrolled person"] * (len(photos) < len(references))
    facts = {"kind": " and ".join(kinds), "references": len(references), "images": photos}
    return ComparisonInfo.model_validate(facts)


def _explained(record: Record) -> ExplanationInfo:
    brief = brief_of(record, record.question)
    claims = grounding.check(template.write(brief), brief)
    text = {
        section: " ".join(claim.text for claim in claims if claim.section == section)
        for section in ("summary", *SECTIONS)
    }
    return ExplanationInfo(
        summary=text.pop("summary"),
        claims=[ClaimInfo(text=c.text, evidence=list(c.evidence), supported=c.supported) for c in claims],
        reasoning=ReasoningInfo(**text),
        written_by="template",
        why_template=ANEW,
    )
