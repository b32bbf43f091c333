"""Views of the set's pictures as photos meet the world, and the fit of the linear reading in ``tools.trace_views``.

``facewitness.finetune.trace_calibration`` calls it; features are kept in the set's folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ..tools import trace_views
from ..tools.alignment import WIDE_SIZE
from ..tools.conditions import conditions
from ..tools.forensic_network import FAMILIES
from ..tools.trace_views import Linear
from .forge import chains
from .forgery_set import ForgerySet, balanced, tight

TIGHT = 0.3
"""Share of views without surroundings."""
PLAIN = 0.4
"""Share of views that were only reduced and saved once, as most photos are."""
_QUALITIES = (60, 96)
PENALTY = 0.003
"""Inverse strength; chosen on the calibration split from 0.003 and 0.03."""
_REALS = 1000  # of each source
_FORGED = 50  # of each source and method
_MANY = {"selfblend": 200, "stylegan2": 200}
_DRAWS = 3  # of the sources with few photos

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Views:
    """m views.

    Attributes:
        rows, draws: (m,) rows of the set, and which view of the picture.
        conditions: (m, 7).
        features: (m, 2066) of ``tools.trace_views``.
    """

    rows: Rows
    draws: Rows
    conditions: NDArray[np.float64]
    features: NDArray[np.float32]

    def of(self, chosen: NDArray[Any]) -> Views:
        """Those where ``chosen`` is true."""
        return Views(self.rows[chosen], self.draws[chosen], self.conditions[chosen], self.features[chosen])


def view(faces: ForgerySet, row: int, draw: int) -> NDArray[np.uint8]:
    """(160, 160, 3) uint8 RGB: a picture, framed and after a chain as drawn by its original, so that pairs share it."""
    base = faces.entries[row].base
    rng = np.random.default_rng((row if base is None else base, draw))
    rgb = np.array(faces.rgb[row])
    if rng.random() < PLAIN:
        return chains.jpeg(_reduced(rgb), int(rng.integers(*_QUALITIES)))
    chain = chains.draw(rng)
    return _reduced(chains.run(tight(rgb, cv2.BORDER_REPLICATE) if rng.random() < TIGHT else rgb, chain, rng))


def _reduced(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.resize(rgb, (WIDE_SIZE, WIDE_SIZE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def measured(faces: ForgerySet, rows: Rows, draws: Rows, folder: Path) -> Views:
    """Conditions and features of views, kept in ``folder``; about 30 ms each."""
    digest = hashlib.sha256(f"{TIGHT} {PLAIN} {_QUALITIES}".encode() + np.concatenate([rows, draws]).tobytes())
    digest.update(faces.rgb[rows[::50]].tobytes())
    place = folder / f"trace_views-{digest.hexdigest()[:12]}.npz"
    if not place.exists():
        crops = (view(faces, row, draw) for row, draw in zip(rows.tolist(), draws.tolist(), strict=True))
        found = [(conditions(crop), trace_views.features(crop)) for crop in crops]
        named = dict(zip(("conditions", "features"), map(np.stack, zip(*found, strict=True)), strict=True))
        np.savez(place, allow_pickle=False, **named)
    with np.load(place) as held:
        return Views(rows, draws, held["conditions"], held["features"])


def training_views(faces: ForgerySet) -> tuple[Rows, Rows]:
    """Rows and draws of the fit split; what there is little of is seen several times."""
    cells: dict[tuple[str, str], list[int]] = {}
    for row in np.random.default_rng(0).permutation(faces.rows("fit")).tolist():
        entry = faces.entries[row]
        most = _REALS if entry.family == "real" else _MANY.get(entry.method, _FORGED)
        cell = cells.setdefault((entry.source, entry.method), [])
        if len(cell) < most:
            cell.append(row)
    rows = np.sort(np.concatenate([np.array(cell) for cell in cells.values()]))
    few = rows[[_few(faces, row) for row in rows]]
    more = [few] * (_DRAWS - 1)
    return np.concatenate([rows, *more]), np.repeat(np.arange(_DRAWS), [len(rows)] + [len(few)] * (_DRAWS - 1))


def _few(faces: ForgerySet, row: int) -> bool:
    entry = faces.entries[row]
    return entry.method == "stylegan2" or (entry.family == "real" and entry.source != "lfw")


def fit(faces: ForgerySet, views: Views, leave_out: str) -> Linear:
    """Families weigh alike, within them sources, within them methods; methods that match are not shown."""
    entries = [faces.entries[row] for row in views.rows]
    shown = views.of(np.array([not re.search(leave_out, entry.method) for entry in entries]))
    labels = np.array([FAMILIES.index(faces.entries[row].family) for row in shown.rows])
    weight = np.zeros(len(labels))
    for label in np.unique(labels):
        weight[labels == label] = balanced(faces, shown.rows[labels == label])
    scaler = StandardScaler().fit(shown.features)
    unread = Linear(scaler.mean_, scaler.scale_, np.zeros((trace_views.SIZE, 0)), np.zeros(0))
    model = LogisticRegression(C=PENALTY, max_iter=1000, tol=1e-3)
    model.fit(unread.standard(shown.features), labels, weight * len(weight) / weight.sum())
    slopes, bias = model.coef_.T, model.intercept_
    return Linear(scaler.mean_, scaler.scale_, slopes[:, 1:] - slopes[:, :1], bias[1:] - bias[0])
