"""BP4D in its own layout: ``AUCoding/AU_OCC/F001_T1.csv``, a row a frame, a column a unit, 9 where it was not coded."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from .action_unit_lists import UNITS
from .item import SUFFIXES, Benchmark, Item, Switches, relative

NOT_CODED = "9"
PICTURES = ("Sequences(2D+3D)", "img", "imgs/BP4D", "images", "")
"""Folders that hold the subjects' pictures: as distributed, as ME-GraphAU and JAA-Net lay them out, and others."""


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    del switches
    folder = next((path for path in (data / "AUCoding" / "AU_OCC", data / "AU_OCC") if path.is_dir()), None)
    for file in sorted(folder.glob("*_*.csv")) if folder else ():
        subject, _, task = file.stem.partition("_")
        shown = next((here for name in PICTURES if (here := data / name / subject / task).is_dir()), None)
        for frame, units in _coded(file) if shown else ():
            picture = _picture(shown, frame) if shown else None
            if picture is not None and units:
                path = relative(picture, data)
                yield Item(path, "units", (path,), cluster=subject, method=task, units=units)


def _coded(file: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Frame, and the units that were coded in it; the head names the units, and the frames' column ``0``."""
    with file.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines)
        head = next(rows)
        for row in rows:
            coded = {unit: value for unit, value in zip(head[1:], row[1:], strict=True) if value != NOT_CODED}
            yield row[0], {str(unit): int(coded[str(unit)]) for unit in UNITS["bp4d"] if str(unit) in coded}


def _picture(folder: Path, frame: str) -> Path | None:
    """Frames are numbered with leading zeros in some copies; those that were not extracted are left out."""
    names = (f"{text}{suffix}" for text in (frame, f"{int(frame):04d}", f"{int(frame):03d}") for suffix in SUFFIXES)
    return next((folder / name for name in names if (folder / name).is_file()), None)


BENCHMARK = Benchmark(
    name="bp4d",
    title="BP4D: 12 action units",
    layout="AUCoding/AU_OCC/F001_T1.csv (frame, then 0, 1 or 9 for each unit) and F001/T1/FRAME.jpg below "
    "Sequences(2D+3D)/, img/, imgs/BP4D/, images/ or beside.",
    polarity="1 is present, 0 absent, 9 not coded and left out. Present is positive.",
    read=_read,
    source="tool/BP4D_image_label_process.py of CVI-SZU/ME-GraphAU and the lists of ZhiwenShao/PyTorch-JAANet; the "
    "name Sequences(2D+3D) from other code that reads it. Not checked against the set itself.",
)
