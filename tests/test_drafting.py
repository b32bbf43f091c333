"""What a model's callbacks do when nobody listens any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import handle_event

from facewitness.agent.drafting import AnswerTold, SentenceTold, Told

ANSWER = '{"observations": [{"text": "The head is straight.", "evidence": ["e1"]}]}'


@pytest.mark.parametrize("make", [lambda told: SentenceTold(told, 0, "observations"), AnswerTold])
def test_a_token_that_comes_too_late_is_silent(
    make: Callable[[Told], BaseCallbackHandler], caplog: pytest.LogCaptureFixture
) -> None:
    """The model was given up after its time, the loop of the examination is closed, and the model writes on."""
    loop = asyncio.new_event_loop()
    loop.close()

    def too_late(*piece: object) -> None:
        loop.call_soon_threadsafe(print, *piece)

    with caplog.at_level(logging.DEBUG):
        handle_event([make(too_late)], "on_llm_new_token", "ignore_llm", ANSWER)
    assert caplog.records == []


def test_another_error_is_not_hidden() -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        SentenceTold(broken, 0, "observations").on_llm_new_token("word")
