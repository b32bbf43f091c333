"""The pictures that forgery detectors are tested on, matched in size and compression.

Image size alone told real from forged with an AUC of 0.83 on one set. So every face, real or forged, comes as the
same aligned crop, reduced to the same side and saved as JPEG of the same quality.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..finetune.forge.chains import jpeg
from ..finetune.forgery_set import ForgerySet
from ..tools.image import RGBImage

Bools = NDArray[np.bool_]
Names = NDArray[np.str_]
Crops = NDArray[np.uint8]
"""(n, side, side, 3) RGB."""

SIDES = (160, 96)
"""Pixels of a crop: what the shipped network takes, and a small face in a photo."""

QUALITY = 75
REAL, FAMILIES = "real", ("manipulation", "synthesis", "morph")
ANY = "any"
TASKS = (*FAMILIES, ANY)
"""What is told from real: each family, and all of them together."""

LIMIT = 40
"""Pictures of a source and method that are tested on, unless said otherwise."""

REALS = 20
"""A source gives so many times more real photos than pictures of one method: they bound the false alarms."""

_REALS_OF = {"stylegan2": "ffhq"}
"""Where a generator's real photos are: StyleGAN2 was trained on FFHQ."""


@dataclass(frozen=True, slots=True)
class Material:
    """Some pictures of a set.

    Attributes:
        pictures: The set.
        rows: (n,) which of its pictures.
    """

    pictures: ForgerySet
    rows: NDArray[np.intp]

    def of(self, chosen: Bools) -> Material:
        """Those that are chosen, (n,) bool."""
        return Material(self.pictures, self.rows[chosen])

    def matching(self, expression: str) -> Bools:
        """(n,) whether the method matches an expression; an empty one matches none."""
        methods = self.words("method").tolist()
        return np.array([bool(expression and re.search(expression, name)) for name in methods], bool)

    def words(self, name: str) -> Names:
        """(n,) one field of the entries: ``family``, ``method``, ``source`` or ``person``."""
        return np.array([getattr(self.pictures.entries[row], name) for row in self.rows], np.str_)

    @property
    def groups(self) -> Names:
        """(n,) methods without what follows the dot, as in ``swap``."""
        return np.array([method.partition(".")[0] for method in self.words("method").tolist()], np.str_)

    @property
    def real(self) -> Bools:
        """(n,) whether the photo is unaltered."""
        return self.words("family") == REAL

    def forged(self, task: str) -> Bools:
        """(n,) whether it is a forgery of a family, or of any."""
        return ~self.real if task == ANY else self.words("family") == task

    def against(self, forged: Bools) -> Bools:
        """(n,) real photos of the sources that the chosen forgeries were made from; all reals if there are none."""
        sources = self.words("source")
        wanted = {_REALS_OF.get(name, name) for name in sources[forged].tolist()}
        own = self.real & np.isin(sources, sorted(wanted))
        return own if own.any() else self.real

    def full(self) -> Crops:
        """As they are in the set, (n, 192, 192, 3)."""
        return np.asarray(self.pictures.rgb[self.rows])

    def matched(self, side: int) -> Crops:
        """(n, side, side, 3), reduced and compressed alike."""
        return np.stack([matched(self.pictures.rgb[row], side) for row in self.rows])

    def masks(self) -> Bools:
        """(n, 48, 48): cells of which more than half was altered."""
        return np.asarray(self.pictures.masks[self.rows]) > 127

    def counts(self) -> dict[str, dict[str, int]]:
        """Photos and people of each source and method."""
        kinds, people = np.char.add(np.char.add(self.words("source"), ", "), self.words("method")), self.words("person")
        return {
            str(kind): {"photos": int((kinds == kind).sum()), "people": len(np.unique(people[kinds == kind]))}
            for kind in np.unique(kinds)
        }


def matched(rgb: RGBImage, side: int) -> RGBImage:
    """Reduced to a side by averaging, saved as JPEG 75 and opened again; (side, side, 3) uint8 RGB."""
    return jpeg(cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), QUALITY)


def select(pictures: ForgerySet, split: str, limit: int | None = None) -> Material:
    """Pictures of a split.

    Args:
        pictures: The set.
        split: ``fit``, ``calibration`` or ``test``.
        limit: At most so many of each source and method, twenty times as many real photos, spread over the split;
            None for all.
    """
    rows = pictures.rows(split)
    return Material(pictures, rows if limit is None else np.array(_thinned(pictures, rows.tolist(), limit), np.intp))


def _thinned(pictures: ForgerySet, rows: list[int], limit: int) -> list[int]:
    """Every so many-th of each kind, so that as many people as possible take part."""
    kinds = [(pictures.entries[row].source, pictures.entries[row].method) for row in rows]
    total, seen, kept = Counter(kinds), Counter[tuple[str, str]](), []
    for row, kind in zip(rows, kinds, strict=True):
        share = min(1.0, limit * (REALS if kind[1] == REAL else 1) / total[kind])
        kept += [row] if int((seen[kind] + 1) * share) > int(seen[kind] * share) else []
        seen[kind] += 1
    return kept
