"""A face against a reference photo, with the truth for every part: does it belong to the person of the reference?"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..tools.face_parts import PARTS
from .part_faces import Faces, Shot

EYES, INNER = ("right_eye", "left_eye"), ("right_eye", "left_eye", "nose", "mouth")
REGIONS: Mapping[str, Sequence[str]] = {"eyes": EYES, "nose": ("nose",), "mouth": ("mouth",)}
WHOLE_OVAL = ("swap.alpha", "swap.seamless", "swap.mixed")
"""Swaps whose skin is all the other person's."""
GENUINE, OTHER = "genuine", "someone else"

_OTHER_PHOTO = {"neutral": "smiling", "smiling": "neutral"}


class Pair(NamedTuple):
    """One comparison.

    Attributes:
        question, reference: Rows of the faces.
        kind: ``genuine``, ``someone else``, or the method of the forgery.
        role: For a forgery, which of its people the reference shows.
        truth: By part of ``PARTS``: 1 it is the person's, 0 it is not, -1 neither.
    """

    question: int
    reference: int
    kind: str
    role: int
    truth: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """n comparisons of one source and split, as arrays of the fields of ``Pair``; ``people`` are the reference's."""

    question: NDArray[np.intp]
    reference: NDArray[np.intp]
    kind: NDArray[Any]
    role: NDArray[np.intp]
    truth: NDArray[np.intp]
    people: NDArray[Any]
    source: NDArray[Any]
    split: NDArray[Any]
    chain: NDArray[Any]

    def __len__(self) -> int:
        return len(self.question)

    def of(self, chosen: NDArray[Any]) -> Pairs:
        """The comparisons where ``chosen`` is true, or of these rows."""
        return Pairs(*(getattr(self, name)[chosen] for name in self.__slots__))


def truth(kind: str, role: int) -> tuple[int, ...]:
    """Which parts of a forgery are those of the person in this role."""
    if kind in (GENUINE, OTHER):
        return (int(kind == GENUINE),) * len(PARTS)
    family, _, rest = kind.partition(".")
    if family == "region":
        differ = REGIONS[rest.removesuffix(".varied")]
        return tuple(int(part not in differ) if role == 0 else -1 for part in PARTS)
    if family == "swap":
        skin = 0 if role == 1 and kind in WHOLE_OVAL else -1
        known = dict.fromkeys(INNER, int(role == 0)) | {"skin": skin, "contour": int(role == 1)}
        return tuple(known[part] for part in PARTS)
    return (-1,) * len(PARTS)


def pairs(data: Path, faces: Faces) -> Pairs:
    """All comparisons; people, and folds of LFW, never cross splits.

    LFW: the genuine pairs, and each question against the reference of another pair of the fold. London set: a photo or
    forgery against the photo of the same person that it was not made from; and against look-alikes, people of the same
    split that come next.
    """
    rows = [*_press(data, faces), *_london(faces)]
    question, reference, kind, role, truth = (np.array(column) for column in zip(*rows, strict=True))
    shots = faces.shots
    return Pairs(
        question,
        reference,
        kind,
        role,
        truth,
        np.array([shots[row.reference].people[0] for row in rows]),
        np.array([shots[row.question].source for row in rows]),
        np.array([shots[row.question].split for row in rows]),
        np.array([shots[row.question].chain for row in rows]),
    )


def _press(data: Path, faces: Faces) -> Iterator[Pair]:
    row = {shot.name: number for number, shot in enumerate(faces.shots) if shot.source == "lfw"}
    with (data / "lfw_pairs_aligned" / "pairs.csv").open(encoding="utf-8") as file:
        named = [pair for pair in csv.DictReader(file) if pair["same"] == "1"]
    known = [(row[p["b"]], row[p["a"]], p["fold"]) for p in named if p["a"] in row and p["b"] in row]
    for place, (question, reference, fold) in enumerate(known):
        yield Pair(question, reference, GENUINE, 0, truth(GENUINE, 0))
        mine = faces.shots[question].people
        later = (*known[place + 1 :], *known[:place])
        other = next(r for _, r, theirs in later if theirs == fold and faces.shots[r].people != mine)
        yield Pair(question, other, OTHER, 0, truth(OTHER, 0))


def _london(faces: Faces) -> Iterator[Pair]:
    plain = {
        (shot.people[0], shot.photos[0]): number
        for number, shot in enumerate(faces.shots)
        if shot.source == "frll" and not shot.method and not shot.chain
    }
    names = list(dict.fromkeys(name for name, _ in plain))
    splits = {faces.shots[number].people[0]: faces.shots[number].split for number in plain.values()}
    for number, shot in enumerate(faces.shots):
        if shot.source != "frll":
            continue
        kind = shot.method or GENUINE
        for role, reference in _references(shot, plain):
            yield Pair(number, reference, kind, role, truth(kind, role))
        if not shot.method:
            me = names.index(shot.people[0])
            others = [name for name in (*names[me + 1 :], *names[:me]) if splits[name] == shot.split]
            for name in others[:2]:
                yield Pair(number, plain[name, _OTHER_PHOTO[shot.photos[0]]], OTHER, 0, truth(OTHER, 0))


def _references(shot: Shot, plain: Mapping[tuple[str, str], int]) -> Iterator[tuple[int, int]]:
    """Role, and the row of that person's other photo."""
    for role, (name, photo) in enumerate(zip(shot.people, shot.photos, strict=True)):
        yield role, plain[name, _OTHER_PHOTO[photo]]
