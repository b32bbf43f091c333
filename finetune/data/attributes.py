"""Attributes (FaceScanPaliGemma 2024): age, gender, ethnicity and smile of one person, or of one among several.

Only what the labels of the London set say is asked; its people agreed to be shown. Some questions ask for what no photo
shows; the answer is then that nothing bears on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...agent import relevance
from ...tools import detection, weights
from ...tools.evidence import Evidence
from ...tools.image import RGBImage
from ..faces import Split
from ..forge import Side
from . import making
from .catalogue import Shot
from .compose import Draft
from .phrasing import say
from .sample import FORMS, Mode, Sample
from .sight import TOOL

_PLACES: Mapping[int, tuple[str, ...]] = {
    1: ("",),
    2: ("on the left", "on the right"),
    3: ("on the left", "in the middle", "on the right"),
    4: ("on the far left", "second from the left", "second from the right", "on the far right"),
}
_ASKED: Mapping[str, tuple[str, ...]] = {
    "age": ("How old is {who}?", "To which age group does {who} belong?"),
    "gender": ("Is {who} a man or a woman?", "What is the gender of {who}?"),
    "ethnicity": ("Which ethnicity is given for {who}?", "How is {who} labelled by ethnicity?"),
    "smile": ("Does {who} smile?", "Is {who} smiling or not?"),
}
_FIND: Mapping[str, tuple[str, ...]] = {
    "smile": ("Who is smiling?", "Where is the person who smiles?"),
    "gender": ("Where is the woman, and where the man?", "Say of each person whether it is a man or a woman."),
    "age": ("How old are the people?", "Which age group does each person belong to?"),
}
_BEYOND = (
    "What is the name of {who}?",
    "Which job has {who}?",
    "Is {who} married?",
    "In which town does {who} live?",
    "Which language does {who} speak?",
)
_FIND_SHARE, _BEYOND_SHARE, _COUNTED = 0.35, 0.1, 0.7


def samples(shots: Sequence[Shot], plan: Sequence[Split], seed: int) -> Iterator[Sample]:
    """One sample for each entry of the plan."""
    pool = making.pool([shot for shot in shots if shot.source == "frll" and _labelled(shot)])
    for number, split in enumerate(plan):
        rng = np.random.default_rng((seed, 5, number))
        here = pool[split].get("frll", ())
        for _ in range(8):
            row = _people(here, int(rng.choice((1, 2, 3, 4), p=(0.3, 0.25, 0.25, 0.2))), rng)
            if row is not None:
                yield _sample(row, split, rng)
                break


def _labelled(shot: Shot) -> bool:
    """Whether all is known of the person; the labels say ``NA`` where it is not."""
    return bool(shot.labels.get("age")) and "NA" not in shot.labels.values()


def _people(here: Sequence[Shot], count: int, rng: np.random.Generator) -> list[tuple[Shot, Side]] | None:
    """So many different people."""
    found = {drawn[0].person: drawn for _ in range(3 * count) if here and (drawn := making.draw(here, rng))}
    return list(found.values())[:count] if len(found) >= count else None


def _sample(row: Sequence[tuple[Shot, Side]], split: Split, rng: np.random.Generator) -> Sample:
    picture = np.concatenate([side.rgb for _, side in row], axis=1)
    places = _PLACES[len(row)]
    chosen = int(rng.integers(len(row)))
    kind = (
        "beyond" if rng.random() < _BEYOND_SHARE else "find" if len(row) > 1 and rng.random() < _FIND_SHARE else "one"
    )
    attribute = str(rng.choice(list(_FIND if kind == "find" else _ASKED)))
    asked = {"beyond": _BEYOND, "find": _FIND.get(attribute, ()), "one": _ASKED[attribute]}[kind]
    question = str(rng.choice(asked)).format(who=_who(places[chosen]))
    about = range(len(row)) if kind == "find" else [chosen]
    shown: dict[str, Evidence | None] = {}
    if kind != "beyond":
        shown = {f"{attribute} of {_who(places[n])}": _item(attribute, row[n][0].labels, places[n]) for n in about}
    given = [_count(picture)] if kind == "beyond" or rng.random() < _COUNTED else []
    draft = Draft(given, shown, "", [], rng, question)
    mode: Mode = "answer" if rng.random() < 0.6 else "reason_first"
    claims = (
        [say((relevance.NOTHING_RELEVANT,), draft.given, "interpretation", draft.brief)] if kind == "beyond" else []
    )
    if mode == "reason_first" and kind != "beyond":
        claims += draft.restate(draft.given)
    answers = [draft.seen[name] for name in shown]
    claims += draft.restate(answers, "conclusion" if mode == "reason_first" else "summary")
    label = "; ".join(str(item.value) for item in answers) if answers else "not answerable"
    return draft.sample(
        claims,
        mode,
        FORMS[int(rng.choice(3, p=(0.3, 0.5, 0.2)))],
        pictures=(picture,),
        what="answer",
        engine="attributes",
        split=split,
        source="frll",
        people=tuple(shot.person for shot, _ in row),
        question=question,
        label=label,
        conditions=(kind,),
        truth={"people": [dict(shot.labels) for shot, _ in row]},
    )


def _who(place: str) -> str:
    return f"the person {place}".strip()


def _count(picture: RGBImage) -> Evidence:
    """How many faces the detector finds, as an examination says it."""
    count = len(detection.detect(picture))
    finding = f"The photo shows {count} {'face' if count == 1 else 'faces'}."
    return Evidence("detection.faces", "detection", finding, count, model=weights.card("yunet"))


def _item(attribute: str, labels: Mapping[str, str], place: str) -> Evidence:
    who = _who(place).capitalize()
    value, numbers = labels.get(attribute, ""), ()
    if attribute == "age":
        low = int(float(value)) // 10 * 10
        value, numbers = f"{low} to {low + 9}", (float(low), float(low + 9))  # type: ignore[assignment]
        finding = f"{who} is between {low} and {low + 9} years old."
    elif attribute == "gender":
        value = "woman" if value.startswith("f") else "man"
        finding = f"{who} is a {value}."
    elif attribute == "ethnicity":
        value = value.replace("_", " ")
        finding = f"{who} is labelled {value}."
    else:
        smiles = labels["expression"] == "happiness"
        value, finding = ("smiling" if smiles else "not smiling"), f"{who} is {'' if smiles else 'not '}smiling."
    return Evidence(f"{TOOL}.{attribute} of {_who(place)}", TOOL, finding, value, numbers=numbers)
