"""Examinations and conversations that go on after their process has ended."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from PIL import Image

from facewitness.agent.conversation import Conversation, saver
from facewitness.agent.conversation.state import Limits
from facewitness.agent.examine import Examination, examine_all
from facewitness.agent.people import PeopleStore, Template
from facewitness.agent.policy import Policy
from facewitness.agent.record import Record
from facewitness.errors import InvalidOption, ToolUnavailable
from facewitness.evals import resume
from facewitness.tools import registry, weights
from facewitness.tools.detection import detect
from facewitness.tools.evidence import Evidence, ModelCard
from facewitness.tools.face import FaceView
from facewitness.tools.image import load
from facewitness.tools.registry import FaceTool

from .postgres_server import postgres


def png(rgb: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def examination(astronaut: Path) -> Examination:
    return examine_all(astronaut, model="none", all_faces=False, tool_seconds=30)


@pytest.fixture(scope="module")
def second(astronaut: Path) -> bytes:
    return png((load(astronaut).rgb * 0.8).astype(np.uint8))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/kept.sqlite"


# --- examinations


@pytest.fixture(scope="module")
def uninterrupted(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, float]:
    folder = tmp_path_factory.mktemp("whole")
    record = resume.finish(resume.begin(astronaut, folder, "first.log", "none"))
    return record, resume.duration(folder / "first.log")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_an_examination_that_was_killed_goes_on(
    share: float, uninterrupted: tuple[Record, float], astronaut: Path, tmp_path: Path
) -> None:
    whole, seconds = uninterrupted
    while not resume.interrupt(astronaut, tmp_path, share, seconds):
        for path in tmp_path.iterdir():  # the machine was quicker this time
            path.unlink()
        share *= 0.7
    outcome = resume.resume(astronaut, tmp_path, whole)
    assert outcome.same
    assert outcome.begun_again == ()
    assert outcome.twice == ()
    assert resume.pixels_in(tmp_path / "runs.sqlite", load(astronaut)) == 0


def test_what_a_tool_gave_is_kept_while_others_still_run(
    astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not queued behind tools that have not begun: a process that is killed then would measure it again."""
    database, go_on = tmp_path / "kept.sqlite", Event()

    def held(*_: object) -> list[Evidence]:
        go_on.wait(60)
        raise ToolUnavailable("It waited.")

    names = ("manipulation", "synthesis", "morph", "presentation_attack")  # as many as run at the same time
    tools = {**registry.tools(), **{name: FaceTool(name, name, held) for name in names}}
    monkeypatch.setattr("facewitness.agent.nodes.tools", lambda: tools)
    options = {"model": "none", "all_faces": False, "thread": resume.THREAD, "tool_seconds": 120}
    work = Thread(
        target=examine_all, args=(astronaut,), kwargs={**options, "checkpointer": saver(f"sqlite:///{database}")}
    )
    work.start()
    others, deadline = {"quality", "head_pose", "action_units", "expression"}, time.monotonic() + 50
    while not others <= (kept := resume.kept_tools(database)) and time.monotonic() < deadline:
        time.sleep(0.2)
    go_on.set()
    work.join()
    assert others <= kept


def test_a_thread_that_has_ended_gives_its_record_again(
    astronaut: Path, second: bytes, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(photo: Any = astronaut, **more: Any) -> Record:
        return examine_all(photo, model="none", all_faces=False, checkpointer=saver(url), thread="t", **more).records[0]

    first = run(tool_seconds=30)

    def broken(*_: object) -> list[Evidence]:
        raise AssertionError("measured again")

    tools = {**registry.tools(), "quality": FaceTool("quality", "Quality", broken)}
    monkeypatch.setattr("facewitness.agent.nodes.tools", lambda: tools)
    assert run() == first
    with pytest.raises(InvalidOption, match="another photo"):
        run(second)
    for more in ({"references": [second]}, {"question": "Is it real?"}, {"commercial_only": True}):
        with pytest.raises(InvalidOption, match="other references, another question or other options"):
            run(**more)


def test_a_thread_is_of_one_person_and_one_model(astronaut: Path, url: str, tmp_path: Path) -> None:
    """Enrolled people have no photo that tells them apart."""
    people, photo = PeopleStore(tmp_path / "people"), load(astronaut)
    feature = FaceView(photo, detect(photo.rgb)[0]).feature
    for name, sign in (("Ada", 1), ("Bob", -1)):
        people.enroll(name, [Template(sign * feature, f"{sign % 16:x}" * 64, weights.card("sface"))])

    def run(person: str, model: Any = "none") -> Record:
        given = {"all_faces": False, "checkpointer": saver(url), "thread": "t", "people": people, "tool_seconds": 30}
        return examine_all(astronaut, person=person, model=model, **given).records[0]

    first = run("Ada")
    assert run("Ada") == first and first.verdict.probabilities["someone else"] < 0.01
    with pytest.raises(InvalidOption, match="other references"):
        run("Bob")
    with pytest.raises(InvalidOption, match="other options"):
        run("Ada", FakeListChatModel(responses=[""]))


def test_without_a_thread_every_examination_is_a_new_one(astronaut: Path, url: str) -> None:
    kept = saver(url)
    records = [examine_all(astronaut, model="none", all_faces=False, checkpointer=kept).records[0] for _ in range(2)]
    assert records[0].id != records[1].id


# --- conversations


def talk(examination: Examination, kept: BaseCheckpointSaver[Any], **more: Any) -> Conversation:
    slow = Limits(tool_seconds=60)  # a busy machine
    return Conversation(examination, model="none", policy=Policy(), checkpointer=kept, thread="t", limits=slow, **more)


def stays(examination: Examination, second: bytes, url: str) -> None:
    """Ask, begin anew with nothing but the URL, and go on where it was."""
    first = talk(examination, saver(url))
    looked = first.ask("Look closer at the mouth")
    offered = first.ask("Why is it inconclusive?")
    history = first.history
    again = talk(examination, saver(url))
    assert again.history == history and len(history) == 2
    assert again.record == first.record and again.record.evidence[-1].id == looked.measured[-1]
    assert again.asks == offered.asks and again.asks is not None
    assert again.ask("Look closer at the mouth").measured == (), "measured before the restart"
    compared = again.ask("compare", photos=[second])
    assert compared.record.verdict.label == "the person"
    assert int(compared.measured[0][1:]) == int(looked.measured[-1][1:]) + 1
    third = talk(examination, saver(url))
    assert "Cosine similarity" in " ".join(c.text for c in third.ask("Is it the same person?").claims)
    assert third.ask("What if?").claims


def test_a_conversation_survives_in_sqlite(examination: Examination, second: bytes, url: str) -> None:
    stays(examination, second, url)


def test_a_conversation_survives_in_postgres(examination: Examination, second: bytes) -> None:
    pytest.importorskip("langgraph.checkpoint.postgres")
    with postgres() as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the server goes before its connections
        stays(examination, second, f"{server}/postgres")


def test_the_reply_to_a_question_is_waited_for_across_processes(astronaut: Path, url: str) -> None:
    def ask(*questions: str) -> str:
        command = [sys.executable, "-m", "facewitness", "ask", str(astronaut), *questions, "--model", "none"]
        command += ["--checkpoints", url, "--thread", "t"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=240, env={**os.environ, "COLUMNS": "500"}
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "give one, or say no" in ask("Why is it inconclusive?")
    assert "No reference photo was given, so nothing was compared." in ask("no")
    assert "give one" not in ask("Why is it inconclusive?"), "asked once, and it remembers"


def test_pixels_never_enter_a_conversation_s_checkpoint(
    examination: Examination, second: bytes, url: str, tmp_path: Path
) -> None:
    asked = talk(examination, saver(url))
    asked.ask("Compare with this second photo", photos=[second])
    asked.ask("Look closer at the mouth")
    assert resume.pixels_in(tmp_path / "kept.sqlite", examination.photo) == 0
    assert resume.pixels_in(tmp_path / "kept.sqlite", load(second)) == 0


def test_a_thread_is_about_one_photo(examination: Examination, second: bytes, url: str) -> None:
    talk(examination, saver(url)).ask("Is the head turned?")
    other = examine_all(second, model="none", all_faces=False)
    with pytest.raises(InvalidOption, match="another photo or face"):
        talk(other, saver(url))


def test_an_examination_and_its_conversation_share_a_thread(astronaut: Path, url: str) -> None:
    kept = saver(url)
    found = examine_all(astronaut, model="none", all_faces=False, checkpointer=kept, thread="t")
    talk(found, kept).ask("Look closer at the mouth")
    again = examine_all(astronaut, model="none", all_faces=False, checkpointer=kept, thread="t")
    assert again.records == found.records
    assert len(talk(again, kept).record.evidence) > len(again.records[0].evidence)


# --- where it is kept


@pytest.mark.parametrize("wrong", ["", "mysql://host/db", "sqlite:////nowhere/at/all.db", "file.db"])
def test_a_place_that_cannot_be_used_is_an_input_error(wrong: str) -> None:
    with pytest.raises(InvalidOption, match="checkpoints"):
        saver(wrong)


def test_a_database_that_does_not_answer_is_an_input_error() -> None:
    pytest.importorskip("langgraph.checkpoint.postgres")
    with pytest.raises(InvalidOption, match="does not answer"):
        saver("postgresql://nobody@127.0.0.1:9/none")


def test_the_file_is_its_owner_s_and_gives_back_no_foreign_type(tmp_path: Path, url: str) -> None:
    kept = saver(url)
    assert (tmp_path / "kept.sqlite").stat().st_mode & 0o077 == 0
    tampered = kept.serde.dumps_typed(ModelCard("a", "1", None, "MIT", True))
    assert not isinstance(kept.serde.loads_typed(tampered), ModelCard)
