import threading
import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from facewitness.agent import nodes, running
from facewitness.agent.examine import examine
from facewitness.agent.plan import MANDATORY, ask_for_more, choose


class ScriptedModel(BaseChatModel):
    """Asks for the tools it is told to ask for, as a tool-calling server would."""

    asks: list[str]
    bound: list[str] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> "ScriptedModel":
        self.bound = [tool["name"] for tool in tools]
        return self

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        calls = [{"name": name, "args": {}, "id": str(i)} for i, name in enumerate(self.asks)]
        return ChatResult(generations=[ChatGeneration(message=AIMessage("", tool_calls=calls))])


def test_no_question_runs_every_tool() -> None:
    assert set(choose(None, 1)) >= {"identity", "action_units", "expression", "provenance"}


def test_without_references_identity_is_not_planned() -> None:
    assert "identity" not in choose(None, 0)
    assert "identity" not in choose("Is this the same person?", 0)


@pytest.mark.parametrize("references", [0, 1])
@pytest.mark.parametrize("question", [None, "Is the smile consistent with the eyes?", "When was it taken?", "Hm?"])
def test_the_mandatory_tools_are_always_planned(question: str | None, references: int) -> None:
    chosen = choose(question, references)
    assert set(MANDATORY) <= set(chosen)
    assert ("identity" in chosen) == bool(references)


def test_a_question_narrows_the_plan_to_its_topic() -> None:
    assert "action_units" not in choose("Was the metadata edited?", 0)
    assert "action_units" in choose("Is the smile consistent with the eyes?", 0)


def test_a_model_gets_the_tools_it_asks_for_within_the_budget() -> None:
    chosen = choose("Was the metadata edited?", 0)
    model = ScriptedModel(asks=["expression", "action_units", "rm_rf", "quality"])
    assert ask_for_more(model, "?", chosen, 0, 4) == ("action_units", "expression")
    assert not set(model.bound) & set(chosen), "tools that run anyway are not offered"
    assert len(ask_for_more(model, "?", chosen, 0, 1)) == 1
    assert ask_for_more(model, "?", chosen, 0, 0) == ()


class HangingPlanner(ScriptedModel):
    """Answers nothing, and does not come back when it is to choose tools."""

    chooses: bool = False

    def bind_tools(self, tools: Any, **_: Any) -> "HangingPlanner":
        return HangingPlanner(asks=[], chooses=True)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        if self.chooses:
            threading.Event().wait(60)
        raise ConnectionError


def test_a_planner_that_hangs_does_not_hold_the_examination_up(
    astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "within", lambda seconds, work: running.within(0.3, work))
    model = HangingPlanner(asks=[], metadata={"facewitness": {"tools": True}})
    started = time.monotonic()
    record = examine(astronaut, question="Was the metadata edited?", model=model)
    assert record.verdict.assessable and time.monotonic() - started < 50
