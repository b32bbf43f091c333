"""JPEG ghosts as published, beside the shares that the tool reports.

Farid 2009, "Exposing digital forgeries from JPEG ghosts": the photo is saved again at many qualities, and at the
quality of an earlier saving the difference to the original dips. Score of a face: the largest difference between its
curve and that of its surroundings, each scaled to 0..1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import NotMeasurable
from ..tools import saving_history
from ..tools.face import FaceView
from ..tools.image import RGBImage
from .metrics import auc, interval
from .provenance_material import Subject, decoded, saved

QUALITIES = tuple(range(50, 100, 5))
PAIRS = ((75, None), (75, 90), (85, 95))


def ghost_score(view: FaceView) -> float:
    """0 where face and surroundings have the same curve, to 1."""
    inside, around = _masks(view)
    rgb = view.photo.rgb.astype(np.float32)
    curves = []
    for quality in QUALITIES:
        difference = ((decoded(saved(view.photo.rgb, quality)) - rgb) ** 2).mean(2)
        curves.append((difference[inside].mean(), difference[around].mean()))
    scaled = np.array(curves)
    scaled = (scaled - scaled.min(0)) / np.maximum(np.ptp(scaled, axis=0), 1e-9)
    return float(np.abs(scaled[:, 0] - scaled[:, 1]).max())


def _masks(view: FaceView) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    x, y, width, height = view.face.box
    rows, columns = np.mgrid[: view.photo.rgb.shape[0], : view.photo.rgb.shape[1]]
    distance = np.hypot((columns - x - width / 2) / (width / 2), (rows - y - height / 2) / (height / 2))
    return distance <= 1, distance >= 1.35


def share_score(view: FaceView) -> float:
    """What the face lacks of the trace around it; 0 where none was found."""
    try:
        parts, table = saving_history.parts_of(view.photo, view.face.box, {})
    except NotMeasurable:
        return 0.0
    saving = saving_history.earlier(parts.around, table)
    return 0.0 if saving is None else 1 - saving.kept(parts.inside)[0]


def ghost_table(subjects: Sequence[Subject], swap: Callable[[Subject, int], RGBImage]) -> dict[str, Any]:
    """AUC of genuine against swapped, by qualities of the first and the last saving, for both scores."""
    table = {}
    for first, last in PAIRS:
        views = [one.view(saved(decoded(saved(one.rgb, first)), last)) for one in subjects]
        views += [one.view(saved(swap(one, first), last)) for one in subjects]
        truth = np.arange(len(views)) >= len(subjects)
        people = [one.person for one in subjects] * 2
        table[f"{first}, {last or 'PNG'}"] = {
            name: interval(auc, truth, np.array([score(view) for view in views]), people).rounded()
            for name, score in (("ghosts", ghost_score), ("share", share_score))
        }
    return table
