"""The losses of one teaching: new faces, kept old ones, and what holds the old in its place."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from .continual_features import Material, Split, joined
from .continual_replay import isolation, pull, refill


class Weights(NamedTuple):
    """Of the terms that keep the old in its place.

    Attributes:
        isolation: Of the contrastive loss between domains.
        distillation: Of the change of kept faces' features, in units of those features' variance.
        detection: Of the cross-entropy.
        map_kept: Of the change of what the map of altered pixels reads, for all faces, in units of its variance.
        pull: Share of the way back to its former direction that the head goes after each step.
    """

    isolation: float
    distillation: float
    detection: float
    map_kept: float
    pull: float


class Lesson:
    """What is shown, and what it costs.

    Args:
        split: The network as it was taught so far: what it says now is what is to be kept.
        new: Real and forged faces of the new task.
        old: Kept faces, or None.
        weights: None if old faces are shown but not kept apart.
        batch: Faces of a batch, half of them old if there are any.
    """

    def __init__(self, split: Split, new: Material, old: Material | None, weights: Weights | None, batch: int) -> None:
        self._split, self._batch = split, batch
        self._weights = weights if old is not None else None
        self._all = new if old is None else joined([new, old])
        self._fresh = len(new.rows)
        names = sorted(set(self._all.domains))
        self._domains = torch.tensor([names.index(name) for name in self._all.domains])
        if self._weights is not None:
            self._head = split.network.head.weight.detach().clone()
            self._before = split.read(self._all)
            features = self._before.features
            self._centres = torch.stack([features[self._domains == n].mean(0) for n in range(len(names))])
            self._spread = _variance(features), _variance(self._before.mapped)

    def losses(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Of one batch."""
        rows = torch.from_numpy(self._draw(rng))
        deepest = self._split.depth(self._all.maps[rows])
        feature = deepest.mean((2, 3))
        logits = self._split.logits(self._all.pooled[rows], feature, training=True)
        entropy = functional.cross_entropy(logits, self._all.classes[rows])
        if self._weights is None:
            return {"detection": entropy}
        kept = rows >= self._fresh
        domains = self._domains[rows]
        filled = refill(feature[kept], domains[kept], self._centres)
        drift = (feature[kept] - self._before.features[rows[kept]]).square().sum(1).mean()
        redrawn = (self._split.mapped(deepest) - self._before.mapped[rows]).square().flatten(1).sum(1).mean()
        apart = isolation(torch.cat([feature, filled]), torch.cat([domains, domains[kept]]))
        return {
            "isolation": self._weights.isolation * apart,
            "distillation": self._weights.distillation * drift / self._spread[0],
            "detection": self._weights.detection * entropy,
            "map": self._weights.map_kept * redrawn / self._spread[1],
        }

    def settle(self) -> None:
        """After a step: turn the head a little back."""
        if self._weights is not None:
            pull(self._split.network.head.weight, self._head, self._weights.pull)

    def _draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Rows of a batch; within new and old faces, each domain as often as the others."""
        domains = self._domains.numpy()
        fresh = np.arange(len(domains)) < self._fresh
        halves = [np.flatnonzero(half) for half in (fresh, ~fresh) if half.any()]
        drawn = []
        for half in halves:
            names = rng.choice(np.unique(domains[half]), self._batch // len(halves))
            drawn += [rng.choice(half[domains[half] == name]) for name in names]
        return np.array(drawn)


def _variance(values: torch.Tensor) -> float:
    """Mean squared distance to the mean over the first dimension."""
    return float((values - values.mean(0)).square().flatten(1).sum(1).mean()) + 1e-6
