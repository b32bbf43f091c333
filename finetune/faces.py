"""Real and generated faces that the forensic recipes start from: aligned wide crops with meshes, split by person.

Data folders: ``frll_london`` (its people agreed to altered forms), ``stylegan2_vs_ffhq``, ``lfw_pairs_aligned``,
``ict_synthetic_au``. Crops are in memory only.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import NotMeasurable
from ..tools import detection, image, landmarks
from ..tools.alignment import TEMPLATE, WIDE, align_wide
from ..tools.face import Face, Floats
from ..tools.image import RGBImage

Split = Literal["fit", "calibration", "test"]
Source = Literal["frll", "ffhq", "lfw", "stylegan2", "ict"]

SIDE = 256
CLEAN_SOURCES: tuple[Source, ...] = ("frll", "ict")
"""Terms that allow commercial use: CC BY 4.0 and MIT."""
LIKE = {"stylegan2": "ffhq"}
"""Which source's photos a generator was taught on; its faces, which have no original, are paired with those."""

_SHARES = (0.5, 0.75)
_LFW_PER_SPLIT = {"fit": 2400, "calibration": 400, "test": 800}
_ICT_PER_PERSON = 12


@dataclass(frozen=True, slots=True)
class Portrait:
    """One face.

    Attributes:
        rgb: (256, 256, 3) uint8 RGB, ``alignment.align_wide``.
        points: (478, 2) float32, the mesh in pixels of the crop.
        source: Where it is from.
        person: Unique over all sources; people never cross splits.
        split: ``fit``, ``calibration`` or ``test``.
        family: ``real``, or ``synthesis`` for a generated face.
        group: Gender, where the source says it; else empty.
    """

    rgb: RGBImage
    points: Floats
    source: Source
    person: str
    split: Split
    family: str = "real"
    group: str = ""


def portraits(data: Path, sources: Sequence[Source] = ("frll", "ffhq", "lfw", "stylegan2", "ict")) -> list[Portrait]:
    """All faces of the sources in which detector and mesh find a face; about three minutes on one core."""
    makers = {"frll": _frll, "ffhq": _ffhq, "lfw": _lfw, "stylegan2": _stylegan2, "ict": _ict}
    return [portrait for source in sources for portrait in makers[source](data)]


def ordered(names: Sequence[str]) -> list[str]:
    """In the order of a hash of the name: arbitrary, and the same everywhere."""
    return sorted(set(names), key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def split_of(name: str, order: Sequence[str]) -> Split:
    """Half of an ordered list fits, a quarter calibrates, a quarter tests."""
    share = order.index(name) / len(order)
    return "fit" if share < _SHARES[0] else "calibration" if share < _SHARES[1] else "test"


def _frll(data: Path) -> Iterator[Portrait]:
    root = data / "frll_london"
    rows = [row for row in _table(root / "labels.csv") if row["image"].startswith(("neutral/", "smiling/"))]
    order = ordered([row["identity"] for row in rows])
    for row in rows:
        split = split_of(row["identity"], order)
        yield from _found(root / row["image"], "frll", row["identity"], split, group=row["gender"])


def _ffhq(data: Path) -> Iterator[Portrait]:
    yield from _aligned_pair(data, "real", "ffhq", "real")


def _stylegan2(data: Path) -> Iterator[Portrait]:
    yield from _aligned_pair(data, "fake", "stylegan2", "synthesis")


def _aligned_pair(data: Path, authenticity: str, source: Source, family: str) -> Iterator[Portrait]:
    """Every face is a person of its own."""
    root = data / "stylegan2_vs_ffhq"
    names = [row["image"] for row in _table(root / "labels.csv") if row["authenticity"] == authenticity]
    order = ordered(names)
    for name in names:
        yield from _found(root / name, source, f"{source} {Path(name).stem}", split_of(name, order), family)


def _lfw(data: Path) -> Iterator[Portrait]:
    """At most two photos a person; the folds of View 2 are the splits."""
    root = data / "lfw_pairs_aligned"
    folds = {row[side]: int(row["fold"]) for row in _table(root / "pairs.csv") for side in "ab"}
    by_person: dict[str, list[str]] = {}
    for name in sorted(folds):
        by_person.setdefault(name.split("/")[0], []).append(name)
    left = dict(_LFW_PER_SPLIT)
    for person in ordered(list(by_person)):
        fold = folds[by_person[person][0]]
        split: Split = "fit" if fold < 5 else "calibration" if fold < 7 else "test"
        for name in by_person[person][:2] if left[split] > 0 else ():
            left[split] -= 1
            inset = 112 * (WIDE - 1) / 2
            points = ((TEMPLATE + inset) * SIDE / (112 * WIDE)).astype(np.float32)
            rgb = align_wide(image.load(root / "images" / name).rgb, TEMPLATE.astype(np.float32), SIDE)
            yield from _portrait(rgb, points, "lfw", person, split)


def _ict(data: Path) -> Iterator[Portrait]:
    root = data / "ict_synthetic_au"
    rows = _table(root / "labels.csv")
    order = ordered([row["identity"] for row in rows])
    for person in order:
        mine = [row["image"] for row in rows if row["identity"] == person]
        for name in ordered(mine)[:_ICT_PER_PERSON]:
            yield from _found(root / name, "ict", f"ict {person}", split_of(person, order), "synthesis")


def _found(
    path: Path, source: Source, person: str, split: Split, family: str = "real", group: str = ""
) -> Iterator[Portrait]:
    rgb = image.load(path).rgb
    faces = detection.detect(rgb)
    if faces:
        crop = align_wide(rgb, faces[0].points, SIDE)
        inset = 112 * (WIDE - 1) / 2
        points = ((TEMPLATE + inset) * SIDE / (112 * WIDE)).astype(np.float32)
        yield from _portrait(crop, points, source, person, split, family, group)


def _portrait(
    rgb: RGBImage, points: Floats, source: Source, person: str, split: Split, family: str = "real", group: str = ""
) -> Iterator[Portrait]:
    side = SIDE / WIDE
    box = ((SIDE - side) / 2, (SIDE - side) / 2, side, side)
    try:
        mesh = landmarks.track(rgb, Face("f1", box, points, 1.0))
    except NotMeasurable:
        return
    yield Portrait(rgb, mesh.points[:, :2].copy(), source, person, split, family, group)


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
