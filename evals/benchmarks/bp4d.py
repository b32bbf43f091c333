"""BP4D in its own layout: ``AUCoding/AU_OCC/F001_T1.csv``, a row a frame, a column a unit, 9 where it was not coded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from .action_unit_lists import UNITS
from .item import SUFFIXES, Benchmark, Item, Switches, relative

NOT_CODED = "9"


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    del switches
    folder = next((path for path in (data / "AUCoding" / "AU_OCC", data / "AU_OCC") if path.is_dir()), None)
    for file in sorted(folder.glob("*_*.csv")) if folder else ():
        subject, _, task = file.stem.partition("_")
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.reader(lines)
            head = next(rows)
            for row in rows:
                picture = _picture(data / "images" / subject / task, row[0])
                coded = {unit: value for unit, value in zip(head[1:], row[1:], strict=True) if value != NOT_CODED}
                units = {str(unit): int(coded[str(unit)]) for unit in UNITS["bp4d"] if str(unit) in coded}
                if picture is not None and units:
                    path = relative(picture, data)
                    yield Item(path, "units", (path,), cluster=subject, method=task, units=units)


def _picture(folder: Path, frame: str) -> Path | None:
    """Frames are numbered with leading zeros in some copies; those that were not extracted are left out."""
    names = (f"{text}{suffix}" for text in (frame, f"{int(frame):04d}", f"{int(frame):03d}") for suffix in SUFFIXES)
    return next((folder / name for name in names if (folder / name).is_file()), None)


BENCHMARK = Benchmark(
    name="bp4d",
    title="BP4D: 12 action units",
    layout="AUCoding/AU_OCC/F001_T1.csv (frame, then 0, 1 or 9 for each unit) and images/F001/T1/FRAME.jpg.",
    polarity="1 is present, 0 absent, 9 not coded and left out. Present is positive.",
    read=_read,
    source="layout from memory of the distributed set, not checked against it",
)
