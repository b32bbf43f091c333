"""DISFA in its own layout: ``ActionUnit_Labels/SN001/SN001_au1.txt``, a line ``frame,intensity`` for each frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from .action_unit_lists import UNITS
from .item import SUFFIXES, Benchmark, Item, Switches, number, relative


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    least = number(switches, "intensity", 2)
    for folder in sorted((data / "ActionUnit_Labels").glob("SN*")):
        frames: dict[str, dict[str, int]] = defaultdict(dict)
        for unit in UNITS["disfa"]:
            file = folder / f"{folder.name}_au{unit}.txt"
            for line in file.read_text(encoding="utf-8").split() if file.is_file() else ():
                frame, _, intensity = line.partition(",")
                frames[frame][str(unit)] = int(int(intensity) >= least)
        for frame, units in frames.items():
            names = (data / "images" / folder.name / f"{frame}{suffix}" for suffix in SUFFIXES)
            picture = next((path for path in names if path.is_file()), None)
            if picture is not None:
                path = relative(picture, data)
                yield Item(path, "units", (path,), cluster=folder.name, units=units)


BENCHMARK = Benchmark(
    name="disfa",
    title="DISFA: 8 action units",
    layout="ActionUnit_Labels/SN001/SN001_au1.txt (frame,intensity) and images/SN001/FRAME.jpg.",
    polarity="Intensity 2 to 5 is present, as is usual; present is positive.",
    read=_read,
    switches={"intensity": "least intensity that counts as present, 2"},
    source="layout from memory of the distributed set, not checked against it",
)
