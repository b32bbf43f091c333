"""What the shipped tools say of a picture, as it stands in a prompt: measured, of another picture, or withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import NotMeasurable, ToolUnavailable
from ...tools.evidence import Evidence, Status, without_value
from ...tools.face import FaceView, Reference
from ...tools.registry import FaceTool, tools

FORENSIC = ("manipulation", "synthesis", "morph")
LIKELY = 0.5
"""Probability of a detector from which its reading speaks for a forgery."""

SHARES = {"measured": 0.6, "twin": 0.2, "withheld": 0.1, "absent": 0.1}
"""How often the detectors' readings are those of the picture, of its twin with the other truth, replaced by a reason
why there are none, or left out without a word. Drawn whatever the label."""

_UNLIKE = (
    "The face is too unlike the detector's training data: its distance is {far:.2f}, and {limit:.2f} is the limit."
)
_TERMS = "There is no forgery detector whose training data allow commercial use."
_LATE = "The {tool} tool gave no answer within {seconds} seconds."
_STATUS: Mapping[str, Status] = {_UNLIKE: "not_measurable", _TERMS: "unavailable", _LATE: "failed"}


def measured(view: FaceView, names: Sequence[str], references: Sequence[Reference] = ()) -> list[Evidence]:
    """Evidence of tools, without overlays; one that cannot measure says so."""
    found: list[Evidence] = []
    for name in names:
        tool = tools()[name]
        assert isinstance(tool, FaceTool)
        try:
            found += tool.measure(view, references)
        except (NotMeasurable, ToolUnavailable) as error:
            found.append(without_value(name, error))
    return [replace(item, picture=None, region=None) for item in found]


def condition(rng: np.random.Generator) -> str:
    """One of ``SHARES``."""
    return str(rng.choice(list(SHARES), p=list(SHARES.values())))


def withheld(names: Sequence[str], rng: np.random.Generator) -> list[Evidence]:
    """Tools that give no value, all for one reason that an examination gives too."""
    why = str(rng.choice(list(_STATUS))) if set(names) <= set(FORENSIC) else _LATE
    limit = rng.uniform(1.1, 1.7)
    facts = {"limit": limit, "far": limit + rng.uniform(0.02, 0.6), "seconds": int(rng.integers(5, 31))}
    return [Evidence(name, name, why.format(tool=name, **facts), status=_STATUS[why]) for name in names]


def selected(items: Sequence[Evidence], most: int, rng: np.random.Generator) -> list[Evidence]:
    """At most so many in their order; first those that a verdict would weigh, then a drawn choice of the others."""
    kept = {item.measure for item in items if item.measure.endswith(".face") or item.status != "ok"}
    others = [item.measure for item in items if item.measure not in kept]
    room = max(0, min(most - len(kept), len(others)))
    chosen = set(rng.choice(others, room, replace=False)) if room else set()
    return [item for item in items if item.measure in kept | chosen]


def distinct(items: Sequence[Evidence]) -> list[Evidence]:
    """Without items that only repeat another's sentence, as when one network serves three tools."""
    return list({item.finding: item for item in reversed(items)}.values())[::-1]


def suspicion(items: Sequence[Evidence]) -> float | None:
    """The greatest probability that a detector states; None if none does."""
    stated = [item.probability for item in items if item.tool in FORENSIC and item.probability is not None]
    return max(stated) if stated else None
