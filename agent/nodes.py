"""The steps of an examination, in the order in which they run; those that put it into words are in ``reasoning.py``."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from ..errors import InvalidOption, NotAssessable, ToolError, ToolUnavailable
from ..tools import detection, quality, weights
from ..tools.evidence import Evidence
from ..tools.face import Face, FaceView
from ..tools.registry import PhotoTool, tools
from . import chat_models, fusion, relevance, sight
from .plan import ask_for_more, choose, is_photo_tool
from .reporting import evidence_info, make_record
from .running import branch, milliseconds, step, within
from .state import Context, Json, State, Task, from_json, to_json
from .verdict import Decision, Reason

DETECTION = "detection"


async def ingest(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Start from an empty table: a checkpointed thread may hold an earlier examination."""
    context = runtime.context
    return {
        "attempts": 0,
        "claims": {},
        "written_by": {},
        "why_template": {},
        "grounding": {},
        "evidence": Overwrite([]),
        "timings_ms": Overwrite({"load": milliseconds(context.started, context.loaded)}),
    }


@step
def find_faces(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Detect faces and choose the subjects: the largest that can be assessed, or what the caller named."""
    context = runtime.context
    context.views = face_views(context)
    found = [view.face for view in context.views.values()]
    wanted = list(context.views)
    if state["face"] is not None and found:
        if not 1 <= state["face"] <= len(wanted):
            raise InvalidOption(f"There is no face {state['face']}: {len(wanted)} found in this photo.")
        wanted = [wanted[state["face"] - 1]]
    faces = {face.id: _face_info(face) for face in found}
    good: list[str] = []
    for face_id in wanted:
        if good and not state["all_faces"]:
            break
        faces[face_id] |= _assessment(context.views[face_id])
        if faces[face_id]["assessable"]:
            good.append(face_id)
    return {
        "faces": list(faces.values()),
        "subjects": wanted if state["all_faces"] else (good or wanted)[:1],
        "evidence": [to_json(item) for item in _seen(faces)],
    }


def face_views(context: Context) -> dict[str, FaceView]:
    """The photo's faces by id; the same photo gives the same ones, so a run that goes on finds them again."""
    found = detection.detect(context.photo.rgb)
    return {face.id: FaceView(context.photo, face, commercial_only=context.commercial_only) for face in found}


def _seen(faces: dict[str, Json]) -> list[Evidence]:
    """How many faces there are, and why one of them cannot be assessed."""
    card, count = weights.card("yunet"), len(faces)
    finding = f"The photo shows {count} {'face' if count == 1 else 'faces'}." if faces else "No face was found."
    found = [Evidence(f"{DETECTION}.faces", DETECTION, finding, count, model=card)]
    for face_id, face in faces.items():
        if face["refusal"]:
            text = face["refusal"]["text"]
            stated = tuple(float(number) for number in re.findall(r"\d+(?:\.\d+)?", text))
            model = weights.card("face_landmarker") if face["refusal"]["code"] == "face.turned_away" else card
            found.append(Evidence(f"{DETECTION}.gate", DETECTION, text, numbers=stated, face=face_id, model=model))
    return found


def _face_info(face: Face) -> Json:
    x, y, width, height = face.box
    return {
        "id": face.id,
        "box": {"x": x, "y": y, "width": width, "height": height},
        "score": face.score,
        "assessable": None,
        "refusal": None,
        "quality": {"size_px": round(face.size, 1)},
    }


def _assessment(view: FaceView) -> Json:
    """Whether a face can be assessed; where the gate itself fails, the tools will say what they could not measure."""
    try:
        return {"assessable": True, "quality": quality.assess(view)}
    except NotAssessable as refusal:
        return {"assessable": False, "refusal": {"code": refusal.code, "text": str(refusal)}}
    except Exception:  # noqa: BLE001 - no tool may end an examination
        return {"assessable": True}


@step
def plan(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Tools by policy, and a look; a tool-calling model may ask for more when there is a question."""
    context, references = runtime.context, len(runtime.context.references)
    chosen = choose(state["question"], references)
    if context.model is not None and state["question"] and chat_models.calls_tools(context.model):
        model, question = context.model, state["question"]
        # The policy's plan is enough without the model.
        with suppress(Exception):
            chosen += within(
                context.tool_seconds, lambda: ask_for_more(model, question, chosen, references, context.more_tools)
            )
    assessable = {face["id"] for face in state["faces"] if face["assessable"]}
    subjects = [face for face in state["subjects"] if face in assessable]
    tasks: list[Task] = []
    if context.looker is not None:  # first, since it takes longest
        expression = "expression" in relevance.tools_for(state["question"])
        tasks += [{"tool": sight.TOOL, "face": face, "expression": expression} for face in subjects]
    for name in chosen:
        if is_photo_tool(name):
            tasks.append({"tool": name, "face": None})
        else:
            tasks += [{"tool": name, "face": face} for face in subjects]
    return {"tasks": tasks}


async def examine(state: Task, runtime: Runtime[Context]) -> dict[str, Any]:
    """Run one tool."""
    return await branch(state, runtime, _measure)


def _measure(task: Task, context: Context) -> list[Evidence]:
    """Evidence of one tool, refused here if a record could not hold it."""
    tool = tools()[task["tool"]]
    if isinstance(tool, PhotoTool):
        found = tool.measure(context.photo)
    else:
        assert task["face"] is not None
        found = tool.measure(context.views[task["face"]], context.references)
    if not found:
        raise ToolError(f"The {tool.name} tool gave no evidence.")
    for item in found:
        if item.tool != tool.name:
            raise ToolError(f"The {tool.name} tool gave evidence in another tool's name.")
        if context.commercial_only and item.model is not None and item.model.commercial_use is not True:
            raise ToolUnavailable(f"The {tool.name} tool uses weights without commercial terms, so it was left out.")
        evidence_info(to_json(item))
    return found


@step
def weigh(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Number the evidence in reporting order and compute each subject's verdict."""
    order = [DETECTION, *tools(), sight.TOOL]
    face_order = [None, *(face["id"] for face in state["faces"])]
    found = sorted(
        map(from_json, state["evidence"]), key=lambda item: (order.index(item.tool), face_order.index(item.face))
    )
    numbered = [replace(item, id=f"e{number}") for number, item in enumerate(found, start=1)]
    for item in numbered:
        if picture := runtime.context.drawn.get((item.face, item.measure)):
            runtime.context.pictures[item.id] = picture
    subjects = state["subjects"] or [""]
    decisions = {subject: _decide(subject, state, numbered, runtime.context) for subject in subjects}
    return {
        "evidence": Overwrite([to_json(item) for item in numbered]),
        "decisions": {subject: asdict(decision) for subject, decision in decisions.items()},
        "timings_ms": {"evidence": milliseconds(runtime.context.loaded, time.perf_counter())},
    }


def _decide(subject: str, state: State, evidence: list[Evidence], context: Context) -> Decision:
    face = next((face for face in state["faces"] if face["id"] == subject), None)
    if face is not None and face["assessable"]:
        return fusion.decide(about(evidence, subject), with_references=bool(context.references))
    refusal = Reason(**face["refusal"]) if face else Reason("face.none", "No face was found in this photo.")
    seen = tuple(item.id for item in reversed(about(evidence, subject)) if item.tool == DETECTION)
    return fusion.not_assessable(refusal, bool(context.references), seen[:1])


def about(evidence: list[Evidence], subject: str) -> tuple[Evidence, ...]:
    """Evidence that bears on one subject: its own, and what was measured on the whole photo."""
    return tuple(item for item in evidence if item.face in (None, subject))


@step
def report(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """One record per subject."""
    return {"records": [make_record(subject, state, runtime.context) for subject in state["decisions"]]}
