"""Are pictures of the evaluated set among those that something was trained on? By perceptual hashes.

The hash (DCT, 256 bit) survives scaling and compression. Portraits that are cropped alike are alike in their low
frequencies, so that a shorter one would find strangers.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import FacewitnessError, InvalidOption
from .benchmarks import Item
from .benchmarks.item import SUFFIXES, pictures
from .pictures import read

SIDE = 16
NEAR = 24
"""Bits of 256 that may differ."""
SHOWN = 200
_PART = 2000

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Leakage:
    """What was found.

    Attributes:
        trained, evaluated: Pictures that could be hashed.
        unreadable: Pictures of either that could not.
        pairs: Evaluated picture, training picture, bits that differ.
    """

    trained: int
    evaluated: int
    unreadable: int
    pairs: tuple[tuple[str, str, int], ...]

    @property
    def leaked(self) -> int:
        """Evaluated pictures that are among the training pictures."""
        return len({name for name, _, _ in self.pairs})

    def to_json(self) -> dict[str, Any]:
        """Plain types, with the first pairs."""
        return {
            "training pictures": self.trained,
            "evaluated pictures": self.evaluated,
            "unreadable": self.unreadable,
            "evaluated pictures found in training": self.leaked,
            "bits of 256 that may differ": NEAR,
            "pairs": [list(pair) for pair in self.pairs[:SHOWN]],
        }


def check(training: Sequence[Path], items: Iterable[Item], root: Path) -> Leakage:
    """Compare training lists with the pictures of a benchmark.

    Args:
        training: Folders of pictures, or lists: text with a path a line, CSV with a column ``path`` or ``image``, JSON
            with paths anywhere in it. Paths are below the list's folder.
        items: The evaluated samples.
        root: Their folder.

    Raises:
        InvalidOption: A list cannot be read, or names no picture.
    """
    known = {str(path): path for of in training for path in listed(of)}
    names = sorted({name for item in items if item.split == "test" for name in item.images})
    trained, missed = _hashed({name: path.read_bytes for name, path in known.items()})
    evaluated, lost = _hashed({name: lambda name=name: read(name, root) for name in names})
    return Leakage(len(trained), len(evaluated), missed + lost, tuple(_near(evaluated, trained)))


def listed(source: Path) -> list[Path]:
    """Pictures of a folder or a list.

    Raises:
        InvalidOption: It cannot be read, or names no picture.
    """
    try:
        found = pictures(source) if source.is_dir() else [source.parent / name for name in _names(source)]
    except (OSError, ValueError) as error:
        raise InvalidOption(f"{source.name} cannot be read as a list of pictures.") from error
    if not found:
        raise InvalidOption(f"{source.name} names no picture.")
    return found


def _names(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix == ".json":
        return sorted(set(_strings(json.loads(text))))
    if file.suffix == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
        column = next((name for name in ("path", "image") if rows and name in rows[0]), "")
        return [row[column] for row in rows] if column else []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _strings(held: Any) -> Iterable[str]:
    if isinstance(held, str):
        return [held] if held.lower().endswith(SUFFIXES) else []
    parts = held.values() if isinstance(held, dict) else held if isinstance(held, list) else ()
    return [text for part in parts for text in _strings(part)]


def _hashed(files: dict[str, Any]) -> tuple[dict[str, Hashes], int]:
    """(4,) words of 64 bit for each picture that can be read, and how many cannot."""
    import imagehash

    found, missed = {}, 0
    for name, data in files.items():
        try:
            with Image.open(BytesIO(data())) as picture:
                bits = imagehash.phash(picture.convert("RGB"), hash_size=SIDE).hash
            found[name] = np.packbits(bits).view(np.uint64)
        except (OSError, ValueError, UnidentifiedImageError, FacewitnessError):
            missed += 1
    return found, missed


def _near(evaluated: dict[str, Hashes], trained: dict[str, Hashes]) -> Iterable[tuple[str, str, int]]:
    if not evaluated or not trained:
        return
    names, known = list(trained), np.stack(list(trained.values()))
    for name, code in evaluated.items():
        for start in range(0, len(known), _PART):
            bits = np.bitwise_count(known[start : start + _PART] ^ code).sum(1)
            for place in np.flatnonzero(bits <= NEAR):
                yield name, names[start + int(place)], int(bits[place])
