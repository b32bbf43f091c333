"""What the agent costs around a served model: the examination against its parts, evidence and bare model, side by side.

Run: ``python -m facewitness.evals.agent_overhead --photos FILE … --model URL#NAME?… --out FILE [--rounds 3]``

The agent's requests are recorded and sent again without it, so that the same prompts are answered. The three ways take
turns in every round, and a round's order is drawn, so that a slow minute of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage

from ..agent import chat_models
from ..agent.examine import examine
from ..tools.image import Photo, load

CONCURRENCY = (1, 4)
_SENT = ("stream", "logprobs", "top_logprobs", "max_tokens", "max_completion_tokens", "extra_body")


class Recorder(BaseCallbackHandler):
    """Keeps every request: messages, and the options beside the model's own."""

    def __init__(self) -> None:
        self.requests: list[tuple[list[BaseMessage], dict[str, Any]]] = []

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], **told: Any) -> None:
        """A request begins."""
        given = told.get("invocation_params", {})
        self.requests.append((messages[0], {name: given[name] for name in _SENT if given.get(name) is not None}))


def recorded(photo: Photo, model: str) -> list[tuple[list[BaseMessage], dict[str, Any]]]:
    """The requests of one examination."""
    recorder = Recorder()
    opened = chat_models.open_model(model)
    assert opened is not None
    examine(photo, model=opened.model_copy(update={"callbacks": [recorder]}))
    return recorder.requests


def seconds(work: Callable[[int], object], count: int, concurrency: int) -> float:
    """Wall time of so many pieces of work, so many at a time."""
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(work, range(count)))
    return time.perf_counter() - started


def measure(photos: Sequence[Photo], model: str, concurrency: int, rounds: int) -> dict[str, Any]:
    """Seconds of each way by round, and their ratios."""
    requests = [recorded(photo, model) for photo in photos]
    bare = chat_models.open_model(model)
    assert bare is not None

    def ask(number: int) -> None:
        look = chat_models.abilities(bare).look
        for messages, options in requests[number]:
            asked = chat_models.at_task(bare, look) if look and "logprobs" in options else bare
            asked.invoke(messages, **options)

    ways: dict[str, Callable[[int], object]] = {
        "agent": lambda number: examine(photos[number], model=model),
        "evidence": lambda number: examine(photos[number], model="none"),
        "bare model": ask,
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    chance = np.random.default_rng(0)
    for _ in range(rounds):
        for name in chance.permutation(list(ways)):
            taken[name].append(round(seconds(ways[name], len(photos), concurrency), 3))
    parts = zip(taken["agent"], taken["evidence"], taken["bare model"], strict=True)
    ratios = [agent / (evidence + model_) for agent, evidence, model_ in parts]
    return {
        "examinations at a time": concurrency,
        "requests to the model": sum(map(len, requests)),
        "seconds by round": taken,
        "agent over evidence and bare model, by round": [round(ratio, 3) for ratio in ratios],
        "median": round(statistics.median(ratios), 3),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.evals.agent_overhead")
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--model", required=True, help="URL#NAME?… of a server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    photos = [load(path) for path in options.photos]
    examine(photos[0], model="none")  # loads the tools
    found = [measure(photos, options.model, concurrency, options.rounds) for concurrency in CONCURRENCY]
    result = {"photos": len(photos), "model": options.model.partition("#")[2], "measured": found}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
