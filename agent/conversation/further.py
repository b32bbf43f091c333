"""Which further measurements a question needs, and the record with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from ...errors import FacewitnessError, NotAssessable, NotMeasurable, UnknownPerson
from ...tools.evidence import Evidence
from ...tools.face import FaceView, Reference
from ...tools.registry import PhotoTool, tools
from .. import chat_models, lookers, looking, relevance, sight
from ..examine import references_for
from ..plan import MANDATORY_WITH_REFERENCES
from ..record import EvidenceInfo, Record
from . import counterfactual, measuring, records
from .intents import Intent
from .standing import compares, last_comparison, last_failed, standing
from .state import Context, Talk, measured

Measure = Callable[[], list[Evidence]]
_OF_PHOTO = re.compile(r"\b(?:photos?|pictures?|images?|shots?|references?)\b", re.IGNORECASE)


def measure(intent: Intent, state: Talk, record: Record, context: Context) -> tuple[Record, list[str]]:
    """Measure what the question needs and the record lacks: the record with it, and the ids of it."""
    if intent.kind != "compare":
        return added(record, needed(intent, state, record, context), context)
    if not _fresh(intent, state, record, context):
        return record, []
    try:
        references = references_of(intent, state, context)
    except NotMeasurable:
        references = ()  # each job meets the same refusal, and its evidence says why
    jobs = [(name, partial(_compared, name, intent, state, context)) for name in MANDATORY_WITH_REFERENCES]
    return added(record, jobs, context, references)


def needed(intent: Intent, state: Talk, record: Record, context: Context) -> Iterator[tuple[str, Measure]]:
    """Name and function of each measurement, comparisons apart, that the question needs and the record lacks."""
    known = {item.measure for item in record.evidence}
    if intent.kind == "would_change" and record.verdict.assessable:
        brief = records.brief_of(record)
        yield counterfactual.TOOL, partial(counterfactual.changes, brief.evidence, brief.decision)
    elif intent.kind == "zoom":
        for region in intent.parts or ("face",):
            if f"{measuring.ZOOM}.{region}.blur" not in known:
                yield measuring.ZOOM, partial(_zoomed, context, region)
    elif intent.kind == "not_measured" and not last_comparison(record.evidence) and record.verdict.assessable:
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


def _fresh(intent: Intent, state: Talk, record: Record, context: Context) -> bool:
    """Whether a comparison is to be made: with somebody new, the first one, or again with the photos at hand.

    The last is meant where a question speaks of a photo and something else was compared since.
    """
    if intent.name or not context.references:
        return intent.name is not None
    if state["photos"] or "identity.similarity" not in {item.measure for item in standing(record.evidence)}:
        return True
    other = last_failed(record.evidence) or record.comparison != records.compared_with(context.references)
    return other and _OF_PHOTO.search(state["question"]) is not None


def _compared(name: str, intent: Intent, state: Talk, context: Context) -> list[Evidence]:
    return _run(name, context, references_of(intent, state, context))


def references_of(intent: Intent, state: Talk, context: Context) -> Sequence[Reference]:
    """All at hand; of an enrolled person who is named, their templates and the photos given with that question.

    Other photos are left out then: a likeness to the mean of two people would be told as that of the one who is named.

    Raises:
        NotMeasurable: The person's templates cannot be compared with this photo.
    """
    if intent.name is None:
        return context.references
    views = [reference.view for reference in context.references if reference.view]
    given = [view.photo for view in views if view.photo.sha256 in state["photos"]]
    try:
        return references_for(context.photo, given, intent.name, context.people)
    except UnknownPerson as error:  # forgotten since; its message has the name, which stays out of the record
        raise NotMeasurable("Nobody of that name is enrolled, so nothing was compared.") from error
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
    new = _unsaid(record, found)
    if not new:
        return record, []
    record, numbered = records.extended(record, new, references)
    context.pictures.update({item.id: item.picture for item in numbered if item.picture is not None})
    return record, [item.id for item in numbered]


def _unsaid(record: Record, found: Sequence[Evidence]) -> list[Evidence]:
    """What differs from the latest of its measure; a comparison as a whole, and so what would change the verdict.

    A comparison with somebody else may have come between, so what was said before that does not count; and what was
    measured with the same references stays together.
    """
    said = _values(standing(record.evidence))
    alone = [item for item in found if not compares(item) and item.tool != counterfactual.TOOL]
    compared = [item for item in found if compares(item)]
    assumed = [item for item in found if item.tool == counterfactual.TOOL]
    new = [item for item in alone if said.get(item.measure) != (item.finding, item.value)]
    last = [item for item in last_comparison(record.evidence) if item.tool in MANDATORY_WITH_REFERENCES]
    if _values(compared) != _values(last):
        new += compared
    if not _values(assumed).items() <= said.items():
        new += assumed
    return new


def _values(items: Sequence[Evidence] | Sequence[EvidenceInfo]) -> dict[str, tuple[str, object]]:
    """Finding and value by measure, the latest of each."""
    return {item.measure: (item.finding, item.value) for item in items}
