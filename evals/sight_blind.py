"""Does it look? The same questions with the picture blanked, and with another sample's picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..agent.sight import Look
from ..finetune.data.sample import Sample
from . import metrics
from .metrics import Array
from .sight_asked import Asked, table
from .sight_expression import written
from .sight_figures import LEAST, Figures, accuracy, drop, each, macro_accuracy
from .sight_samples import Pictures, Sets, blank, faces, labels, look, of, people, swapped, told, with_evidence
from .sight_scores import LABELS, log_odds, positive, top

ALONE, TOLD = "picture alone", "picture and evidence"


def blind(asked: Asked, sets: Sets, limit: int) -> Figures:
    """AUC and accuracy as it is, blanked and swapped, and how much they fall.

    Where the picture is all that is asked about, nothing but the picture can tell the samples apart, and the test shows
    only that an answer is tied to its picture. The test that says something is the one in which the evidence stays.
    """
    result: Figures = {}
    for engine in sorted(LABELS.keys() & {sample.engine for sample in sets.test}):
        alone, evidence = of(sets.test, engine), with_evidence(sets.test, engine, limit)
        result[f"{engine}, {ALONE}"] = _verdicts(asked, alone, engine, look)
        if len(evidence) >= LEAST:
            result[f"{engine}, {TOLD}"] = _verdicts(asked, evidence, engine, told)
    shown = of(sets.test, "expression", limit)
    if shown:
        result[f"expression, {ALONE}"] = _expression(asked, sets, shown)
    return result


def _views(samples: Sequence[Sample]) -> dict[str, Pictures]:
    return {"seen": faces, "blanked": blank, "swapped": swapped(samples)}


def _verdicts(asked: Asked, samples: Sequence[Sample], engine: str, ask: Callable[[Sample], Look]) -> Figures:
    weight, truth = metrics.resamples(people(samples)), labels(samples)
    said = {view: table(asked, samples, ask, pictures) for view, pictures in _views(samples).items()}
    areas = {view: metrics.auc(positive(samples, engine), log_odds(of, engine), weight) for view, of in said.items()}
    right = {view: macro_accuracy(truth, top(of, engine), weight) for view, of in said.items()}
    against = np.array(["contradicting" in sample.conditions for sample in samples])
    result = {
        "pictures": len(samples),
        "auc": _falling(areas),
        "three-way accuracy, labels weighing alike": _falling(right),
    }
    if ask is told and against.sum() >= LEAST:
        hits = {
            view: accuracy(truth[against], top(of, engine)[against], weight[:, against]) for view, of in said.items()
        }
        result["accuracy where the evidence contradicts the truth"] = {"pictures": int(against.sum())} | _falling(hits)
    return result


def _expression(asked: Asked, sets: Sets, samples: Sequence[Sample]) -> Figures:
    weight, truth = metrics.resamples(people(samples)), labels(samples)
    given = {view: written(asked, sets, samples, pictures) for view, pictures in _views(samples).items()}
    right = {view: accuracy(truth, said, weight) for view, said in given.items()}
    return {"pictures": len(samples), "accuracy": _falling(right)}


def _falling(values: dict[str, Array]) -> Figures:
    """Each view's figure, and the fall from the first to the others."""
    seen, *others = values
    return {
        **each(values),
        **{f"{seen} less {other}": drop(values[seen], values[other]) for other in others},
    }
