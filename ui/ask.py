"""The ``ask`` command: examine a photo, then answer questions about the examination in turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, InvalidOption

if TYPE_CHECKING:
    from rich.console import Console

    from ..agent.conversation import Answer
    from ..tools.image import Photo

THREAD_HELP = "Go on with the conversation of this name about the same photo; needs --checkpoints."
CHECKPOINTS_HELP = "Where conversations are kept: sqlite:///PATH, or the URL of a PostgreSQL database."
POLICY_HELP = "TOML file of what is allowed, such as telling perceived attributes."


def ask(
    photo: Annotated[Path, typer.Argument(help="JPEG, PNG or WEBP.")],
    questions: Annotated[list[str], typer.Argument(help="One or more questions, or replies to what is asked back.")],
    reference: Annotated[list[Path] | None, typer.Option(help="Photo of the person it is claimed to be.")] = None,
    person: Annotated[str | None, typer.Option(help="Enrolled person to compare with.")] = None,
    face: Annotated[int | None, typer.Option(min=1, help="1 is the largest face.")] = None,
    model: Annotated[
        str, typer.Option(envvar="FACEWITNESS_MODEL", help="As for examine; one with &tools may measure more.")
    ] = "embedded",
    commercial_only: Annotated[
        bool, typer.Option("--commercial-only", envvar="FACEWITNESS_COMMERCIAL_ONLY", help="As for examine.")
    ] = False,
    thread: Annotated[str | None, typer.Option(help=THREAD_HELP)] = None,
    checkpoints: Annotated[str | None, typer.Option(envvar="FACEWITNESS_CHECKPOINTS", help=CHECKPOINTS_HELP)] = None,
    policy: Annotated[Path | None, typer.Option(envvar="FACEWITNESS_POLICY", help=POLICY_HELP)] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object for each answer, nothing else.")] = False,
) -> None:
    """Examine a face, then answer questions about it; every sentence cites the evidence."""
    if thread is not None and checkpoints is None:
        raise InvalidOption("A thread needs a place where it is kept: --checkpoints.")
    _check(questions)
    loaded = _load(photo)
    references = [_load(path) for path in reference or []]

    from ..agent import policy as policies
    from ..agent.conversation import Conversation, saver
    from ..agent.examine import examine_all
    from . import terminal

    allowed = policies.load(policy)
    kept = None if checkpoints is None else saver(checkpoints)
    with terminal.progress(quiet=json) as on_progress:
        examination = examine_all(
            loaded,
            references,
            person=person,
            face=face,
            model=model,
            commercial_only=commercial_only,
            all_faces=False,
            on_progress=on_progress,
            checkpointer=kept,
            thread=thread,
        )
    talk = Conversation(
        examination,
        model=model,
        references=references,
        person=person,
        policy=allowed,
        checkpointer=kept,
        thread=thread,
    )
    _answer_all(talk.ask, questions, json)


def _check(questions: list[str]) -> None:
    """Refuse an empty question before any is answered."""
    from ..agent.relevance import clean

    for number, question in enumerate(questions, start=1):
        if clean(question) is None:
            raise InvalidOption(f"Question {number} is empty." if len(questions) > 1 else "There is no question.")


def _answer_all(put: Callable[..., Answer], questions: list[str], json: bool) -> None:
    from . import terminal

    for question in questions:
        with terminal.progress(quiet=json) as on_progress:
            answer = put(question, on_progress=on_progress)
        if json:
            print(_as_json(question, answer))
        else:
            show(question, answer)


def _load(path: Path) -> Photo:
    from ..tools.image import load

    try:
        return load(path)
    except InputError as error:
        raise type(error)(f"{path.name or path}: {error}") from None


def show(question: str, answer: Answer, console: Console | None = None) -> None:
    """Print a question and its answer: a sentence a line with its citations, then what was measured for it."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = console or Console(highlight=False)
    console.print(Text(f"\n{question}", style="bold"))
    for claim in answer.claims:
        marks = "".join(f" [{id_}]" for id_ in claim.evidence)
        style = "yellow" if answer.declined else ""
        console.print(Padding(Text(claim.text, style=style) + Text(marks, style="cyan"), (0, 0, 0, 2)))
    if answer.asks:
        console.print(Padding(Text(answer.asks, style="magenta"), (0, 0, 0, 2)))
    if notes := _notes(answer):
        console.print(Padding(Text(notes, style="dim"), (0, 0, 0, 2)))


def _notes(answer: Answer) -> str:
    """What was measured for the answer, and what a model's calls came to."""
    notes = []
    if answer.measured:
        several = len(answer.measured) > 1
        ids = f"{answer.measured[0]} to {answer.measured[-1]}" if several else answer.measured[0]
        notes.append(f"Newly measured or computed: {ids}.")
    if answer.calls:
        calls = ", ".join(f"{number} {outcome.replace('_', ' ')}" for outcome, number in answer.calls.items())
        notes.append(f"Tool calls of the model: {calls}.")
    return " ".join(notes)


def _as_json(question: str, answer: Answer) -> str:
    import json

    found: dict[str, Any] = {
        "question": question,
        "claims": [{"text": claim.text, "evidence": list(claim.evidence)} for claim in answer.claims],
        "declined": answer.declined,
        "asks": answer.asks,
        "measured": [item.model_dump(mode="json") for item in answer.record.evidence if item.id in {*answer.measured}],
        "verdict": answer.record.verdict.model_dump(mode="json"),
        "written_by": answer.written_by,
        "calls": dict(answer.calls),
        "record": answer.record.id,
    }
    return json.dumps(found, ensure_ascii=False)
