"""DISFA in its own layout: ``ActionUnit_Labels/SN001/SN001_au1.txt``, a line ``frame,intensity`` for each frame.

Lines count from 1. The pictures that published code extracts count from 0, so that ``0.png`` belongs to line 1.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from .action_unit_lists import UNITS
from .item import SUFFIXES, Benchmark, Item, Switches, choice, number, relative

PICTURES = ("img", "imgs/DISFA", "images", "")
"""Folders that hold the subjects' pictures: as ME-GraphAU and JAA-Net lay them out, and others."""
VIDEOS = "Videos_LeftCamera"


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    least = number(switches, "intensity", 2)
    folders = sorted((data / "ActionUnit_Labels").glob("SN*"))
    shown = {folder.name: _pictures(data, folder.name) for folder in folders}
    first = choice(switches, "first", "auto", "0", "1")
    if first == "auto":
        first = "0" if any("0" in pictures for pictures in shown.values()) else "1"
    for folder in folders:
        clip = next((data / VIDEOS).glob(f"LeftVideo{folder.name}_[cC]omp.avi"), None)
        for line, units in _coded(folder, least).items():
            path = shown[folder.name].get(str(line - 1 + int(first)))
            if path is None and clip is not None and not shown[folder.name]:
                path = f"{relative(clip, data)}#{line - 1}"
            if path is not None:
                yield Item(path, "units", (path,), cluster=folder.name, units=units)


def _coded(folder: Path, least: int) -> Mapping[int, dict[str, int]]:
    """Units by line, which is the frame's number from 1."""
    lines: dict[int, dict[str, int]] = defaultdict(dict)
    for unit in UNITS["disfa"]:
        file = folder / f"{folder.name}_au{unit}.txt"
        for text in file.read_text(encoding="utf-8").split() if file.is_file() else ():
            line, _, intensity = text.partition(",")
            lines[int(line)][str(unit)] = int(int(intensity) >= least)
    return lines


def _pictures(data: Path, subject: str) -> dict[str, str]:
    """Path by number, leading zeros left out; those that were not extracted are not there."""
    folder = next((path for name in PICTURES if (path := data / name / subject).is_dir()), None)
    found = sorted(folder.iterdir()) if folder else ()
    return {
        str(int(path.stem)): relative(path, data)
        for path in found
        if path.suffix.lower() in SUFFIXES and path.stem.isdecimal()
    }


BENCHMARK = Benchmark(
    name="disfa",
    title="DISFA: 8 action units",
    layout="ActionUnit_Labels/SN001/SN001_au1.txt (frame,intensity) and SN001/N.png below img/, imgs/DISFA/, images/ "
    "or beside; or, without pictures, Videos_LeftCamera/LeftVideoSN001_comp.avi.",
    polarity="Intensity 2 to 5 is present, as is usual; present is positive.",
    read=_read,
    switches={
        "intensity": "least intensity that counts as present, 2",
        "first": "number of the first frame's picture: 0, as ME-GraphAU and JAA-Net extract them, or 1; by default 0 "
        "where some subject has a picture 0",
    },
    source="tool/DISFA_image_label_process.py of CVI-SZU/ME-GraphAU and the lists of ZhiwenShao/PyTorch-JAANet; names "
    "of the videos from other code that reads them. Not checked against the set itself.",
)
