"""How alike the parts of two faces are: cosines in spaces where photos of one person lie close together.

The spaces are linear discriminants, fitted on photos of the same people on other days and with another expression, for
the descriptors at each landmark, for what a part adds to SFace's feature, for its shape and its texture. What the
cosines mean is read by logistic regressions; docs/models/reference_comparison.md.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import weights
from .face import FaceView, Floats
from .face_parts import PARTS, POINTS, Descriptors, describe
from .sface import STEPS

WEIGHTS = "reference_comparison"
CUES = (*STEPS, "cells", "shape", "texture")
"""What a part is compared by."""
EYES = ("right_eye", "left_eye")

_CELLS = {
    "right_eye": "15 16 22 23",
    "left_eye": "18 19 25 26",
    "nose": "24 31",
    "mouth": "37 38 39 45",
    "skin": "10 30 32",
    "contour": "0 1 2 3 4 5 6 7 13 14 20 21 27 28 34 35 41 42 48",
}
"""Cells of the last 7 x 7 map, row by row, that look at each part."""
_ENDS = list(accumulate(len(points) for points in PARTS.values()))
_PLACES = {part: slice(end - len(PARTS[part]), end) for part, end in zip(PARTS, _ENDS, strict=True)}

Rows = Mapping[str, Mapping[str, Floats]]
"""By part and cue, (n, size) float32: one row for each landmark of a layer, else one."""
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Space:
    """Where rows are compared: a (size, k) map, and the (n, k) mean of mapped rows."""

    map: Floats
    mean: Floats

    def place(self, rows: Floats) -> Floats:
        """(n, size) to (n, k) rows of unit length."""
        mapped = rows @ self.map - self.mean
        unit: Floats = mapped / np.maximum(np.linalg.norm(mapped, axis=-1, keepdims=True), 1e-9)
        return unit


Spaces = Mapping[str, Mapping[str, Space]]
"""By part and cue."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a face is compared by: its parts as rows of unit length, and its SFace feature, of unit length too."""

    rows: Rows
    feature: Floats


@dataclass(frozen=True, slots=True)
class Reading:
    """A logistic regression: weights and bias of the logit that it is not the person of the references."""

    weights: Array
    bias: float

    def logit(self, inputs: Array) -> Array:
        """(…, n) inputs to (…) logits at even odds."""
        found: Array = inputs @ self.weights + self.bias
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """How one part is judged.

    Attributes:
        reading: On ``of_part``.
        differs: Likeness below which hardly any photo of the references' person is.
        agrees: Likeness from which on few parts of other people are.
        usual: Least likeness that photos of the references' person usually show.
    """

    reading: Reading
    differs: float
    agrees: float
    usual: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """Contents of the weights file: mean shape (104, 3), spaces, parts that can be read, and two joint readings.

    Attributes:
        shape: (104, 3) landmarks of the mean face.
        spaces: Where parts are compared.
        parts: How each part that can be read is judged.
        whole: Reading of ``of_face``: a forgery with some of the face against the person's own photo.
        morph: Reading of ``of_face``: a morph with the person against the person's own photo.
        least_cosine: Cosine below which a face is no morph with the person.
    """

    shape: Floats
    spaces: Spaces
    parts: Mapping[str, Part]
    whole: Reading
    morph: Reading
    least_cosine: float


def cues(seen: Descriptors, upright: Floats) -> Rows:
    """What is compared of each part, before it is placed in a space.

    Args:
        seen: From ``face_parts.describe``.
        upright: (104, 3) mean shape that the landmarks are turned to.
    """
    shape = turned(seen.points[POINTS], upright)
    return {
        part: {
            **{layer: values[place] for layer, values in seen.local.items()},
            "cells": seen.cells[[int(cell) for cell in _CELLS[part].split()]].sum(0)[None],
            "shape": shape[place].reshape(1, -1),
            "texture": seen.texture[number][None],
        }
        for number, (part, place) in enumerate(_PLACES.items())
    }


def turned(points: Floats, upright: Floats) -> Floats:
    """(n, 3) points moved, scaled and turned to lie on ``upright`` as closely as they can (Kabsch 1976)."""
    centred, goal = points - points.mean(0), upright - upright.mean(0)
    u, spread, vt = np.linalg.svd(centred.T @ goal)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    scale = float((spread * sign).sum() / (centred**2).sum())
    found: Floats = (scale * centred @ ((u * sign) @ vt)).astype(np.float32)
    return found


def sign(view: FaceView) -> Signature:
    """What a face is compared by.

    Raises:
        NotMeasurable: There is no mesh.
    """
    return signature(describe(view), fitted().shape, fitted().spaces)


def signature(seen: Descriptors, upright: Floats, spaces: Spaces) -> Signature:
    """A face's descriptors in the spaces; ``upright`` as in ``cues``."""
    rows = {
        part: {cue: spaces[part][cue].place(values) for cue, values in of.items()}
        for part, of in cues(seen, upright).items()
    }
    return Signature(rows, seen.feature / np.linalg.norm(seen.feature))


def compare(view: FaceView, references: Sequence[FaceView]) -> tuple[Array, float]:
    """(6, 6) table as from ``alike`` and cosine of the SFace features, each the mean over the references.

    Raises:
        NotMeasurable: There is no mesh.
    """
    mine, theirs = view.signature, [reference.signature for reference in references]
    table: Array = np.mean([alike(mine, other) for other in theirs], axis=0)
    return table, float(np.mean([mine.feature @ other.feature for other in theirs]))


def alike(a: Signature, b: Signature) -> Array:
    """(6, 6) mean cosines of the rows, by part of ``PARTS`` and cue of ``CUES``."""
    return np.array(
        [
            [float((a.rows[part][cue] * b.rows[part][cue]).sum() / len(b.rows[part][cue])) for cue in CUES]
            for part in PARTS
        ]
    )


def of_part(table: Array, part: str) -> Array:
    """(…, 12) inputs of a part's reading: its own cosines, and the mean of those of the other parts.

    Blur, light and years lower the likeness of all parts; a part that was exchanged stands out against the others.
    """
    names = list(PARTS)
    eyes = EYES if part in EYES else (part,)
    others = [n for n, name in enumerate(names) if name not in (*eyes, "contour")]
    return np.concatenate([table[..., names.index(part), :], table[..., others, :].mean(-2)], -1)


def of_face(table: Array, cosine: Array | float) -> Array:
    """(…, 37) inputs of the joint readings: the whole table, and the cosine of the SFace features."""
    return np.concatenate([table.reshape(*table.shape[:-2], -1), np.asarray(cosine)[..., None]], -1)


@cache
def fitted() -> Fitted:
    """The fitted parameters."""
    stored: dict[str, Any] = json.loads(weights.path(WEIGHTS).read_text("utf-8"))
    maps = {layer: unpacked(held) for layer, held in stored["layers"].items()}
    spaces = {
        part: {
            cue: Space(maps[cue] if cue in maps else unpacked(of["map"]), unpacked(of["mean"]))
            for cue, of in held.items()
        }
        for part, held in stored["spaces"].items()
    }
    parts = {
        name: Part(_reading(held), float(held["differs"]), float(held["agrees"]), float(held["usual"]))
        for name, held in stored["parts"].items()
    }
    whole, morph = (_reading(stored[name]) for name in ("whole", "morph"))
    return Fitted(unpacked(stored["mean_shape"]), spaces, parts, whole, morph, float(stored["least_cosine"]))


def _reading(held: Mapping[str, Any]) -> Reading:
    return Reading(np.array(held["weights"], np.float64), float(held["bias"]))


def packed(values: Floats) -> dict[str, Any]:
    """An array as it is stored: 16-bit floats, little end first, in base64."""
    return {"shape": list(values.shape), "f16": base64.b64encode(values.astype("<f2").tobytes()).decode("ascii")}


def unpacked(stored: Mapping[str, Any]) -> Floats:
    """What ``packed`` was given, to 16 bits."""
    values = np.frombuffer(base64.b64decode(stored["f16"]), "<f2")
    return values.reshape(stored["shape"]).astype(np.float32)
