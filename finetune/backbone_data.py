"""Face pictures for the backbone recipes.

Either a folder with ``labels.csv``: ``image`` (path below the folder), ``family`` (``real``, or what was done:
``manipulation``, ``synthesis``, ``morph``), ``person`` (the two of a morph as ``a+b``), ``split`` (``fit``,
``calibration``, ``test``) and, if wanted, ``source``. Or a folder that ``forgery_set`` wrote. People never cross
splits.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from ..errors import InputError, InvalidOption, NotAssessable
from ..tools import detection, image
from ..tools.alignment import align_wide
from ..tools.image import RGBImage
from . import forgery_set
from .forge import chains
from .training import batches, generator

FAMILIES = ("real", "manipulation", "synthesis", "morph")
SPLITS = ("fit", "calibration", "test")
_COLUMNS = {"image", "family", "person", "split"}

Batch = tuple[torch.Tensor, torch.Tensor]
Key = tuple[int, int]  # step of the run, row of the split


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture.

    Attributes:
        place: Its file, or an aligned crop (side, side, 3) uint8 RGB.
        family, person, split, source: As in ``labels.csv``.
    """

    place: Path | NDArray[np.uint8]
    family: str
    person: str
    split: str
    source: str

    @property
    def forged(self) -> bool:
        """Whether anything was done to it."""
        return self.family != "real"


def pictures(folder: Path, forged: Sequence[str], sources: Sequence[str] = ()) -> dict[str, list[Picture]]:
    """The pictures of each split: the real ones, and those of the families in ``forged``.

    Args:
        folder: See the module.
        forged: Families; pictures of others are left out.
        sources: Those to take; all if empty.

    Raises:
        InvalidOption: A column is missing, a value is unknown, a person crosses splits, or a split that training
            needs lacks real or forged pictures.
    """
    found = _own(folder) if (folder / "entries.json").is_file() else list(_labelled(folder))
    _apart(found)
    chosen = [p for p in found if p.family in ("real", *forged) and (not sources or p.source in sources)]
    result = {split: [picture for picture in chosen if picture.split == split] for split in SPLITS}
    for split in SPLITS[:2]:
        if len({picture.forged for picture in result[split]}) < 2:
            raise InvalidOption(f"The split {split} needs real pictures and some of: {', '.join(forged)}.")
    return result


def _own(folder: Path) -> list[Picture]:
    faces = forgery_set.load(folder)
    return [
        Picture(faces.rgb[row], entry.family, entry.person, entry.split, entry.source)
        for row, entry in enumerate(faces.entries)
    ]


def _labelled(folder: Path) -> Iterator[Picture]:
    table = folder / "labels.csv"
    if not table.is_file():
        raise InvalidOption(f"{folder} has no labels.csv with the columns {', '.join(sorted(_COLUMNS))}.")
    with table.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        if missing := _COLUMNS - set(reader.fieldnames or ()):
            raise InvalidOption(f"labels.csv has no column {', '.join(sorted(missing))}.")
        for number, row in enumerate(reader, 2):
            yield _picture(folder, row, number)


def _picture(folder: Path, row: dict[str, str], number: int) -> Picture:
    if row["family"] not in FAMILIES or row["split"] not in SPLITS or not row["person"]:
        raise InvalidOption(f"Line {number} of labels.csv has an unknown family or split, or no person.")
    path = (folder / row["image"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise InvalidOption(f"Line {number} of labels.csv names a file outside the folder.")
    return Picture(path, row["family"], row["person"], row["split"], row.get("source") or "")


def _apart(found: Sequence[Picture]) -> None:
    splits = defaultdict(set)
    for picture in found:
        for person in picture.person.split("+"):
            splits[person].add(picture.split)
    crossing = sorted(person for person, where in splits.items() if len(where) > 1)
    if crossing:
        raise InvalidOption(f"{len(crossing)} people are in more than one split, the first is {crossing[0]!r}.")


class Crops(Dataset[tuple[RGBImage, float]]):
    """Pictures as crops of one size, by (step, row).

    Args:
        pictures: What the rows are.
        size: Side in pixels.
        align: Find the face in a file and align it (``alignment.align_wide``); else the file is such a crop already.
        seed: Augment with it: mirrored half the time, through one of the forge's chains; None for no augmentation.
    """

    def __init__(self, pictures: Sequence[Picture], size: int, align: bool, seed: int | None) -> None:
        self.pictures, self.size, self.align, self.seed = pictures, size, align, seed

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: Key) -> tuple[RGBImage, float]:
        """(size, size, 3) uint8 RGB, and 1 for forged."""
        picture = self.pictures[key[1]]
        rgb = self._crop(picture.place)
        if self.seed is not None:
            rng = generator(self.seed, *key)
            rgb = chains.run(rgb, chains.draw(rng), rng)
            rgb = rgb[:, ::-1] if rng.random() < 0.5 else rgb
        return rgb, float(picture.forged)

    def _crop(self, path: Path | RGBImage) -> RGBImage:
        if not isinstance(path, Path):
            return self._scaled(path)
        try:
            rgb = image.load(path).rgb
        except InputError as error:
            raise type(error)(f"{path.name}: {error}") from None
        if not self.align:
            return self._scaled(rgb)
        faces = detection.detect(rgb)
        if not faces:
            raise NotAssessable("none", f"{path.name} shows no face; leave it out of labels.csv.")
        return align_wide(rgb, faces[0].points, self.size)

    def _scaled(self, rgb: RGBImage) -> RGBImage:
        how = cv2.INTER_AREA if rgb.shape[0] >= self.size else cv2.INTER_CUBIC
        return cv2.resize(rgb, (self.size, self.size), interpolation=how).astype(np.uint8, copy=False)


def loader(crops: Crops, keys: Iterator[list[Key]], workers: int) -> DataLoader[Batch]:
    """Batches in the order of ``keys``: (n, size, size, 3) uint8 and (n,) float32."""
    # A generator of its own: the loader would otherwise draw from torch's, and a resumed run would differ.
    return DataLoader(crops, batch_sampler=keys, num_workers=workers, collate_fn=_collate, generator=torch.Generator())


def training_keys(crops: Crops, size: int, seed: int, start: int, stop: int) -> Iterator[list[Key]]:
    """Each step's batch, real and forged pictures as often as each other over an epoch."""
    rows = balanced(crops)
    for step, places in batches(len(rows), size, seed, start, stop):
        yield [(step, int(rows[place])) for place in places]


def balanced(crops: Crops) -> np.ndarray[Any, Any]:
    """Rows of an epoch: the smaller class is repeated until it has as many as the greater."""
    forged = np.array([picture.forged for picture in crops.pictures])
    sides = [np.flatnonzero(forged), np.flatnonzero(~forged)]
    longest = max(len(side) for side in sides)
    return np.concatenate([np.resize(side, longest) for side in sides])


def ordered_keys(crops: Crops, size: int) -> Iterator[list[Key]]:
    """Every row once."""
    for start in range(0, len(crops), size):
        yield [(0, row) for row in range(start, min(start + size, len(crops)))]


def _collate(items: Sequence[tuple[RGBImage, float]]) -> Batch:
    rgb, forged = zip(*items, strict=True)
    return torch.from_numpy(np.stack(rgb)), torch.tensor(forged, dtype=torch.float32)
