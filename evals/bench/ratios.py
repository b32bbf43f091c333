"""What a benchmark comes down to: ratios with their spread, beside what is wanted of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure.

    Attributes:
        what: In words.
        value: Median over the rounds, or the only one.
        low: Least.
        high: Greatest.
        wanted: The goal; None where there is none.
        at_most: Whether the goal is not to be exceeded, rather than to be reached.
    """

    what: str
    value: float
    low: float
    high: float
    wanted: float | None = None
    at_most: bool = False

    def __str__(self) -> str:
        spread = "" if self.low == self.high else f" ({self.low:.3g} to {self.high:.3g})"
        if self.wanted is None:
            return f"{self.what}: {self.value:.4g}{spread}"
        met = self.value <= self.wanted if self.at_most else self.value >= self.wanted
        goal = f"{'at most' if self.at_most else 'at least'} {self.wanted:g}: {'met' if met else 'missed'}"
        return f"{self.what}: {self.value:.4g}{spread}, wanted {goal}"


def ratios(result: Found) -> Iterator[str]:
    """Lines of text for all parts that a file of results holds."""
    for name, part in result["parts"].items():
        found = part["found"]
        if "why_not" in found:
            yield f"{name}: not measured, {found['why_not']}"
        else:
            yield from (f"{name}: {ratio}" for ratio in _BY_PART[name](found))


def _faces(found: Found) -> Iterator[Ratio]:
    for name, row in found["ways"].items():
        if "times_faster" in row:
            yield _of(f"times faster than {name}", row["times_faster"], 5 if name == "face_recognition" else None)


def _evidence(found: Found) -> Iterator[Ratio]:
    yield _of("bare networks' share of all evidence, one core", found["one core"]["share"], 0.9)


def _explanation(found: Found) -> Iterator[Ratio]:
    yield _of("times faster than transformers", found["times_faster"], 3)
    share = found["same_answers"] / found["requests"]
    yield Ratio("answers that are the same", share, share, share)


def _agent(found: Found) -> Iterator[Ratio]:
    speeds = [1 / ratio for ratio in found["agent over evidence and bare model, by round"]]
    yield Ratio("agent's speed over that of its parts", 1 / found["median"], min(speeds), max(speeds), 0.95)


def _screen(found: Found) -> Iterator[Ratio]:
    yield _of("times faster with all processes", found["times_faster"], 1.8)
    memory = found["memory"]["last_quarter_mb"] / found["memory"]["second_quarter_mb"]
    yield Ratio("memory, last quarter over second", memory, memory, memory, 1.05, at_most=True)


def _gallery(found: Found) -> Iterator[Ratio]:
    for size, one in found["sizes"].items():
        ours = next(iter(one["milliseconds"].values()))
        recall = one["top_1_recall"]
        yield _of(f"milliseconds a query, {int(size):,} templates", ours, 20, at_most=True)
        yield Ratio(f"top-1 recall, {int(size):,} templates", recall, recall, recall, 0.999)


def _start(found: Found) -> Iterator[Ratio]:
    for name, seconds in found.items():
        helps = name == "facewitness --help"
        yield _of(f"seconds, {name}", seconds, 0.5 if helps else None, at_most=helps)


_BY_PART: dict[str, Callable[[Found], Iterator[Ratio]]] = {
    "faces": _faces,
    "evidence": _evidence,
    "explanation": _explanation,
    "agent": _agent,
    "screen": _screen,
    "gallery": _gallery,
    "start": _start,
}


def _of(what: str, spread: Found, wanted: float | None = None, *, at_most: bool = False) -> Ratio:
    return Ratio(what, spread["median"], spread["low"], spread["high"], wanted, at_most)
