"""Labelled photos, and what the tools measure on each: the teachers of the tower.

Measured once and kept in a folder outside the project, a file a group of photos; the crops in it show faces, so it
stays on the machine that made it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import NotMeasurable
from ...tools import detection, image
from ...tools.action_units import NAMES
from ...tools.alignment import TEMPLATE, align_wide, wide_transform
from ...tools.face import Face, FaceView
from ..data.catalogue import Shot, shots
from ..faces import SIDE as MADE_SIDE
from ..forgery_set import SIDE

EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "fear", "disgust")
ETHNICITIES = ("white", "black", "east_asian", "west_asian")
"""Those that enough people of the London set are labelled with."""
_TRUSTED = ("neutral", "happiness", "surprise")
"""LFW's labels are a student's; the rare ones are too often wrong to teach."""
_ALIGNED = Face("f1", (0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)
_NUMBERS = ("rgb", "mesh", "blendshapes", "pose", "identity", "units", "labels")
_WORDS = ("name", "source", "person", "split")
LABELS = ("expression", "gender", "age", "ethnicity")


@dataclass(frozen=True, slots=True)
class Photos:
    """n labelled photos; what is not known is NaN.

    Attributes:
        rgb: (n, 192, 192, 3) uint8 RGB, ``alignment.align_wide``.
        mesh: (n, 478, 2) float32, fractions of the crop.
        blendshapes: (n, 52) float32.
        pose: (n, 3) float32, yaw, pitch and roll in degrees.
        identity: (n, 128) float32, SFace's feature, normalised.
        units: (n, 20) float32, intensity 0..1 of ``action_units.NAMES``; renders only.
        labels: (n, 4) float32 in the order of ``LABELS``: place in ``EXPRESSIONS``, 1 for a woman, years, place in
            ``ETHNICITIES``.
        name, source, person, split: (n,) words, as in ``catalogue.Shot``.
    """

    rgb: NDArray[np.uint8]
    mesh: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    pose: NDArray[np.float32]
    identity: NDArray[np.float32]
    units: NDArray[np.float32]
    labels: NDArray[np.float32]
    name: NDArray[np.str_]
    source: NDArray[np.str_]
    person: NDArray[np.str_]
    split: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.rgb)

    def of(self, chosen: NDArray[Any]) -> Photos:
        """The photos of a mask or of places."""
        return Photos(*(getattr(self, name)[chosen] for name in (*_NUMBERS, *_WORDS)))


def photos(data: Path, cache: Path) -> Photos:
    """Measure all photos, or go on where an earlier call stopped; about twelve minutes on one core.

    Args:
        data: Folder with the labelled photos.
        cache: Folder for what was measured.
    """
    cache.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    files = []
    for group, members in groups(data).items():
        files.append(cache / f"{group}.npz")
        if not files[-1].exists():
            store(files[-1], [found for shot in members for found in measured(shot)])
    held = []
    for file in files:
        with np.load(file) as stored:
            held.append({name: stored[name] for name in (*_NUMBERS, *_WORDS)})
    return Photos(*(np.concatenate([one[name] for one in held]) for name in (*_NUMBERS, *_WORDS)))


def groups(data: Path) -> dict[str, list[Shot]]:
    """The shots that are measured, by source and split."""
    found: dict[str, list[Shot]] = {}
    for shot in shots(data):
        found.setdefault(f"{shot.source}-{shot.split}", []).append(shot)
    return found


def measured(shot: Shot) -> Iterator[dict[str, Any]]:
    """One row of ``Photos``; none where no face is found."""
    photo = image.load(shot.path)
    face = _ALIGNED if shot.source == "lfw" else next(iter(detection.detect(photo.rgb)), None)
    if face is None:
        return
    view = FaceView(photo, face)
    try:
        mesh, pose = view.mesh, view.pose
    except NotMeasurable:
        return
    yield row(shot, photo.rgb, face, mesh.points, mesh.blendshapes, (pose.yaw, pose.pitch, pose.roll), view.feature)


def row(
    shot: Shot, rgb: NDArray[np.uint8], face: Face, points: Any, blendshapes: Any, pose: Sequence[float], feature: Any
) -> dict[str, Any]:
    """What is kept of a photo; points are (478, 2) or (478, 3) in pixels of the photo."""
    crop = cv2.resize(align_wide(rgb, face.points, MADE_SIDE), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    to_crop = wide_transform(face.points, SIDE)
    return {
        "rgb": crop,
        "mesh": ((points[:, :2] @ to_crop[:, :2].T + to_crop[:, 2] + 0.5) / SIDE).astype(np.float32),
        "blendshapes": blendshapes,
        "pose": np.array(pose, np.float32),
        "identity": feature / np.linalg.norm(feature),
        "units": np.array([shot.units.get(number, np.nan) for number in NAMES], np.float32),
        "labels": labels(shot),
        "name": f"{shot.path.parent.name}/{shot.path.name}",
        "source": shot.source,
        "person": shot.person,
        "split": shot.split,
    }


def labels(shot: Shot) -> NDArray[np.float32]:
    """(4,) in the order of ``LABELS``."""
    said, unknown = dict(shot.labels), float("nan")
    if shot.source == "lfw" and said.get("expression") not in _TRUSTED:
        said.pop("expression", None)
    words = {"expression": EXPRESSIONS, "gender": ("male", "female"), "ethnicity": ETHNICITIES}
    values = {
        name: float(known.index(said[name])) if said.get(name) in known else unknown for name, known in words.items()
    }
    age = said.get("age", "")
    values["age"] = float(age) if age.replace(".", "", 1).isdigit() else unknown
    return np.array([values[name] for name in LABELS], np.float32)


def store(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write one group; the file is there only once it is whole."""
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{name: np.stack([one[name] for one in rows]) for name in rows[0]})
    part.replace(file)


def card(held: Photos) -> str:
    """How many photos and people of each source and split, as JSON."""
    counts: dict[str, dict[str, int]] = {}
    for source, split in sorted(set(zip(held.source.tolist(), held.split.tolist(), strict=True))):
        chosen = (held.source == source) & (held.split == split)
        counts[f"{source} {split}"] = {"photos": int(chosen.sum()), "people": len(np.unique(held.person[chosen]))}
    return json.dumps(counts, indent=1)
