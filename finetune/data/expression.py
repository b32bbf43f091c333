"""Exp-CoT (ExpLLM 2024): key observations, overall interpretation, conclusion, from action units and expression.

The truth is the renders' exact action units and the photos' labels; a photo's label says something of the mouth alone.
The tools' readings are the picture's own, another picture's, or missing, whatever the label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...agent.verdict import Claim
from ...tools.evidence import Evidence
from ..faces import Source, Split
from ..forge import Side
from . import making, readings
from .catalogue import Shot, view_of
from .compose import Draft, arranged
from .phrasing import joined, say
from .sample import Sample, layout
from .sight import TOOL

PRESENT_MIN = 0.5
"""Intensity of a render's unit from which it is told as seen."""
UNNAMED = "none of the named expressions"
_SOURCES: Mapping[Source, float] = {"ict": 0.5, "frll": 0.2, "lfw": 0.3}
_TRUSTED = {"lfw": ("neutral", "happiness", "surprise")}
"""LFW's labels are a student's; the rare ones are too few and too often wrong to teach."""
_SHARES = {"measured": 0.7, "twin": 0.1, "withheld": 0.1, "absent": 0.1}
_TOOLS = ("action_units", "expression")
_SHOWN = {
    1: "the inner brows are raised",
    2: "the outer brows are raised",
    4: "the brows are lowered",
    5: "the upper lids are raised",
    6: "the cheeks are raised",
    7: "the lids are tightened",
    9: "the nose is wrinkled",
    10: "the upper lip is raised",
    12: "the lip corners are pulled up",
    14: "the mouth corners are dimpled",
    15: "the lip corners are pulled down",
    16: "the lower lip is pulled down",
    17: "the chin is raised",
    18: "the lips are puckered",
    20: "the lips are stretched",
    22: "the lips are funnelled",
    24: "the lips are pressed together",
    26: "the jaw is dropped",
    28: "the lips are sucked in",
    43: "the eyes are closed",
}
_PLACES: Mapping[str, tuple[int, ...]] = {
    "brows": (1, 2, 4),
    "eyes": (5, 6, 7, 43),
    "nose": (9,),
    "mouth": (10, 12, 14, 15, 16, 18, 20, 22, 24, 28),
    "jaw": (17, 26),
}
_QUESTIONS = (
    "Which expression does this face display?",
    "What do the facial actions of this face show?",
    "Describe the expression and name it.",
    "Which action units are seen, and what do they display together?",
    "Is this face neutral, or what does it display?",
)
_CONCLUDED = ("{f}", "Overall, {f}", "Taken together, {f}", "Therefore {f}")


def samples(shots: Sequence[Shot], plan: Sequence[Split], seed: int) -> Iterator[Sample]:
    """One sample for each entry of the plan; within a source every label is as likely."""
    pool = making.pool([shot for shot in shots if _label(shot) is not None])
    for number, split in enumerate(plan):
        rng = np.random.default_rng((seed, 4, number))
        for _ in range(8):
            drawn = _drawn(pool[split], rng)
            twin = _drawn(pool[split], rng)
            if drawn is not None and twin is not None:
                yield _sample(*drawn, twin[1], split, rng)
                break


def _label(shot: Shot) -> str | None:
    named = shot.labels.get("expression") or (UNNAMED if shot.units else None)
    return named if shot.source not in _TRUSTED or named in _TRUSTED[shot.source] else None


def _drawn(here: Mapping[Source, Sequence[Shot]], rng: np.random.Generator) -> tuple[Shot, Side] | None:
    shots = making.pick(here, _SOURCES, rng)
    if not shots:
        return None
    labels = sorted({str(_label(shot)) for shot in shots})
    label = labels[int(rng.integers(len(labels)))]
    return making.draw([shot for shot in shots if _label(shot) == label], rng)


def _sample(shot: Shot, side: Side, twin: Side, split: Split, rng: np.random.Generator) -> Sample:
    label = str(_label(shot))
    made = making.sent(making.photo(shot, side), rng)
    condition = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
    given: list[Evidence] = []
    if condition in ("measured", "twin"):
        view = view_of(made.rgb if condition == "measured" else twin.rgb)
        given = readings.selected(readings.measured(view, _TOOLS), int(rng.integers(3, 8)), rng)
    elif condition == "withheld":
        given = readings.withheld(_TOOLS, rng)
    shown = _seen(shot, label)
    draft = Draft(given, shown, label, ["expression"], rng)
    mode, form = layout(rng)
    named = draft.seen.pop("expression")
    claims = arranged(
        mode,
        say((named.finding,), [named], "summary", draft.brief),
        draft.observations(int(rng.integers(2, 6))),
        _meaning(draft, named),
        _concluded(draft, named, rng),
    )
    tool = next((item.value for item in given if item.measure == "expression.displayed"), None)
    contrary = tool is not None and tool != "unknown" and tool != label
    return draft.sample(
        claims,
        mode,
        form,
        pictures=(made.rgb,),
        what="expression",
        engine="expression",
        split=split,
        source=shot.source,
        people=(shot.person,),
        question=str(rng.choice(_QUESTIONS)),
        label=label,
        conditions=(
            *([condition] if condition != "measured" else []),
            *(["contradicting"] if contrary else []),
        ),
        truth={"expression": label, "units": {f"AU{n}": value for n, value in shot.units.items() if value}},
    )


def _seen(shot: Shot, label: str) -> dict[str, Evidence | None]:
    """What each place shows; always the same places, so that the list in the prompt says nothing."""
    units = dict(shot.units)
    if not units and label in ("happiness", "neutral"):
        units = {12: float(label == "happiness")}
    shown = {place: _place(place, numbers, units) for place, numbers in _PLACES.items()}
    displayed = f"The face displays {'a neutral expression' if label == 'neutral' else label}."
    return {**shown, "expression": Evidence(f"{TOOL}.expression", TOOL, displayed, label)}


def _place(place: str, numbers: Sequence[int], units: Mapping[int, float]) -> Evidence | None:
    known = [number for number in numbers if number in units]
    if not known:
        return None
    present = [number for number in known if units[number] >= PRESENT_MIN]
    if present:
        said = " and ".join(_SHOWN[number] for number in present)
    elif any(units[number] for number in known):
        return None
    elif len(known) == len(numbers):
        said = f"the {place} {'is' if place in ('nose', 'mouth', 'jaw') else 'are'} at rest"
    else:
        said = "the lip corners are not pulled up"
    return Evidence(f"{TOOL}.{place}", TOOL, f"{said[0].upper()}{said[1:]}.", bool(present), numbers=tuple(present))


def _meaning(draft: Draft, named: Evidence) -> list[Claim]:
    """What the places show together, what the tool calls it, and what was not measured."""
    claims = []
    shown = [item for item in draft.seen.values() if item.value is True]
    if shown:
        claims.append(
            joined(shown[int(draft.rng.integers(len(shown)))], named, False, "interpretation", draft.brief, draft.rng)
        )
    tool = next((item for item in draft.given if item.measure == "expression.displayed"), None)
    if tool is not None:
        claims.append(joined(tool, named, tool.value != named.value, "interpretation", draft.brief, draft.rng))
    return [claim for claim in claims if claim is not None] + draft.missing(most=1)


def _concluded(draft: Draft, named: Evidence, rng: np.random.Generator) -> Claim:
    text = str(rng.choice(_CONCLUDED)).format(f=named.finding[0].lower() + named.finding[1:])
    return say((text[0].upper() + text[1:], named.finding), [named], "conclusion", draft.brief)
