"""Every forgery, chain and redrawing step on one sheet, to be looked at.

Run: ``python -m facewitness.finetune.contact_sheet --data PATH --out sheet.png``

One row each: what it was made from, the result, the mask, and eight times the difference. The people (FRLL London)
agreed to altered forms of their photos; the sheet shows them all the same, so keep it out of the repository.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ..tools import detection, image, landmarks
from ..tools.alignment import align_wide, wide_transform
from ..tools.face import Floats
from ..tools.image import RGBImage
from .forge import METHODS, Side, chains, forge, selfblend, synthesis
from .forge.mesh import place

SIZE = 256
_CELL = 256
_TITLE = 18
_GAIN = 8


class Row(NamedTuple):
    """One line of the sheet; pictures (SIZE, SIZE, 3) uint8 RGB, mask (SIZE, SIZE) in 0..1."""

    title: str
    before: RGBImage
    other: RGBImage
    after: RGBImage
    mask: Floats


def main() -> None:
    """Make the rows, write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with frll_london")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    photos = sorted((arguments.data / "frll_london" / "smiling").glob("*.jpg"))
    first = 3 * arguments.seed
    sides = [side(image.load(photos[(first + number) % len(photos)]).rgb) for number in range(3)]
    lines = sheet(list(rows(sides, arguments.seed)))
    cv2.imwrite(str(arguments.out), lines[..., ::-1])


def side(rgb: RGBImage) -> Side:
    """The largest face as a crop of ``SIZE`` pixels with its mesh."""
    face = detection.detect(rgb)[0]
    points = landmarks.track(rgb, face).points[:, :2]
    return Side(align_wide(rgb, face.points, SIZE), place(points, wide_transform(face.points, SIZE)))


def rows(people: list[Side], seed: int) -> Iterator[Row]:
    """Forgeries of the first of three people, then what is done to the first one's photo alone."""
    person, other, third = people
    for method in METHODS:
        forged = forge(method, person, other, seed, third)
        before, beside = (other, person) if method.startswith("swap") else (person, other)
        yield Row(method, before.rgb, beside.rgb, forged.image, forged.mask)
    for name, redraw in {"recoloured": None, **synthesis.REDRAWS}.items():
        blended, weight = selfblend.selfblend(person, np.random.default_rng(seed), redraw)
        yield Row(f"selfblend, {name}", person.rgb, person.rgb, blended, weight)
    everywhere = np.ones((SIZE, SIZE), np.float32)
    for name, redraw in synthesis.REDRAWS.items():
        drawn = redraw(person.rgb, np.random.default_rng(seed))
        yield Row(f"synthesis, {name}", person.rgb, person.rgb, drawn, everywhere)
    for name in chains.CHAINS:
        sent = chains.run(person.rgb, name, np.random.default_rng(seed))
        yield Row(f"chain, {name}", person.rgb, person.rgb, sent, everywhere)


def sheet(lines: list[Row]) -> RGBImage:
    """All rows below each other, titled."""
    return np.vstack([_line(row) for row in lines])


def _line(row: Row) -> RGBImage:
    difference = (_GAIN * np.abs(row.after.astype(int) - row.before)).clip(0, 255).astype(np.uint8)
    mask = cv2.cvtColor(np.rint(255 * row.mask).astype(np.uint8), cv2.COLOR_GRAY2RGB)
    cells = [
        cv2.resize(cell, (_CELL, _CELL), interpolation=cv2.INTER_AREA)
        for cell in (row.other, row.before, row.after, mask, difference)
    ]
    title = np.full((_TITLE, len(cells) * _CELL, 3), 255, np.uint8)
    cv2.putText(title, row.title, (4, _TITLE - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([title, np.hstack(cells)]).astype(np.uint8)


if __name__ == "__main__":
    main()
