"""Calibration as users meet it: half of the forgeries are of methods that the scoring network was never shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..finetune.forgery_set import ForgerySet, balanced
from . import metrics
from .forgery_material import TASKS, Material
from .forgery_tables import Scored, risks

Array = NDArray[np.float64]


def half_unseen(known: Scored, unseen: Sequence[Scored]) -> dict[str, Any]:
    """Calibration and error by coverage for each task, real and forged weighing the same.

    Args:
        known: The shipped network on all methods that it was trained on.
        unseen: Networks on the methods that they were trained without; together they weigh as much as ``known``.
            Within each, sources weigh alike and within them methods, as the calibration was fitted.
    """
    return {task: _figures(task, known, [one for one in unseen if one.material.forged(task).any()]) for task in TASKS}


def _figures(task: str, known: Scored, unseen: Sequence[Scored]) -> dict[str, Any]:
    parts = [_part(task, known, 1.0), *(_part(task, one, 1 / len(unseen)) for one in unseen)]
    truth, probability, people, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    even = metrics.balanced(truth, metrics.resamples(people) * weight)
    found = {"ece": metrics.ece, "brier": metrics.brier, "auc": metrics.auc}
    figures = {name: metrics.figure(metric(truth, probability, even)).rounded() for name, metric in found.items()}
    return figures | risks(truth, probability, even)


def _part(task: str, scored: Scored, share: float) -> tuple[Any, Array, Any, Array]:
    """Truth, probability, person and weight of the task's forgeries and of all reals, each weighing ``share``."""
    material, weight = scored.material, np.zeros(len(scored.material.rows))
    forged = material.forged(task)
    for chosen in (forged, material.real):
        weight[chosen] = share * balanced(material.pictures, material.rows[chosen])
    used = forged | material.real
    return forged[used], scored.scores[task][used], material.words("person")[used], weight[used]


def keep(folder: Path, name: str, scored: Scored) -> None:
    """Leave a network's probabilities in the set's folder."""
    np.savez(_file(folder, name), allow_pickle=False, rows=scored.material.rows, **dict(scored.scores))


def kept(folder: Path, pictures: ForgerySet, name: str) -> Scored:
    """What ``keep`` left."""
    held = dict(np.load(_file(folder, name)))
    return Scored(Material(pictures, held.pop("rows")), held, held, True, {})


def _file(folder: Path, name: str) -> Path:
    return folder / f"scores-{name}.npz"
