"""A chat model that answers by script, for what is done with a language model's answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from facewitness.agent.verdict import SECTIONS

Json = dict[str, Any]
Script = Callable[[Json, list[Json]], list[Json]]


class ScriptedModel(BaseChatModel):
    """Answers each request with what the next script makes of it; the last script answers all that follow.

    Attributes:
        scripts: Each gets the brief and the refused sentences (none in the first request), as they were sent.
    """

    scripts: tuple[Script, ...]
    _requests: list[str] = PrivateAttr(default_factory=list)

    @property
    def requests(self) -> list[str]:
        """The user messages so far."""
        return self._requests

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._requests.append(str(messages[-1].text))
        script = self.scripts[min(len(self._requests), len(self.scripts)) - 1]
        brief, _, refused = self._requests[-1].removeprefix("The examination:\n").partition("\nThe sentences:\n")
        answer = json.dumps(_form(script(json.loads(brief), json.loads(refused or "[]"))))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])


def _form(sentences: Any) -> Any:
    """The JSON that is asked for: by section, or, of sentences written anew, one list."""
    if all("section" in sentence for sentence in sentences):
        sections = dict.fromkeys(sentence["section"] for sentence in sentences)
        return {name: [item for item in sentences if item["section"] == name] for name in sections}
    return {"sentences": sentences}


def true_sentences(brief: Json, _: list[Json]) -> list[Json]:
    """The first finding with a value in every section, and the verdict in the conclusion."""
    first = next(item for item in brief["evidence"] if item["status"] == "ok")
    told = {"text": first["finding"], "evidence": [first["id"]]}
    verdict = {"text": f"The verdict is {brief['verdict']}.", "evidence": brief["decided_by"][:1]}
    return [{"section": section, **(verdict if section == "conclusion" else told)} for section in SECTIONS]
