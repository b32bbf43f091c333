"""What the chat knows of one visitor, in memory only."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image

from ...agent.examine import Examination
from ...agent.record import Record
from ...errors import FacewitnessError
from ...tools.evidence import Picture
from ...tools.image import Photo
from .. import page
from .steps import Steps

if TYPE_CHECKING:
    from ...agent.conversation import Answer, Conversation
    from .compared import ComparedPeople

MOST_PHOTOS = 4
"""At a time, as for a request of the HTTP API."""
MOST_CASES = 8
MOST_PIXELS = 160_000_000
"""Kept at a time, of all cases of a visitor; the oldest goes first."""


@dataclass(eq=False)
class Turn:
    """A question and what came of it.

    Attributes:
        question: As asked.
        photos: Given with it.
        answer: None while it is being worked on, and where it was stopped or failed.
        steps: What was measured for it.
        problem: Why there is no answer: what happened, and what to do next.
    """

    question: str
    photos: tuple[Photo, ...] = ()
    answer: Answer | None = None
    steps: Steps = field(default_factory=Steps)
    problem: tuple[str, str] | None = None


@dataclass(eq=False)
class Found:
    """What was found on one face, and the conversation about it.

    Attributes:
        examination: With one record.
        steps: How it went.
        turns: Questions since, with their answers.
        conversation: What answers them; made with the first question.
    """

    examination: Examination
    steps: Steps
    turns: list[Turn] = field(default_factory=list)
    conversation: Conversation | None = None

    @property
    def record(self) -> Record:
        """The newest record: answers may add evidence."""
        answered = [turn.answer.record for turn in self.turns if turn.answer is not None]
        return [self.examination.records[0], *answered][-1]

    @property
    def pictures(self) -> dict[str, Picture]:
        """Overlays of all evidence by its id."""
        found = dict(self.examination.pictures)
        for turn in self.turns:
            found |= turn.answer.pictures if turn.answer is not None else {}
        return found


@dataclass(eq=False)
class Case:
    """A photo under examination.

    Attributes:
        photo: Decoded.
        references: Photos that it is compared with.
        person: Enrolled person that it is compared with.
        question: Asked with it.
        faces: What was found, by the face's id.
        face: The face on screen.
        running: Steps of an examination that has not ended.
        note: What is known of it beforehand, as a panel; of a sample of an evaluation.
    """

    photo: Photo
    references: tuple[Photo, ...] = ()
    person: str | None = None
    question: str | None = None
    faces: dict[str, Found] = field(default_factory=dict)
    face: str | None = None
    running: Steps | None = None
    note: str = ""

    @property
    def found(self) -> Found | None:
        """What was found on the face on screen; None before that."""
        return self.faces.get(self.face) if self.face is not None else None

    @property
    def record(self) -> Record | None:
        """The newest record of the face on screen."""
        return self.found.record if self.found else None

    @property
    def steps(self) -> Steps | None:
        """Of the examination that runs, else of the one on screen."""
        return self.running or (self.found.steps if self.found else None)

    def add(self, found: Found) -> None:
        """Put a face on screen."""
        self.face = found.examination.records[0].subject or ""
        self.faces[self.face] = found

    @property
    def pixels(self) -> int:
        """Of the photo and its references."""
        return sum(photo.rgb.shape[0] * photo.rgb.shape[1] for photo in (self.photo, *self.references))

    @cached_property
    def uri(self) -> str:
        """The photo for the page: re-encoded, at most 1,200 pixels a side."""
        return page.data_uri(Image.fromarray(self.photo.rgb))

    @cached_property
    def thumbnail(self) -> str:
        """The photo in the size of a stamp."""
        small = Image.fromarray(self.photo.rgb)
        small.thumbnail((160, 160))
        return page.data_uri(small)


@dataclass(eq=False)
class Session:
    """One visitor; the owner is who signed in, and nobody else is served from it.

    Attributes:
        owner: Id of an API key, or ``local``.
        cases: Photos in the order in which they came.
        shown: Index of the case on screen.
        references: Known photos for the next examination.
        person: Enrolled person for the next examination.
        store: Where the people are enrolled whom this visitor may compare with; None if they may not.
        feedback: Ids of what was kept by consent.
        stop: Set when the visitor asks for an end.
        gone: It was cleared, and nothing more is put on screen from it.
    """

    owner: str
    cases: list[Case] = field(default_factory=list)
    shown: int = 0
    references: list[Photo] = field(default_factory=list)
    person: str | None = None
    store: ComparedPeople | None = None
    feedback: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    gone: bool = False

    @property
    def people(self) -> list[str]:
        """Names of enrolled people; none where the store cannot be opened, which the command line explains."""
        try:
            return [person.name for person in self.store.people()] if self.store else []
        except FacewitnessError:
            return []

    @property
    def case(self) -> Case | None:
        """The case on screen."""
        return self.cases[self.shown] if self.shown < len(self.cases) else None

    def add(self, *new: Case) -> None:
        """Take in photos and put the first of them on screen; the oldest make room."""
        kept = [*self.cases, *new][-MOST_CASES:]
        while len(kept) > len(new) and sum(case.pixels for case in kept) > MOST_PIXELS:
            kept.pop(0)
        self.cases = kept
        self.shown = len(kept) - len(new)

    def clear(self) -> dict[str, int]:
        """Forget everything; how much there was."""
        self.stop.set()
        counts = {
            "photos": len(self.cases) + len(self.references),
            "answers": sum(len(found.turns) for case in self.cases for found in case.faces.values()),
            "feedback": len(self.feedback),
        }
        self.cases, self.references, self.feedback = [], [], []
        self.shown, self.person, self.gone = 0, None, True
        return counts
