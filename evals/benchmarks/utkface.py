"""UTKFace: ``[age]_[gender]_[race]_[date].jpg``, real photos whose names carry the labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from .fairface import GROUPS, labelled
from .item import Benchmark, Item, Switches, choice, pictures, relative

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
UNSTATED = "not stated"
_NAME = re.compile(r"(\d{1,3})_([01])_(?:([0-4])_)?\d+")
_DECADES = (0, 3, 10, 20, 30, 40, 50, 60, 70)
"""Beginnings of FairFace's age groups."""


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    rows = [(relative(path, data), found) for path in pictures(data) if (found := _groups(path.name)) is not None]
    ask = choice(switches, "ask", "none", *GROUPS)
    for path, groups in rows:
        yield labelled(path, groups, ask, [groups for _, groups in rows])


def _groups(name: str) -> dict[str, str] | None:
    """Some published names lack the race."""
    match = _NAME.match(name)
    if match is None:
        return None
    age = int(match[1])
    low = max(decade for decade in _DECADES if decade <= age)
    high = next((decade - 1 for decade in _DECADES if decade > low), None)
    return {
        "gender": GENDERS[int(match[2])],
        "age": f"{low}-{high}" if high is not None else f"more than {low - 1}",
        "race": RACES[int(match[3])] if match[3] else UNSTATED,
    }


BENCHMARK = Benchmark(
    name="utkface",
    title="UTKFace: false alarms by gender, age and race",
    layout="AGE_GENDER_RACE_DATE.jpg at any depth.",
    polarity="Gender 0 is male, race 0 to 4 is White, Black, Asian, Indian, other. All photos are authentic.",
    read=_read,
    switches={"ask": "none, gender, age or race: asks a vision-language model for it"},
    source="the published naming; some names lack the race",
)
