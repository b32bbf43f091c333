"""Words for the verdict: a model writes them, the check refuses sentences, and what fails twice is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import asdict
from typing import Any, TypeVar

from langgraph.runtime import Runtime

from ..errors import FacewitnessError, ModelError, ModelUnavailable
from . import explain, grounding, template
from .drafting import Told
from .nodes import about
from .running import step, within
from .state import Context, Json, State, from_json
from .verdict import SECTIONS, Brief, Claim, Decision, Reason, Section

REVISIONS = 1
T = TypeVar("T")


@step
def reason(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Let the model write, or write anew the sentences that were refused; where no model can, the template writes."""
    claims, written_by, why = dict(state["claims"]), dict(state["written_by"]), dict(state["why_template"])
    for subject in state["decisions"]:
        brief = _brief(subject, state, runtime.context)
        if subject not in claims:
            written, written_by[subject], why[subject] = _written(brief, runtime.context, _teller(runtime, subject))
        elif _refused(subject, state):
            written = _rewritten(_claims(subject, state), brief, runtime.context)
        else:
            continue
        claims[subject] = [asdict(claim) for claim in written]
    return {"claims": claims, "written_by": written_by, "why_template": why, "attempts": state["attempts"] + 1}


def _brief(subject: str, state: State, context: Context) -> Brief:
    """What the explanation of one subject's verdict may rest on."""
    decision = dict(state["decisions"][subject])
    decision["reasons"] = tuple(Reason(**reason) for reason in decision["reasons"])
    decision["deciding"] = tuple(decision["deciding"])
    evidence = about([from_json(item) for item in state["evidence"]], subject)
    return Brief(evidence, Decision(**decision), state["question"], len(context.references))


def _claims(subject: str, state: State) -> tuple[Claim, ...]:
    return tuple(Claim(**{**claim, "evidence": tuple(claim["evidence"])}) for claim in state["claims"][subject])


def _refused(subject: str, state: State) -> bool:
    """Whether a model wrote the text and a sentence of it is not supported."""
    return state["written_by"][subject] == "model" and not all(c["supported"] for c in state["claims"][subject])


def _teller(runtime: Runtime[Context], subject: str) -> Told:
    """Passes on what the model writes, as it writes it; nothing of it is checked yet."""
    context = copy_context()  # the model calls from a context of its own, where the stream is not known

    def told(number: int, section: str, text: str) -> None:
        draft = {"sentence": number, "section": section, "text": text}
        context.run(runtime.stream_writer, {"stage": "reason", "status": "writing", "face": subject, **draft})

    return told


def _written(brief: Brief, context: Context, told: Told) -> tuple[Sequence[Claim], str, str | None]:
    """The text, who wrote it, and, for the template, why."""
    try:
        if context.model is None or not brief.decision.assessable:
            raise ModelError("no model was asked for" if context.model is None else "there is nothing to reason on")
        model, image = context.model, context.photo.rgb
        return _in_time(context, lambda: explain.write(brief, model, image, told)), "model", None
    except Exception as error:  # noqa: BLE001 - a verdict never fails for want of a model
        fault = str(error).rstrip(".") if isinstance(error, FacewitnessError) else type(error).__name__
        return template.write(brief), "template", fault


def _rewritten(claims: tuple[Claim, ...], brief: Brief, context: Context) -> tuple[Claim, ...]:
    """The text with its refused sentences anew; as it was, if the model no longer answers."""
    model, image = context.model, context.photo.rgb
    assert model is not None
    try:
        return _in_time(context, lambda: explain.rewrite(claims, brief, model, image))
    except Exception:  # noqa: BLE001 - what was refused is dropped then
        return claims


def _in_time(context: Context, write: Callable[[], T]) -> T:
    """What is written, unless it takes too long."""
    seconds = context.model_seconds
    try:
        return within(seconds, write)
    except TimeoutError:
        raise ModelUnavailable(f"The language model did not finish within {seconds:g} seconds.") from None


@step
def check_grounding(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Check every sentence against the evidence it cites; after the revision, drop what is still not supported."""
    claims, written_by, why = dict(state["claims"]), dict(state["written_by"]), dict(state["why_template"])
    counts = dict(state["grounding"])
    for subject in claims:
        brief = _brief(subject, state, runtime.context)
        checked = grounding.check(_claims(subject, state), brief)
        if written_by[subject] == "model":
            failed = sum(not claim.supported for claim in checked)
            first: Json = {"written": len(checked), "refused": failed, "dropped": 0, "from_template": []}
            counts.setdefault(subject, first)
            if failed and state["attempts"] > REVISIONS:
                if failed == len(checked):
                    written_by[subject], why[subject] = "template", "the check refused every sentence of the model"
                checked, emptied = _settled(checked, brief)
                counts[subject] = {**counts[subject], "dropped": failed, "from_template": emptied}
        claims[subject] = [asdict(claim) for claim in checked]
    return {"claims": claims, "written_by": written_by, "why_template": why, "grounding": counts}


def _settled(checked: Sequence[Claim], brief: Brief) -> tuple[tuple[Claim, ...], list[Section]]:
    """The supported sentences; a section that is left without one gets the template's, and is named."""
    kept = [claim for claim in checked if claim.supported]
    emptied = [name for name in SECTIONS if name in {c.section for c in checked} - {c.section for c in kept}]
    fixed = [claim for claim in template.write(brief) if claim.section in emptied]
    whole = sorted([*kept, *fixed], key=lambda claim: SECTIONS.index(claim.section))
    return grounding.check(whole, brief), emptied


def needs_revision(state: State) -> bool:
    """Whether a model's text has unsupported sentences and an attempt is left."""
    return state["attempts"] <= REVISIONS and any(_refused(subject, state) for subject in state["claims"])
