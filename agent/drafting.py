"""The explanation as it is being written, before it is checked: pieces of text by sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.utils.json import parse_partial_json

from .verdict import SECTIONS

Told = Callable[[int, str, str], None]
"""Called with a sentence's number from 0, its section, and the text that goes on from what was told before."""


def _tell(told: Told, number: int, section: str, text: str) -> None:
    """Nobody listens any more where a model was given up and writes on: the loop of who asked is closed."""
    try:
        told(number, section, text)
    except RuntimeError as error:
        if "loop is closed" not in str(error):
            raise


class SentenceTold(BaseCallbackHandler):
    """Tells one sentence, token by token.

    Args:
        told: See above.
        number: Of the sentence.
        section: Of the sentence.
    """

    def __init__(self, told: Told, number: int, section: str) -> None:
        self._told, self._place = told, (number, section)

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        """Pass it on."""
        _tell(self._told, *self._place, str(token))


class AnswerTold(BaseCallbackHandler):
    """Tells the sentences of an answer in JSON, of which only the beginning is known."""

    def __init__(self, told: Told) -> None:
        self._told, self._json = told, ""
        self._known: list[str] = []

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        """Tell what the token adds to a sentence."""
        self._json += str(token)
        try:
            answer = parse_partial_json(self._json)
        except ValueError:
            return
        for number, (section, text) in enumerate(_sentences(answer)):
            if number == len(self._known):
                self._known.append("")
            known = self._known[number]
            if text != known and text.startswith(known):
                _tell(self._told, number, section, text.removeprefix(known))
                self._known[number] = text


def _sentences(answer: Any) -> list[tuple[str, str]]:
    """(section, text) in the order in which they are written."""
    lists = answer if isinstance(answer, dict) else {}
    return [
        (section, sentence["text"])
        for section, sentences in lists.items()
        if section in SECTIONS and isinstance(sentences, list)
        for sentence in sentences
        if isinstance(sentence, dict) and isinstance(sentence.get("text"), str)
    ]
