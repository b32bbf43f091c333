"""What a run comes to: for each system its figures, curves and tables, as plain JSON types.

A sample that could not be scored is counted with the reason and takes part in no figure. One on which the system
abstains has no label, and its score still takes part in what orders samples; where the abstention rests on no reading
at all, the score stands at even odds, which is counted too: leaving out what a system does not dare would flatter it.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tools.identity import SAME_PERSON_MIN
from . import change_scores, figures, flip_scores, metrics, score_parts
from .answers import unscored
from .benchmarks import Item
from .metrics import Array, Bools
from .runner import Row, Run, right
from .systems import CALIBRATED, EVEN

FOLDS = 10
WRONG_WAY = (
    "The scores order the labels the wrong way round: the upper end of the AUC's interval is below 0.5. "
    "Either the polarity of the labels is not the one stated, or the system is misled."
)
Found = dict[str, Any]


def scored(run: Run, time_limit: float | None = None, rounds: int = metrics.ROUNDS) -> dict[str, Found]:
    """All figures, by system.

    Args:
        run: A run.
        time_limit: Seconds; an answer that took longer counts as unscored.
        rounds: Resamples of the intervals.
    """
    found = {}
    for name, rows in run.rows.items():
        rows = limited(rows, time_limit)
        found[name] = _system(name, change_scores.plain(rows), run.plan.root, rounds)
        if changed := change_scores.changes(rows, threshold_of(name), rounds):
            found[name]["changes"] = changed
    if {"told", "turned"} <= run.rows.keys():
        told, turned = (change_scores.plain(limited(run.rows[name], time_limit)) for name in ("told", "turned"))
        found["turned"]["explanations"] |= flip_scores.flips(told, turned, rounds)
    return found


def limited(rows: Sequence[Row], seconds: float | None) -> list[Row]:
    """Answers that came too late are none."""
    if seconds is None:
        return list(rows)
    late = unscored("time.limit", f"The answer took longer than {seconds} s.")
    return [Row(item, late if answer.ms > 1000 * seconds else answer) for item, answer in rows]


def _system(name: str, rows: Sequence[Row], root: Path, rounds: int) -> Found:
    test = [row for row in rows if row.item.split == "test"]
    answered = [row for row in test if not row.answer.unscored]
    found: Found = {
        "samples": len(test),
        "scored": len(answered),
        "unscored": dict(Counter(row.answer.unscored for row in test if row.answer.unscored).most_common()),
        "no reading": dict(Counter(row.answer.note for row in answered if row.answer.note).most_common()),
        "abstained": sum(row.answer.abstained for row in answered),
        "clusters": len({row.item.cluster for row in answered}),
        "figures": {},
        "warnings": [],
    }
    for kind in dict.fromkeys(row.item.kind for row in test):
        mine = [row for row in rows if row.item.kind == kind]
        found["figures"] |= _kind(kind, name, mine, found, rounds)
    found["explanations"] = score_parts.explanations(answered, root, rounds)
    found["groups"] = score_parts.groups(answered, threshold_of(name), rounds)
    found["costs"] = score_parts.costs(answered)
    return found


def _kind(kind: str, name: str, rows: Sequence[Row], found: Found, rounds: int) -> Found:
    test = [row for row in rows if row.item.split == "test" and not row.answer.unscored]
    if not test:
        return {}
    if kind in ("forgery", "reference"):
        return {**_labels(test, rounds), **_two_way(name, rows, test, found, rounds)}
    if kind == "units":
        return score_parts.units(test, rounds)
    if kind == "text":
        return score_parts.words(test, rounds)
    return score_parts.classes(kind, test, found, rounds)


def threshold_of(name: str) -> float:
    """From which score a system's shipped rule calls a sample positive."""
    return SAME_PERSON_MIN if name == "similarity" else EVEN


def _labels(test: Sequence[Row], rounds: int) -> Found:
    """Of the labels as given: how often one is given, and how often it is right."""
    given = np.array([not row.answer.abstained for row in test])
    hits = np.array([bool(right(row.item, row.answer)) for row in test])
    clusters, truths = [row.item.cluster for row in test], np.array([row.item.truth for row in test])
    wanted = {
        "answered": figures.share(given),
        "accuracy as answered": figures.share(hits, given),
        "accuracy, abstentions wrong": figures.share(hits),
    }
    if len(np.unique(truths)) > 2:
        wanted["three-way macro accuracy, abstentions wrong"] = figures.macro(hits, truths)
        if all(row.answer.probabilities for row in test):
            top = [max(row.answer.probabilities, key=row.answer.probabilities.__getitem__) for row in test]
            wanted["three-way macro accuracy, most probable label"] = figures.macro(np.array(top) == truths, truths)
    return _shown(figures.bootstrap(wanted, clusters, rounds))


def _two_way(name: str, rows: Sequence[Row], test: Sequence[Row], found: Found, rounds: int) -> Found:
    ready = [row for row in test if row.answer.score is not None]
    truth, score, clusters = arrays(ready)
    if len(ready) < 2 or truth.all() or not truth.any():
        if len(ready):
            found["warnings"].append("All samples are of one class, so nothing is said of how they are told apart.")
            return _shown(figures.bootstrap(_one_class(truth, score, threshold_of(name)), clusters, rounds))
        return {}
    found["curves"] = score_parts.curves(truth, score, clusters, threshold_of(name), name in CALIBRATED)
    found["methods"] = score_parts.methods(ready, threshold_of(name))
    wanted = {**ordering(truth, score), **_at(truth, score, threshold_of(name), "shipped threshold")}
    if (called := _validated(rows, ready)) is not None:
        wanted["accuracy at the validation threshold"] = figures.share(called == truth)
        wanted["balanced accuracy at the validation threshold"] = figures.macro(called == truth, truth)
    if name in CALIBRATED:
        wanted |= _calibration(truth, score)
    result = _shown(figures.bootstrap(wanted, clusters, rounds)) | _bare(truth, score, clusters, threshold_of(name))
    if (high := (result["auc"]["95% interval"] or [result["auc"]["value"]])[-1]) is not None and high < EVEN:
        found["warnings"].append(WRONG_WAY)
    return {**result, **_videos(ready, rounds)}


def ordering(truth: Bools, score: Array) -> dict[str, figures.Weighted]:
    """How well the scores order the samples."""
    return {
        "auc": lambda w: metrics.auc(truth, score, w),
        "average precision": lambda w: figures.average_precision(truth, score, w),
        "eer": lambda w: metrics.eer(truth, score, w),
        "eer as DeepfakeBench computes it": lambda w: figures.published_eer(truth, score, w),
        "tpr at fpr 1 %": lambda w: metrics.tpr_at_fpr(truth, score, w, 0.01),
        "tpr at fpr 0.1 %": lambda w: metrics.tpr_at_fpr(truth, score, w, 0.001),
    }


def _at(truth: Bools, score: Array, limit: float, title: str) -> dict[str, figures.Weighted]:
    right_ = (score >= limit) == truth
    return {
        f"accuracy at the {title}": figures.share(right_),
        f"balanced accuracy at the {title}": figures.macro(right_, truth),
        f"false positives at the {title}": figures.share(~right_, ~truth),
        f"misses at the {title}": figures.share(~right_, truth),
        "area under risk and coverage": lambda w: figures.risk_area(truth, score, w, limit),
        "error at 80 % coverage": lambda w: metrics.error_at(truth, EVEN + (score - limit), w, 0.8),
    }


def _bare(truth: Bools, score: Array, clusters: NDArray[np.str_], limit: float) -> Found:
    """Error rates of 0 or 1, of which a bootstrap knows no interval: Wilson's."""
    found = {}
    for title, among in (("false positives", ~truth), ("misses", truth)):
        wrong = ((score >= limit) != truth)[among]
        if wrong.all() or not wrong.any():
            found[f"{title} at the shipped threshold"] = metrics.share(wrong, clusters[among]).rounded(4)
    return found


def _calibration(truth: Bools, score: Array) -> dict[str, figures.Weighted]:
    """Of this set, and as if both classes were equally frequent, which is what probabilities at even odds mean."""
    return {
        "ece": lambda w: metrics.ece(truth, score, w),
        "brier": lambda w: metrics.brier(truth, score, w),
        "ece, classes weighing alike": lambda w: metrics.ece(truth, score, metrics.balanced(truth, w)),
        "brier, classes weighing alike": lambda w: metrics.brier(truth, score, metrics.balanced(truth, w)),
    }


def _one_class(truth: Bools, score: Array, limit: float) -> dict[str, figures.Weighted]:
    name = "misses" if truth.all() else "false positives"
    return {f"{name} at the shipped threshold": figures.share((score >= limit) != truth)}


def _validated(rows: Sequence[Row], ready: Sequence[Row]) -> Bools | None:
    """Calls by a threshold chosen on the benchmark's ``val``; without one, by folds, on the other folds."""
    truth, score, _ = arrays(ready)
    val_truth, val_score, _ = arrays(
        [row for row in rows if row.item.split == "val" and not row.answer.unscored and row.answer.score is not None]
    )
    if len(val_truth) and val_truth.any() and not val_truth.all():
        return np.asarray(score >= figures.threshold(val_truth, val_score))
    try:
        return figures.by_other_folds(truth, score, np.array([_fold(row.item) for row in ready]))
    except ValueError:
        return None


def _fold(item: Item) -> str:
    """The benchmark's own; else one of ten by a hash of the cluster, so that no person is in two."""
    return item.fold or str(zlib.crc32(item.cluster.encode()) % FOLDS)


def _videos(ready: Sequence[Row], rounds: int) -> Found:
    """Mean score of the frames of each video."""
    by_video: dict[tuple[str, bool], list[Row]] = {}
    for row in ready:
        if row.item.video:
            by_video.setdefault((row.item.video, row.item.positive), []).append(row)
    if len(by_video) == len(ready) or len({positive for _, positive in by_video}) < 2:
        return {}
    truth = np.array([positive for _, positive in by_video])
    score = np.array([np.mean([row.answer.score for row in rows]) for rows in by_video.values()])
    clusters = [rows[0].item.cluster for rows in by_video.values()]
    wanted = {f"video {name}": value for name, value in ordering(truth, score).items()}
    return _shown(figures.bootstrap(wanted, clusters, rounds))


def arrays(rows: Sequence[Row]) -> tuple[Bools, Array, NDArray[np.str_]]:
    """(n,) truth, score and cluster of samples that have a score."""
    return (
        np.array([row.item.positive for row in rows], bool),
        np.array([row.answer.score for row in rows], np.float64),
        np.array([row.item.cluster for row in rows], dtype=np.str_),
    )


def _shown(found: Mapping[str, metrics.Figure]) -> Found:
    return {name: value.rounded(4) for name, value in found.items()}
