"""Batches: forgeries beside their own originals, and labelled photos, all through the same chains."""

from __future__ import annotations

import re
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...tools.face import Floats
from ..calibration_views import TIGHT
from ..faces import LIKE
from ..forensic_model import FAMILIES
from ..forensics import KINDS, NO_TRACE, UNALTERED, recolour, shrink
from ..forge import chains
from ..forgery_set import ForgerySet, tight
from ..training import generator
from .forgeries import Known
from .geometry import Placement
from .network import Shape, pixels
from .photos import LABELS, Photos
from .teachers import Identity

PHOTO_SHARES = {"lfw": 0.42, "ict": 0.25, "frll": 0.18, "ffhq": 0.1, "stylegan2": 0.05}
"""How often a labelled photo is of a source."""
FAMILY_SHARES = (0.55, 0.33, 0.12)
"""Manipulation, synthesis and morph among the forged faces."""
GENERATED = ("stylegan2", "ict")
_ANGLE, _SCALE, _SHIFT = 8.0, (0.88, 1.12), 0.04

Targets = dict[str, NDArray[np.float32]]


class Batch(NamedTuple):
    """What one step trains on.

    Attributes:
        crops: (n, 3, side, side) in -1..1.
        targets: (n, …) by name, NaN where nothing is known; ``heat`` (n, grid²) is the altered share of each patch.
        kept: (n, t) the patches to look at; None for all.
        pairs: (m,) places of forgeries that are followed by their own original.
    """

    crops: torch.Tensor
    targets: dict[str, torch.Tensor]
    kept: torch.Tensor | None
    pairs: torch.Tensor


class Item(NamedTuple):
    """One picture of a batch, from the set or the labelled photos, and the seed of what happens to it on its way."""

    row: int
    photo: int
    seed: int


class Sampler:
    """Draws batches of the ``fit`` split.

    Args:
        faces: The forgery set.
        photos: The labelled photos.
        known: What is known of the set's pictures.
        shape: Of the tower.
        seed: Decides all.
    """

    def __init__(self, faces: ForgerySet, photos: Photos, known: Known, shape: Shape, seed: int) -> None:
        self._faces, self._photos, self._known, self._shape, self._seed = faces, photos, known, shape, seed
        self._rows: dict[str, dict[str, list[int]]] = {family: {} for family in FAMILIES}
        for row in faces.rows("fit"):
            entry = faces.entries[row]
            if not re.search(NO_TRACE, entry.method):
                self._rows[entry.family].setdefault(entry.method.partition(".")[0], []).append(int(row))
        self._by_source = {
            source: np.flatnonzero((photos.split == "fit") & (photos.source == source)) for source in PHOTO_SHARES
        }

    def batch(self, step: int, size: int, kept: int = 0) -> Batch:
        """The batch of one step: half photos, half forgeries with their originals; ``kept`` patches, 0 for all."""
        rng = generator(self._seed, step)
        items: list[Item] = []
        pairs: list[int] = []
        for _ in range(size // 4):
            row = self._forged(rng)
            base, seed = self._original(row, rng), int(rng.integers(2**31))
            pairs += [len(items)] if base is not None else []
            items += [Item(row, -1, seed), self._photo(rng) if base is None else Item(base, -1, seed)]
        items += [self._photo(rng) for _ in range(size - len(items))]
        return self.of(items, kept, pairs)

    def of(self, items: list[Item], kept: int = 0, pairs: list[int] | None = None) -> Batch:
        """Make these pictures ready."""
        made = [self._view(item) for item in items]
        patches = [np.random.default_rng(item.seed + 1).permutation(self._shape.grid**2)[:kept] for item in items]
        return Batch(
            pixels(np.stack([crop for crop, _ in made])),
            {name: torch.from_numpy(np.stack([targets[name] for _, targets in made])) for name in made[0][1]},
            torch.from_numpy(np.stack(patches)) if kept else None,
            torch.tensor(pairs or [], dtype=torch.long),
        )

    def _forged(self, rng: np.random.Generator) -> int:
        kinds = self._rows[str(rng.choice(FAMILIES[1:], p=FAMILY_SHARES))]
        shares = np.array([KINDS.get(kind, 1.0) for kind in kinds])
        return int(rng.choice(kinds[str(rng.choice(list(kinds), p=shares / shares.sum()))]))

    def _original(self, row: int, rng: np.random.Generator) -> int | None:
        """The untouched photo; for a generator's face a photo of the source that it was taught on."""
        entry = self._faces.entries[row]
        like = LIKE.get(entry.source)
        if entry.base is not None or like is None:
            return entry.base
        return int(rng.choice([r for r in self._rows["real"]["real"] if self._faces.entries[r].source == like]))

    def _photo(self, rng: np.random.Generator) -> Item:
        sources = [source for source, places in self._by_source.items() if len(places)]
        shares = np.array([PHOTO_SHARES[source] for source in sources])
        source = sources[int(rng.choice(len(sources), p=shares / shares.sum()))]
        return Item(-1, int(rng.choice(self._by_source[source])), int(rng.integers(2**31)))

    def _view(self, item: Item) -> tuple[NDArray[np.uint8], Targets]:
        """The crop after its chain, and what is known of it; pairs share a seed and so all that happens to them."""
        rng = np.random.default_rng(item.seed)
        rgb, mask, targets = self._from_set(item.row) if item.row >= 0 else self._from_photos(item.photo)
        name = "none" if rng.random() < UNALTERED else chains.draw(rng)
        if rng.random() < TIGHT:
            rgb, mask = tight(rgb, cv2.BORDER_REPLICATE), tight(mask, cv2.BORDER_CONSTANT)
        rgb = chains.run(recolour(shrink(rgb, rng), rng), name, rng)
        targets["identity"] = Identity.shared().read(rgb)
        angle, scale = rng.uniform(-_ANGLE, _ANGLE), rng.uniform(*_SCALE)
        right, down = rng.uniform(-_SHIFT, _SHIFT, 2)
        placement = Placement(angle, scale, (right, down), bool(rng.random() < 0.5))
        return placement.picture(rgb, self._shape.image_size), self._placed(targets, mask, placement)

    def _from_set(self, row: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Targets]:
        entry, photo = self._faces.entries[row], int(self._known.photo[row])
        targets = self._taught(photo if self._known.still[row] else -1, entry.family)
        targets["regions"] = self._known.regions[row]
        return np.array(self._faces.rgb[row]), np.array(self._faces.masks[row]), targets

    def _from_photos(self, photo: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Targets]:
        generated = self._photos.source[photo] in GENERATED
        targets = self._taught(photo, "synthesis" if generated else "real")
        targets["regions"] = np.full(5, np.nan if generated else 0.0, np.float32)
        return self._photos.rgb[photo], np.zeros((48, 48), np.uint8), targets

    def _taught(self, photo: int, family: str) -> Targets:
        """What the tools measured on a photo and its labels say; NaN throughout for -1."""
        measured = {name: getattr(self._photos, name) for name in ("mesh", "blendshapes", "pose", "units")}
        found = {
            name: values[photo] if photo >= 0 else np.full(values.shape[1:], np.nan, np.float32)
            for name, values in measured.items()
        }
        labels = self._photos.labels[photo] if photo >= 0 else np.full(4, np.nan, np.float32)
        found |= {name: labels[place : place + 1] for place, name in enumerate(LABELS)}
        return found | {"family": np.array([FAMILIES.index(family)], np.float32)}

    def _placed(self, targets: Targets, mask: NDArray[np.uint8], placement: Placement) -> Targets:
        """The same after the placement, with the mask by patch."""
        grid = self._shape.grid
        fine = placement.picture(mask, 4 * grid, cv2.BORDER_CONSTANT) / np.float32(255)
        heat: Floats = fine.reshape(grid, 4, grid, 4).mean((1, 3), dtype=np.float32).reshape(-1)
        if FAMILIES[int(targets["family"][0])] not in ("real", "manipulation"):
            heat = np.full_like(heat, np.nan)
        return {
            **targets,
            "mesh": placement.points(targets["mesh"]).reshape(-1),
            "blendshapes": placement.blendshapes(targets["blendshapes"]),
            "pose": placement.pose(targets["pose"]),
            "heat": heat,
        }
