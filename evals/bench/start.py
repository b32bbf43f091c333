"""How long it takes until something is there: the import, the help, a verdict in a new process, the next one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .rounds import Way, in_turns, spread

_VERDICTS = """
import sys, time
started = time.perf_counter()
from facewitness.agent.examine import examine
for _ in range(2):
    examine(sys.argv[1], model=sys.argv[2])
    print(time.perf_counter() - started)
    started = time.perf_counter()
"""


def measure(photo: Path, rounds: int, models: Sequence[str] = ("none", "embedded")) -> dict[str, Any]:
    """Seconds of each; a first verdict counts from the start of the process, the files in the system's memory."""
    python = sys.executable
    commands = {
        "python alone": [python, "-c", "pass"],
        "import facewitness": [python, "-c", "import facewitness"],
        "facewitness --help": [python, "-m", "facewitness", "--help"],
    }
    ways: dict[str, Way] = {name: _run(command) for name, command in commands.items()}
    next_: dict[str, list[float]] = {}
    for model in models:
        next_[f"next verdict, model {model}"] = []
        ways[f"first verdict, model {model}"] = _first(photo, model, next_[f"next verdict, model {model}"])
    taken = in_turns(ways, rounds) | {name: seconds[1:] for name, seconds in next_.items()}
    return {name: spread(seconds, 3) for name, seconds in taken.items()}


def _run(command: list[str]) -> Way:
    def way(number: int) -> None:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - ours

    return way


def _first(photo: Path, model: str, later: list[float]) -> Way:
    """Seconds from the start of the process to the first verdict; those of the second are noted."""

    def way(number: int) -> float:
        started = time.perf_counter()
        command = [sys.executable, "-c", _VERDICTS, str(photo), model]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True) as process:  # noqa: S603 - ours
            assert process.stdout is not None
            process.stdout.readline()
            first = time.perf_counter() - started
            later.append(float(process.stdout.readline()))
        return first

    return way
