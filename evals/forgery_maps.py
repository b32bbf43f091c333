"""Does the map lie on what was altered? Against the forge's true masks, and against where forgeries lie on average."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..tools.alignment import TEMPLATE, WIDE
from . import metrics
from .forgery_material import Bools, Material

Array = NDArray[np.float64]
Heat = NDArray[np.float32]
"""(n, 20, 20) in 0..1."""

LEVELS = 256
SHARES = (0.005, 0.95)
"""Of the crop that is altered: below there is nothing to find, above nothing to find it in."""

# Half width and half height on the 112 px template, around points 0..4 (right eye, left eye, nose, mouth corners).
_PARTS = {"right eye": ((0,), 12, 8), "left eye": ((1,), 12, 8), "nose": ((2,), 10, 12), "mouth": ((3, 4), 16, 8)}
_ALTERED, _INTACT = 0.5, 0.05


def fitted(heat: Heat, side: int) -> Heat:
    """Maps enlarged to (n, side, side)."""
    return np.stack([cv2.resize(cells, (side, side), interpolation=cv2.INTER_LINEAR) for cells in heat])


def usual(material: Material) -> Heat:
    """(20, 20): how often each place is altered in these pictures; the floor that a map must beat."""
    mean = material.masks().mean(0, dtype=np.float32)
    return np.asarray(cv2.resize(mean, (20, 20), interpolation=cv2.INTER_AREA))


def evaluate(material: Material, heat: Heat, place: Heat) -> dict[str, Any]:
    """Pixel AUC and pointing game for all kinds of manipulation, with the figures of ``place`` for every picture."""
    masks = material.masks()
    share = masks.mean((1, 2))
    local = (material.words("family") == "manipulation") & (share > SHARES[0]) & (share < SHARES[1])
    groups, people = material.groups, material.words("person")
    chosen = {"all": local} | {str(name): local & (groups == name) for name in np.unique(groups[local])}
    return {
        name: {
            "map": agreement(heat[used], masks[used], people[used]),
            "usual place": agreement(np.repeat(place[None], used.sum(), 0), masks[used], people[used]),
        }
        for name, used in chosen.items()
    }


def agreement(heat: Heat, masks: Bools, people: NDArray[np.str_]) -> dict[str, Any]:
    """Pixel AUC within each picture (mean) and over all pixels, and how often the map's maximum lies on the mask."""
    fine, weight = fitted(heat, masks.shape[1]), metrics.resamples(people)
    return {
        "photos": len(masks),
        "pixel auc, mean": metrics.figure(metrics.mean(pixel_auc(fine, masks), weight)).rounded(),
        "pixel auc, pooled": metrics.figure(pooled_auc(fine, masks, weight)).rounded(),
        "maximum on the mask": metrics.figure(metrics.mean(pointed(heat, masks), weight)).rounded(),
    }


def pixel_auc(heat: Heat, masks: Bools) -> Array:
    """(n,) AUC within each picture by ranks; maps (n, side, side), masks alike with both kinds of pixels in each."""
    ranks = rankdata(heat.reshape(len(heat), -1), axis=1)
    inside = masks.reshape(len(masks), -1)
    count = inside.sum(1)
    above = (ranks * inside).sum(1) - count * (count + 1) / 2
    return np.asarray(above / (count * (inside.shape[1] - count)))


def pooled_auc(heat: Heat, masks: Bools, weight: Array) -> Array:
    """(rounds,) AUC over the pixels of all pictures, heat in 256 steps, weights (rounds, n)."""
    step = np.minimum((heat * LEVELS).astype(int), LEVELS - 1)
    counts = [np.stack([np.bincount(s[m == label], minlength=LEVELS) for s, m in zip(step, masks, strict=True)])
              for label in (False, True)]  # fmt: skip
    false, true = (weight @ of[:, ::-1] for of in counts)
    rates = [np.pad(np.cumsum(of, 1) / of.sum(1, keepdims=True), ((0, 0), (1, 0))) for of in (false, true)]
    return metrics.area(metrics.Roc(*rates))


def pointed(heat: Heat, masks: Bools) -> Array:
    """(n,) 1 where the centre of the hottest cell is altered, else 0: the pointing game (Zhang et al. 2018)."""
    cells, side = heat.shape[1], masks.shape[1]
    y, x = np.unravel_index(heat.reshape(len(heat), -1).argmax(1), heat.shape[1:])
    rows, columns = (((place + 0.5) * side / cells).astype(int) for place in (y, x))
    return masks[np.arange(len(masks)), rows, columns].astype(np.float64)


def parts(material: Material, heat: Heat) -> dict[str, Any]:
    """By part of the face: AUC of the mean heat in it, parts altered in manipulations against parts left alone."""
    masks, people = material.masks(), material.words("person")
    fine = fitted(heat, masks.shape[1])
    used = np.isin(material.words("family"), ("real", "manipulation"))
    table = {}
    for name, (top, bottom, left, right) in boxes(masks.shape[1]).items():
        altered = masks[:, top:bottom, left:right].mean((1, 2))
        kept = used & ((altered > _ALTERED) | (altered < _INTACT))
        score = fine[:, top:bottom, left:right].mean((1, 2), dtype=np.float64)
        truth = altered[kept] > _ALTERED
        table[name] = {
            "altered": int(truth.sum()),
            "intact": int((~truth).sum()),
            "auc": metrics.interval(metrics.auc, truth, score[kept], people[kept]).rounded(),
        }
    return table


def boxes(side: int) -> dict[str, tuple[int, int, int, int]]:
    """Top, bottom, left and right of each part in an aligned crop of that side."""
    scale = side / (112 * WIDE)
    found = {}
    for name, (points, half_width, half_height) in _PARTS.items():
        x, y = (TEMPLATE[list(points)].mean(0) + 112 * (WIDE - 1) / 2) * scale
        ends = (y - half_height * scale, y + half_height * scale, x - half_width * scale, x + half_width * scale)
        found[name] = tuple(round(float(end)) for end in ends)
    return found  # type: ignore[return-value]
