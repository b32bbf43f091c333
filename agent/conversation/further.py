"""Which further measurements a question needs, and the record with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from ...errors import FacewitnessError, NotAssessable, NotMeasurable
from ...tools.evidence import Evidence
from ...tools.face import FaceView, Reference
from ...tools.registry import PhotoTool, tools
from .. import chat_models, lookers, looking, relevance, sight
from ..examine import references_for
from ..plan import MANDATORY_WITH_REFERENCES
from ..record import Record
from . import counterfactual, measuring, records
from .intents import Intent
from .state import Context, Talk, measured

Measure = Callable[[], list[Evidence]]


def needed(intent: Intent, state: Talk, record: Record, context: Context) -> Iterator[tuple[str, Measure]]:
    """Name and function of each measurement that the question needs and the record lacks."""
    known = {item.measure for item in record.evidence}
    if intent.kind == "compare":
        yield from comparison(intent, state, known, context)
    elif intent.kind == "would_change" and record.verdict.assessable:
        brief = records.brief_of(record)
        yield counterfactual.TOOL, partial(counterfactual.changes, brief.evidence, brief.decision)
    elif intent.kind == "zoom":
        for region in intent.parts or ("face",):
            if f"{measuring.ZOOM}.{region}.blur" not in known:
                yield measuring.ZOOM, partial(_zoomed, context, region)
    elif intent.kind == "not_measured" and "identity.similarity" not in known and record.verdict.assessable:
        yield "identity", partial(_run, "identity", context)  # says why it was not compared
    elif intent.kind == "scale":
        yield measuring.SCALE, partial(_scaled, context, intent.scale or 0.5)
    elif intent.kind == "provenance":
        yield from of_file(known, context)
    elif intent.kind == "sensitive" and f"{sight.TOOL}.{intent.attribute}" not in known:
        yield from _perceived(intent.attribute or "", context)
    elif intent.kind in ("topic", "part"):
        yield from missing_tools(relevance.tools_for(state["question"]), record, context)


def _perceived(attribute: str, context: Context) -> Iterator[tuple[str, Measure]]:
    """Only by an adapter that was taught to; whether the policy allows the attribute was asked before."""
    if attribute in sight.PERCEIVED and context.model and chat_models.abilities(context.model).attributes:
        yield sight.TOOL, partial(_looked, attribute, lookers.Served(context.model), context)


def _looked(attribute: str, looker: sight.Looker, context: Context) -> list[Evidence]:
    return [looking.perceived(_assessable(context), looker, attribute)]


def _zoomed(context: Context, region: str) -> list[Evidence]:
    return measuring.zoom(_assessable(context), region)


def _scaled(context: Context, scale: float) -> list[Evidence]:
    return measuring.at_scale(_assessable(context), scale)


def _assessable(context: Context) -> FaceView:
    try:
        return context.view
    except NotAssessable as error:
        raise NotMeasurable(str(error)) from error


def comparison(intent: Intent, state: Talk, known: set[str], context: Context) -> Iterator[tuple[str, Measure]]:
    """With all references at hand, where there are new ones or nothing was compared yet."""
    fresh = bool(state["photos"] or intent.name) or "identity.similarity" not in known
    if fresh and (context.references or intent.name):
        for name in MANDATORY_WITH_REFERENCES:
            yield name, partial(_compared, name, intent, context)


def _compared(name: str, intent: Intent, context: Context) -> list[Evidence]:
    return _run(name, context, references_of(context, intent.name))


def references_of(context: Context, name: str | None) -> Sequence[Reference]:
    """Those at hand, and the templates of an enrolled person who is named.

    Raises:
        NotMeasurable: The person's templates cannot be compared with this photo.
    """
    if name is None or name == context.person:
        return context.references
    try:
        return [*context.references, *references_for(context.photo, (), name, context.people)]
    except FacewitnessError as error:
        raise NotMeasurable(str(error)) from error


def of_file(known: set[str], context: Context) -> Iterator[tuple[str, Measure]]:
    """When the file says that it was taken, and what the tools of the file have not told yet."""
    if "provenance.taken" not in known:
        yield "provenance", partial(measuring.taken, context.photo)
    if not any(measure.startswith("compression_traces") for measure in known) and context.subject:
        yield "compression_traces", partial(_run, "compression_traces", context)


def missing_tools(names: Iterable[str], record: Record, context: Context) -> Iterator[tuple[str, Measure]]:
    """Tools of the examination that were left out, since another question narrowed its plan."""
    ran = {item.tool for item in record.evidence}
    for name, tool in tools().items():
        possible = isinstance(tool, PhotoTool) or record.verdict.assessable
        if possible and name in names and name not in ran and name not in MANDATORY_WITH_REFERENCES:
            yield name, partial(_run, name, context)


def _run(name: str, context: Context, references: Sequence[Reference] = ()) -> list[Evidence]:
    tool = tools()[name]
    if isinstance(tool, PhotoTool):
        return tool.measure(context.photo)
    return tool.measure(_assessable(context), references)


def added(
    record: Record, jobs: Iterable[tuple[str, Measure]], context: Context, references: Sequence[Reference] = ()
) -> tuple[Record, list[str]]:
    """The record with what the jobs measured, and the ids of it; what it says already is not said again."""
    found = [item for name, job in jobs for item in measured(context, name, job)]
    said = {(item.measure, item.finding) for item in record.evidence}
    new = [item for item in found if (item.measure, item.finding) not in said]
    if not new:
        return record, []
    record, numbered = records.extended(record, new, references)
    context.pictures.update({item.id: item.picture for item in numbered if item.picture is not None})
    return record, [item.id for item in numbered]
