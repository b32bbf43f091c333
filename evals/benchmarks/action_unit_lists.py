"""Action units as FMAE-IAT lists them: JSON lines ``{"img_path", "AUs": [12 numbers]}``, 999 where a unit is absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...errors import InvalidOption
from .item import Benchmark, Item, Switches, choice

ABSENT = 999
UNITS = {
    "bp4d": (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24),
    "disfa": (1, 2, 4, 6, 9, 12, 25, 26),
}
"""Columns of a list, in order."""


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    columns = UNITS[choice(switches, "set", *UNITS)]
    for file in [data] if data.is_file() else sorted([*data.glob("*.json"), *data.glob("*.jsonl")]):
        for place, line in enumerate(filter(None, map(str.strip, file.read_text(encoding="utf-8").splitlines())), 1):
            try:
                row = json.loads(line)
                path, stated = str(row["img_path"]), [int(value) for value in row["AUs"]]
            except (ValueError, KeyError, TypeError) as error:
                raise InvalidOption(f"{file.name}, line {place}: is not {{img_path, AUs}}.") from error
            if len(stated) != len(columns) or any(
                v not in (unit, ABSENT) for v, unit in zip(stated, columns, strict=True)
            ):
                raise InvalidOption(
                    f"{file.name}, line {place}: AUs must be the unit's number or {ABSENT}, in the order {columns}."
                )
            units = {str(unit): int(value == unit) for unit, value in zip(columns, stated, strict=True)}
            yield Item(f"{file.stem}/{path}", "units", (path,), cluster=_subject(path), units=units)


def _subject(path: str) -> str:
    """The first folder: of one person."""
    parts = PurePosixPath(path).parts
    return parts[0] if len(parts) > 1 else path


BENCHMARK = Benchmark(
    name="au-list",
    title="Action units as FMAE-IAT lists them, for BP4D and DISFA",
    layout="JSON lines {img_path, AUs}, pictures below the list's folder; the first folder names the person.",
    polarity="The unit's own number is present, 999 is absent. Present is positive; F1 for each unit and their mean.",
    read=_read,
    switches={"set": "bp4d (12 units) or disfa (8 units)"},
    source="label files of FMAE-IAT as described in its README",
)
