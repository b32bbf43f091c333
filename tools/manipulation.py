"""Manipulation: how probable it is that parts of a face were altered, and where."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from . import weights
from .alignment import WIDE_SIZE, wide_transform
from .evidence import Evidence, Picture, Region
from .face import FaceView, Floats, Reference
from .forensic_network import WEIGHTS
from .forensic_parts import parts
from .registry import FaceTool
from .trace_calibration import judged, printed

_GRID = 32


def _measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
    return [face(view), *_by_part(view)]


def face(view: FaceView) -> Evidence:
    """How probable it is that the face was altered, with the map.

    Raises:
        NotMeasurable: The face is unlike what the network was trained on.
    """
    probability = judged(view).alone["manipulation"]
    return Evidence(
        "manipulation.face",
        "manipulation",
        f"The probability that the face was altered is {printed(probability):.2f} at even odds.",
        printed(probability),
        probability=probability,
        region=Region(*view.face.box),
        picture=map_picture(view, view.traces.heat),
        model=weights.card(WEIGHTS),
    )


def _by_part(view: FaceView) -> list[Evidence]:
    fine = cv2.resize(view.traces.heat, (WIDE_SIZE, WIDE_SIZE), interpolation=cv2.INTER_LINEAR)
    model = weights.card(WEIGHTS)
    found = []
    for name, inside in parts(view).items():
        share = round(float(fine[inside].mean()), 2) if inside.any() else 0.0
        words = name.replace("_", " ")
        finding = f"The map of alterations has a mean of {share:.2f} over the {words}."
        region = _region(view, inside, words)
        found.append(Evidence(f"manipulation.{name}", "manipulation", finding, share, region=region, model=model))
    return found


def map_picture(view: FaceView, heat: Floats) -> Picture:
    """The map of the aligned crop as an upright grid over the photo; cells outside the crop are 0."""
    transform = wide_transform(view.face.points)
    inverse = cv2.invertAffineTransform(transform)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * WIDE_SIZE @ inverse[:, :2].T + inverse[:, 2]
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    steps = (np.arange(_GRID) + 0.5) / _GRID
    x, y = np.meshgrid(left + steps * (right - left), top + steps * (bottom - top))
    where = (np.stack([x, y], -1) @ transform[:, :2].T + transform[:, 2]) * (heat.shape[0] / WIDE_SIZE) - 0.5
    cells = cv2.remap(heat, where[..., 0].astype(np.float32), where[..., 1].astype(np.float32), cv2.INTER_LINEAR)
    rows = tuple(tuple(round(float(value), 3) for value in row) for row in cells.clip(0, 1))
    return Picture(heat=rows, heat_box=(float(left), float(top), float(right - left), float(bottom - top)))


def _region(view: FaceView, inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]], name: str) -> Region:
    """Box in the photo around a part of the crop."""
    inverse = cv2.invertAffineTransform(wide_transform(view.face.points))
    y, x = np.nonzero(inside)
    if not len(x):
        return Region(*view.face.box, name)
    points = np.column_stack([x, y]) @ inverse[:, :2].T + inverse[:, 2]
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return Region(float(left), float(top), float(right - left), float(bottom - top), name)


TOOL = FaceTool(name="manipulation", title="Looking for altered parts", measure=_measure)
