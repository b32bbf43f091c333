"""The labelled photos that samples are made from, split by person as ``finetune/faces.py`` splits them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...errors import InvalidOption, NotMeasurable
from ...tools import detection, image
from ...tools.alignment import TEMPLATE, WIDE, align_wide
from ...tools.face import Face, FaceView, Floats
from ...tools.image import Photo, RGBImage
from ..comparisons import LFW_SPLITS
from ..faces import SIDE, Source, Split, ordered, split_of
from ..forge import Side

SPLITS: tuple[Split, ...] = ("fit", "calibration", "test")
FOLDERS: Mapping[Source, str] = {
    "frll": "frll_london",
    "ffhq": "stylegan2_vs_ffhq",
    "stylegan2": "stylegan2_vs_ffhq",
    "lfw": "lfw_pairs_aligned",
    "ict": "ict_synthetic_au",
}
TERMS: Mapping[str, str] = {
    "frll": "CC BY 4.0 (DeBruine and Jones 2017), consent covers altered forms",
    "ffhq": "CC BY-NC-SA 4.0, non-commercial",
    "stylegan2": "NVIDIA, non-commercial",
    "lfw": "research on face verification; press photos",
    "ict": "MIT, rendered persons",
}


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One labelled photo.

    Attributes:
        path: Its file.
        source: Where it is from.
        person: Unique over all sources; people never cross splits.
        split: ``fit``, ``calibration`` or ``test``.
        labels: What the source says: ``expression``, ``gender``, ``age``, ``ethnicity``; only what it knows.
        units: Intensity 0..1 by number of the action unit, for renders.
    """

    path: Path
    source: Source
    person: str
    split: Split
    labels: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[int, float] = field(default_factory=dict)


def shots(data: Path, sources: Sequence[Source] = ("frll", "ffhq", "stylegan2", "lfw", "ict")) -> tuple[Shot, ...]:
    """All photos of the sources that are there.

    Raises:
        InvalidOption: None of the folders is there.
    """
    makers = {"frll": _frll, "ffhq": _ffhq, "stylegan2": _stylegan2, "lfw": _lfw, "ict": _ict}
    found = [shot for s in sources if (data / FOLDERS[s]).is_dir() for shot in makers[s](data / FOLDERS[s])]
    if not found:
        raise InvalidOption(f"There are no labelled photos here; expected a folder of: {', '.join(FOLDERS.values())}.")
    return tuple(found)


@lru_cache(maxsize=600)
def opened(shot: Shot) -> Side | None:
    """The aligned wide crop, (256, 256, 3) uint8 RGB, and its (478, 2) mesh; None where no face is found."""
    rgb = image.load(shot.path).rgb
    points = TEMPLATE.astype(np.float32)
    if shot.source != "lfw":  # its photos are aligned already
        faces = detection.detect(rgb)
        if not faces:
            return None
        points = faces[0].points
    crop = align_wide(rgb, points, SIDE)
    try:
        return Side(crop, view_of(crop).mesh.points[:, :2].copy())
    except NotMeasurable:
        return None


def view_of(crop: RGBImage) -> FaceView:
    """The face of a crop that ``align_wide`` made, for the tools."""
    inset = 112 * (WIDE - 1) / 2
    points: Floats = ((TEMPLATE + inset) * SIDE / (112 * WIDE)).astype(np.float32)
    side = SIDE / WIDE
    box = ((SIDE - side) / 2, (SIDE - side) / 2, side, side)
    return FaceView(Photo(crop, b"", "", "PNG"), Face("f1", box, points, 1.0))


def _frll(root: Path) -> Iterator[Shot]:
    rows = [row for row in _table(root / "labels.csv") if row["image"].startswith(("neutral/", "smiling/"))]
    order = ordered([row["identity"] for row in rows])
    for row in rows:
        labels = {name: row[name] for name in ("gender", "age", "ethnicity") if row[name]}
        labels["expression"] = "happiness" if row["expression"] == "smiling" else row["expression"]
        yield Shot(root / row["image"], "frll", row["identity"], split_of(row["identity"], order), labels)


def _ffhq(root: Path) -> Iterator[Shot]:
    yield from _alone(root, "real", "ffhq")


def _stylegan2(root: Path) -> Iterator[Shot]:
    yield from _alone(root, "fake", "stylegan2")


def _alone(root: Path, authenticity: str, source: Source) -> Iterator[Shot]:
    """Every face is a person of its own."""
    names = [row["image"] for row in _table(root / "labels.csv") if row["authenticity"] == authenticity]
    order = ordered(names)
    for name in names:
        yield Shot(root / name, source, f"{source} {Path(name).stem}", split_of(name, order))


def _lfw(root: Path) -> Iterator[Shot]:
    """Photos of the official pairs; each of the ten folds has its own people."""
    folds = {row[side]: int(row["fold"]) for row in _table(root / "pairs.csv") for side in "ab"}
    words = {row["image"]: row["expression"] for row in _table(root / "expression.csv")}
    for name in sorted(folds):
        labels = {"expression": words[name]} if name in words else {}
        yield Shot(root / "images" / name, "lfw", name.split("/")[0], LFW_SPLITS[folds[name]], labels)


def _ict(root: Path) -> Iterator[Shot]:
    rows = _table(root / "labels.csv")
    order = ordered([row["identity"] for row in rows])
    for row in rows:
        units = {int(name[2:]): float(value) for name, value in row.items() if name.startswith("AU")}
        labels = {"expression": row["expression"]} if row["expression"] else {}
        split = split_of(row["identity"], order)
        yield Shot(root / row["image"], "ict", f"ict {row['identity']}", split, labels, units)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
