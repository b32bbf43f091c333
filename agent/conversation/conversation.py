"""A conversation about one examination: questions in, sentences that cite its evidence out."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph.types import Command
from langsmith import tracing_context

from ...errors import InvalidOption
from ...tools.evidence import Picture
from ...tools.face import Reference
from .. import chat_models, policy, relevance
from ..examine import Examination, Progress, Source, references_for
from ..people import PeopleStore
from ..policy import Policy
from ..record import Record
from ..verdict import Claim
from .graph import build_graph
from .savers import saver
from .state import Context, Json, Limits

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        claims: Sentences, each with the ids of evidence of ``record`` that it rests on; a sentence that declines cites
            nothing. Empty where a person is asked first.
        record: Of the examination, with the evidence that this conversation added; the verdict is computed anew only
            where something new is weighed, as a comparison with references is. It is that of the last comparison.
        measured: Ids of the evidence that this question added.
        pictures: Overlays of that evidence, by id, in pixels of the upright photo.
        declined: Why the question was declined, as a stable code: ``scope``, ``sensitive``, ``identification``,
            ``consent``, ``no_reference``, ``not_measured``, ``policy``, ``unknown_person``, ``unknown_evidence``,
            ``nothing_missing`` or ``other_face``; else None.
        written_by: ``template``, or ``model`` where a language model wrote the sentences.
        asks: What the person is asked; the next ``ask`` is the reply.
        calls: Tool calls of a model, counted by what became of them.
    """

    claims: tuple[Claim, ...]
    record: Record
    measured: tuple[str, ...] = ()
    pictures: dict[str, Picture] = field(default_factory=dict)
    declined: str | None = None
    written_by: str = "template"
    asks: str | None = None
    calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, or a reply, and what was answered; see ``Answer``."""

    question: str
    claims: tuple[Claim, ...]
    measured: tuple[str, ...]
    declined: str | None
    asks: str | None
    written_by: str


class Conversation:
    """Questions about one face of an examination.

    Args:
        examination: What is talked about.
        subject: Id of the face, as in its record; the first record's if not given.
        model: As for ``examine``; ``embedded`` and ``none`` leave the answers to fixed wording.
        references: Photos to compare with; those that the examination had are given again.
        person: Enrolled person to compare with; naming them here is consent.
        policy: What is allowed; that of ``FACEWITNESS_POLICY`` if not given.
        people: Where people are enrolled; the store of this machine's user if not given.
        checkpointer: Where the conversation is kept, see ``saver``; in memory if not given. One of LangGraph's
            blocking savers: its asynchronous ones belong to one event loop.
        thread: Name under which it is kept. With the same one and the same photo it goes on where it was.
        limits: Bounds of a turn.

    Raises:
        InputError: A reference, the model or the policy cannot be used, there is no such face, or the thread is about
            another photo or face.
    """

    def __init__(
        self,
        examination: Examination,
        *,
        subject: str | None = None,
        model: str | BaseChatModel = "embedded",
        references: Sequence[Source] = (),
        person: str | None = None,
        policy: Policy | None = None,
        people: PeopleStore | None = None,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        thread: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        record = _record(examination, subject)
        self._context = Context(
            examination.photo,
            record.subject,
            list(references_for(examination.photo, references, person, people)),
            person,
            chat_models.open_model(model) if isinstance(model, str) else model,
            policy or _policy(),
            people or PeopleStore(),
            record.options.commercial_only,
            limits or Limits(),
        )
        self.thread = thread or record.id
        self._graph: Any = build_graph().compile(checkpointer=checkpointer or saver("memory"))
        self._config: Any = {
            "configurable": {"thread_id": f"conversation/{self.thread}"},
            "recursion_limit": 2 * self._context.limits.calls + 15,
        }
        self._first: Json = {"image": examination.photo.sha256, "record": record.model_dump(mode="json", by_alias=True)}
        self._lock = threading.Lock()
        held = self._values()
        if held and (held["image"], held["record"]["subject"]) != (examination.photo.sha256, record.subject):
            raise InvalidOption("This thread is a conversation about another photo or face.")

    @property
    def history(self) -> tuple[Turn, ...]:
        """Questions and answers so far, also those before a restart."""
        return tuple(_turn(held) for held in self._values().get("history", []))

    @property
    def record(self) -> Record:
        """The examination's record with what was measured since."""
        return Record.model_validate(self._values().get("record", self._first["record"]))

    @property
    def asks(self) -> str | None:
        """What a person was asked and has not replied to."""
        return next((str(held.value["text"]) for held in self._snapshot().interrupts), None)

    def ask(self, question: str, *, photos: Sequence[Source] = (), on_progress: Progress | None = None) -> Answer:
        """Answer a question, or go on with the reply to what was asked.

        Args:
            question: In plain words; may be empty where photos are given.
            photos: Reference photos to compare the face with.
            on_progress: As for ``examine_all``.

        Raises:
            InvalidOption: Neither a question nor a photo.
            InvalidReference: A photo cannot be compared with.
            StoreError: The store of enrolled people cannot be used.
        """
        text = relevance.clean(question)
        if text is None and not photos:
            raise InvalidOption("There is no question.")
        with self._lock:
            added = self._take(photos)
            self._context.started = time.perf_counter()
            before = len(self._values().get("history", []))
            asked = {"question": text or "", "photos": [str(item.view.photo.sha256) for item in added if item.view]}
            self._run(self._begun(asked), on_progress)
            return self._answer(before)

    def _take(self, photos: Sequence[Source]) -> list[Reference]:
        """References of photos that are given now; one that is known already is passed over."""
        known = {item.view.photo.sha256 for item in self._context.references if item.view}
        found = references_for(self._context.photo, photos, None)
        self._context.references += [item for item in found if item.view and item.view.photo.sha256 not in known]
        return list(found)

    def _begun(self, asked: Json) -> Any:
        """A new turn, the reply to what was asked, or the rest of a turn that a killed process left."""
        snapshot = self._snapshot()
        if snapshot.interrupts:
            return Command(resume=asked)
        if snapshot.next and snapshot.values.get("question") == asked["question"]:
            return None
        return asked if snapshot.values else {**self._first, **asked}

    def _run(self, begun: Any, on_progress: Progress | None) -> None:
        with tracing_context(enabled=False):  # nothing about a face leaves the machine by chance
            for part in self._graph.stream(
                begun, self._config, context=self._context, stream_mode="custom", durability="sync"
            ):
                if on_progress is not None:
                    on_progress(part)

    def _answer(self, before: int) -> Answer:
        values = self._values()
        last = values["history"][before:][-1]
        turn = _turn(last)
        pictures = {id_: self._context.pictures[id_] for id_ in turn.measured if id_ in self._context.pictures}
        record = Record.model_validate(values["record"])
        return Answer(
            turn.claims, record, turn.measured, pictures, turn.declined, turn.written_by, turn.asks, last["calls"]
        )

    def _snapshot(self) -> Any:
        return self._graph.get_state(self._config)

    def _values(self) -> Json:
        return dict(self._snapshot().values)


def _policy() -> Policy:
    return policy.load()


def _record(examination: Examination, subject: str | None) -> Record:
    for record in examination.records:
        if subject in (None, record.subject):
            return record
    raise InvalidOption(f"There is no record of a face {subject} in this examination.")


def _turn(held: Json) -> Turn:
    claims = tuple(Claim(**{**claim, "evidence": tuple(claim["evidence"])}) for claim in held["claims"])
    return Turn(held["question"], claims, tuple(held["measured"]), held["declined"], held["asks"], held["written_by"])
