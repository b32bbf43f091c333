"""What the vision-language model that ships sees in calibration people's faces, for ``sight_calibration``.

Two samples: views of the forensic set (``calibration_views``), and comparisons with a reference (``comparisons``), each
with what the other tools say of the same picture. Nothing that is kept shows a face.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..agent.looking import crop
from ..agent.sight import FORGERY, REFERENCE, Look, Looker, stated
from ..agent.traces import DETECTORS
from ..tools import forensic_network, trace_calibration
from ..tools.evidence import Evidence
from ..tools.face import FaceView
from ..tools.forensic_network import FAMILIES
from ..tools.image import RGBImage
from .calibration_views import Views, held_out, view
from .comparisons import LFW_SPLITS, Comparison, forgeries, frll, lfw, lfw_pairs, lfw_views, measure, volunteers
from .forgery_set import ForgerySet
from .forgery_set import load as load_set

REAL_EACH, FORGED_EACH = 150, 40
"""Most views of a source of real photos, and of a family and source of forgeries."""
LFW_EACH = 60
"""Pairs of one person, and of two."""
_MISSING = float("nan")

Array = NDArray[np.float64]
Words = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Sample:
    """n pictures: what they are, what the tools say of them, and what looks state, not calibrated.

    Attributes:
        label: (n,) family of ``forensic_network.FAMILIES``, or label of ``REFERENCE_LABELS``.
        source, method, person: (n,) words; people never cross splits.
        detectors: (n, 3) probabilities in the order of ``traces.DETECTORS``; nan where not measured.
        forged: (n,) what the look at the face states; nan where it says that nothing can be said.
        similarity, parts, same: (n,) cosine, likeness of the parts, and what the look at both faces states; nan in
            views and where not measured.
    """

    label: Words
    source: Words
    method: Words
    person: Words
    detectors: Array
    forged: Array
    similarity: Array
    parts: Array
    same: Array

    @property
    def traced(self) -> NDArray[np.bool_]:
        """(n,) where the detectors answered."""
        return np.isfinite(self.detectors.sum(1))

    def of(self, chosen: NDArray[Any]) -> Sample:
        """The pictures where ``chosen`` is true, or of these rows."""
        return Sample(*(getattr(self, one.name)[chosen] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Looks:
    """Both samples, and the sha256 of the weights that looked."""

    sha256: str
    views: Sample
    comparisons: Sample


def measured(data: Path, forgery_set: Path, looker: Looker) -> Looks:
    """Look at both samples.

    Args:
        data: Folder with ``lfw_pairs_aligned`` and ``frll_london``.
        forgery_set: What ``facewitness.finetune.forgery_set`` wrote.
        looker: Who looks.
    """
    return Looks(str(looker.card().sha256), _views(load_set(forgery_set), looker), _comparisons(data, looker))


def save(looks: Looks, path: Path) -> None:
    """Write an ``.npz``."""
    samples = {"views": looks.views, "comparisons": looks.comparisons}
    arrays = {f"{name}_{one.name}": getattr(of, one.name) for name, of in samples.items() for one in fields(of)}
    np.savez(path, sha256=np.array(looks.sha256), **arrays)


def load(path: Path) -> Looks:
    """Read what ``save`` wrote."""
    with np.load(path) as held:
        views, comparisons = (
            Sample(*(held[f"{name}_{one.name}"] for one in fields(Sample))) for name in ("views", "comparisons")
        )
        return Looks(str(held["sha256"]), views, comparisons)


def _views(faces: ForgerySet, looker: Looker) -> Sample:
    rows: list[tuple[Any, ...]] = []
    for row, draw in _sampled(faces, held_out(faces)):
        entry, rgb = faces.entries[row], view(faces, row, draw)
        judged = trace_calibration.judge(forensic_network.read(rgb[None])[0], rgb)
        detectors = [judged.alone[family] if judged.believed else _MISSING for family in FAMILIES[1:]]
        said = _stated(looker, FORGERY, rgb)
        rows.append((entry.family, entry.source, entry.method, entry.person, detectors, said, *[_MISSING] * 3))
    return _sample(rows)


def _sampled(faces: ForgerySet, views: Views) -> Iterator[tuple[int, int]]:
    """Row and draw of part of the views: one of each picture."""
    taken: Counter[tuple[str, str]] = Counter()
    for place in np.random.default_rng(0).permutation(len(views.rows)).tolist():
        row, draw = int(views.rows[place]), int(views.draws[place])
        entry = faces.entries[row]
        cell = entry.family, entry.source
        if draw == 0 and taken[cell] < (REAL_EACH if entry.family == "real" else FORGED_EACH):
            taken[cell] += 1
            yield row, draw


def _comparisons(data: Path, looker: Looker) -> Sample:
    looked: list[tuple[float, float]] = []
    alone: dict[bytes, float] = {}  # a face is looked at once, whoever it is compared with

    def ask(face: FaceView, *references: FaceView) -> tuple[Evidence, ...]:
        shown = crop(face)
        key = shown.tobytes()
        if key not in alone:
            alone[key] = _stated(looker, FORGERY, shown)
        looked.append((alone[key], _stated(looker, REFERENCE, shown, crop(references[0]))))
        return measure(face, *references)

    people = [person for person in volunteers(data) if person.split == "calibration"]
    pairs = _some([pair for pair in lfw_pairs(data) if LFW_SPLITS[int(pair["fold"])] == "calibration"])
    found = [*lfw(pairs, lfw_views(data, pairs), ask), *frll(people, ask), *forgeries(people, ask, partners=1)]
    return _sample([_row(item, *looks) for item, looks in zip(found, looked, strict=True)])


def _some(pairs: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    order = [pairs[place] for place in np.random.default_rng(0).permutation(len(pairs))]
    return [pair for same in "01" for pair in [pair for pair in order if pair["same"] == same][:LFW_EACH]]


def _row(item: Comparison, forged: float, same: float) -> tuple[Any, ...]:
    said = {one.measure: one.probability for one in item.evidence}
    detectors = [_known(said.get(name)) for name in DETECTORS]
    method = item.method or "real"
    return item.label, item.source, method, item.claimed, detectors, forged, item.similarity, _known(item.parts), same


def _stated(looker: Looker, look: Look, *faces: RGBImage) -> float:
    return _known(stated(look, looker.probabilities(look, faces)))


def _known(value: float | None) -> float:
    return _MISSING if value is None else value


def _sample(rows: Sequence[tuple[Any, ...]]) -> Sample:
    return Sample(*(np.array(column) for column in zip(*rows, strict=True)))
