"""What a conversation carries: plain JSON in the state, pixels and clients in the context, as in an examination."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, TypeVar

from langgraph.config import get_stream_writer

from ...errors import NotAssessable
from ...tools import detection
from ...tools.evidence import Evidence, Picture, without_value
from ...tools.face import FaceView, Reference
from ..people import PeopleStore
from ..policy import Policy
from ..running import milliseconds, within

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from ...tools.image import Photo

Json = dict[str, Any]
T = TypeVar("T")


class Asked(TypedDict):
    """Input of a turn: a question or a reply, and the sha256 of the photos given with it."""

    question: str
    photos: list[str]


class Begun(Asked, total=False):
    """Input of the first turn: with the sha256 of the photo and the record of its examination."""

    image: str
    record: Json


class Talk(Begun):
    """All that the nodes read and write.

    ``intent`` is what the question is after, ``asks`` what a person is asked; ``rounds`` are the tool calls of a
    model with their answers, ``calls`` counts them by what became of them. The rest is the answer in the making.
    """

    intent: Json
    asks: Json | None
    offered: bool
    consented: list[str]
    rounds: list[Json]
    calls: dict[str, int]
    claims: list[Json]
    measured: list[str]
    declined: str | None
    written_by: str
    history: Annotated[list[Json], operator.add]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a turn: tool calls of a model, seconds for all of its thinking, seconds for one measurement."""

    calls: int = 6
    seconds: float = 60.0
    tool_seconds: float = 10.0


@dataclass
class Context:
    """What a turn works with and never stores.

    Attributes:
        photo: The photo that was examined.
        subject: Id of the face in question; None where none was found.
        references: Faces to compare with.
        person: Enrolled person whom the caller named, so that consent is given.
        model: Chat model that writes, and that may call tools; None, or the embedded one, leaves it to the rules.
        policy: What is allowed.
        people: Where people are enrolled whom a question may name.
        commercial_only: As in the examination.
        limits: Of a turn.
        pictures: Overlays of what was measured in this conversation, by evidence id.
        started: ``time.perf_counter`` when the turn began.
    """

    photo: Photo
    subject: str | None
    references: list[Reference] = field(default_factory=list)
    person: str | None = None
    model: BaseChatModel | None = None
    policy: Policy = field(default_factory=Policy)
    people: PeopleStore = field(default_factory=PeopleStore)
    commercial_only: bool = False
    limits: Limits = field(default_factory=Limits)
    pictures: dict[str, Picture] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)

    @cached_property
    def view(self) -> FaceView:
        """The face in question, found again: the same photo gives the same faces."""
        for face in detection.detect(self.photo.rgb):
            if face.id == self.subject:
                return FaceView(self.photo, face, commercial_only=self.commercial_only)
        raise NotAssessable("none", "No face was found in this photo.")

    def seconds_left(self) -> float:
        """For a model's thinking in this turn."""
        return self.limits.seconds - (time.perf_counter() - self.started)


def measured(context: Context, tool: str, function: Callable[[], list[Evidence]]) -> list[Evidence]:
    """Evidence of one measurement; a failing, missing or slow one becomes evidence that says so."""
    say = get_stream_writer()
    say({"stage": tool, "status": "started"})
    started = time.perf_counter()
    try:
        found = within(context.limits.tool_seconds, function)
    except TimeoutError:
        late = f"The {tool} tool gave no answer within {context.limits.tool_seconds:g} seconds."
        found = [Evidence(measure=tool, tool=tool, finding=late, status="failed")]
    except Exception as error:  # noqa: BLE001 - no tool may end a conversation
        found = [without_value(tool, error)]
    elapsed = milliseconds(started, time.perf_counter())
    say({"stage": tool, "status": found[0].status if found else "done", "ms": elapsed})
    return found
