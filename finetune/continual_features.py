"""The forensic network in two parts: a trunk that stays, computed once for each crop, and last layers, which learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from .forensic_model import FAMILIES, ForensicNetwork
from .forge import chains
from .forgery_set import ForgerySet

BATCH = 32


class Reading(NamedTuple):
    """Of n faces: log odds of being forged (n,), pooled deepest features (n, 1280), what the map reads of them."""

    odds: torch.Tensor
    features: torch.Tensor
    mapped: torch.Tensor


@dataclass(frozen=True, slots=True)
class Material:
    """Crops of n faces as the trunk leaves them.

    Attributes:
        maps: (n, channels, side, side) float32, what the first learning block gets.
        pooled: (n, width) float32, the part of the feature that stays.
        classes: (n,) indices of ``FAMILIES``.
        domains: n names: which task's real or forged faces each belongs to.
        rows: (n,) rows of the set.
    """

    maps: torch.Tensor
    pooled: torch.Tensor
    classes: torch.Tensor
    domains: tuple[str, ...]
    rows: NDArray[np.intp]

    def of(self, chosen: torch.Tensor) -> Material:
        """The faces of some row numbers."""
        names = tuple(self.domains[int(row)] for row in chosen)
        return Material(self.maps[chosen], self.pooled[chosen], self.classes[chosen], names, self.rows[chosen.numpy()])

    def named(self, prefix: str) -> Material:
        """The same faces, their domains' names with a prefix."""
        return replace(self, domains=tuple(f"{prefix} {name}" for name in self.domains))


def joined(parts: Sequence[Material]) -> Material:
    """All faces of several."""
    return Material(
        torch.cat([part.maps for part in parts]),
        torch.cat([part.pooled for part in parts]),
        torch.cat([part.classes for part in parts]),
        tuple(name for part in parts for name in part.domains),
        np.concatenate([part.rows for part in parts]),
    )


class Split:
    """A network cut before one of its blocks.

    Args:
        network: Changed in place by training; norms keep their statistics.
        first: The first block that learns, 11 to 15: the shallower two of the network's depths stay.
        side: Of the crops in pixels, a multiple of 32.
    """

    def __init__(self, network: ForensicNetwork, first: int, side: int) -> None:
        self.network, self.side = network.eval(), side
        self._net = network.backbone
        self._blocks: list[nn.Module] = list(self._net._blocks)[first:]
        self._last = self._net._conv_head.out_channels

    def learning(self) -> dict[str, nn.Parameter]:
        """The parameters of the learning part by their names in the network; all others are frozen."""
        self.network.requires_grad_(False)
        for part in (*self._blocks, self._net._conv_head, self._net._bn1, self.network.head):
            part.requires_grad_(True)
        return {name: value for name, value in self.network.named_parameters() if value.requires_grad}

    def material(self, faces: ForgerySet, rows: NDArray[np.intp], shuffle: bool = False) -> Material:
        """Run the trunk over crops of a set; a picture and its original pass through the same chain.

        Args:
            faces: The set.
            rows: Which.
            shuffle: Let the crop's quarters change places.
        """
        found = [
            self._trunk(self._crops(faces, part, shuffle)) for part in np.array_split(rows, -(-len(rows) // BATCH))
        ]
        families = [faces.entries[row].family for row in rows]
        classes = torch.tensor([FAMILIES.index(family) for family in families])
        maps, pooled = (torch.cat(parts) for parts in zip(*found, strict=True))
        return Material(maps, pooled, classes, tuple(families), rows)

    def _crops(self, faces: ForgerySet, rows: NDArray[np.intp], shuffle: bool) -> torch.Tensor:
        views = []
        for row in rows:
            base = faces.entries[row].base
            rng = np.random.default_rng(int(row if base is None else base))
            rgb = chains.run(np.array(faces.rgb[row]), chains.draw(rng), rng)
            rgb = cv2.resize(rgb, (self.side, self.side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
            views.append(_shuffled(rgb, rng) if shuffle else rgb)
        return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _trunk(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        caught: list[torch.Tensor] = []
        hook = self._blocks[0].register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        try:
            with torch.no_grad():
                feature = self.network(crops).feature[:, : -self._last]
        finally:
            hook.remove()
        return caught[0], feature

    def depth(self, maps: torch.Tensor) -> torch.Tensor:
        """(n, 1280, side, side), the deepest features, from the trunk's maps."""
        x = maps
        for block in self._blocks:
            x = block(x)
        deepest: torch.Tensor = self._net._swish(self._net._bn1(self._net._conv_head(x)))
        return deepest

    def logits(self, pooled: torch.Tensor, deepest: torch.Tensor, training: bool = False) -> torch.Tensor:
        """(n, families) from the part of the feature that stays and the pooled deepest features (n, 1280)."""
        feature = torch.cat([pooled, deepest], 1)
        kept = functional.dropout(feature, self.network.dropout.p, training)
        result: torch.Tensor = self.network.head(kept)
        return result

    def mapped(self, deepest: torch.Tensor) -> torch.Tensor:
        """What the map of altered pixels reads of the deepest features, (n, 48, side, side)."""
        read: torch.Tensor = self.network.lateral[-1](deepest)
        return read

    def read(self, material: Material) -> Reading:
        """What the network says of each face as it stands."""
        odds, features, maps = [], [], []
        with torch.no_grad():
            for part, pooled in zip(material.maps.split(BATCH), material.pooled.split(BATCH), strict=True):
                deepest = self.depth(part)
                features.append(deepest.mean((2, 3)))
                logits = self.logits(pooled, features[-1])
                odds.append(logits[:, 1:].logsumexp(1) - logits[:, 0])
                maps.append(self.mapped(deepest))
        return Reading(torch.cat(odds), torch.cat(features), torch.cat(maps))


def _shuffled(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The quarters in another order."""
    half = rgb.shape[0] // 2
    quarters = [rgb[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    a, b, c, d = (quarters[place] for place in rng.permutation(4))
    return np.vstack([np.hstack([a, b]), np.hstack([c, d])])
