"""Labelled comparisons of a face with a reference, measured by the shipped tools.

Data folders: ``lfw_pairs_aligned`` (View-2 pairs, aligned to 112 px), ``frll_london`` (Face Research Lab London set;
its people agreed to altered forms of their photos, so forgeries are made from it alone, in memory).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Literal

import numpy as np

from ..agent import fusion
from ..agent.traces import traced
from ..agent.verdict import REFERENCE_LABELS
from ..errors import NotMeasurable
from ..tools import detection, identity, image, manipulation, morph, reference_comparison, sface, synthesis
from ..tools.alignment import TEMPLATE
from ..tools.evidence import Evidence, without_value
from ..tools.face import Face, FaceView, Reference
from .forge import REFERENCE_METHODS, Side, forge

PERSON, FORGERY, OTHER = REFERENCE_LABELS
Split = Literal["fit", "calibration", "test"]
Ask = Callable[..., tuple[Evidence, ...]]
"""What is measured: a face and its references to evidence, the similarity first."""

LFW_SPLITS: tuple[Split, ...] = (*("fit",) * 5, *("calibration",) * 2, *("test",) * 3)  # by fold
PARTNERS = 2
_ALIGNED = Face("f1", (0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One face against one reference photo of the claimed person.

    Attributes:
        claimed: The person the face is claimed to show; people never cross splits.
        label: One of ``REFERENCE_LABELS``.
        source: ``lfw`` or ``frll``; for a forgery its family: ``swap``, ``region`` or ``morph``.
        method: How a forgery was made, else empty.
        fold: LFW fold 0..9, else None.
        evidence: ``identity.similarity``; then what else was asked for: the comparison of parts, the forensic
            detectors, looks.
    """

    claimed: str
    label: str
    source: str
    split: Split
    evidence: tuple[Evidence, ...]
    method: str = ""
    fold: int | None = None

    @property
    def similarity(self) -> float:
        """Cosine."""
        value = self.evidence[0].value
        assert isinstance(value, float)
        return value

    @property
    def parts(self) -> float | None:
        """Probability that every part is as in the references, where they were compared."""
        return next((item.probability for item in self.evidence if item.measure == "reference_comparison.face"), None)

    @property
    def forged(self) -> float:
        """How many times likelier the detectors' evidence is on a forged face than on an authentic one."""
        return traced(self.evidence, fusion.calibration().traces).forged


@dataclass(frozen=True, slots=True)
class Volunteer:
    """One person of the London set: a neutral photo as the reference, a smiling one as the question."""

    name: str
    group: tuple[str, str]
    split: Split
    neutral: FaceView
    smiling: FaceView


def measure(view: FaceView, *references: FaceView) -> tuple[Evidence, ...]:
    """Similarity of a face to its references, part by part, and traces of forgery, as an examination measures them."""
    return likeness(view, *references), *_parts(view, *references), *_traces(view)


def only_likeness(view: FaceView, *references: FaceView) -> tuple[Evidence, ...]:
    """Nothing but the similarity."""
    return (likeness(view, *references),)


def likeness(view: FaceView, *references: FaceView) -> Evidence:
    """Similarity of a face to its references."""
    return identity.TOOL.measure(view, [Reference(reference.feature) for reference in references])[0]


def _parts(view: FaceView, *references: FaceView) -> tuple[Evidence, ...]:
    try:
        return (reference_comparison.whole(view, [Reference(other.feature, other) for other in references]),)
    except NotMeasurable as error:
        return (without_value("reference_comparison", error),)


def _traces(view: FaceView) -> tuple[Evidence, ...]:
    try:
        return manipulation.face(view), synthesis.face(view), morph.alone(view)
    except NotMeasurable as error:
        return (without_value("manipulation", error),)


def lfw_pairs(data: Path) -> list[dict[str, str]]:
    """The 6,000 pairs of LFW's View 2: fold, a, b, same; each of the ten folds has its own people."""
    with (data / "lfw_pairs_aligned" / "pairs.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lfw_views(data: Path, pairs: list[dict[str, str]]) -> dict[str, FaceView]:
    """Faces by file name; the photos are aligned already."""
    views = {}
    for name in sorted({pair[side] for pair in pairs for side in "ab"}):
        photo = image.load(data / "lfw_pairs_aligned" / "images" / name)
        views[name] = FaceView(photo, _ALIGNED, {"feature": sface.see(photo.rgb).feature})
    return views


def lfw(pairs: list[dict[str, str]], views: dict[str, FaceView], ask: Ask = measure) -> list[Comparison]:
    """Every pair as a comparison: the first photo is the reference."""
    return [
        Comparison(
            claimed=pair["a"].split("/")[0],
            label=PERSON if pair["same"] == "1" else OTHER,
            source="lfw",
            split=LFW_SPLITS[int(pair["fold"])],
            evidence=ask(views[pair["b"]], views[pair["a"]]),
            fold=int(pair["fold"]),
        )
        for pair in pairs
    ]


def volunteers(data: Path) -> list[Volunteer]:
    """The 102 people of the London set; ordered by a hash of the name, half fit, a quarter each calibrate and test."""
    root = data / "frll_london"
    with (root / "labels.csv").open(encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    smiling = {row["identity"]: name for name, row in rows.items() if row["expression"] == "smiling"}
    order = sorted(smiling, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    people = []
    for number, name in enumerate(order):
        row, share = rows[smiling[name]], number / len(order)
        split: Split = "fit" if share < 0.5 else "calibration" if share < 0.75 else "test"
        views = [_view(root / "neutral" / f"{name}_03.jpg"), _view(root / smiling[name])]
        people.append(Volunteer(name, (row["gender"], row["ethnicity"]), split, *views))
    return people


def _view(path: Path) -> FaceView:
    photo = image.load(path)
    return FaceView(photo, detection.detect(photo.rgb)[0])


def frll(people: list[Volunteer], ask: Ask = measure) -> Iterator[Comparison]:
    """Each person's smiling photo against their neutral one, and look-alikes: same split, gender and ethnicity."""
    for person in people:
        yield _compare(person, person.smiling, PERSON, "frll", ask=ask)
    for person, other in permutations(people, 2):
        if (person.split, person.group) == (other.split, other.group):
            yield _compare(person, other.smiling, OTHER, "frll", ask=ask)


def forgeries(people: list[Volunteer], ask: Ask = measure, partners: int = PARTNERS) -> Iterator[Comparison]:
    """Every method on each person's smiling photo, with partners of the same split and gender."""
    for number, person in enumerate(people):
        rng = np.random.default_rng(number)
        near = [p for p in people if p is not person and (p.split, p.group[0]) == (person.split, person.group[0])]
        for partner in rng.choice(len(near), partners, replace=False):
            donor = near[partner].smiling if rng.random() < 0.5 else near[partner].neutral
            for method in REFERENCE_METHODS:
                forged = forge(method, _side(person.smiling), _side(donor), seed=int(rng.integers(2**31)))
                faces = detection.detect(forged.image)
                if faces:
                    photo = image.Photo(forged.image, b"", "", "PNG")
                    yield _compare(person, FaceView(photo, faces[0]), FORGERY, method.partition(".")[0], method, ask)


def _side(view: FaceView) -> Side:
    return Side(view.photo.rgb, view.mesh.points)


def _compare(
    person: Volunteer, view: FaceView, label: str, source: str, method: str = "", ask: Ask = measure
) -> Comparison:
    return Comparison(person.name, label, source, person.split, ask(view, person.neutral), method)
