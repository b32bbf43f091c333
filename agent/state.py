"""What a run carries: plain JSON in the state, pixels and clients in the context.

LangGraph writes the state, the input and every ``Send`` argument to the checkpoint; the context it does not.
So the state knows a photo only by its sha256, and pixels never reach a disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from ..tools.evidence import Evidence, ModelCard, Picture, Region
from ..tools.face import FaceView, Reference

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ..tools.image import Photo
    from .people import Adapter
    from .sight import Looker

Json = dict[str, Any]

PARALLEL_TOOLS = 4


def add_evidence(old: list[Json], new: list[Json]) -> list[Json]:
    """Reducer for parallel tools: a repeated measurement of the same face replaces the earlier one."""
    merged = {(item["face"], item["tool"], item["measure"]): item for item in [*old, *new]}
    return list(merged.values())


def add_timings(old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    """Reducer: milliseconds by stage, summed where a stage ran more than once."""
    return {**old, **{stage: round(old.get(stage, 0) + ms, 2) for stage, ms in new.items()}}


class Task(TypedDict):
    """One tool or look on one face, or a tool on the whole photo when ``face`` is None.

    ``expression`` is of a look: whether what the face displays is looked at, too.
    """

    tool: str
    face: str | None
    expression: NotRequired[bool]


class Request(TypedDict):
    """Input of a run."""

    image: Json
    references: list[Json]
    question: str | None
    face: int | None
    all_faces: bool
    options: NotRequired[Json]


class State(Request):
    """All that the nodes read and write; see ``record.py`` for the shapes of faces and records."""

    faces: list[Json]
    subjects: list[str]
    tasks: list[Task]
    evidence: Annotated[list[Json], add_evidence]
    decisions: dict[str, Json]
    claims: dict[str, list[Json]]
    attempts: int
    written_by: dict[str, str]
    why_template: dict[str, str | None]
    grounding: dict[str, Json]
    timings_ms: Annotated[dict[str, float], add_timings]
    records: list[Json]


@dataclass(slots=True)
class Context:
    """What a run works with and never stores.

    Attributes:
        photo: The photo under examination.
        references: Faces to compare with, from photos or from an enrolled person.
        model: Chat model that writes the reasoning; None for templated text only.
        looker: Model that looks at each subject; None if none does.
        person: True when the references come from an enrolled person.
        adapter: What the model that looks has learned of that person, if it has.
        commercial_only: Take no weights whose terms do not allow commercial use.
        tool_seconds: After this long a tool, or a look, is given up.
        model_seconds: After this long a model that writes is given up, for the template.
        more_tools: How many tools beyond the policy's plan a tool-calling model may ask for.
        slots: How many tools may run at the same time.
        views: Faces of the photo by id, filled when faces are found.
        drawn: Vector overlays by face and measure, as the tools gave them.
        pictures: The same by evidence id.
        started: ``time.perf_counter`` when the examination began, before the photo was decoded.
        loaded: The same when photo, references and model were at hand.
    """

    photo: Photo
    references: tuple[Reference, ...] = ()
    model: BaseChatModel | None = None
    looker: Looker | None = None
    person: bool = False
    adapter: Adapter | None = None
    commercial_only: bool = False
    tool_seconds: float = 10.0
    model_seconds: float = 120.0
    more_tools: int = 4
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PARALLEL_TOOLS))
    views: dict[str, FaceView] = field(default_factory=dict)
    drawn: dict[tuple[str | None, str], Picture] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    loaded: float = field(default_factory=time.perf_counter)


def to_json(evidence: Evidence) -> Json:
    """Evidence as plain JSON types, without its picture."""
    return asdict(replace(evidence, picture=None))


def from_json(item: Mapping[str, Any]) -> Evidence:
    """Evidence from :func:`to_json`."""
    fields = dict(item)
    fields["numbers"] = tuple(fields["numbers"])
    fields["region"] = Region(**fields["region"]) if fields["region"] else None
    fields["usual"] = tuple(fields["usual"]) if fields["usual"] else None
    fields["model"] = ModelCard(**fields["model"]) if fields["model"] else None
    return Evidence(**fields)
