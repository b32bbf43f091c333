"""Ways to do the same, timed in turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Way = Callable[[int], float | None]
"""Does the work of a round, by its number; tells the seconds if they are not those of the whole call."""


def in_turns(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way by round; the order within a round is drawn. Each way runs once before, untimed.

    Args:
        ways: By name; those to be compared do the same work in the same round.
        rounds: How many; their numbers start at 0, that of the untimed one is -1.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    chance = np.random.default_rng(0)
    for way in ways.values():
        way(-1)
    for number in range(rounds):
        for name in chance.permutation(list(ways)):
            started = time.perf_counter()
            told = ways[name](number)
            taken[name].append(time.perf_counter() - started if told is None else told)
    return taken


def spread(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Median, least and greatest, and all values in their order."""
    return {
        "median": round(statistics.median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
        "values": [round(value, digits) for value in values],
    }


def times_faster(slower: Sequence[float], faster: Sequence[float]) -> dict[str, Any]:
    """How many times faster, by round."""
    return spread([slow / fast for slow, fast in zip(slower, faster, strict=True)], 3)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most so many, from the whole length."""
    count = min(most, len(items))
    return [items[number * len(items) // count] for number in range(count)]
