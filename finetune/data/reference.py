"""Reference chain of thought (VIPGuard 2025): two faces region by region, similarity, one of three verdicts.

Regions are compared by proportions of the meshes (``likeness``), and looked at for alterations by the true mask
(``sight``). Every source gives all the classes it can, so that no class goes with the look of one source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...agent.verdict import INCONCLUSIVE, REFERENCE_LABELS, Claim
from ...errors import NotMeasurable
from ...tools.evidence import Evidence
from ...tools.face import Reference
from ..faces import Source, Split
from ..forge import Side
from . import likeness, making, readings, sight
from .catalogue import Shot, opened, view_of
from .compose import Draft, arranged
from .phrasing import joined, rests, verdict
from .sample import Sample, layout
from .sight import Made

PERSON, FORGERY, OTHER = REFERENCE_LABELS
RUINED = 0.06
_SHARES = {"measured": 0.7, "twin": 0.1, "withheld": 0.1, "absent": 0.1}
"""As ``readings.SHARES``, for the similarity; its twin is that of a picture with another label."""
_GIVES_FORENSIC, _GIVES_QUALITY = 0.4, 0.3
_SIMILARITY_FROM = 0.363
"""Cosine from which a similarity speaks for the person (``identity.SAME_PERSON_MIN``)."""
_SOURCES: Mapping[Source, float] = {"frll": 0.6, "lfw": 0.4}
_QUESTIONS = (
    "The first picture is in question, the second shows the person it is claimed to be. Is it the person?",
    "First picture: the photo in question. Second picture: the reference. Is the first the person, a forgery of the "
    "person, or someone else?",
    "Compare the first face with the reference in the second picture.",
    "Does the first picture show the person of the second picture?",
    "The second picture is a known photo of the person. Is the first picture the person or a forgery?",
)


def samples(shots: Sequence[Shot], plan: Sequence[Split], seed: int) -> Iterator[Sample]:
    """One sample for each entry of the plan, labels in turn; same seed, same samples."""
    pool, turn = making.pool(shots), dict.fromkeys(plan, 0)
    for number, split in enumerate(plan):
        label = REFERENCE_LABELS[turn[split] % len(REFERENCE_LABELS)]
        turn[split] += 1
        rng = np.random.default_rng((seed, 3, number))
        for _ in range(8):
            made = _sample(pool[split], split, label, rng)
            if made is not None:
                yield made
                break


def _sample(here: Mapping[Source, Sequence[Shot]], split: Split, label: str, rng: np.random.Generator) -> Sample | None:
    shots = making.pick(here, _SOURCES, rng)
    known, claimed = _two_photos(shots, rng)
    if known is None or claimed is None:
        return None
    reference, made = opened(known), _made(claimed, shots, label, rng)
    twin = _made(claimed, shots, PERSON if label == OTHER else OTHER, rng)
    if reference is None or made is None or twin is None:
        return None
    made = making.sent(made, rng)
    is_ruined = rng.random() < RUINED
    if is_ruined:
        made = making.ruined(made, rng)
    shown = _unreadable() if is_ruined else _shown(made, reference, label)
    if shown is None:
        return None
    given, condition = _given(made, twin, reference, rng)
    if not is_ruined and not _deciding(label, shown, given, rng):
        return None
    return _written(made, known, reference, split, label, shown, given, condition, is_ruined, rng)


def _two_photos(shots: Sequence[Shot], rng: np.random.Generator) -> tuple[Shot | None, Shot | None]:
    """Two photos of one person."""
    people: dict[str, list[Shot]] = {}
    for shot in shots:
        people.setdefault(shot.person, []).append(shot)
    several = [name for name, of in people.items() if len(of) > 1]
    if not several:
        return None, None
    mine = people[several[int(rng.integers(len(several)))]]
    first, second = rng.permutation(len(mine))[:2]
    return mine[first], mine[second]


def _made(claimed: Shot, shots: Sequence[Shot], label: str, rng: np.random.Generator) -> Made | None:
    """A picture of the label: the person's other photo, a forgery that shows the person, or a look-alike's photo.

    A swap puts the person's face on another head, as ``forge`` does; what else alters the person's own photo.
    """
    if label == OTHER:
        gender = claimed.labels.get("gender")
        others = [s for s in shots if s.person != claimed.person and s.labels.get("gender") == gender]
        drawn = making.draw(others, rng) if others else None
        return None if drawn is None else making.photo(*drawn)
    side = opened(claimed)
    if side is None:
        return None
    if label == PERSON:
        return making.photo(claimed, side)
    return making.forged(claimed, side, shots, rng, shows_person=True)


def _shown(made: Made, reference: Side, label: str) -> dict[str, Evidence | None] | None:
    """What the two pictures show by name; None where a forgery is nowhere to be seen."""
    try:
        view, other = view_of(made.rgb), view_of(reference.rgb)
        states = sight.altered(made, sight.masks(made.rgb))
        apart = abs(view.pose.yaw - other.pose.yaw)
        points = view.mesh.points[:, :2]
    except NotMeasurable:
        return None
    if label == FORGERY and True not in states.values():
        return None
    shapes = likeness.not_comparable(apart) if apart > likeness.YAW_MAX else likeness.compared(points, reference.points)
    shown = {name: None if state is None else sight.region(name, state) for name, state in states.items()}
    return dict(sorted((shown | shapes).items()))


def _unreadable() -> dict[str, Evidence | None]:
    shapes = dict.fromkeys(f"{p.region} shape" for p in likeness.PROPORTIONS.values())
    return {**{name: sight.unreadable(name) for name in sight.REGIONS}, **shapes}


def _given(made: Made, twin: Made, reference: Side, rng: np.random.Generator) -> tuple[list[Evidence], str]:
    condition = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    given: list[Evidence] = []
    if condition in ("measured", "twin"):
        feature = Reference(view_of(reference.rgb).feature)
        source = made if condition == "measured" else twin
        given += readings.measured(view_of(source.rgb), ("identity",), (feature,))[:1]
    elif condition == "withheld":
        given += readings.withheld(("identity",), rng)
    if rng.random() < _GIVES_FORENSIC:
        given += readings.selected(readings.measured(view_of(made.rgb), readings.FORENSIC), 3, rng)
    if rng.random() < _GIVES_QUALITY:
        given += readings.selected(readings.measured(view_of(made.rgb), ("quality",)), 1, rng)
    return readings.distinct(given), condition


def _written(
    made: Made,
    known: Shot,
    reference: Side,
    split: Split,
    label: str,
    shown: Mapping[str, Evidence | None],
    given: Sequence[Evidence],
    condition: str,
    is_ruined: bool,
    rng: np.random.Generator,
) -> Sample:
    truth, label = label, INCONCLUSIVE if is_ruined else label
    draft = Draft(given, shown, label, _deciding(label, shown, given, rng), rng)
    mode, form = layout(rng)
    opening = verdict(label, draft.decides, "summary", draft.brief, rng)
    closing = verdict(label, draft.decides, "conclusion", draft.brief, rng)
    contrary = _contradicts(given, truth)
    claims = arranged(
        mode, opening, draft.observations(int(rng.integers(2, 5))), _meaning(draft, label, contrary), closing
    )
    tags = [condition] if condition != "measured" else []
    return draft.sample(
        claims,
        mode,
        form,
        pictures=(made.rgb, reference.rgb),
        engine="reference",
        split=split,
        source=made.source,
        people=tuple(dict.fromkeys((known.person, *made.people))),
        question=str(rng.choice(_QUESTIONS)),
        label=label,
        conditions=(
            *tags,
            *(["contradicting"] if contrary and not is_ruined else []),
            *(["unreadable"] if is_ruined else []),
        ),
        truth={
            "made": truth,
            "method": made.method,
            "regions": {name: None if item is None else item.value for name, item in shown.items()},
        },
    )


def _cosine(items: Sequence[Evidence]) -> Evidence | None:
    return next((item for item in items if item.measure == "identity.similarity" and item.status == "ok"), None)


def _contradicts(given: Sequence[Evidence], label: str) -> bool:
    """Whether the similarity, taken alone, speaks against the label: of a forgery, where it is high."""
    item = _cosine(given)
    if item is None or not isinstance(item.value, float):
        return False
    return (item.value >= _SIMILARITY_FROM) != (label == PERSON)


def _deciding(
    label: str, shown: Mapping[str, Evidence | None], given: Sequence[Evidence], rng: np.random.Generator
) -> list[str]:
    """Names of at most three things that carry the label; the similarity only where regions cannot be compared."""
    carried = {PERSON: ("alike",), FORGERY: ("altered",), OTHER: ("differs",), INCONCLUSIVE: (None,)}[label]
    names = [name for name, item in shown.items() if item is not None and item.value in carried]
    turned = any(item is not None and item.unit == "deg" for item in shown.values())
    if turned and label in (PERSON, OTHER) and _cosine(given) is not None and not _contradicts(given, label):
        return ["identity.similarity"]
    return [names[place] for place in rng.permutation(len(names))[:3]]


def _meaning(draft: Draft, label: str, contrary: bool) -> list[Claim]:
    """Similarity and sight together, what is missing, and what the verdict rests on."""
    item = _cosine(draft.given)
    claims: list[Claim] = []
    if item is not None and label != INCONCLUSIVE:
        both = joined(item, draft.decides[0], contrary, "interpretation", draft.brief, draft.rng)
        claims += [both] if both else []
    claims += draft.missing()
    if draft.rng.random() < 0.7:
        claims.append(rests(draft.decides, draft.brief, draft.rng))
    return claims
