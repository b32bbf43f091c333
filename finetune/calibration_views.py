"""Views of the set's pictures as photos meet the world, for ``facewitness.finetune.trace_calibration``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..tools.alignment import WIDE_SIZE
from ..tools.conditions import conditions
from .forge import chains
from .forgery_set import ForgerySet, tight

TIGHT = 0.3
"""Share of views without surroundings, of those after a chain."""
PLAIN = 0.4
"""Share of views that were only reduced and saved once, as most photos are."""
_QUALITIES = (60, 96)
_REAL_DRAWS = 3
_MOST = 30
_SHOWN = 2000

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Views:
    """m views: rows of the set (m,), and which view of the picture (m,)."""

    rows: Rows
    draws: Rows

    def of(self, chosen: NDArray[Any]) -> Views:
        """Those where ``chosen`` is true."""
        return Views(self.rows[chosen], self.draws[chosen])


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


def measured(crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, 7) conditions of crops."""
    return np.stack([conditions(crop) for crop in crops])


def shown(faces: ForgerySet) -> Views:
    """Part of what the network was trained on, every source and method alike."""
    rows = np.random.default_rng(0).permutation(_thinned(faces, faces.rows("fit")))[:_SHOWN]
    return Views(rows, np.zeros_like(rows))


def held_out(faces: ForgerySet) -> Views:
    """The calibration split: all real photos several times, at most thirty of each source and method once."""
    rows = _thinned(faces, faces.rows("calibration"))
    real = faces.rows("calibration", "real")
    forged = np.setdiff1d(rows, real)
    draws = np.repeat(np.arange(_REAL_DRAWS), len(real))
    return Views(np.concatenate([forged, np.tile(real, _REAL_DRAWS)]), np.concatenate([np.zeros_like(forged), draws]))


def _thinned(faces: ForgerySet, rows: Rows) -> Rows:
    """At most ``_MOST`` pictures of each source and method."""
    kept: dict[tuple[str, str], list[int]] = {}
    for row in np.random.default_rng(0).permutation(rows).tolist():
        cell = kept.setdefault((faces.entries[row].source, faces.entries[row].method), [])
        if len(cell) < _MOST:
            cell.append(row)
    return np.sort(np.concatenate([np.array(cell, np.intp) for cell in kept.values()]))
