"""Forgery chain of thought: what each region shows, what tools measured, what that means, conclusion.

The regions are told from the true mask. The prompt's readings are the picture's own, those of its twin (the untouched
photo for a forgery, a forgery for the photo), or missing; which of these is drawn whatever the label, so that the
readings alone do not settle it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

import numpy as np

from ...agent.verdict import INCONCLUSIVE, SINGLE_LABELS, Claim
from ...errors import NotMeasurable
from ...tools.evidence import Evidence
from ..faces import Source, Split
from . import cues, making, readings, sight
from .catalogue import Shot, view_of
from .compose import Draft, arranged
from .phrasing import joined, rests, verdict
from .sample import Sample, layout
from .sight import Made

RUINED = 0.1
"""Share of pictures, whatever they show, that are blurred beyond use: then the answer is that nothing can be said."""
_SOURCES: Mapping[Source, float] = {"frll": 0.4, "ffhq": 0.4, "lfw": 0.2}
_SHOWS_CUES, _GIVES_QUALITY, _GIVES_POSE, _GIVES_ATTACK = 0.5, 0.6, 0.25, 0.15  # how often, whatever the label
_QUESTIONS = (
    "Is this face authentic, manipulated or synthetic?",
    "Has this face been altered, and where?",
    "What can be said about the authenticity of this photo?",
    "Is this photo of a face real?",
    "Examine this face for signs of a forgery.",
    "Was this face edited or generated?",
)


def samples(
    shots: Sequence[Shot], plan: Sequence[Split], seed: int, strong: Set[str] | None = None
) -> Iterator[Sample]:
    """One sample for each entry of the plan, labels in turn.

    Args:
        shots: All photos.
        plan: The split of each sample.
        seed: Same seed, same samples.
        strong: Cues that a model can see (from ``assess``): these are told of every picture, and what it cannot see is
            left to tools whose scores are always given (X²-DFD 2024). None draws both.
    """
    pool, turn = making.pool(shots), dict.fromkeys(plan, 0)
    for number, split in enumerate(plan):
        label = SINGLE_LABELS[turn[split] % len(SINGLE_LABELS)]
        turn[split] += 1
        rng = np.random.default_rng((seed, 1 if strong is None else 2, number))
        for _ in range(8):
            made = _sample(pool[split], split, label, strong, rng)
            if made is not None:
                yield made
                break


def _sample(
    here: Mapping[Source, Sequence[Shot]], split: Split, label: str, strong: Set[str] | None, rng: np.random.Generator
) -> Sample | None:
    found = pair(here, label, rng)
    if found is None:
        return None
    made, twin = (making.sent(one, rng) for one in found)
    is_ruined = rng.random() < RUINED
    if is_ruined:
        made, twin = making.ruined(made, rng), making.ruined(twin, rng)
    shown = _unreadable(strong) if is_ruined else _shown(made, strong, rng)
    if shown is None:
        return None
    given, condition = _given(made, twin, "measured" if strong is not None else readings.condition(rng), rng)
    engine = "forgery" if strong is None else "features"
    return _written(engine, made, split, shown, given, condition, is_ruined, rng)


def pair(here: Mapping[Source, Sequence[Shot]], label: str, rng: np.random.Generator) -> tuple[Made, Made] | None:
    """A picture of the label, and its twin; a generated face's twin is a photo of the same set."""
    generated = here.get("stylegan2", ())
    if label == "synthetic":
        found = making.draw(here.get("ffhq", ()), rng), making.draw(generated, rng)
        return None if found[0] is None or found[1] is None else (making.photo(*found[1]), making.photo(*found[0]))
    shots = making.pick(here, _SOURCES, rng)
    drawn = making.draw(shots, rng)
    fake = None if drawn is None else making.forged(*drawn, shots, rng)
    if drawn is None or fake is None:
        return None
    real = making.photo(*drawn)
    return (real, fake) if label == "authentic" else (fake, real)


def _shown(made: Made, strong: Set[str] | None, rng: np.random.Generator) -> dict[str, Evidence | None] | None:
    """What the picture shows by name; None where a forgery is nowhere to be seen."""
    try:
        states = sight.altered(made, sight.masks(made.rgb))
    except NotMeasurable:
        return None
    if made.label == "manipulated" and True not in states.values():
        return None
    shown = {name: None if state is None else sight.region(name, state) for name, state in states.items()}
    told = set(cues.CUES) if rng.random() < _SHOWS_CUES else {"generator"}
    for name in told if strong is None else {"generator"} | strong:
        state = cues.CUES[name].measure(made)
        shown[name] = None if state is None else cues.item(name, state)
    return dict(sorted(shown.items()))


def _unreadable(strong: Set[str] | None) -> dict[str, Evidence | None]:
    names = sorted({"generator"} | (strong or set()))
    return {**{name: sight.unreadable(name) for name in sight.REGIONS}, **dict.fromkeys(names)}


def _given(made: Made, twin: Made, condition: str, rng: np.random.Generator) -> tuple[list[Evidence], str]:
    """The prompt's evidence; what is drawn here never depends on the label."""
    view = view_of(made.rgb)
    forensic: list[Evidence] = []
    if condition in ("measured", "twin"):
        source = view if condition == "measured" else view_of(twin.rgb)
        forensic = readings.selected(readings.measured(source, readings.FORENSIC), int(rng.integers(3, 7)), rng)
    elif condition == "withheld":
        forensic = readings.withheld(readings.FORENSIC, rng)
    chances = {"quality": _GIVES_QUALITY, "head_pose": _GIVES_POSE, "presentation_attack": _GIVES_ATTACK}
    others = [name for name, chance in chances.items() if rng.random() < chance]
    for name in others:
        forensic += readings.selected(readings.measured(view, (name,)), int(rng.integers(1, 3)), rng)
    return readings.distinct(forensic), condition


def _written(
    engine: str,
    made: Made,
    split: Split,
    shown: Mapping[str, Evidence | None],
    given: Sequence[Evidence],
    condition: str,
    is_ruined: bool,
    rng: np.random.Generator,
) -> Sample:
    label = INCONCLUSIVE if is_ruined else made.label
    draft = Draft(given, shown, label, _deciding(label, shown, rng), rng)
    mode, form = layout(rng)
    opening = verdict(label, draft.decides, "summary", draft.brief, rng)
    closing = verdict(label, draft.decides, "conclusion", draft.brief, rng)
    claims = arranged(mode, opening, draft.observations(int(rng.integers(3, 7))), _meaning(draft, label), closing)
    suspicion = readings.suspicion(given)
    tags = [condition] if condition in ("twin", "withheld", "absent") else []
    if not is_ruined and suspicion is not None and (suspicion >= readings.LIKELY) == (label == "authentic"):
        tags.append("contradicting")
    return draft.sample(
        claims,
        mode,
        form,
        pictures=(made.rgb,),
        engine=engine,
        split=split,
        source=made.source,
        people=made.people,
        question=str(rng.choice(_QUESTIONS)),
        label=label,
        conditions=(*tags, *(["unreadable"] if is_ruined else [])),
        truth={
            "made": made.label,
            "method": made.method,
            "regions": {name: None if item is None else item.value for name, item in shown.items()},
        },
    )


def _deciding(label: str, shown: Mapping[str, Evidence | None], rng: np.random.Generator) -> list[str]:
    """Names of at most three things seen that carry the label."""
    names = [name for name, item in shown.items() if item is not None and _carries(label, name, item)]
    return [names[place] for place in rng.permutation(len(names))[:3]]


def _carries(label: str, name: str, item: Evidence) -> bool:
    if label == INCONCLUSIVE:
        return item.status != "ok"
    if label == "synthetic":
        return name == "generator"
    return item.value == "altered" if label == "manipulated" else item.value in ("untouched", False)


def _meaning(draft: Draft, label: str) -> list[Claim]:
    """What the readings and the picture say together, what is missing, and what the verdict rests on."""
    claims: list[Claim] = []
    stated = [item for item in draft.given if item.probability is not None]
    if label != INCONCLUSIVE and stated:
        wanted = "synthesis" if label == "synthetic" else "manipulation"
        told = max(stated, key=lambda item: (item.tool == wanted, item.probability or 0))
        if label == "authentic":
            told = max(stated, key=lambda item: item.probability or 0)
        contrary = ((told.probability or 0) >= readings.LIKELY) == (label == "authentic")
        both = joined(told, draft.decides[0], contrary, "interpretation", draft.brief, draft.rng)
        claims += [both] if both else []
    claims += draft.missing()
    if draft.rng.random() < 0.7:
        claims.append(rests(draft.decides, draft.brief, draft.rng))
    return claims
