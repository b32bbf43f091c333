"""Where was the face altered: regions that the written answers name, against the true masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..agent.sight import REGIONS
from ..finetune.data.sample import Sample
from . import metrics
from .metrics import Array, Bools
from .sight_asked import Asked
from .sight_figures import LEAST, Figures, drop, each, f1, shown
from .sight_samples import Sets, faces, look, of, people
from .sight_sentences import altered

Named = Sequence[Sequence[str]]
"""Of each picture the regions called altered, in order."""


def regions(asked: Asked, sets: Sets, limit: int) -> Figures:
    """F1 of the regions called altered, and whether the first of them is, beside the region that is mostly altered."""
    test = of(sets.test, "forgery", limit)
    said = {sample.id: altered(asked.write(look(sample), faces(sample))) for sample in test}
    usual = _usual(of(sets.fit, "forgery"))
    result: Figures = {"always named by the guess": usual, "all pictures": _of(test, list(said.values()), usual)}
    forged = [sample for sample in test if sample.truth["made"] == "manipulated"]
    if forged:
        named = [said[sample.id] for sample in forged]
        result["manipulated pictures"] = {**_of(forged, named, usual), **_first(forged, named, usual)}
    return result


def _usual(fit: Sequence[Sample]) -> str:
    counts = Counter(name for sample in fit for name in REGIONS if sample.truth["regions"].get(name) == "altered")
    return max(REGIONS, key=lambda name: counts[name])


def _of(test: Sequence[Sample], said: Named, usual: str) -> Figures:
    weight = metrics.resamples(people(test))
    truth, clear = _truth(test)
    told = {"model": said, "guess": [[usual]] * len(test)}
    marks = {way: np.array([[name in of for name in REGIONS] for of in named]) for way, named in told.items()}
    every = {way: f1(truth, mark, weight, clear) for way, mark in marks.items()}
    by_region = {
        name: {way: shown(f1(truth[:, k], mark[:, k], weight, clear[:, k])) for way, mark in marks.items()}
        for k, name in enumerate(REGIONS)
        if truth[:, k].sum() >= LEAST
    }
    return {
        "pictures": len(test),
        "f1": each(every),
        "f1, model less guess": drop(every["model"], every["guess"]),
        "f1 by region": by_region,
    }


def _first(test: Sequence[Sample], said: Named, usual: str) -> Figures:
    """Of manipulated pictures."""
    weight, (truth, clear) = metrics.resamples(people(test)), _truth(test)
    pointed = {
        "model": _pointed(truth, clear, said, weight),
        "guess": _pointed(truth, clear, [[usual]] * len(test), weight),
    }
    return {
        "the first named is altered": each(pointed),
        "the first named is altered, model less guess": drop(pointed["model"], pointed["guess"]),
    }


def _truth(test: Sequence[Sample]) -> tuple[Bools, Bools]:
    """(n, regions) where each is altered, and where that is known."""
    states = np.array([[str(sample.truth["regions"].get(name)) for name in REGIONS] for sample in test])
    return states == "altered", np.isin(states, ("altered", "untouched"))


def _pointed(truth: Bools, clear: Bools, named: Named, weight: Array) -> Array:
    """(rounds,) share of the altered pictures whose first named region is altered; naming none is a miss.

    A picture of whose first region the truth says nothing is left out.
    """
    columns = [list(REGIONS).index(of[0]) if of else None for of in named]
    hits = np.array([k is not None and bool(truth[n, k]) for n, k in enumerate(columns)])
    known = np.array([k is None or bool(clear[n, k]) for n, k in enumerate(columns)]) & truth.any(1)
    return metrics.mean(hits[known].astype(np.float64), weight[:, known])
