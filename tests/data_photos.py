"""Labelled photos in the layout of the data sets: one public-domain face in many tints and widths."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facewitness.tools.alignment import align
from facewitness.tools.detection import detect
from facewitness.tools.image import load

PEOPLE = 12


def build(folder: Path, astronaut: Path) -> Path:
    """``frll_london``, ``stylegan2_vs_ffhq``, ``lfw_pairs_aligned`` and ``ict_synthetic_au`` below ``folder``."""
    rgb = load(astronaut).rgb[:320, 60:400]
    rows = []
    for number in range(PEOPLE):
        for kind, expression, age in (("neutral/x_03", "neutral", 24), ("smiling/x_08", "smiling", 41)):
            name = f"{kind.replace('x', f'{number:03}')}.jpg"
            _save(folder / "frll_london" / name, _look(rgb, number, expression == "smiling"))
            rows.append((name, f"{number:03}", expression, age, "female", "white"))
    _table(
        folder / "frll_london" / "labels.csv", ("image", "identity", "expression", "age", "gender", "ethnicity"), rows
    )
    rows = []
    for number in range(8):
        for kind in ("real", "fake"):
            _save(folder / "stylegan2_vs_ffhq" / f"train/{kind}/{number}.jpg", _look(rgb, number, kind == "fake"))
            rows.append((f"train/{kind}/{number}.jpg", kind, "train", "x"))
    _table(folder / "stylegan2_vs_ffhq" / "labels.csv", ("image", "authenticity", "split", "source"), rows)
    _lfw(folder / "lfw_pairs_aligned", align(rgb, detect(rgb)[0].points))
    rows = []
    for number in range(4):
        for name, expression, units in (("neutral", "neutral", 0), ("AU12_100", "", 1), ("happiness", "happiness", 1)):
            _save(folder / "ict_synthetic_au" / f"images/id{number}_{name}.jpg", _look(rgb, number, bool(units)))
            rows.append((f"images/id{number}_{name}.jpg", f"id{number}", expression, units, 0))
    _table(folder / "ict_synthetic_au" / "labels.csv", ("image", "identity", "expression", "AU12", "AU4"), rows)
    return folder


def _lfw(root: Path, crop: np.ndarray) -> None:
    pairs = []
    for person in range(6):
        names = [f"P{person}/P{person}_000{photo}.jpg" for photo in (1, 2)]
        for photo, name in enumerate(names):
            _save(root / "images" / name, cv2.convertScaleAbs(crop, alpha=0.8 + 0.05 * person + 0.02 * photo))
        pairs.append((("0", "5", "8")[person % 3], *names, "1"))
    _table(root / "pairs.csv", ("fold", "a", "b", "same"), pairs)
    words = [(name, "neutral") for _, a, b, _ in pairs for name in (a, b)]
    _table(root / "expression.csv", ("image", "expression"), words)


def _look(rgb: np.ndarray, number: int, second: bool) -> np.ndarray:
    """Another person is another width and tint of the face, a second photo a little brighter."""
    wide = cv2.resize(rgb, None, fx=1 + 0.06 * (number % 4 - 1.5), fy=1.0)
    return cv2.convertScaleAbs(wide, alpha=0.8 + 0.03 * number + 0.05 * second)


def _save(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def _table(path: Path, names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([names, *rows])
