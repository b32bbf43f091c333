"""What a face displays, which facial actions are mentioned, and attributes: read from the written answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ..agent.sight import TOOL
from ..finetune.data.expression import PRESENT_MIN
from ..finetune.data.sample import Sample
from . import metrics
from .metrics import Array
from .sight_asked import Asked
from .sight_figures import LEAST, Figures, accuracy, confusion, drop, each, f1, macro_accuracy, macro_f1, shown
from .sight_samples import Pictures, Sets, Words, can_be_seen, faces, labels, look, of, people
from .sight_sentences import sentences

OTHER = "something else"
RENDERS = "ict"
_PHOTOS = ("neutral", "happiness")
"""What all labelled photos may show."""
_FIGURES = {"accuracy": accuracy, "accuracy, labels weighing alike": macro_accuracy, "macro f1": macro_f1}


def expression(asked: Asked, sets: Sets, limit: int) -> Figures:
    """Accuracy and F1 of renders and of each set of photos, and F1 of the action units mentioned of renders."""
    test, fit = of(sets.test, "expression", limit), of(sets.fit, "expression")
    words = {sample.id: asked.write(look(sample), faces(sample)) for sample in test}
    result: Figures = {}
    for source in sorted({sample.source for sample in test}):
        mine = [s for s in test if s.source == source and (source == RENDERS or s.label in _PHOTOS)]
        theirs = [sample for sample in fit if sample.source == source]
        if mine:
            given = answered([words[sample.id] for sample in mine], findings(sets, "expression"))
            result[source] = _beside(mine, given, Counter(labels(theirs).tolist()))
    renders = [sample for sample in test if sample.source == RENDERS]
    phrases = _phrases(sets)
    if renders and phrases:
        result["action units of renders"] = _units(renders, [words[s.id] for s in renders], phrases)
    return result


def attributes(asked: Asked, sets: Sets, limit: int) -> Figures:
    """Accuracy by attribute, on pictures of one person."""
    test = can_be_seen(of(sets.test, "attributes"))[:limit]
    fit = can_be_seen(of(sets.fit, "attributes"))
    if not test:
        return {}
    given = answered([asked.write(look(sample), faces(sample)) for sample in test], findings(sets, "attributes"))
    kinds, known = np.array([_attribute(s) for s in test]), np.array([_attribute(s) for s in fit])
    result: Figures = {}
    for kind in np.unique(kinds):
        mine = [sample for sample, of_kind in zip(test, kinds == kind, strict=True) if of_kind]
        counts = Counter(labels([s for s, of_kind in zip(fit, known == kind, strict=True) if of_kind]).tolist())
        result[str(kind)] = _beside(mine, given[kinds == kind], counts)
    return result


def written(asked: Asked, sets: Sets, samples: Sequence[Sample], pictures: Pictures = faces) -> Words:
    """(n,) the label that each answer opens with."""
    answers = [asked.write(look(sample), pictures(sample)) for sample in samples]
    return answered(answers, findings(sets, samples[0].engine))


def findings(sets: Sets, engine: str) -> dict[str, str]:
    """The label that a sentence states, by sentence."""
    return {
        item.finding: sample.label
        for sample in of((*sets.fit, *sets.test), engine)
        for item in sample.evidence
        if item.id not in sample.given and _names(item.measure)
    }


def answered(answers: Sequence[str], known: Mapping[str, str]) -> Words:
    """(n,) what each answer's first sentence states."""
    firsts = [next(iter(sentences(answer)), None) for answer in answers]
    return np.array([OTHER if first is None else known.get(first.text, OTHER) for first in firsts])


def _names(measure: str) -> bool:
    return measure == f"{TOOL}.expression" or measure.endswith(" of the person")


def _attribute(sample: Sample) -> str:
    names = [item.measure for item in sample.evidence if item.id not in sample.given]
    return names[0].removeprefix(f"{TOOL}.").partition(" ")[0]


def _beside(test: Sequence[Sample], given: Words, counts: Counter[str]) -> Figures:
    """Figures of the answers, and of the answer that is most frequent in the fit split."""
    truth, weight = labels(test), metrics.resamples(people(test))
    guess = np.full(len(test), max(counts, key=lambda label: counts[label]) if counts else OTHER)
    ways = {"model": given, "guess": guess}
    return {
        "pictures": len(test),
        "people": len(set(people(test).tolist())),
        **{
            name: each({way: figure(truth, said, weight) for way, said in ways.items()})
            for name, figure in _FIGURES.items()
        },
        "accuracy, model less guess": drop(accuracy(truth, given, weight), accuracy(truth, guess, weight)),
        "confusion": confusion(truth, given),
    }


def _phrases(sets: Sets) -> dict[int, str]:
    """How a sentence says that a unit is there, from the samples' own findings."""
    found = {}
    for sample in of((*sets.fit, *sets.test), "expression"):
        for item in sample.evidence:
            if item.tool == TOOL and item.value is True:
                said = item.finding.removesuffix(".").lower().split(" and ")
                found.update({int(number): words for number, words in zip(item.numbers, said, strict=True)})
    return found


def _units(renders: Sequence[Sample], answers: Sequence[str], phrases: Mapping[int, str]) -> Figures:
    """Units that are mentioned; the guess mentions all of them. An intensity between is neither there nor not."""
    weight = metrics.resamples(people(renders))
    strength = np.array([[float(s.truth["units"].get(f"AU{number}", 0)) for number in phrases] for s in renders])
    truth, clear = strength >= PRESENT_MIN, (strength >= PRESENT_MIN) | (strength == 0)
    said = np.array([[words in answer.lower() for words in phrases.values()] for answer in answers])
    there = [k for k in range(len(phrases)) if truth[:, k].any()]
    ways = {"model": said, "guess": np.ones_like(said)}
    pooled = {way: f1(truth, mark, weight, clear) for way, mark in ways.items()}
    means = {
        way: _mean([f1(truth[:, k], mark[:, k], weight, clear[:, k]) for k in there]) for way, mark in ways.items()
    }
    return {
        "pictures": len(renders),
        "units": len(there),
        "f1": each(pooled),
        "f1, mean over units": each(means),
        "f1, model less guess": drop(pooled["model"], pooled["guess"]),
        "by unit": {
            f"AU{number}": shown(f1(truth[:, k], said[:, k], weight, clear[:, k]))
            for k, number in enumerate(phrases)
            if truth[:, k].sum() >= LEAST
        },
    }


def _mean(values: Sequence[Array]) -> Array:
    """Over units; a unit that a resample neither shows nor mentions is right."""
    return np.asarray(np.mean(np.nan_to_num(np.stack(values), nan=1.0), 0))
