"""The set that forensic detectors are trained, calibrated and tested on: real faces and forgeries made from them.

Run: ``python -m facewitness.finetune.forgery_set --data PATH --out DIR [--autoencoders DIR …] [--seed 0]``

Forgeries of two people are made from the London set alone, whose people agreed to it; the other photos are only altered
in themselves. The set stays on the machine that made it. No chain of compression is applied here: recipes and
evaluations apply one to real and forged alike. The same seed gives the same set.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..tools.alignment import WIDE
from ..tools.image import RGBImage
from .faces import Portrait, portraits
from .forge import METHODS, Side, forge
from .forge.selfblend import selfblend
from .forge.synthesis import REDRAWS, Redraw

SIDE = 192
"""Pixels of a stored crop."""
MASK_SIDE = 48

PARTNERS = 2
_EACH = {"fit": 1.0, "calibration": 0.5, "test": 0.5}
# How often each kind is made from one photo of a source; fractions are chances.
_SELFBLENDS = {"frll": 6.0, "ffhq": 6.0, "lfw": 1.0}
_REDRAWN_INSIDE = {"frll": 6.0, "ffhq": 6.0, "lfw": 0.7}
_REDRAWN = {"frll": 5.0, "ffhq": 6.0, "lfw": 0.6}
_ALONE = {"frll": 1.0, "ffhq": 0.7, "lfw": 0.12}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one picture of the set.

    Attributes:
        family: ``real``, ``manipulation``, ``synthesis`` or ``morph``.
        method: Who or what made it: ``swap.seamless``, ``stylegan2`` …; ``real`` for a photo.
        source: Where the photo is from, or for a generated face its generator.
        person: For a forgery the person whose photo was altered; people never cross splits.
        split: ``fit``, ``calibration`` or ``test``.
        base: Row of the untouched photo it was made from, or None.
    """

    family: str
    method: str
    source: str
    person: str
    split: str
    base: int | None = None


@dataclass(frozen=True, slots=True)
class ForgerySet:
    """All pictures.

    Attributes:
        rgb: (n, 192, 192, 3) uint8 RGB aligned wide crops.
        masks: (n, 48, 48) uint8: how much of each cell was altered, 0..255.
        entries: One each.
    """

    rgb: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    entries: tuple[Entry, ...]

    def rows(self, split: str, *families: str) -> NDArray[np.intp]:
        """Row numbers of a split, of all families if none is named."""
        chosen = [e.split == split and (not families or e.family in families) for e in self.entries]
        return np.flatnonzero(chosen)


def load(folder: Path) -> ForgerySet:
    """Open a set; the pictures are mapped, not read."""
    entries = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
    rgb, masks = (np.load(folder / name, mmap_mode="r") for name in ("rgb.npy", "masks.npy"))
    return ForgerySet(rgb, masks, tuple(Entry(**entry) for entry in entries))


def balanced(faces: ForgerySet, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(m,) weights that sum to 1: sources weigh alike, within them methods, within them pictures."""
    cells = [(faces.entries[row].source, faces.entries[row].method) for row in rows]
    each = {cell: cells.count(cell) for cell in set(cells)}
    methods: dict[str, int] = {}
    for source, _ in each:
        methods[source] = methods.get(source, 0) + 1
    return np.array([1 / len(methods) / methods[cell[0]] / each[cell] for cell in cells])


def tight(picture: NDArray[np.uint8], border: int) -> NDArray[np.uint8]:
    """As if the photo ended at the template's square: what lies outside is made up as ``border`` says."""
    inset = round(picture.shape[0] * (1 - 1 / WIDE) / 2)
    inner = picture[inset:-inset, inset:-inset]
    return cv2.copyMakeBorder(inner, inset, inset, inset, inset, border).astype(np.uint8, copy=False)


def build(
    people: Sequence[Portrait], redraws: Mapping[str, Redraw], seed: int, workers: int = 1
) -> Iterator[tuple[RGBImage, Any, Entry]]:
    """Photos and forgeries as (256, 256, 3) uint8, mask (256, 256) in 0..1, and entry; ``base`` is a row here."""
    row = 0
    with ThreadPoolExecutor(workers) as pool:
        for made in pool.map(lambda portrait: list(_of_one(portrait, people, redraws, seed)), people):
            for rgb, mask, entry in made:
                yield rgb, mask, entry if entry.base is None else replace(entry, base=row)
            row += len(made)


def _of_one(
    portrait: Portrait, people: Sequence[Portrait], redraws: Mapping[str, Redraw], seed: int
) -> Iterator[tuple[RGBImage, Any, Entry]]:
    """The photo itself, then what is made from it, with 0 as the base."""
    rng = np.random.default_rng((seed, zlib.crc32(portrait.rgb.tobytes())))
    whole = np.ones(portrait.rgb.shape[:2], np.float32)
    method = "real" if portrait.family == "real" else portrait.source
    original = Entry(portrait.family, method, portrait.source, portrait.person, portrait.split)
    yield portrait.rgb, whole * (portrait.family != "real"), original
    if portrait.family != "real":
        return
    side = Side(portrait.rgb, portrait.points)

    def entry(family: str, method: str) -> Entry:
        return Entry(family, method, portrait.source, portrait.person, portrait.split, 0)

    for name in _drawn({"selfblend": _SELFBLENDS[portrait.source]}, portrait, rng):
        yield *selfblend(side, rng), entry("manipulation", name)
    for name in _drawn({k: _REDRAWN_INSIDE[portrait.source] / len(redraws) for k in redraws}, portrait, rng):
        yield *selfblend(side, rng, redraws[name]), entry("manipulation", f"inside.{name}")
    for name in _drawn({k: _REDRAWN[portrait.source] / len(redraws) for k in redraws}, portrait, rng):
        yield redraws[name](portrait.rgb, rng), whole, entry("synthesis", f"redrawn.{name}")
    alone = {method: _ALONE[portrait.source] for method in METHODS if method.startswith(("edit.", "clone"))}
    for name in _drawn(alone, portrait, rng):
        yield _forged(name, side, side, side, rng, entry("manipulation", name))
    if portrait.source == "frll":
        yield from _of_two(portrait, people, rng, entry)


def _of_two(
    portrait: Portrait, people: Sequence[Portrait], rng: np.random.Generator, entry: Callable[[str, str], Entry]
) -> Iterator[tuple[RGBImage, Any, Entry]]:
    """Swaps, exchanged regions and morphs with people of the same split and gender."""
    near = [
        other
        for other in people
        if (other.source, other.split, other.group) == (portrait.source, portrait.split, portrait.group)
        and other.person != portrait.person
    ]
    side = Side(portrait.rgb, portrait.points)
    for method in (m for m in METHODS if m.startswith(("swap.", "region.", "morph", "splice"))):
        for _ in range(PARTNERS):
            other, third = (Side(near[i].rgb, near[i].points) for i in rng.choice(len(near), 2, replace=False))
            family = "morph" if method.startswith("morph") else "manipulation"
            # A swap puts the other's face on this photo's head, so that the base is the untouched photo.
            pair = (other, side) if method.startswith("swap.") else (side, other)
            yield _forged(method, *pair, third, rng, entry(family, method))


def _forged(
    method: str, person: Side, other: Side, third: Side, rng: np.random.Generator, entry: Entry
) -> tuple[RGBImage, Any, Entry]:
    made = forge(method, person, other, int(rng.integers(2**31)), third)
    return made.image, made.mask, entry


def _drawn(chances: dict[str, float], portrait: Portrait, rng: np.random.Generator) -> list[str]:
    """Names, each as often as its expected number says, halved outside the fit split."""
    return [
        name for name, expected in chances.items() for _ in range(int(expected * _EACH[portrait.split] + rng.random()))
    ]


def redraws(folders: Sequence[Path]) -> dict[str, Redraw]:
    """The redrawing steps by name: the fixed ones, and round trips of trained autoencoders at drawn scales."""
    return {**REDRAWS, **{f"autoencoder.{folder.name}": _autoencoder(folder) for folder in folders}}


def _autoencoder(folder: Path) -> Redraw:
    from .autoencoder import load, round_trip

    def redraw(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
        model = load(folder)
        height, width = rgb.shape[:2]
        side = 4 * int(rng.integers(48, 97))
        made = round_trip(model, cv2.resize(rgb, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.uint8))
        return cv2.resize(made, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)

    return redraw


def write(folder: Path, made: Iterator[tuple[RGBImage, Any, Entry]]) -> int:
    """Store a set, scaled down; returns how many pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, masks, entries = [], [], []
    for rgb, mask, entry in made:
        pictures.append(cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))
        small = cv2.resize(mask.astype(np.float32), (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_AREA)
        masks.append(np.rint(255 * small).astype(np.uint8))
        entries.append(asdict(entry))
    np.save(folder / "rgb.npy", np.stack(pictures))
    np.save(folder / "masks.npy", np.stack(masks))
    (folder / "entries.json").write_text(json.dumps(entries), encoding="utf-8")
    return len(entries)


def main() -> None:
    """Build and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--autoencoders", type=Path, nargs="*", default=[], help="folders of their runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    made = build(portraits(options.data), redraws(options.autoencoders), options.seed, options.workers)
    print(f"{write(options.out, made)} pictures")


if __name__ == "__main__":
    main()
