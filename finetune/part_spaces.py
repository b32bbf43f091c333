"""Fit the spaces in which parts of faces are compared: linear discriminants (Fisher 1936; Wang and Tang 2004).

What changes between two photos of a person is held against what differs between people. Photos of other days (LFW)
and photos with another expression (London set) weigh the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ..tools.face import Floats
from ..tools.face_parts import PARTS, POINTS, Descriptors
from ..tools.part_similarity import Space, Spaces, cues, turned
from ..tools.sface import STEPS
from .part_faces import Faces
from .part_pairs import GENUINE, Pairs

SIZES = {**dict.fromkeys(STEPS, 32), "cells": 32, "shape": 12, "texture": 6}
"""Directions kept for each cue."""
_RIDGE = 0.05
_TURNS = 4

Array = NDArray[np.float64]


def described(faces: Faces, number: int) -> Descriptors:
    """What was measured of one face, as the tool sees it."""
    held = faces.values
    local = {layer: held[layer][number].astype(np.float32) for layer in STEPS}
    cells = held["cells"][number].astype(np.float32)
    return Descriptors(local, cells, held["feature"][number], held["texture"][number], held["points"][number])


def fit(faces: Faces, pairs: Pairs) -> tuple[Floats, Spaces]:
    """Mean shape (104, 3) and the spaces, from the photos of the split ``fit``."""
    genuine = pairs.of((pairs.kind == GENUINE) & (pairs.split == "fit"))
    photos = [n for n, shot in enumerate(faces.shots) if shot.split == "fit" and not shot.method and not shot.chain]
    upright = mean_shape(faces.values["points"][photos])
    used = np.unique([*photos, *genuine.question, *genuine.reference])
    rows = [cues(described(faces, number), upright) for number in used]
    ours, theirs = np.searchsorted(used, genuine.question), np.searchsorted(used, genuine.reference)
    sides = [(ours[genuine.source == name], theirs[genuine.source == name]) for name in ("lfw", "frll")]
    among = np.searchsorted(used, photos)
    found: dict[str, dict[str, Space]] = {part: {} for part in PARTS}
    for cue, size in SIZES.items():
        blocks = {part: np.stack([row[part][cue] for row in rows]) for part in PARTS}
        for shared in [list(PARTS)] if cue in STEPS else [[part] for part in PARTS]:
            landmarks = [blocks[part][:, k] for part in shared for k in range(blocks[part].shape[1])]
            directions = _discriminants(landmarks, sides, among, size)
            for part in shared:
                found[part][cue] = Space(directions, (blocks[part][among] @ directions).mean(0))
    return upright, found


def mean_shape(points: Floats) -> Floats:
    """(104, 3) mean of the landmarks of (n, 478, 3) meshes, each turned to it."""
    shapes = points[:, POINTS]
    mean: Floats = shapes.mean(0)
    for _ in range(_TURNS):
        mean = np.mean([turned(shape, mean) for shape in shapes], axis=0)
    return mean.astype(np.float32)


def _discriminants(
    blocks: Sequence[Floats], sides: Sequence[tuple[NDArray[Any], NDArray[Any]]], photos: NDArray[Any], size: int
) -> Floats:
    """(d, size) map in which photos of one person vary by about 1 in every direction.

    Args:
        blocks: (n, d) rows of each landmark or part that shares the map.
        sides: For each source: rows of the two faces of its genuine pairs.
        photos: Rows of the photos that show how people differ.
        size: Directions to keep.
    """
    side = blocks[0].shape[1]
    within, total = np.zeros((side, side)), np.zeros((side, side))
    for block in blocks:
        for ours, theirs in sides:
            change = block[ours] - block[theirs]
            within = within + change.T @ change / (2 * len(change))
        spread = block[photos] - block[photos].mean(0)
        total = total + spread.T @ spread / len(spread)
    within /= len(sides) * len(blocks)
    within += np.eye(len(within)) * _RIDGE * np.trace(within) / len(within)
    _, directions = eigh(total / len(blocks), within)
    kept: Floats = directions[:, ::-1][:, :size].astype(np.float32)
    return kept
