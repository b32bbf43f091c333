"""The embedded language model's explanations, beside transformers' plain ``generate`` with the same weights.

The prompts of real examinations are recorded and put to both. Every round has photos of its own, so that no prompt is
asked twice: the embedded runtime keeps the common beginning of prompts, which counts as it does in use. Both are
greedy, in single precision, and stop at the end of the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage

from ...agent.embedded_model import STOP_TOKENS, WEIGHTS, EmbeddedChatModel
from ...agent.examine import examine
from ...errors import InvalidOption
from ...tools import weights
from ...tools.image import load
from .machine import cores
from .rounds import in_turns, spread, times_faster

OURS, PLAIN = "facewitness, embedded", "transformers, generate"
Request = tuple[list[BaseMessage], int, list[str]]
"""Messages, most tokens, and where to stop."""


class _Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.requests: list[Request] = []

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], **told: Any) -> None:
        """A request begins; those kept to a form have no counterpart and are left out."""
        given = told.get("invocation_params", {})
        if not given.get("regex"):
            tokens = given.get("max_tokens", EmbeddedChatModel().max_tokens)
            self.requests.append((messages[0], tokens, list(given.get("stop") or ())))


def recorded(photo: Path) -> list[Request]:
    """What one examination asks of the model that writes."""
    recorder = _Recorder()
    examine(load(photo), model=EmbeddedChatModel(callbacks=[recorder]))
    return recorder.requests


def measure(paths: Sequence[Path]) -> dict[str, Any]:
    """Seconds of each, how many times faster ours is, and how many answers are the same.

    Args:
        paths: One to warm up, and one for each round.

    Raises:
        InvalidOption: No two photos can be assessed, or transformers is not installed.
    """
    asked = [requests for requests in map(recorded, paths) if requests]
    if len(asked) < 2:
        raise InvalidOption("This needs two photos or more whose face can be assessed.")
    theirs = _Transformers()
    said: dict[str, dict[int, list[str]]] = {OURS: {}, PLAIN: {}}
    model = EmbeddedChatModel(threads=cores())

    def ours(number: int) -> None:
        said[OURS][number] = [
            str(model.invoke(messages, max_tokens=tokens, stop=stop).text) for messages, tokens, stop in asked[number]
        ]

    def plain(number: int) -> None:
        said[PLAIN][number] = [theirs.answer(*request) for request in asked[number]]

    taken = in_turns({OURS: ours, PLAIN: plain}, len(asked) - 1)
    pairs = [pair for number in said[OURS] for pair in zip(said[OURS][number], said[PLAIN][number], strict=True)]
    return {
        "model": weights.card(WEIGHTS).name,
        "requests": len(pairs),
        "same_answers": sum(a.strip() == b.strip() for a, b in pairs),
        "seconds": {name: spread(seconds, 2) for name, seconds in taken.items()},
        "times_faster": times_faster(taken[PLAIN], taken[OURS]),
    }


class _Transformers:
    """The same file, read by transformers into single precision."""

    def __init__(self) -> None:
        try:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        except ImportError as error:
            raise InvalidOption(f"This needs {error.name}: install facewitness[finetune].") from None
        torch.set_num_threads(cores())
        path = weights.path(WEIGHTS)
        self._tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        self._model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()

    def answer(self, messages: list[BaseMessage], tokens: int, stop: list[str]) -> str:
        """The text after the prompt, special tokens left out."""
        turns = [{"role": _ROLES.get(one.type, "user"), "content": str(one.text)} for one in messages]
        inputs = self._tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        given = self._model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=tokens,
            eos_token_id=sorted(STOP_TOKENS),
            pad_token_id=min(STOP_TOKENS),
            **({"stop_strings": stop, "tokenizer": self._tokenizer} if stop else {}),
        )
        return str(self._tokenizer.decode(given[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
