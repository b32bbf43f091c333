"""Sentence by sentence, in a whole examination: refused, written anew once, dropped, counted."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from rich.console import Console

from facewitness.agent import chat_models, nodes, plan, reasoning, running, template
from facewitness.agent import examine as job
from facewitness.agent.examine import examine
from facewitness.agent.graph import build_graph
from facewitness.agent.record import Record
from facewitness.agent.state import Context
from facewitness.tools import registry
from facewitness.tools.image import load
from facewitness.ui import page, terminal
from facewitness.ui.wording import checked

from .scripted_model import Json, Script, ScriptedModel, true_sentences

FALSE = "The head is turned 80 degrees to the person's left."
QUICK = ("quality", "head_pose")


@pytest.fixture(autouse=True)
def _few_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is the text; two tools give evidence enough."""
    quick = {name: registry.tools()[name] for name in QUICK}
    for module in (nodes, plan):
        monkeypatch.setattr(module, "tools", lambda: quick)


def lying(*sections: str) -> Script:
    """True sentences, and a false one in each section named."""

    def script(brief: Json, refused: list[Json]) -> list[Json]:
        lies = [{"section": section, "text": FALSE, "evidence": ["e2"]} for section in sections]
        return [*true_sentences(brief, refused), *lies]

    return script


def all_lies(brief: Json, refused: list[Json]) -> list[Json]:
    return [{**sentence, "text": FALSE} for sentence in true_sentences(brief, refused)]


def mended(brief: Json, refused: list[Json]) -> list[Json]:
    said = true_sentences(brief, refused)[0]
    return [{"number": sentence["number"], "text": said["text"], "evidence": said["evidence"]} for sentence in refused]


def stubborn(brief: Json, refused: list[Json]) -> list[Json]:
    return [{"number": sentence["number"], "text": FALSE, "evidence": ["e2"]} for sentence in refused]


def silent(brief: Json, refused: list[Json]) -> list[Json]:
    raise ConnectionError("no route to host")


def counts(record: Record) -> Json:
    assert record.explanation.grounding is not None
    return record.explanation.grounding.model_dump()


def test_a_supported_text_is_not_asked_for_twice(astronaut: Path) -> None:
    model = ScriptedModel(scripts=(true_sentences, silent))
    record = examine(astronaut, model=model)
    assert counts(record) == {"written": 4, "refused": 0, "regenerated": 0, "dropped": 0, "from_template": []}
    assert len(model.requests) == 1
    assert checked(record.explanation) == "The check passed all 4 sentences at once."


def test_only_the_refused_sentence_is_written_anew(astronaut: Path) -> None:
    model = ScriptedModel(scripts=(lying("observations"), mended, silent))
    record = examine(astronaut, model=model)
    assert counts(record) == {"written": 5, "refused": 1, "regenerated": 1, "dropped": 0, "from_template": []}
    assert len(model.requests) == 2
    assert model.requests[1].partition("The sentences:")[2].count('"number"') == 1
    assert len(record.explanation.claims) == 5
    assert all(claim.supported for claim in record.explanation.claims)


@pytest.mark.parametrize("second", [stubborn, silent], ids=["fails again", "no answer"])
def test_what_fails_twice_is_dropped_and_the_rest_stays(astronaut: Path, second: Script) -> None:
    model = ScriptedModel(scripts=(lying("observations", "conclusion"), second))
    record = examine(astronaut, model=model)
    assert counts(record) == {"written": 6, "refused": 2, "regenerated": 0, "dropped": 2, "from_template": []}
    assert FALSE not in record.to_json()
    assert len(record.explanation.claims) == 4
    assert (record.explanation.written_by, record.explanation.why_template) == ("model", None)
    assert checked(record.explanation).endswith("0 passed when written anew, 2 left out.")
    console = Console(record=True, width=200, file=io.StringIO())
    terminal.show(record, console)
    for shown in (console.export_text(), page.render(job.Examination((record,), load(astronaut)))):
        assert checked(record.explanation) in shown


def test_a_section_without_a_sentence_gets_the_templates(astronaut: Path) -> None:
    def no_conclusion(brief: Json, refused: list[Json]) -> list[Json]:
        said = true_sentences(brief, refused)
        return [*said[:3], {"section": "conclusion", "text": "The photo is authentic.", "evidence": ["e1"]}]

    record = examine(astronaut, model=ScriptedModel(scripts=(no_conclusion, stubborn)))
    plain = examine(astronaut, model="none")
    assert counts(record) == {
        "written": 4, "refused": 1, "regenerated": 0, "dropped": 1, "from_template": ["conclusion"],
    }  # fmt: skip
    assert record.explanation.written_by == "model"
    assert record.explanation.reasoning.conclusion == plain.explanation.reasoning.conclusion
    assert record.explanation.reasoning.observations != plain.explanation.reasoning.observations
    assert all(claim.supported for claim in record.explanation.claims)
    assert checked(record.explanation).endswith("From the template instead: conclusion.")


def test_where_nothing_passes_the_template_writes_and_it_is_counted(astronaut: Path) -> None:
    record = examine(astronaut, model=ScriptedModel(scripts=(all_lies, stubborn)))
    assert record.explanation.written_by == "template"
    assert record.explanation.why_template == "the check refused every sentence of the model"
    assert counts(record)["dropped"] == counts(record)["written"] == 4
    assert record.explanation.claims == examine(astronaut, model="none").explanation.claims
    assert "scripted" not in {model.name for model in record.models}


def test_without_an_answer_the_template_writes_and_nothing_is_counted(astronaut: Path) -> None:
    record = examine(astronaut, model=ScriptedModel(scripts=(silent,)))
    assert (record.explanation.written_by, record.explanation.grounding) == ("template", None)
    assert record.explanation.why_template == "The language model gave no answer (ConnectionError)"
    assert checked(record.explanation) == ""


def test_a_model_that_takes_too_long_is_given_up(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never comes back; the verdict does, with the reason in the record."""
    monkeypatch.setattr(reasoning, "within", lambda seconds, write: running.within(0.2, write))
    never = threading.Event()

    def waiting(brief: Json, refused: list[Json]) -> list[Json]:
        never.wait(60)
        return []

    record = examine(astronaut, model=ScriptedModel(scripts=(waiting,)))
    never.set()
    assert record.verdict.assessable and record.explanation.written_by == "template"
    assert record.explanation.why_template == "The language model did not finish within 120 seconds"


def test_the_text_is_told_before_it_is_checked(astronaut: Path) -> None:
    events: list[Json] = []
    model = chat_models.open_model("embedded")
    assert model is not None
    record = job.examine_all(astronaut, model=model, all_faces=False, on_progress=events.append).records[0]
    drafts = [event for event in events if event.get("status") == "writing"]
    assert all(draft["stage"] == "reason" and draft["face"] == "f1" for draft in drafts)
    told: dict[int, str] = {}
    for draft in drafts:
        told[draft["sentence"]] = told.get(draft["sentence"], "") + draft["text"]
    written = [claim.text for claim in record.explanation.claims]
    assert len(drafts) > 2 * len(told) and sum(text.strip() in written for text in told.values()) > len(told) / 2


def request_for(photo: Any) -> Any:
    return {
        "image": job.image_info(photo), "references": [], "question": None, "face": None, "all_faces": False,
    }  # fmt: skip


def test_an_interrupted_examination_goes_on_from_its_checkpoint(astronaut: Path, tmp_path: Path) -> None:
    """After the first check, all that is left to do is the revision."""
    photo = load(astronaut)
    model = ScriptedModel(scripts=(lying("summary"), mended, silent))
    context = Context(photo, model=model)
    config: Any = {"configurable": {"thread_id": photo.sha256}}

    async def run() -> Any:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as saver:
            cut = build_graph().compile(checkpointer=saver, interrupt_after=["check_grounding"])
            stopped = await cut.ainvoke(request_for(photo), config, context=context)
            assert "records" not in stopped and len(model.requests) == 1
            return await build_graph().compile(checkpointer=saver).ainvoke(None, config, context=context)

    record = Record.model_validate(asyncio.run(run())["records"][0])
    assert len(model.requests) == 2
    assert counts(record) == {"written": 5, "refused": 1, "regenerated": 1, "dropped": 0, "from_template": []}


def test_a_second_examination_on_the_same_thread_starts_afresh(astronaut: Path, tmp_path: Path) -> None:
    photo = load(astronaut)

    async def run() -> list[Record]:
        async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "runs.sqlite")) as saver:
            found = []
            for _ in range(2):
                model = ScriptedModel(scripts=(lying("summary"), stubborn, silent))
                state = await job._drive(request_for(photo), Context(photo, model=model), None, saver)
                found.append(Record.model_validate(state["records"][0]))
            return found

    first, second = asyncio.run(run())
    assert counts(first) == counts(second)
    assert counts(second)["dropped"] == 1
    assert first.explanation == second.explanation


def test_the_embedded_model_loses_one_sentence_and_keeps_the_others(
    astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real model, with one finding that it is made to get wrong both times."""
    model = chat_models.open_model("embedded")
    assert model is not None
    generate = type(model)._generate
    wrong = "tipped"

    def faulty(self: Any, messages: Any, *args: Any, **options: Any) -> Any:
        result = generate(self, messages, *args, **options)
        if wrong in str(messages[-1].content):
            result.generations[0].message.content = FALSE
        return result

    monkeypatch.setattr(type(model), "_generate", faulty)
    monkeypatch.setattr(template, "telling", lambda brief, most=12: _poses(brief)[:most])
    record = examine(astronaut, model=model)
    assert record.explanation.written_by == "model"
    assert counts(record)["dropped"] == 1
    assert counts(record)["from_template"] == []
    assert wrong not in record.explanation.reasoning.observations
    assert "turned" in record.explanation.reasoning.observations


def _poses(brief: Any) -> Any:
    return tuple(item for item in brief.evidence if item.tool == "head_pose")
