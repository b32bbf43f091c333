"""kill -9 at random points of an examination, and going on from its checkpoint.

``python -m facewitness.evals.resume --photo PHOTO [--kills 50] [--model none] [--out FILE]``

A child process examines the photo on a SQLite checkpointer and is killed at a random moment; a second one goes on with
the same thread. Its record is compared with that of an examination that nobody interrupted, ids and times apart; no
tool whose evidence was kept may be begun again, and no pixel and no byte of the file may be in the database.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..agent.conversation import saver
from ..agent.examine import examine_all
from ..agent.record import Record
from ..tools.image import Photo, load
from ..tools.registry import Tool, tools

THREAD = "resumed"
APART = {"id", "created_at", "timings_ms"}
WINDOW = 48
"""Bytes of the photo that are looked for in the database, at every hundredth place."""
SECONDS = 300
TOOL_SECONDS = 60.0
"""A tool that is given up because the machine is busy would make another record."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one interrupted examination.

    Attributes:
        kept: Tools whose evidence was in the checkpoint when the process was killed.
        begun_again: Those of them that the second process began again; must be none.
        lost: Tools that had finished and were not kept yet.
        same: Whether the record is that of the uninterrupted examination.
        twice: Measures that are in the record twice; must be none.
    """

    kept: tuple[str, ...]
    begun_again: tuple[str, ...]
    lost: tuple[str, ...]
    same: bool
    twice: tuple[str, ...]


def child(photo: Path, database: Path, log: Path, model: str) -> None:
    """Examine, noting in ``log`` when the examination and each tool begin and end; the record goes to stdout."""
    from ..agent import nodes

    noted = {name: _noted(tool, log) for name, tool in tools().items()}
    vars(nodes)["tools"] = lambda: noted
    checkpoints = saver(f"sqlite:///{database}")
    _note(log, "begin", "examination")
    found = examine_all(
        photo, model=model, all_faces=False, checkpointer=checkpoints, thread=THREAD, tool_seconds=TOOL_SECONDS
    )
    _note(log, "end", "examination")
    print(found.records[0].to_json())


def _noted(tool: Tool, log: Path) -> Tool:
    def measure(*given: Any) -> Any:
        _note(log, "begin", tool.name)
        try:
            return tool.measure(*given)
        finally:
            _note(log, "end", tool.name)

    noted: Any = measure
    return replace(tool, measure=noted)


def _note(log: Path, what: str, name: str) -> None:
    """One line, in the file before anything else happens."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, f"{time.time():.4f} {what} {name}\n".encode())
    os.close(descriptor)


def _lines(log: Path, what: str) -> list[str]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [line.split()[2] for line in lines if line.split()[1] == what]


def begin(photo: Path, folder: Path, log: str, model: str) -> subprocess.Popen[str]:
    """Start a child on the database of ``folder``."""
    command = [sys.executable, "-m", "facewitness.evals.resume", "--photo", str(photo), "--model", model]
    command += ["--child", str(folder / "runs.sqlite"), str(folder / log)]
    # NumPy's OpenBLAS, with threads of its own, now and then hangs for good beside OpenVINO's on a busy machine.
    given = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=quiet, text=True, env=given)  # noqa: S603 - ours


def finish(process: subprocess.Popen[str]) -> Record:
    """Wait for a child and read its record."""
    output, _ = process.communicate(timeout=SECONDS)
    if process.returncode:
        raise RuntimeError(f"The child ended with exit code {process.returncode}.")
    return Record.model_validate_json(output)


def interrupt(photo: Path, folder: Path, share: float, seconds: float, model: str = "none") -> bool:
    """Kill a child when it has spent a share of the time of an examination; False if it ended before.

    Args:
        photo: Examined photo.
        folder: For its database and log.
        share: 0 for the beginning of the examination, 1 for its expected end.
        seconds: How long an examination takes.
        model: See ``examine``.
    """
    process = begin(photo, folder, "first.log", model)
    while not _lines(folder / "first.log", "begin"):
        if process.poll() is not None:
            raise RuntimeError("The child ended before it began.")
        time.sleep(0.005)
    time.sleep(share * seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL and "examination" not in _lines(folder / "first.log", "end")


def resume(photo: Path, folder: Path, whole: Record, model: str = "none") -> Outcome:
    """Go on with an interrupted examination in a new process, and judge what comes out."""
    kept = kept_tools(folder / "runs.sqlite")
    record = finish(begin(photo, folder, "second.log", model))
    measures = Counter((item.face, item.measure) for item in record.evidence)
    return Outcome(
        tuple(sorted(kept)),
        tuple(sorted(kept & set(_lines(folder / "second.log", "begin")))),
        tuple(sorted(set(_lines(folder / "first.log", "end")) - kept - {"examination"})),
        record.model_dump(exclude=APART) == whole.model_dump(exclude=APART),
        tuple(measure for (_, measure), times in measures.items() if times > 1),
    )


def kept_tools(database: Path) -> set[str]:
    """Tools whose evidence a database holds, in the state or as the writes of a step that had not ended."""
    config: Any = {"configurable": {"thread_id": THREAD}}
    held = saver(f"sqlite:///{database}").get_tuple(config) if database.exists() else None
    if held is None:
        return set()
    written = [value for _, channel, value in held.pending_writes or () if channel == "evidence"]
    groups = [held.checkpoint["channel_values"].get("evidence") or [], *written]
    return {item["tool"] for group in groups for item in getattr(group, "value", group)} & set(tools())


def pixels_in(database: Path, photo: Photo) -> int:
    """How many windows of the photo's pixels and of its file are in a database and its log files."""
    stored = b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))
    if database.exists() and photo.sha256.encode() not in stored:
        raise RuntimeError("The search finds nothing, not even what must be there.")
    found = 0
    for data, first in ((photo.rgb.tobytes(), 0), (photo.data, 400)):
        windows = (data[start : start + WINDOW] for start in range(first, len(data) - WINDOW, 100 * WINDOW))
        found += sum(window in stored for window in windows if len(set(window)) >= 4)
    return found


def run(photo: Path, kills: int, model: str, seed: int = 0) -> dict[str, Any]:
    """Interrupt ``kills`` examinations, each at a moment of its own."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        whole = finish(begin(photo, folder, "first.log", model))
        seconds, decoded = duration(folder / "first.log"), load(photo)
        outcomes: list[Outcome] = []
        pixels = late = 0
        while len(outcomes) < kills:
            here = folder / f"{len(outcomes)}-{late}"
            here.mkdir()
            if not interrupt(photo, here, draw.random(), seconds, model):
                late += 1
                continue
            outcomes.append(resume(photo, here, whole, model))
            pixels += pixels_in(here / "runs.sqlite", decoded)
            print(len(outcomes), outcomes[-1], flush=True)
    return _summary(outcomes) | {"ended_before_the_kill": late, "pixels": pixels, "seconds": round(seconds, 2)}


def duration(log: Path) -> float:
    """Seconds from the beginning of an examination to its end, by a log of ``child``."""
    times = [float(line.split()[0]) for line in log.read_text(encoding="utf-8").splitlines() if "examination" in line]
    return times[-1] - times[0]


def _summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "kills": len(outcomes),
        "same_record": sum(outcome.same for outcome in outcomes),
        "kept_tools_begun_again": sum(len(outcome.begun_again) for outcome in outcomes),
        "measured_twice_in_a_record": sum(len(outcome.twice) for outcome in outcomes),
        "killed_with_some_tools_kept_and_others_not": sum(
            0 < len(outcome.kept) < max(len(other.kept) for other in outcomes) for outcome in outcomes
        ),
        "kept_tools_by_kill": [len(outcome.kept) for outcome in outcomes],
        "finished_tools_not_kept_yet": sum(len(outcome.lost) for outcome in outcomes),
    }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--model", default="none")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.photo, given.child[0], given.child[1], given.model)
        return
    command = "python -m facewitness.evals.resume --photo examples/astronaut.jpg"
    result = {"command": command, "model": given.model, **run(given.photo, given.kills, given.model)}
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
