"""Is the face forged: the model alone, the tools alone, and both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..agent.verdict import INCONCLUSIVE
from ..finetune.data.sample import Sample
from ..finetune.faces import LIKE
from . import metrics
from .metrics import Array
from .sight_asked import Asked, Kept, table
from .sight_figures import LEAST, Figures, accuracy, confusion, counts, drop, each, macro_accuracy, shown
from .sight_samples import Sets, Words, labels, look, of, people
from .sight_scores import Counted, calibrated, detectors, fused, log_odds, positive, top

ENGINE = "forgery"


def forgery(asked: Asked, sets: Sets, kept: Kept, counted: Counted | None = None) -> Figures:
    """AUC and accuracy; pictures of which nothing can be said apart.

    ``both`` is a logistic regression on what the two say, fitted on the calibration split; ``verdict`` is what fusion
    makes of them, given how it counts this model.
    """
    test, fit = of(sets.test, ENGINE), of(sets.calibration, ENGINE)
    said, weight = table(asked, test, look), metrics.resamples(people(test))
    measured, seen = detectors(test, kept), log_odds(said, ENGINE)
    features = {"model": seen[:, None], "tools": fused(measured)[:, None]}
    known = {
        "model": log_odds(table(asked, fit, look), ENGINE)[:, None],
        "tools": fused(detectors(fit, kept))[:, None],
    }
    for held in (features, known):
        held["both"] = np.hstack([held["model"], held["tools"]])
    called = {name: calibrated(known[name], _words(fit), features[name]) for name in features}
    scores = {name: features[name][:, 0] for name in ("model", "tools")} | {"both": called["both"][1][:, 1]}
    if counted:
        scores["verdict"] = fused(measured, seen, counted)
    areas = {name: _areas(test, score, weight) for name, score in scores.items()}
    given = {name: found[0][found[1].argmax(1)] for name, found in called.items()}
    answers = top(said, ENGINE)
    return {
        "pictures": counts(labels(test)),
        "pictures without a reading of the tools": int(np.isnan(measured).any(1).sum()),
        "auc": {name: each(parts) for name, parts in areas.items()},
        "auc, less the tools alone": {
            name: {part: drop(areas[name][part], area) for part, area in areas["tools"].items()}
            for name in areas
            if name not in ("model", "tools")
        },
        "accuracy, forged or not, calibrated, weighing alike": each(
            {name: macro_accuracy(_words(test), words, weight) for name, words in given.items()}
        ),
        "three-way, as answered": {
            "accuracy": shown(accuracy(labels(test), answers, weight)),
            "accuracy, labels weighing alike": shown(macro_accuracy(labels(test), answers, weight)),
            "confusion": confusion(labels(test), answers),
        },
        "called inconclusive": _unreadable(asked, sets, test, said),
    }


def _words(samples: Sequence[Sample]) -> Words:
    """In the order of the alphabet the forged come last."""
    return np.where(positive(samples, ENGINE), "forged", "authentic")


def _areas(test: Sequence[Sample], score: Array, weight: Array) -> dict[str, Array]:
    """AUC of all, in the mean over sources, in each source, and of each way to forge against photos of its sources."""
    truth = positive(test, ENGINE)
    sources = np.array([sample.source for sample in test])
    ways = np.array([str(sample.truth["method"]).partition(".")[0] for sample in test])
    chosen = {f"of {name}": truth & (sources == name) for name in np.unique(sources[truth])}
    chosen |= {f"by {name}": truth & (ways == name) for name in np.unique(ways[truth])}
    parts = {}
    for name, forged in chosen.items():
        real = ~truth & np.isin(sources, [LIKE.get(source, source) for source in np.unique(sources[forged])])
        if min(forged.sum(), real.sum()) >= LEAST:
            parts[name] = metrics.auc(truth[forged | real], score[forged | real], weight[:, forged | real])
    sourced = [area for name, area in parts.items() if name.startswith("of ")]
    mean = {"mean over sources": np.mean(sourced, 0)} if sourced else {}
    return {"all": metrics.auc(truth, score, weight), **mean, **parts}


def _unreadable(asked: Asked, sets: Sets, test: Sequence[Sample], said: Array) -> Figures:
    """How often it says that it cannot tell."""
    ruined = [sample for sample in sets.test if sample.engine == ENGINE and sample.label == INCONCLUSIVE]
    found = {"of those that can be seen": (test, said)}
    if ruined:
        found["of those blurred beyond use"] = (ruined, table(asked, ruined, look))
    return {
        name: {
            "pictures": len(samples),
            "share": metrics.share(top(answers, ENGINE) == INCONCLUSIVE, people(samples)).rounded(),
        }
        for name, (samples, answers) in found.items()
    }
