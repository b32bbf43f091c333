"""Labelled faces that the action units are fitted to and tested on, as blendshapes of the shipped tools."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable
from ..tools import action_units, detection, landmarks

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Faces:
    """Blendshapes of n photos.

    Attributes:
        blendshapes: (n, 52).
        people: (n,) names.
        expressions: (n,) words, empty where there is no label.
        units: (n, 20) intensities 0..1 of ``action_units.NAMES``; no columns for real photos.
        missed: Photos without a face or mesh.
    """

    blendshapes: Array
    people: Array
    expressions: Array
    units: Array
    missed: int

    def of(self, chosen: Array) -> Faces:
        """The photos where ``chosen`` is true."""
        return Faces(
            self.blendshapes[chosen], self.people[chosen], self.expressions[chosen], self.units[chosen], self.missed
        )


def blendshapes(path: Path, border: int = 0) -> Array | None:
    """(52,) of the largest face with the shipped tools; None if there is none."""
    bgr = cv2.imread(str(path))
    if bgr is None:
        return None
    bgr = cv2.copyMakeBorder(bgr, border, border, border, border, cv2.BORDER_CONSTANT)
    rgb = np.asarray(bgr[:, :, ::-1], np.uint8, order="C")
    try:
        return landmarks.track(rgb, detection.detect(rgb)[0]).blendshapes
    except (IndexError, NotMeasurable):
        return None


def _faces(rows: Iterable[tuple[Path, str, str, list[float]]], border: int = 0) -> Faces:
    found, missed = [], 0
    for path, person, expression, units in rows:
        values = blendshapes(path, border)
        if values is None:
            missed += 1
        else:
            found.append((values, person, expression, units))
    columns = list(zip(*found, strict=True))
    return Faces(np.array(columns[0]), np.array(columns[1]), np.array(columns[2]), np.array(columns[3]), missed)


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def renders(data: Path) -> Faces:
    """ict_synthetic_au: 20 people, 47 expressions each."""
    folder = data / "ict_synthetic_au"
    return _faces(
        (folder / row["image"], row["identity"], row["expression"], [float(row[f"AU{n}"]) for n in action_units.NAMES])
        for row in _rows(folder / "labels.csv")
    )


def studio(data: Path) -> Faces:
    """frll_london: 102 people, neutral and smiling; nothing is fitted on them."""
    folder = data / "frll_london"
    rows = [row for row in _rows(folder / "labels.csv") if row["image"].startswith(("neutral/", "smiling/"))]
    return _faces((folder / row["image"], row["identity"], row["expression"], []) for row in rows)


def press(data: Path) -> Faces:
    """lfw_pairs_aligned: press photos of 112 px with noisy expression labels; a border lets the detector see them."""
    folder = data / "lfw_pairs_aligned"
    rows = _rows(folder / "expression.csv")
    return _faces(
        ((folder / "images" / r["image"], r["image"].split("/")[0], r["expression"], []) for r in rows), border=40
    )


def development(people: Array) -> Array:
    """True for the half of the people, by a hash of the name, that may be tuned on."""
    return np.array([hashlib.sha256(str(name).encode()).digest()[-1] % 2 == 0 for name in people])
