"""What happens when a visitor does something: a stream of panels to put on screen."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import gradio as gr

from ...agent import policy
from ...agent.conversation import Answer as AnswerGiven
from ...agent.conversation import Conversation
from ...agent.examine import Examination, examine_all
from ...agent.relevance import clean
from ...errors import FacewitnessError, NotPermitted
from ...tools.image import Photo, load
from ...tools.portrait import only_face
from ..api.access import Principal, check_scope
from ..api.service import Service
from ..api.signing import Signature
from . import feedback, panels, reports, uploads
from .compared import ComparedPeople
from .evaluation import SHOWS, Evaluation
from .examples import Examined
from .running import Stopped, Work
from .session import MOST_PHOTOS, Case, Found, Session, Turn
from .steps import Steps
from .text import next_step, words
from .uploads import Uploads

Update = dict[str, Any]
Answer = Iterator[Update]
Report = Callable[[dict[str, Any]], None]
_log = logging.getLogger(__name__)

PANELS: dict[str, Callable[[Session], str]] = {
    "strip": panels.strip,
    "against": panels.against,
    "steps": lambda session: panels.steps(session.case),
    "stage": lambda session: panels.photo(session.case),
    "verdict": lambda session: panels.verdict(session.case),
    "talk": lambda session: panels.talk(session.case),
    "evidence": lambda session: panels.evidence(session.case),
    "sample": lambda session: session.case.note if session.case else "",
}
LIVE = ("strip", "steps", "stage", "verdict", "talk", "evidence", "sample", "note")
"""What an examination changes."""


class Handlers:
    """One method for each thing that a visitor can do.

    Args:
        service: The API's: settings, signer.
        principal: Who asks; raises NotAuthenticated or NotPermitted.
        arrived: Uploads that wait to be read.

    Attributes:
        drop: Makes Gradio forget a session.
    """

    drop: Callable[[Session], None]

    def __init__(self, service: Service, principal: Callable[[Any], Principal], arrived: Uploads) -> None:
        self._service, self._settings, self._signer = service, service.settings, service.signer
        self._principal, self._arrived = principal, arrived
        self.examined = Examined(service.settings.model, service.settings.commercial_only)
        chosen = service.settings.evaluation
        self.evaluation = None if chosen is None else Evaluation(chosen)

    def _open(self, session: Session | None, request: gr.Request) -> Session:
        """The visitor's session; a new one where there is none, or where it is somebody else's."""
        principal = self._principal(request)
        if session is None or session.gone or session.owner != principal.id:
            return self._greeted(request)
        return session

    def _files(self, event: gr.EventData) -> list[bytes | None]:
        """Uploads of an event, taken before anything can refuse it; also those over the limit are not kept."""
        names = event._data.get("photos")
        return self._arrived.take(names if isinstance(names, list) else [])[:MOST_PHOTOS]

    def photos(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Examine photos that were dropped."""
        files = self._files(event)
        session = self._open(session, request)
        session.stop = threading.Event()
        try:
            found = uploads.photos(files)
        except FacewitnessError as error:
            yield _refused(session, error)
            return
        question = clean(str(event._data.get("question") or "")) or None
        new = [Case(photo, tuple(session.references), session.person, question) for photo in found]
        session.add(*new)
        for case in new:
            yield from self._examine(session, case)

    def example(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Put an example on screen."""
        session = self._open(session, request)
        case = self.examined.case(str(event._data.get("id")))
        if case is not None:
            session.add(case)
        yield _screen(session, *LIVE)

    def references(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Take known photos to compare with, or drop them; what is on screen is examined anew."""
        files = self._files(event)
        session = self._open(session, request)
        try:
            found = uploads.photos(files)
            for photo in found:
                only_face(photo)
        except FacewitnessError as error:
            yield _refused(session, error)
            return
        if event._data.get("clear"):
            yield from self._again(session, [], None)
        else:
            yield from self._again(session, [*session.references, *found][-MOST_PHOTOS:], session.person)

    def person(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Choose an enrolled person to compare with."""
        session = self._open(session, request)
        try:
            check_scope(self._principal(request), "identity")
        except NotPermitted:
            yield _problem(session, "permission")
            return
        yield from self._again(session, session.references, str(event._data.get("value") or "") or None)

    def face(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Put another face on screen; it is examined when first wanted."""
        session = self._open(session, request)
        face, case = str(event._data.get("face")), session.case
        if case is None or case.record is None or face not in {one.id for one in case.record.faces}:
            yield _problem(session, "no_case")
        elif face in case.faces:
            case.face = face
            yield _screen(session, *LIVE)
        else:
            yield from self._examine(session, case, face)

    def show(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Update:
        """Put another photo on screen; beyond the last there is room for a new one."""
        session = self._open(session, request)
        wanted = event._data.get("case")
        session.shown = wanted if isinstance(wanted, int) and 0 <= wanted < len(session.cases) else len(session.cases)
        return _screen(session, *LIVE, "against")

    def stop(self, session: Session | None) -> None:
        """End what runs."""
        if session is not None:
            session.stop.set()

    def _again(self, session: Session, references: list[Photo], person: str | None) -> Answer:
        """Compare with others from now on; where the photo on screen cannot be, all stays as it was."""
        old, place, before = session.case, session.shown, (session.references, session.person)
        session.references, session.person = references, person
        yield _screen(session, "against", "note")
        if old is None:
            return
        session.cases[place] = Case(old.photo, tuple(references), person, old.question)
        session.stop = threading.Event()
        done = yield from self._examine(session, session.cases[place])
        if not done and not session.gone:
            session.references, session.person = before
            session.cases.insert(place, old)
            session.shown = place
            yield _screen(session, *(name for name in LIVE if name != "note"), "against")

    def _examine(self, session: Session, case: Case, face: str | None = None) -> Generator[Update, None, bool]:
        """Examine a face; whether that went well."""
        steps = case.running = Steps()
        yield _screen(session, *LIVE)
        work = Work(lambda report: self._examination(session, case, face, report), session.stop)
        try:
            for events in work.events():
                for event in events:
                    steps.note(event)
                yield _screen(session, "steps")
            examination = work.result()
        except Exception as error:  # noqa: BLE001 - said on the page; never the end of the chat
            case.running = None
            if not session.gone:
                yield self._ended(session, case, error)
            return False
        steps.end("done")
        case.running = None
        case.add(Found(examination, steps))
        yield _screen(session, *LIVE)
        return True

    def _examination(self, session: Session, case: Case, face: str | None, report: Report) -> Examination:
        if session.store is not None:
            session.store.begin()
        return examine_all(
            case.photo,
            case.references,
            person=case.person,
            question=case.question,
            face=None if face is None else int(face[1:]),
            model=self._settings.model,
            commercial_only=self._settings.commercial_only,
            all_faces=False,
            on_progress=report,
            people=session.store,
        )

    def _ended(self, session: Session, case: Case, error: Exception) -> Update:
        """A photo of which nothing was found leaves the screen."""
        if not case.faces and case in session.cases:
            session.cases.remove(case)
            session.shown = max(0, len(session.cases) - 1)
        return _screen(session, *LIVE) | {"note": said(error)}

    def ask(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Answer a question; ``turn`` says from which question on the conversation begins anew."""
        files = self._files(event)
        session = self._open(session, request)
        case = session.case
        found = case.found if case else None
        if case is None or found is None:
            yield _problem(session, "no_case")
            return
        session.stop = threading.Event()
        try:
            photos = uploads.photos(files)
        except FacewitnessError as error:
            yield _refused(session, error)
            return
        turn = event._data.get("turn")
        question = clean(str(event._data.get("question") or "")) or ""
        if isinstance(turn, int) and 0 <= turn < len(found.turns):
            question = question or found.turns[turn].question
            del found.turns[turn:]
            found.conversation = None
        if question or photos:
            yield from self._answer(session, case, found, Turn(question, tuple(photos)))

    def _answer(self, session: Session, case: Case, found: Found, turn: Turn) -> Answer:
        found.turns.append(turn)
        yield _screen(session, "talk", "note")
        work = Work(lambda report: self._asked(session, case, found, turn, report), session.stop)
        try:
            for events in work.events():
                for event in events:
                    turn.steps.note(event)
                yield _screen(session, "talk")
            turn.answer = work.result()
        except Exception as error:  # noqa: BLE001 - said in the conversation
            if session.gone:
                return
            turn.problem = _why(error)
            found.conversation = None
        turn.steps.end("done")
        yield _screen(session, *LIVE)

    def _asked(self, session: Session, case: Case, found: Found, turn: Turn, report: Report) -> AnswerGiven:
        if session.store is not None:
            session.store.begin()
            if case.person is not None:  # whose templates the conversation holds, so that any answer may compare
                session.store.tell(case.person)
        if found.conversation is None:
            found.conversation = self._conversation(session, case, found)
        return found.conversation.ask(turn.question, photos=turn.photos, on_progress=report)

    def _conversation(self, session: Session, case: Case, found: Found) -> Conversation:
        """A conversation that knows what was asked before."""
        allowed = policy.load()
        if session.store is None:
            allowed = allowed.model_copy(update={"enrolled_people": False})
        made = Conversation(
            found.examination,
            model=self._settings.model,
            references=case.references,
            person=case.person,
            policy=allowed,
            people=session.store,
        )
        for earlier in found.turns[:-1]:
            if earlier.answer is not None:
                made.ask(earlier.question, photos=earlier.photos)
        return made

    def evaluate(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Update:
        """Show a run of ``facewitness eval``, or put it away."""
        session = self._open(session, request)
        if self.evaluation is None or event._data.get("close"):
            return {"evaluation": "", "note": ""}
        show = event._data.get("show")
        return {"evaluation": panels.evaluation(self.evaluation, show if show in SHOWS else SHOWS[0]), "note": ""}

    def sample(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Answer:
        """Examine a sample of that run."""
        session = self._open(session, request)
        if self.evaluation is None:
            return
        row, images, references = self.evaluation.photos(str(event._data.get("id")))
        case = Case(load(images[0]), tuple(load(data) for data in references[:MOST_PHOTOS]), note=panels.sample(row))
        session.stop = threading.Event()
        session.add(case)
        yield {"evaluation": ""}
        yield from self._examine(session, case)

    def report(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Update:
        """A file to take away."""
        session = self._open(session, request)
        made = session.case and reports.make(str(event._data.get("kind")), session.case, self._sign)
        if not made:
            return _problem(session, "no_case")
        data = base64.b64encode(made.data).decode()
        return {"file": panels.render("file", name=made.name, media_type=made.media_type, data=data)}

    def _sign(self, record: dict[str, Any]) -> Signature:
        return self._signer.sign(record)

    def feedback(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Update:
        """Keep what the visitor says of the verdict, if that was agreed to."""
        session, t = self._open(session, request), words()["feedback"]
        record = session.case.record if session.case else None
        reasons = [one for one in event._data.get("reasons") or [] if one in feedback.REASONS]
        if record is None or not reasons:
            return {"note": panels.problem(t["choose"], "")}
        if event._data.get("consent") is not True:
            return {"note": panels.problem(t["refused"], "")}
        session.feedback.append(feedback.keep(record, reasons, str(event._data.get("comment") or "")))
        return {"state": session, "note": panels.note(t["thanks"], "")}

    def remove(self, session: Session | None, event: gr.EventData, request: gr.Request) -> Update:
        """Delete everything of this visitor."""
        self._files(event)
        session = self._open(session, request)
        feedback.forget(session.feedback)
        counts, t = session.clear(), words()["removed"]
        self.drop(session)
        note = {"file": "", "evaluation": "", "note": panels.note(t["title"], t["text"].format(**counts))}
        return _screen(self._greeted(request), *PANELS) | note

    def greet(self, request: gr.Request) -> Update:
        """Whom a new visitor may compare with; no session yet, since something may have been dropped already."""
        return {"against": panels.against(self._greeted(request))}

    def _greeted(self, request: gr.Request) -> Session:
        principal = self._principal(request)
        may_compare = "identity" in principal.scopes
        return Session(principal.id, store=ComparedPeople(self._service, principal) if may_compare else None)


def _screen(session: Session, *names: str) -> Update:
    """These panels of a session; a note that was said before goes."""
    if session.gone:
        return {}
    return {"state": session} | {name: PANELS[name](session) if name in PANELS else "" for name in names}


def _why(error: Exception) -> tuple[str, str]:
    t = words()["problem"]
    if isinstance(error, Stopped):
        return t["stopped"], t["stopped_next"]
    if isinstance(error, FacewitnessError):
        return str(error), next_step(error.code)
    _log.error("chat: %s", type(error).__name__)
    return t["unforeseen"], next_step("other")


def said(error: Exception) -> str:
    """What went wrong and what to do next, as a panel."""
    return panels.problem(*_why(error))


def _refused(session: Session, error: FacewitnessError) -> Update:
    return {"state": session, "note": said(error)}


def _problem(session: Session, name: str) -> Update:
    t = words()["problem"]
    return {"state": session, "note": panels.problem(t[name], t[f"{name}_next"])}
