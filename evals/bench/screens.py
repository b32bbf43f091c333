"""Screening with one process and with one for each core, and what a million photos would cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import screening
from .machine import cores
from .rounds import evenly, spread, times_faster

MILLION = 1_000_000
MOST = 120
"""Photos of one of the runs that are compared."""


def measure(photos: Sequence[Path], rounds: int, core_hour: float) -> dict[str, Any]:
    """Photos a second once the models are loaded, in turns; memory over the longest run, all photos with all cores.

    Args:
        photos: Different ones: what was seen before is not examined again.
        rounds: Of each number of processes.
        core_hour: Price of a core for an hour.
    """
    few = evenly(photos, MOST)
    rates = screening.rates(few, cores(), rounds)
    one, all_ = (rates[key]["warm_photos_per_second"] for key in (min(rates, key=int), max(rates, key=int)))
    seconds = rates[max(rates, key=int)]["processor_seconds_a_photo"]
    return {
        "photos": len(few),
        "processes": {name: spread(found["warm_photos_per_second"], 2) for name, found in rates.items()},
        "times_faster": times_faster([1 / rate for rate in one], [1 / rate for rate in all_]),
        "on_ray": _on_ray(few, rounds),
        "processor_seconds_a_photo": seconds,
        "million": {
            "core_hours": round(seconds * MILLION / 3600, 1),
            "price_of_a_core_hour": core_hour,
            "cost": round(seconds * MILLION / 3600 * core_hour, 2),
        },
        "memory": screening.memory(list(photos), cores()),
    }


def _on_ray(photos: list[Path], rounds: int) -> dict[str, Any] | None:
    found = screening.on_ray(photos, cores(), rounds)
    return found and {name: spread(rates["warm_photos_per_second"], 2) for name, rates in found.items()}
