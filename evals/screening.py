"""Screening: photos a second with one process and more, and memory over a long run.

``python -m facewitness.evals.screening --photos FOLDER [--count 200] [--processes 2] [--rounds 2] [--long 2000]
[--out FILE]``; ``--long 0`` leaves out the long run. Where Ray is installed, a cluster of this machine is compared too.

Photos are taken evenly from all below the folder. The numbers of processes take turns, so that what else the machine
does falls on all alike; processor time a photo hardly depends on it. ``warm`` leaves out the start: it counts from when
a tenth of the photos is done. Memory is the sum of the resident sets of all processes, shared pages counted in each.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..agent.screening import Plan, Summary, screen
from ..agent.screening.photos import listed
from ..agent.screening.pool import cores

SAMPLES = 20
"""Of memory, in one run."""


@dataclass(slots=True)
class Watch:
    """Notes when photos are done, and now and then how much memory all processes hold.

    Attributes:
        times: (photos done, ``time.monotonic``).
        memory: (photos done, MB).
    """

    times: list[tuple[int, float]] = field(default_factory=list)
    memory: list[tuple[int, float]] = field(default_factory=list)

    def __call__(self, done: int, total: int) -> None:
        """Take in progress."""
        if not self.times or done > self.times[-1][0]:
            self.times.append((done, time.monotonic()))
        if done < total and done * SAMPLES >= len(self.memory) * total:
            pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children() if child.pid)]
            self.memory.append((done, round(sum(map(_resident, pids)), 1)))

    def warm(self) -> float:
        """Photos a second after the first tenth."""
        total, end = self.times[-1]
        done, start = next(one for one in self.times if one[0] * 10 >= total)
        return (total - done) / (end - start)


def _resident(pid: int) -> float:
    """Megabytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def spread(folder: Path, count: int) -> list[Path]:
    """So many photos below a folder, evenly from all."""
    found = [Path(photo.path) for photo in listed(folder)]
    return [found[number * len(found) // count] for number in range(min(count, len(found)))]


def run(photos: list[Path], processes: int, ray: str | None = None) -> tuple[Summary, Watch, float]:
    """Screen the photos anew; the summary, what was noted, and processor seconds of the workers (not of Ray's)."""
    watch, before = Watch(), _processor()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photos.txt"
        source.write_text("".join(f"{photo.absolute()}\n" for photo in photos), encoding="utf-8")
        summary = screen(Plan((source,)), Path(folder) / "out.ndjson", processes, on_progress=watch, ray=ray)
    return summary, watch, _processor() - before


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def rates(photos: list[Path], most: int, rounds: int) -> dict[str, Any]:
    """Photos a second with 1, 2, 4 … processes, in turns."""
    numbers = [1 << power for power in range(most.bit_length()) if 1 << power <= most]
    return compared(photos, {str(number): (number, None) for number in numbers}, rounds)


def compared(photos: list[Path], ways: dict[str, tuple[int, str | None]], rounds: int) -> dict[str, Any]:
    """Photos a second of each way, a number of processes and perhaps a Ray cluster, in turns."""
    noted: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (processes, ray) in ways.items():
            summary, watch, seconds = run(photos, processes, ray)
            noted[name].append((summary.photos_per_second, watch.warm(), seconds / summary.photos))
    return {name: _rate(found) for name, found in noted.items()}


def on_ray(photos: list[Path], processes: int, rounds: int) -> dict[str, Any] | None:
    """The pool and a Ray cluster of this machine, in turns; None where Ray is not installed."""
    if find_spec("ray") is None:
        return None
    found = compared(photos, {"pool": (processes, None), "ray": (processes, "local")}, rounds)
    found["ray"].pop("processor_seconds_a_photo")  # its processes are not children of this one
    return found


def _rate(found: list[tuple[float, float, float]]) -> dict[str, Any]:
    whole, warm, seconds = zip(*found, strict=True)
    return {
        "photos_per_second": [round(value, 2) for value in whole],
        "warm_photos_per_second": [round(value, 2) for value in warm],
        "warm_median": round(statistics.median(warm), 2),
        "processor_seconds_a_photo": round(statistics.median(seconds), 3),
    }


def memory(photos: list[Path], processes: int) -> dict[str, Any]:
    """Memory over one long run: medians of the second and the last quarter, since the first loads the models."""
    summary, watch, _ = run(photos, processes)
    quarters = [
        [held for done, held in watch.memory if low <= done / summary.photos < low + 0.25] for low in (0.25, 0.75)
    ]
    second, last = map(statistics.median, quarters)
    return {
        "photos": summary.photos,
        "processes": processes,
        "labels": summary.labels,
        "errors": summary.errors,
        "warm_photos_per_second": round(watch.warm(), 2),
        "second_quarter_mb": round(second, 1),
        "last_quarter_mb": round(last, 1),
        "greatest_mb": max(held for _, held in watch.memory),
        "samples_mb": {str(done): held for done, held in watch.memory},
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--long", type=int, default=2000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    found = {
        "command": "python -m facewitness.evals.screening "
        f"--count {options.count} --long {options.long} --rounds {options.rounds} --processes {options.processes}",
        "machine": {"cores": len(cores()), "processor": platform.machine(), "load_before": round(load, 2)},
        "photos": options.count,
        "rates": rates(spread(options.photos, options.count), options.processes, options.rounds),
        "on_ray": on_ray(spread(options.photos, options.count), options.processes, options.rounds),
        "memory": memory(spread(options.photos, options.long), options.processes) if options.long else None,
    }
    found["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    text = json.dumps(found, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
