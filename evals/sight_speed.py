"""How long the model takes, in this process, on this machine as it is now."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence

from ..finetune.data.sample import Sample
from .sight_asked import Model
from .sight_figures import Figures
from .sight_samples import Sets, faces, look, of

REPEATS = 30


def speed(model: Model, sets: Sets) -> Figures:
    """Medians of different samples, after one to warm up: seconds to the first token, and to the end of the answer."""
    result: Figures = {"cpus": os.cpu_count(), "load average before": round(os.getloadavg()[0], 2)}
    for engine in ("forgery", "reference", "expression"):
        samples = of(sets.test, engine, REPEATS + 1)
        if len(samples) > 1:
            result[engine] = _timed(model, samples)
    return result | {"load average after": round(os.getloadavg()[0], 2)}


def _timed(model: Model, samples: Sequence[Sample]) -> Figures:
    times = [_one(model, sample) for sample in samples][1:]
    first, whole, characters = zip(*times, strict=True)
    return {
        "answers": len(times),
        "seconds to the first token, median": round(statistics.median(first), 3),
        "seconds to the end, median": round(statistics.median(whole), 3),
        "characters, median": statistics.median(characters),
    }


def _one(model: Model, sample: Sample) -> tuple[float, float, int]:
    pictures, pieces = faces(sample), []

    def note(_: str) -> None:
        pieces.append(time.perf_counter())

    start = time.perf_counter()
    answer = model.write(look(sample), pictures, stream=note)
    return pieces[0] - start, time.perf_counter() - start, len(answer)
