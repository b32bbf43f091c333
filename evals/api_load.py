"""The HTTP API under load: photos a second and times against the bare tools, errors, and memory over a long run.

Run: ``python -m facewitness.evals.api_load --photos FILE … [--clients 50] [--verdicts 2000] [--out FILE]``

The server is a process of its own on an empty database. First the photos are examined without it, one after the other
in this process, then by one client, then by all clients at once, each of which sends its next photo when it has the
verdict on the one before. Memory is the sum of the resident sets of the server and of what it has started, shared pages
counted in each.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import queue
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from ..agent.examine import examine
from ..tools import weights

WARM_UP, ALONE = 3, 50
"""Examinations before anything is timed, and those that are timed without load."""
WAIT = 60
"""Seconds that a request waits for its verdict; then it is asked for again."""
SAMPLES = 100
"""Of memory, in one run."""
START_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running API: its address, and the id of its process."""

    url: str
    pid: int


@dataclass(slots=True)
class Load:
    """What clients saw.

    Attributes:
        seconds: Of each verdict, from the beginning of the request to the record.
        examination_ms: Of each, what the record says that the examination took.
        errors: Refusals, failed verdicts and broken connections, by status and code.
        memory: (verdicts had, MB).
        wall: Seconds from the first request to the last record.
    """

    seconds: list[float] = field(default_factory=list)
    examination_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[int, float]] = field(default_factory=list)
    wall: float = 0.0


@contextmanager
def serving(model: str, clients: int, workers: int, database: str | None) -> Iterator[Server]:
    """Start the API with room for so many clients, and end it afterwards."""
    command = [sys.executable, "-m", "facewitness", "api", "--port", "0", "--model", model, "--workers", str(workers)]
    command += ["--unfinished", str(clients), "--queue", str(clients), "--rate", "100000"]
    command += ["--database", database] if database else []
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+b") as log:
        given = {**os.environ, "FACEWITNESS_HOME": folder, "FACEWITNESS_WEIGHTS_DIR": _weights()}
        process = subprocess.Popen(command, stdout=log, stderr=log, env=given)  # noqa: S603 - our own program
        try:
            yield Server(_address(process, Path(folder) / "log"), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _weights() -> str:
    """The folder of weights of this user, from which the server takes its own without the network."""
    return str(weights.store())


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while "listening on " not in (text := log.read_text("utf-8")):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"The API does not start: {text[-500:]}")
        time.sleep(0.1)
    return text.split("listening on ")[1].split()[0]


def bare(photos: Sequence[bytes], model: str, count: int) -> list[float]:
    """Seconds of examinations without the API, from the bytes of a photo to its record."""
    taken = []
    for number in range(WARM_UP + count):
        started = time.perf_counter()
        examine(photos[number % len(photos)], model=model)
        taken.append(time.perf_counter() - started)
    return taken[WARM_UP:]


def load(server: Server, photos: Sequence[bytes], clients: int, verdicts: int) -> Load:
    """So many verdicts by so many clients at once."""
    found, turns = Load(), queue.SimpleQueue[int]()
    for number in range(verdicts):
        turns.put(number)
    lock = threading.Lock()

    def work() -> None:
        with httpx.Client(base_url=server.url, timeout=2 * WAIT, trust_env=False) as client, suppress(queue.Empty):
            while True:
                _one(client, photos[turns.get_nowait() % len(photos)], found, lock)
                _note_memory(server, found, verdicts, lock)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.wall = time.perf_counter() - started
    return found


def _one(client: httpx.Client, photo: bytes, found: Load, lock: threading.Lock) -> None:
    started = time.perf_counter()
    try:
        answer = client.post("/v1/verdicts", files={"photo": photo}, headers={"Prefer": f"wait={WAIT}"})
        while answer.status_code == 202 or (answer.is_success and answer.json()["status"] in ("queued", "running")):
            time.sleep(0.2)
            answer = client.get(answer.headers.get("Location") or answer.json()["links"]["self"])
        told = answer.json()
        error = None if told.get("record") else f"{answer.status_code} {_code(told)}"
    except httpx.HTTPError as broken:
        error = type(broken).__name__
    with lock:
        if error is not None:
            found.errors[error] += 1
            return
        found.seconds.append(time.perf_counter() - started)
        found.examination_ms.append(told["record"]["timings_ms"]["total"])


def _code(told: dict[str, Any]) -> str:
    return str(told.get("code") or (told.get("problem") or {}).get("code"))


def _note_memory(server: Server, found: Load, verdicts: int, lock: threading.Lock) -> None:
    with lock:
        done = len(found.seconds)
        if done * SAMPLES >= len(found.memory) * verdicts:
            found.memory.append((done, round(sum(map(_resident, _family(server.pid))), 1)))


def _family(pid: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield pid
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            for child in file.read_text("ascii").split():
                yield from _family(int(child))


def _resident(pid: int) -> float:
    """Megabytes of a process; none once it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / 1e6


def times(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile, in milliseconds."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return {"p50_ms": round(statistics.median(ordered) * 1000, 1), "p95_ms": round(p95 * 1000, 1)}


def memory(found: Load, verdicts: int) -> dict[str, Any]:
    """Medians of the second and the last quarter, since the first loads the models."""
    quarters = [
        [held for done, held in found.memory if low <= done / verdicts < low + 0.25] or [found.memory[-1][1]]
        for low in (0.25, 0.75)
    ]
    second, last = map(statistics.median, quarters)
    return {
        "second_quarter_mb": second,
        "last_quarter_mb": last,
        "growth": round(last / second - 1, 4),
        "greatest_mb": max(held for _, held in found.memory),
        "samples_mb": {str(done): held for done, held in found.memory},
    }


def summary(found: Load) -> dict[str, Any]:
    """Photos a second, times and errors of what clients saw."""
    return {
        "verdicts": len(found.seconds),
        "errors": dict(found.errors),
        "photos_per_second": round(len(found.seconds) / found.wall, 3),
        "request": times(found.seconds),
        "examination_in_the_server": times([taken / 1000 for taken in found.examination_ms]),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All of it; keys as in the file."""
    photos = [path.read_bytes() for path in options.photos]
    few = min(ALONE, options.verdicts)
    without = bare(photos, options.model, few)
    with serving(options.model, options.clients, options.workers, options.database) as server:
        load(server, photos, 1, WARM_UP)
        alone = load(server, photos, 1, few)
        loaded = load(server, photos, options.clients, options.verdicts)
    bare_rate = len(without) / sum(without)
    return {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version()},
        "photos": len(photos),
        "model": options.model,
        "database": "sqlite" if options.database is None else options.database.partition(":")[0],
        "workers": options.workers,
        "clients": options.clients,
        "bare": {"examinations": few, "photos_per_second": round(bare_rate, 3), **times(without)},
        "one_client": summary(alone),
        "all_clients": summary(loaded),
        "throughput_over_bare": round(len(loaded.seconds) / loaded.wall / bare_rate, 3),
        "one_client_p50_over_bare": round(statistics.median(alone.seconds) / statistics.median(without), 3),
        "memory": memory(loaded, options.verdicts),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.evals.api_load", description=__doc__)
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--verdicts", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1, help="examinations at a time in the server")
    parser.add_argument("--model", default="none")
    parser.add_argument("--database", help="SQLAlchemy URL of an empty database; a SQLite file by default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    result = measure(options)
    text = json.dumps(result, indent=1) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
