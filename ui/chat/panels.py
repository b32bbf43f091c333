"""The panels of the chat as HTML: every value escaped, every word of our own from ``en.toml``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from itertools import count, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from ...agent import fusion
from ...agent.record import EvidenceInfo
from ...agent.verdict import SINGLE_LABELS
from .. import heat, page
from ..wording import sentences
from .evaluation import MOST, Evaluation
from .session import Case, Session
from .stage import stage
from .text import ASSETS, words

if TYPE_CHECKING:
    from ...evals.runner import Row

DECIDING = 3
"""Findings on the verdict card; the rest is one click away."""
_SAID = count()  # Gradio does not show the same words again, which the page has hidden meanwhile


@cache
def _environment() -> Environment:
    made = page.environment(Path(ASSETS)).overlay()
    made.globals = {**made.globals, "t": words(), "needed": needed}
    return made


def render(template: str, **values: Any) -> str:
    """One panel; ``template`` without its ending."""
    return _environment().get_template(f"{template}.html.j2").render(**values).strip()


def needed(label: str) -> float:
    """Least probability at which fusion gives a label."""
    fitted = fusion.calibration()
    if label not in SINGLE_LABELS:
        return fitted.threshold
    limits = fitted.look.needed if fitted.look else next(iter(fitted.traces.values())).needed
    return limits[SINGLE_LABELS.index(label)]


def strip(session: Session) -> str:
    """Thumbnails of the photos, and what can be done with the one on screen."""
    if not session.cases:
        return ""
    labels = [case.record.verdict.label if case.record else None for case in session.cases]
    known = [Case(photo).thumbnail for photo in session.case.references] if session.case else []
    return render("strip", session=session, case=session.case, labels=labels, known=known)


def steps(case: Case | None) -> str:
    """How the examination goes, or went."""
    return render("steps", steps=case.steps) if case and case.steps else ""


def photo(case: Case | None) -> str:
    """The photo with its overlays; before the evidence is there, the photo alone."""
    if case is None:
        return ""
    height, width = case.photo.rgb.shape[:2]
    record = case.record
    values: dict[str, Any] = {"case": case, "record": record, "width": width, "height": height}
    if record is not None:
        assert case.found is not None
        values |= stage(record, case.photo.rgb, case.found.pictures, case.references)
        values["scale"] = page.png_uri(heat.scale())
    return render("stage", **values)


def verdict(case: Case | None) -> str:
    """The verdict card."""
    record = case.record if case else None
    if record is None:
        return ""
    by_id = {item.id: item for item in record.evidence}
    deciding = [by_id[key] for key in record.verdict.deciding if key in by_id]
    return render("verdict", record=record, deciding=deciding[:DECIDING], more=deciding[DECIDING:], evidence=by_id)


def talk(case: Case | None) -> str:
    """The explanation, then the conversation."""
    record = case.record if case else None
    if case is None or case.found is None or record is None:
        return ""
    text = sentences(record.explanation)
    told = [(section, text[section]) for section in ("observations", "interpretation", "conclusion") if text[section]]
    known = {item.id: item for item in record.evidence}
    return render("talk", record=record, summary=text["summary"], told=told, turns=case.found.turns, evidence=known)


def evidence(case: Case | None) -> str:
    """All evidence by tool."""
    record = case.record if case else None
    if record is None:
        return ""
    deciding = {item.tool for item in record.evidence if item.id in record.verdict.deciding}
    return render("evidence", groups=by_tool(record.evidence), deciding=deciding, listed=record.evidence)


def by_tool(listed: Sequence[EvidenceInfo]) -> list[tuple[str, list[EvidenceInfo]]]:
    """Evidence in the order in which it was reported, by tool."""
    ordered = sorted(listed, key=lambda item: [one.tool for one in listed].index(item.tool))
    return [(tool, list(items)) for tool, items in groupby(ordered, lambda item: item.tool)]


def problem(what: str, then: str) -> str:
    """What went wrong, and what to do next."""
    return render("problem", what=what, then=then, said=next(_SAID))


def note(what: str, then: str) -> str:
    """Something that went well."""
    return render("note", what=what, then=then, said=next(_SAID))


def against(session: Session) -> str:
    """What the next photo will be compared with, and how to choose it."""
    return render("against", session=session, references=[Case(photo).thumbnail for photo in session.references])


def evaluation(held: Evaluation, show: str) -> str:
    """A run of ``facewitness eval``."""
    values = {"counts": held.counts(), "show": show, "rows": held.rows(show)[:MOST]}
    return render("evaluation", plan=held.run.plan, system=held.system, **values)


def sample(row: Row) -> str:
    """What such a run kept of a sample."""
    held = json.dumps({"item": row.item.to_json(), "answer": row.answer.to_json()}, indent=2, ensure_ascii=False)
    return render("sample", row=row, held=held)


@cache
def style() -> Markup:
    """Our own CSS."""
    return Markup((ASSETS / "chat.css").read_text("utf-8"))  # noqa: S704 - our own file
