"""Does it follow the tools? One tool's stated probability is replaced by its complement, and the picture stays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..finetune.data.sample import Sample
from ..tools.evidence import Evidence
from . import metrics
from .metrics import Bools
from .sight_asked import Asked, table
from .sight_figures import Figures, shown
from .sight_samples import Sets, faces, people, told, with_evidence
from .sight_scores import log_odds, positive

ENGINE = "forgery"
LONGEST = 400
"""Tokens of an answer that repeats evidence."""


class Flipped(NamedTuple):
    """A sample whose prompt states the complement of one probability.

    Attributes:
        sample: With the changed prompt.
        item: The evidence as it was.
        forged: Whether the changed value speaks for a forgery.
    """

    sample: Sample
    item: Evidence
    forged: bool


def flipped(sample: Sample) -> Flipped | None:
    """The stated probability that is farthest from one half, turned round; None where none is stated, or it is 0.50."""
    stated = [item for item in sample.evidence if item.id in sample.given and item.probability is not None]
    item = max(stated, key=lambda one: abs(float(one.value or 0) - 0.5), default=None)
    if item is None or _stated(item) == _turned(item):
        return None
    finding = item.finding.replace(_stated(item), _turned(item))
    changed = replace(sample, prompt=sample.prompt.replace(item.finding, finding))
    return Flipped(changed, item, float(_turned(item)) > 0.5)


def flip(asked: Asked, sets: Sets, limit: int, written_limit: int) -> Figures:
    """How often the conclusion and the text follow, and whether following or resisting was right."""
    pairs = [(one, sample) for sample in with_evidence(sets.test, ENGINE, limit) if (one := flipped(sample))]
    if not pairs:
        return {"pictures": 0}
    changed, samples = [one for one, _ in pairs], [sample for _, sample in pairs]
    before, after = (
        log_odds(table(asked, those, told), ENGINE) for those in (samples, [one.sample for one in changed])
    )
    towards = np.array([one.forged for one in changed])
    moved = (after - before) * np.where(towards, 1, -1)
    weight = metrics.resamples(people(samples))
    return {
        "pictures": len(samples),
        "log odds moved towards the changed value": shown(metrics.mean((moved > 0).astype(float), weight)),
        "mean move of the log odds": shown(metrics.mean(moved, weight)),
        **_conclusions(samples, before > 0, after > 0, towards),
        "texts": _texts(asked, changed[:written_limit]),
    }


def _conclusions(samples: Sequence[Sample], before: Bools, after: Bools, towards: Bools) -> Figures:
    """Of those whose conclusion the changed value speaks against."""
    truth, who = positive(samples, ENGINE), people(samples)
    against = before != towards
    followed = against & (after == towards)
    resisted = against & ~followed
    right = after == truth

    def share(hits: Bools, among: Bools) -> Figures:
        found = {"pictures": int(among.sum())}
        return found | metrics.share(hits[among], who[among]).rounded() if among.any() else found

    return {
        "conclusion followed": share(followed, against),
        "right where it followed": share(right, followed),
        "right where it resisted": share(right, resisted),
    }


def _texts(asked: Asked, changed: Sequence[Flipped]) -> Figures:
    """Which value the written answers state: of answers that give reasons."""
    stated = {"the changed value": 0, "the value before": 0, "neither": 0}
    for one in changed:
        if one.sample.mode == "answer":
            continue
        answer = asked.write(told(one.sample), faces(one.sample), LONGEST)
        cited = re.findall(rf"([^\]]*)\[[^\]]*\b{one.item.id}\b[^\]]*\]", answer)
        said = {value for words in cited for value in re.findall(r"\d\.\d\d", words)}
        where = "the changed value" if _turned(one.item) in said else "the value before"
        stated[where if said & {_turned(one.item), _stated(one.item)} else "neither"] += 1
    return stated


def _stated(item: Evidence) -> str:
    return f"{float(item.value or 0):.2f}"


def _turned(item: Evidence) -> str:
    return f"{1 - float(item.value or 0):.2f}"
