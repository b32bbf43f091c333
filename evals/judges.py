"""What the similarity alone, and a whole examination, say of a sample."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from langchain_core.callbacks import get_usage_metadata_callback

from ..agent import fusion
from ..agent.examine import Examination, examine_all
from ..agent.record import Record
from ..agent.traces import traced
from ..agent.verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS
from ..tools import action_units
from ..tools.evidence import Evidence, ModelCard, Picture
from ..tools.identity import SAME_PERSON_MIN, reference_mean
from ..tools.identity import similarity as cosine
from .answers import Answer, Box, unscored
from .benchmarks import Item
from .pictures import Material, face

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PERSON, FORGERY, OTHER = REFERENCE_LABELS
AUTHENTIC = SINGLE_LABELS[0]
TOOL_SECONDS = 600.0
"""Far more than users wait: else a loaded machine would change verdicts, and figures would measure its load."""
MAPS = ("manipulation", "reference_comparison", "synthesis", "morph")
"""Tools whose map says where a face was altered; the first that drew one points."""
_STATED = re.compile(rf"verdict is ({'|'.join((*SINGLE_LABELS, *REFERENCE_LABELS, INCONCLUSIVE))})", re.IGNORECASE)
_NO_FACE = ("face.none", "No face was found.")


def similarity(item: Item, files: Material) -> Answer:
    """Cosine of the face to the mean of its references, against the published threshold."""
    if item.kind != "reference":
        return unscored("system.no_reference", "The similarity alone answers only whether two photos show one person.")
    if not files.references:
        return unscored("reference.none", "There is no reference photo that is another picture.")
    probe, *known = (face(data, item.aligned) for data in (*files.images, *files.references))
    features = [view.feature for view in known if view is not None]
    if probe is None or not features:
        return unscored(*_NO_FACE)
    value = cosine(probe.feature, reference_mean(features))
    return Answer(PERSON if value >= SAME_PERSON_MIN else OTHER, score=round(value, 6), face=probe.face.box)


def examined(item: Item, files: Material, model: str | BaseChatModel) -> Answer:
    """What an examination comes to; ``model`` as ``examine`` takes it."""
    if item.kind == "text":
        return unscored("system.no_words", "An examination answers no question in words.")
    if item.kind == "units":
        return _units(item, files)
    if item.kind == "choice":
        return _chosen(item, files, model)
    if item.kind == "reference" and not files.references:
        return unscored("reference.none", "There is no reference photo that is another picture.")
    with get_usage_metadata_callback() as used:
        found = examine_all(files.images[0], files.references, model=model, all_faces=False, tool_seconds=TOOL_SECONDS)
    record = found.records[0]
    if not record.verdict.assessable:
        return unscored(record.verdict.reasons[0].code, record.verdict.reasons[0].text)
    answer = _expression(item, record) if item.kind == "class" else _verdict(item, found)
    if isinstance(answer, Answer):
        return answer
    return Answer(**answer, **_explained(found), tokens=sum(of["total_tokens"] for of in used.usage_metadata.values()))


def _verdict(item: Item, found: Examination) -> Answer | dict[str, Any]:
    """Label, and the probability of the positive class; None of either where nothing was measured."""
    record, note, why = found.records[0], "", ""
    if item.kind == "reference":
        if not any(one.measure == "identity.similarity" and one.status == "ok" for one in record.evidence):
            return unscored("identity.not_measured", record.verdict.reasons[0].text)
        score, probabilities = record.verdict.probabilities[PERSON], record.verdict.probabilities
    else:
        fitted = fusion.calibration()
        reading = traced(tuple(evidence(record)), fitted.traces, fitted.look)
        if reading.reason is not None:  # without evidence the odds stay even
            note, why = reading.reason.code, reading.reason.text
        # The record keeps even odds where nothing was found; the detectors' own reading still orders photos.
        score = reading.forged / (1 + reading.forged)  # at even odds of authentic and forged
        probabilities = dict(zip(SINGLE_LABELS, reading.families, strict=True))
    said = {"label": record.verdict.label, "score": float(score), "probabilities": dict(probabilities)}
    return {**said, "note": note, "why": why}


def evidence(record: Record) -> list[Evidence]:
    """A record's evidence as fusion read it."""
    cards = {one.name: ModelCard(**one.model_dump()) for one in record.models}
    return [
        Evidence(
            one.measure,
            one.tool,
            one.finding,
            one.value,
            probability=one.probability,
            status=one.status,
            model=cards.get(one.model or ""),
            id=one.id,
        )
        for one in record.evidence
    ]


def _explained(found: Examination) -> dict[str, Any]:
    """Of the explanation: words, what the check did, whether it states the verdict given; and what is drawn."""
    record = found.records[0]
    said, check = record.explanation, record.explanation.grounding
    stated = {label.lower() for label in _STATED.findall(f"{said.summary} {said.reasoning.conclusion}")}
    subject = next(one for one in record.faces if one.id == record.subject).box
    deciding = [one for one in record.evidence if one.id in record.verdict.deciding and one.region is not None]
    marks = {one.measure: one.region for one in deciding if one.region is not None and one.region.name != "face"}
    return {
        "text": f"{said.summary} {said.reasoning.conclusion}".strip(),
        "written": check.written if check else 0,
        "refused": check.refused if check else 0,
        "dropped": check.dropped if check else 0,
        "supported": sum(claim.supported for claim in said.claims) / len(said.claims) if said.claims else None,
        "agrees": stated == {record.verdict.label} if stated else None,
        "face": (subject.x, subject.y, subject.width, subject.height),
        "marks": tuple((name, (box.x, box.y, box.width, box.height)) for name, box in marks.items()),
        "point": _point(found),
    }


def _point(found: Examination) -> tuple[float, float] | None:
    """Middle of the strongest cell of the first map that was drawn."""
    drawn = {
        one.tool: found.pictures[one.id] for one in reversed(found.records[0].evidence) if one.id in found.pictures
    }
    maps = [drawn[tool] for tool in MAPS if tool in drawn and drawn[tool].heat]
    return peak(maps[0]) if maps else None


def peak(picture: Picture) -> tuple[float, float]:
    """Middle of the strongest cell of a map, pixels of the upright photo."""
    assert picture.heat_box is not None
    heat = np.array(picture.heat)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    x, y, width, height = picture.heat_box
    return x + (float(column) + 0.5) * width / heat.shape[1], y + (float(row) + 0.5) * height / heat.shape[0]


def _expression(item: Item, record: Record) -> Answer | dict[str, Any]:
    shown = next((one for one in record.evidence if one.measure == "expression.displayed"), None)
    if shown is None or shown.status != "ok":
        return unscored("expression.not_measured", "The expression was not measured.")
    if not {"neutral", "happiness"} & set(item.options):
        return unscored("system.not_measured", "An examination measures none of these classes.")
    return {"label": str(shown.value) if shown.value in item.options else INCONCLUSIVE}


def _units(item: Item, files: Material) -> Answer:
    """Intensities of the units that are measured; the others of the sample stay without an answer."""
    view = face(files.images[0])
    if view is None:
        return unscored(*_NO_FACE)
    read = {str(number): score for number, score in action_units.read(view).items() if str(number) in item.units}
    if not read:
        return unscored("system.not_measured", "None of these action units is measured.")
    present = {unit: int(action_units.present(int(unit), score)) for unit, score in read.items()}
    return Answer("measured", units=read, present=present, face=_box(view.face.box))


def _chosen(item: Item, files: Material, model: str | BaseChatModel) -> Answer:
    """The option that says of the images what their verdicts say."""
    if not item.verdicts:
        return unscored("system.no_verdict", "The question does not map on a verdict.")
    labels = []
    for data in files.images:
        record = examine_all(data, model=model, all_faces=False, tool_seconds=TOOL_SECONDS).records[0]
        if not record.verdict.assessable:
            return unscored(record.verdict.reasons[0].code, record.verdict.reasons[0].text)
        labels.append(record.verdict.label)
    text = "; ".join(labels)
    if INCONCLUSIVE in labels:
        return Answer(INCONCLUSIVE, text=text)
    return Answer(option(item.verdicts, "".join(str(int(label != AUTHENTIC)) for label in labels)), text=text)


def option(verdicts: tuple[str, ...], found: str) -> str:
    """Letter of the option that says what was found, ``0`` and ``1`` by image; inconclusive where none does."""
    meant: Mapping[str, int] = {said: place for place, said in reversed(list(enumerate(verdicts)))}
    place = next((meant[said] for said in (found, f"#{found.count('1')}", "*") if said in meant), None)
    return INCONCLUSIVE if place is None else "ABCDEFGHIJ"[place]


def _box(box: tuple[float, float, float, float]) -> Box:
    x, y, width, height = (float(value) for value in box)
    return x, y, width, height
