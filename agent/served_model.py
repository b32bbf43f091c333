"""A model behind an OpenAI-compatible server: retried where that helps, given up soon where the server is down.

Retried once are lost connections and the answers 408, 409, 429 and 5xx (by the ``openai`` client). After
``FAILURES`` failed calls in a row no further call is made for ``REST`` seconds, so that an examination does not wait
for every step in turn; then one call is let through to try (circuit breaker, Nygard 2018). What a server says of a
request that it understood, as 400 or 401, is no failure of the server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import openai
from circuitbreaker import CircuitBreaker
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from ..errors import ModelUnavailable

SECONDS = 60.0
"""A server that says nothing for so long has not answered; how long writing may take is ``Context.model_seconds``."""
FAILURES, REST = 3, 30.0
_HARMLESS = (
    openai.BadRequestError,
    openai.AuthenticationError,
    openai.PermissionDeniedError,
    openai.NotFoundError,
    openai.UnprocessableEntityError,
)


class ServedChatModel(ChatOpenAI):
    """Greedy; raises ``ModelUnavailable`` at once while the server is left alone."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with self._called():
            return super()._generate(messages, *args, **kwargs)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        with self._called():
            yield from super()._stream(*args, **kwargs)

    @contextmanager
    def _called(self) -> Iterator[None]:
        breaker = _breaker(str(self.openai_api_base))
        if breaker.opened:
            reason = f"The language model's server failed {FAILURES} times in a row and is left alone for now."
            raise ModelUnavailable(reason)
        with breaker:
            yield


def served(address: str, name: str, abilities: dict[str, Any]) -> ServedChatModel:
    """The model of that name at a server's base address; no connection is made yet.

    Args:
        address: Such as ``http://127.0.0.1:8000/v1``.
        name: As the server calls it.
        abilities: What ``chat_models`` asks of it.
    """
    return ServedChatModel(
        base_url=address,
        model=name,
        api_key=SecretStr(os.environ.get("FACEWITNESS_API_KEY") or "none"),
        temperature=0,
        seed=0,
        timeout=SECONDS,
        max_retries=1,
        metadata={"facewitness": abilities},
    )


@cache
def _breaker(address: str) -> CircuitBreaker:
    """One for all models of a server."""
    return CircuitBreaker(FAILURES, REST, expected_exception=_is_failure)


def _is_failure(kind: type[BaseException], _: BaseException) -> bool:
    return issubclass(kind, Exception) and not issubclass(kind, _HARMLESS)
