"""Tables of forgery detectors by family, source and method, with cheap baselines on the same samples beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import metrics
from .forgery_material import ANY, TASKS, Bools, Material

Array = NDArray[np.float64]

COVERAGES = (1.0, 0.9, 0.8, 0.6, 0.4)


@dataclass(frozen=True, slots=True)
class Scored:
    """Pictures with what the detector and the baselines say of them.

    Attributes:
        material: The pictures.
        scores: For each of ``TASKS`` (n,) what the detector says, greater is more forged; probabilities if calibrated.
        raw: The same before calibration.
        calibrated: Whether ``scores`` are probabilities.
        baselines: For each baseline and task (n,) probabilities.
    """

    material: Material
    scores: Mapping[str, Array]
    raw: Mapping[str, Array]
    calibrated: bool
    baselines: Mapping[str, Mapping[str, Array]]


def by_task(scored: Scored, left_out: str = "") -> dict[str, Any]:
    """For each task the rows of ``task_rows``."""
    return {task: task_rows(scored, task, left_out) for task in TASKS}


def task_rows(scored: Scored, task: str, left_out: str = "") -> dict[str, Any]:
    """All forgeries of a task, then by source, kind and method, each against the real photos of its own sources.

    Methods are listed with their family alone.
    """
    material = scored.material
    mine = material.forged(task)
    rows = {"all": row(scored, task, mine)}
    if left_out:
        unseen = mine & material.matching(left_out)
        rows["left out of training"] = row(scored, task, unseen)
    for title, words in (("sources", material.words("source")), ("kinds", material.groups)):
        rows[title] = {str(word): row(scored, task, mine & (words == word)) for word in np.unique(words[mine])}
    methods = material.words("method")
    if task != ANY:
        rows["methods"] = {str(name): row(scored, task, mine & (methods == name)) for name in np.unique(methods[mine])}
    return rows


def row(scored: Scored, task: str, forged: Bools) -> dict[str, Any]:
    """One line: the chosen forgeries against the real photos of their sources; empty without forgeries."""
    if not forged.any():
        return {}
    used = forged | scored.material.against(forged)
    truth, people = forged[used], scored.material.words("person")[used]
    weight = metrics.resamples(people)
    curve = metrics.roc(truth, scored.scores[task][used], weight)
    found: dict[str, Any] = {
        "forged": int(truth.sum()),
        "real": int((~truth).sum()),
        "people": len(np.unique(people)),
        "auc": metrics.figure(metrics.area(curve)).rounded(),
        "raw auc": metrics.figure(metrics.auc(truth, scored.raw[task][used], weight)).rounded(),
        "eer": metrics.figure(metrics.equal_error(curve)).rounded(),
        "tpr at fpr 1 %": metrics.figure(metrics.caught_at(curve)).rounded(),
    }
    if scored.calibrated:
        even, probability = metrics.balanced(truth, weight), scored.scores[task][used]
        found["ece"] = metrics.figure(metrics.ece(truth, probability, even)).rounded()
        found["brier"] = metrics.figure(metrics.brier(truth, probability, even)).rounded()
    found["baselines"] = {
        name: beside(metrics.area(curve), truth, scores[task][used], weight)
        for name, scores in scored.baselines.items()
    }
    return found


def beside(detector: Array, truth: Bools, score: Array, weight: Array) -> dict[str, Any]:
    """A baseline's figures, and the detector's AUC minus its own in the same draws of people."""
    curve = metrics.roc(truth, score, weight)
    apart = metrics.figure(detector - metrics.area(curve))
    return {
        "auc": metrics.figure(metrics.area(curve)).rounded(),
        "eer": metrics.figure(metrics.equal_error(curve)).rounded(),
        "tpr at fpr 1 %": metrics.figure(metrics.caught_at(curve)).rounded(),
        "ece": metrics.figure(metrics.ece(truth, score, metrics.balanced(truth, weight))).rounded(),
        "detector minus baseline": apart.rounded(),
        "beaten": (apart.value if apart.low is None else apart.low) > 0,
    }


def real_against_real(scored: Scored) -> dict[str, Any]:
    """AUC of each score for telling one source's real photos from another's; 0.5 is no bias."""
    real, sources = scored.material.real, scored.material.words("source")
    people = scored.material.words("person")
    table: dict[str, Any] = {}
    for a, b in combinations(np.unique(sources[real]).tolist(), 2):
        used = real & np.isin(sources, (a, b))
        for task in TASKS:
            lines = {"detector": scored.scores[task], "raw score": scored.raw[task]}
            lines |= {name: scores[task] for name, scores in scored.baselines.items()}
            table.setdefault(f"{a} above {b}", {})[task] = {
                name: metrics.interval(metrics.auc, sources[used] == a, score[used], people[used]).rounded()
                for name, score in lines.items()
            }
    return table


def of_one_person(scored: Scored) -> dict[str, Any]:
    """Correlation of each raw score between two real photos of a person, by source: what a reference could correct."""
    material, people = scored.material, scored.material.words("person")
    sources, table = material.words("source"), {}
    for source in np.unique(sources[material.real]).tolist():
        pairs = _pairs(people, np.flatnonzero(material.real & (sources == source)))
        if len(pairs):
            weight = metrics.resamples(people[pairs[:, 0]])
            both = {task: scored.raw[task][pairs] for task in TASKS}
            of = {task: metrics.correlation(values[:, 0], values[:, 1], weight) for task, values in both.items()}
            table[source] = {"people": len(pairs)} | {task: metrics.figure(of[task]).rounded() for task in TASKS}
    return table


def _pairs(people: NDArray[np.str_], rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """(m, 2): the first two of the rows of each person who has two."""
    of = [rows[people[rows] == person][:2] for person in np.unique(people[rows])]
    return np.array([pair for pair in of if len(pair) == 2], np.intp).reshape(-1, 2)


def false_alarms(scored: Scored, called: Bools) -> dict[str, Any]:
    """Share of each source's real photos of which something is said, (n,) bool; intervals as for a photo a person."""
    real, sources = scored.material.real, scored.material.words("source")
    chosen = {"all": real} | {str(name): real & (sources == name) for name in np.unique(sources[real])}
    return _shares(scored, called, chosen)


def found_at(scored: Scored, called: Bools) -> dict[str, Any]:
    """Share of each kind of forgery of which the same is said."""
    groups, forged = scored.material.groups, ~scored.material.real
    chosen = {"all": forged} | {str(name): forged & (groups == name) for name in np.unique(groups[forged])}
    return _shares(scored, called, chosen)


def _shares(scored: Scored, called: Bools, chosen: Mapping[str, Bools]) -> dict[str, Any]:
    people = scored.material.words("person")
    return {
        name: {"photos": int(used.sum()), "share": metrics.share(called[used], people[used]).rounded(4)}
        for name, used in chosen.items()
    }


def coverage(scored: Scored) -> dict[str, Any]:
    """Error among the most certain share of pictures, for each task against the real photos, which weigh the same."""
    return {task: _risks(scored, task) for task in TASKS}


def _risks(scored: Scored, task: str) -> dict[str, Any]:
    material = scored.material
    used = material.forged(task) | material.real
    truth, probability = material.forged(task)[used], scored.scores[task][used]
    return risks(truth, probability, metrics.balanced(truth, metrics.resamples(material.words("person")[used])))


def risks(truth: Bools, probability: Array, weight: Array) -> dict[str, Any]:
    """Error among the most certain shares, and how the error at 80 % compares with that of all."""
    errors = {share: metrics.error_at(truth, probability, weight, share) for share in COVERAGES}
    ratio = np.divide(errors[0.8], errors[1.0], out=np.full_like(errors[0.8], np.nan), where=errors[1.0] > 0)
    found = {f"error at {share:.0%}": metrics.figure(values).rounded(4) for share, values in errors.items()}
    return found | {"80% over 100%": metrics.figure(ratio).rounded()}
