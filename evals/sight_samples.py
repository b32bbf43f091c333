"""Samples on which the model that looks is measured, and how it is asked about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..agent.sight import Look
from ..agent.verdict import INCONCLUSIVE
from ..finetune.data import store
from ..finetune.data.sample import Sample
from ..finetune.data.short import LOOKS, short
from ..tools.image import RGBImage

GREY = 128
"""Of a picture that shows nothing."""
_ATTRIBUTE = "The person is"

Words = NDArray[np.str_]
Pictures = Callable[[Sample], list[RGBImage]]


@dataclass(frozen=True, slots=True)
class Sets:
    """Samples of all engines.

    Attributes:
        fit: Without their pictures: what a guess may know.
        calibration: What combinations are fitted on; not more of an engine than half the limit.
        test: People left out; not more of an engine than the limit.
    """

    fit: tuple[Sample, ...]
    calibration: tuple[Sample, ...]
    test: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Told(Look):
    """A question in the words of a sample's own prompt, evidence of the tools included.

    Attributes:
        text: The prompt.
    """

    text: str = ""

    @property
    def prompt(self) -> str:
        """The user's turn."""
        return self.text


def load(folders: Sequence[Path], limit: int) -> Sets:
    """Read sets that ``finetune.data`` wrote.

    Raises:
        InvalidOption: A folder holds no set.
    """

    def read(split: str) -> Iterator[Sample]:
        return (sample for folder in folders for sample in store.read(folder / f"{split}.parquet"))

    return Sets(
        tuple(replace(sample, images=()) for sample in read("fit")),
        tuple(_first(read("calibration"), limit // 2)),
        tuple(_first(read("test"), limit)),
    )


def _first(samples: Iterator[Sample], limit: int) -> Iterator[Sample]:
    """So many of each engine."""
    taken: dict[str, int] = {}
    for sample in samples:
        taken[sample.engine] = taken.get(sample.engine, 0) + 1
        if taken[sample.engine] <= limit:
            yield sample


def of(samples: Sequence[Sample], engine: str, limit: int | None = None) -> list[Sample]:
    """Samples of an engine whose answer can be seen, the first so many."""
    return list(islice((s for s in samples if s.engine == engine and s.label != INCONCLUSIVE), limit))


def look(sample: Sample) -> Look:
    """The question about the picture alone."""
    if (fixed := LOOKS.get(sample.engine)) is not None:
        return fixed
    names = [item.measure.partition(".")[2] for item in sample.evidence if item.id not in sample.given]
    return Look(sample.question, tuple(names), _ATTRIBUTE, ())


def can_be_seen(samples: Sequence[Sample]) -> list[Sample]:
    """Those with an answer in the short form: what carries it is seen in the picture, and it shows one person."""
    return [sample for sample in samples if short(sample) is not None]


def told(sample: Sample) -> Look:
    """The question of a sample of ``with_evidence``, as it stands in the set."""
    fixed = LOOKS[sample.engine]
    return Told(sample.question, (), fixed.opening, fixed.answers, len(sample.images), sample.prompt)


def with_evidence(samples: Sequence[Sample], engine: str, limit: int | None = None) -> list[Sample]:
    """Those whose prompt asks for the verdict first and for plain sentences, so that answers open in fixed words."""
    asked = (s for s in of(samples, engine) if s.mode != "reason_first" and s.form == "plain")
    return list(islice(asked, limit))


def faces(sample: Sample) -> list[RGBImage]:
    """Its pictures, (height, width, 3) uint8 RGB."""
    found = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in sample.images]
    return [np.ascontiguousarray(picture[..., ::-1]) for picture in found if picture is not None]


def blank(sample: Sample) -> list[RGBImage]:
    """As many pictures of the same size that show nothing."""
    return [np.full_like(face, GREY) for face in faces(sample)]


def swapped(samples: Sequence[Sample]) -> Pictures:
    """The pictures of another sample: the one half the list away, people in a drawn order."""
    names = np.unique(people(samples))
    rank = dict(zip(names.tolist(), np.random.default_rng(0).permutation(len(names)).tolist(), strict=True))
    order = sorted(range(len(samples)), key=lambda place: rank[samples[place].people[0]])
    half = len(order) // 2
    other = {samples[a].id: samples[b] for a, b in zip(order, [*order[half:], *order[:half]], strict=True)}
    return lambda sample: faces(other[sample.id])


def people(samples: Sequence[Sample]) -> Words:
    """(n,) whom a bootstrap draws: the person in question."""
    return np.array([sample.people[0] for sample in samples])


def labels(samples: Sequence[Sample]) -> Words:
    """(n,) the truth."""
    return np.array([sample.label for sample in samples])
