"""Faces that the comparison of parts is fitted to and tested on, measured once through the shipped tools.

Photos of LFW's genuine pairs (other days) and of the London set (one session), and forgeries of the London set's
people, who agreed to altered forms. Forged photos are in memory only; what ``cached`` keeps are measurements.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable
from ..tools import detection, face_parts, image
from ..tools.alignment import TEMPLATE
from ..tools.face import Face, FaceView
from ..tools.image import Photo, RGBImage
from .comparisons import LFW_SPLITS, Split, Volunteer, lfw_pairs, volunteers
from .forge import Side, chains, forge

METHODS = (
    ("region.eyes",),
    ("region.nose",),
    ("region.mouth",),
    ("region.eyes.varied", "region.nose.varied", "region.mouth.varied"),
    ("swap.alpha",),
    ("swap.seamless", "swap.laplacian", "swap.covariance", "swap.plain", "swap.inner", "swap.poisson", "swap.mixed"),
    ("morph",),
    ("morph.full", "morph3"),
)
"""One of each is drawn for every pair of people."""
PARTNERS = 2
CHAINED = 0.5
"""Share of the forgeries outside the test split that pass through a chain of compression."""
STRAINS = ("jpeg 30", "jpeg 60", "half", "quarter")
"""What the test split's photos and some forgeries are tested under besides."""
STRAINED = ("region.eyes", "region.nose", "region.mouth", "swap.alpha", "morph")

_ALIGNED = Face("f1", (0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)


@dataclass(frozen=True, slots=True)
class Shot:
    """One measured face.

    Attributes:
        name: Unique; for a photo its file.
        source: ``lfw`` or ``frll``.
        split: ``fit``, ``calibration`` or ``test``.
        people: Who is shown, the claimed person first.
        photos: The photo of each of them that was used.
        method: How it was forged; empty for a photo.
        share: Of the first person in a morph of two.
        chain: What it went through afterwards.
    """

    name: str
    source: str
    split: str
    people: tuple[str, ...]
    photos: tuple[str, ...]
    method: str = ""
    share: float = 1.0
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Faces:
    """Shots and what was measured on each.

    Attributes:
        shots: n of them.
        values: (n, …) arrays by name: what ``face_parts.Descriptors`` holds, with one array a layer, ``blendshapes``,
            ``pose`` and ``size``.
    """

    shots: tuple[Shot, ...]
    values: dict[str, NDArray[Any]]


def cached(data: Path, folder: Path, splits: Sequence[Split]) -> Faces:
    """Measure all faces of these splits, or go on where an earlier call stopped; in all half an hour on one core.

    Args:
        data: Folder with ``lfw_pairs_aligned`` and ``frll_london``.
        folder: Holds one file for each group of faces; nothing in it shows a face.
        splits: Of ``fit``, ``calibration`` and ``test``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    found = []
    for name, split, shots in _groups(data):
        if split not in splits:
            continue
        file = folder / f"{name}.npz"
        if not file.exists():
            part = folder / f"{name}.part"
            with part.open("wb") as stream:
                _store(stream, list(shots))
            part.replace(file)
        found.append(_load(file))
    return Faces(
        tuple(shot for faces in found for shot in faces.shots),
        {name: np.concatenate([faces.values[name] for faces in found]) for name in found[0].values},
    )


def _groups(data: Path) -> Iterator[tuple[str, Split, Iterator[tuple[Shot, FaceView]]]]:
    """Name, split and faces of each group; the faces are made when asked for."""
    folds: dict[str, int] = {}
    for pair in lfw_pairs(data):
        if pair["same"] == "1":
            folds |= {pair[side]: int(pair["fold"]) for side in "ab"}
    people = volunteers(data)
    for number, person in enumerate(people):
        yield f"frll_{person.name}", person.split, _london(people, number)
    for fold, split in enumerate(LFW_SPLITS):
        yield f"lfw_{fold}", split, _press(data, fold, sorted(name for name in folds if folds[name] == fold))


def _press(data: Path, fold: int, names: Sequence[str]) -> Iterator[tuple[Shot, FaceView]]:
    for name in names:
        photo = image.load(data / "lfw_pairs_aligned" / "images" / name)
        yield Shot(name, "lfw", LFW_SPLITS[fold], (name.split("/")[0],), (name,)), FaceView(photo, _ALIGNED)


def _london(people: Sequence[Volunteer], number: int) -> Iterator[tuple[Shot, FaceView]]:
    """Both photos of a person, one of them through a chain, and forgeries with people of the same split and gender."""
    person, rng = people[number], np.random.default_rng(1000 + number)
    for expression in ("neutral", "smiling"):
        shot = Shot(f"{person.name} {expression}", "frll", person.split, (person.name,), (expression,))
        yield shot, getattr(person, expression)
        yield from _altered(shot, getattr(person, expression).photo.rgb, rng, True)
    near = [p for p in people if p is not person and (p.split, p.group[0]) == (person.split, person.group[0])]
    drawn = rng.choice(len(near), PARTNERS + 1, replace=False)
    for turn in range(PARTNERS):
        three = (person, near[drawn[turn]], near[drawn[PARTNERS]])
        photos = tuple(str(rng.choice(("smiling", "neutral"), p=(share, 1 - share))) for share in (0.7, 0.5, 0.0))
        sides = [_side(getattr(one, expression)) for one, expression in zip(three, photos, strict=True)]
        for methods in METHODS:
            method = str(rng.choice(methods))
            seed = int(rng.integers(2**31))
            forged = forge(method, sides[0], sides[1], seed, sides[2]).image
            count = 3 if method == "morph3" else 2
            shot = Shot(
                f"{person.name} {turn} {method}",
                "frll",
                person.split,
                tuple(one.name for one in three[:count]),
                photos[:count],
                method,
            )
            yield from _altered(shot, forged, rng, False, turn == 0 and method in STRAINED)


def _side(view: FaceView) -> Side:
    return Side(view.photo.rgb, view.mesh.points)


def _altered(
    shot: Shot, rgb: RGBImage, rng: np.random.Generator, photo: bool, strained: bool = True
) -> Iterator[tuple[Shot, FaceView]]:
    """A forgery, or a second version of a photo, as it is or through a chain; for testing, under fixed strains too."""
    chain = chains.draw(rng) if shot.split != "test" and (photo or rng.random() < CHAINED) else ""
    if chain or not photo:
        yield from _seen(shot, chains.run(rgb, chain, rng) if chain else rgb, chain)
    if shot.split == "test" and strained:
        for strain in STRAINS:
            yield from _seen(shot, strain_of(rgb, strain), strain)


def strain_of(rgb: RGBImage, strain: str) -> RGBImage:
    """One of ``STRAINS``."""
    if strain.startswith("jpeg"):
        return chains.jpeg(rgb, int(strain.split()[1]))
    return chains.resize(rgb, 0.5 if strain == "half" else 0.25)


def _seen(shot: Shot, rgb: RGBImage, chain: str) -> Iterator[tuple[Shot, FaceView]]:
    faces = detection.detect(rgb)
    if faces:
        chained = Shot(**{**asdict(shot), "name": f"{shot.name} {chain}".strip(), "chain": chain})
        yield chained, FaceView(Photo(rgb, b"", "", "PNG"), faces[0])


def _store(stream: Any, shots: Sequence[tuple[Shot, FaceView]]) -> None:
    kept, rows = [], []
    for shot, view in shots:
        try:
            rows.append(_measured(view))
        except NotMeasurable:
            continue
        kept.append(asdict(shot))
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    np.savez(stream, allow_pickle=False, shots=np.array(json.dumps(kept)), **arrays)


def _measured(view: FaceView) -> dict[str, NDArray[Any]]:
    seen = face_parts.describe(view)
    pose = view.pose
    return {
        **{name: values.astype(np.float16) for name, values in seen.local.items()},
        "cells": seen.cells.astype(np.float16),
        "feature": seen.feature,
        "texture": seen.texture,
        "points": seen.points,
        "blendshapes": view.mesh.blendshapes,
        "pose": np.array([pose.yaw, pose.pitch, pose.roll], np.float32),
        "size": np.array(view.face.size, np.float32),
    }


def _load(file: Path) -> Faces:
    with np.load(file) as stored:
        values = {name: stored[name] for name in stored.files if name != "shots"}
        shots = json.loads(str(stored["shots"]))
    return Faces(tuple(Shot(**_tuples(shot)) for shot in shots), values)


def _tuples(shot: dict[str, Any]) -> dict[str, Any]:
    return {**shot, "people": tuple(shot["people"]), "photos": tuple(shot["photos"])}
