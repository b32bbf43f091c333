"""The person, a forgery of the person, or someone else: the model alone, the similarity alone, and both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..agent.verdict import REFERENCE_LABELS
from ..finetune.data.sample import Sample
from . import metrics
from .metrics import Array
from .sight_asked import Asked, Kept, table
from .sight_figures import LEAST, Figures, confusion, counts, drop, each, macro_accuracy, shown
from .sight_samples import Sets, labels, look, of, people
from .sight_scores import calibrated, log_odds, positive, similarities, top

ENGINE = "reference"
PERSON = REFERENCE_LABELS[0]


def reference(asked: Asked, sets: Sets, kept: Kept) -> Figures:
    """Accuracy over the three labels, and AUC of the same person.

    The three-way answers of ``similarity`` and ``both`` are of a logistic regression that is fitted on the calibration
    split, on the cosine and its square, and on what the model says; so are the model's, beside those as it gives them.
    """
    test, fit = of(sets.test, ENGINE), of(sets.calibration, ENGINE)
    said, weight = table(asked, test, look), metrics.resamples(people(test))
    cosine, known = similarities(test, kept), similarities(fit, kept)
    features = _features(said, cosine)
    fitted = _features(table(asked, fit, look), known)
    called = {name: calibrated(fitted[name], labels(fit), features[name]) for name in features}
    names, shares = called["both"]
    same = shares[:, names.tolist().index(PERSON)]
    areas = {
        name: _areas(test, score, weight)
        for name, score in {"model": log_odds(said, ENGINE), "similarity": cosine, "both": same}.items()
    }
    accuracies = {
        name: macro_accuracy(labels(test), found[0][found[1].argmax(1)], weight) for name, found in called.items()
    }
    answers = top(said, ENGINE)
    return {
        "pictures": counts(labels(test)),
        "auc of the same person": {name: each(parts) for name, parts in areas.items()},
        "auc, both less the similarity alone": drop(areas["both"]["all"], areas["similarity"]["all"]),
        "three-way accuracy, labels weighing alike": {
            "model, as answered": shown(macro_accuracy(labels(test), answers, weight)),
            **each(accuracies),
        },
        "three-way accuracy, both less the similarity alone": drop(accuracies["both"], accuracies["similarity"]),
        "confusion": confusion(labels(test), answers),
    }


def _features(said: Array, cosine: Array) -> dict[str, Array]:
    seen = np.log(said[:, : len(REFERENCE_LABELS)].clip(1e-9))
    close = np.column_stack([cosine, cosine**2])
    return {"model": seen, "similarity": close, "both": np.hstack([seen, close])}


def _areas(test: Sequence[Sample], score: Array, weight: Array) -> dict[str, Array]:
    truth, given = positive(test, ENGINE), labels(test)
    sources = np.array([sample.source for sample in test])
    every: NDArray[np.bool_] = np.ones(len(test), bool)
    parts = {f"against {name}": truth | (given == name) for name in REFERENCE_LABELS[1:]}
    parts |= {f"of {name}": sources == name for name in np.unique(sources)}
    large = {name: of for name, of in parts.items() if min((truth & of).sum(), (~truth & of).sum()) >= LEAST}
    return {name: metrics.auc(truth[of], score[of], weight[:, of]) for name, of in ({"all": every} | large).items()}
