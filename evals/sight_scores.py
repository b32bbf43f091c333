"""What the model and the tools say of the two questions that end in a verdict, as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..agent import fusion
from ..agent.sight import Line
from ..agent.traces import DETECTORS, LookWeights
from ..agent.verdict import REFERENCE_LABELS, SINGLE_LABELS
from ..finetune.data import readings
from ..finetune.data.catalogue import view_of
from ..finetune.data.sample import Sample
from ..finetune.data.short import LOOKS
from ..tools import identity
from ..tools.forensic_network import WEIGHTS
from ..tools.weights import card
from .sight_asked import Kept
from .sight_samples import Words, faces, labels

Array = NDArray[np.float64]

LABELS: Mapping[str, tuple[str, ...]] = {"forgery": SINGLE_LABELS, "reference": REFERENCE_LABELS}
POSITIVE: Mapping[str, tuple[str, ...]] = {"forgery": SINGLE_LABELS[1:], "reference": REFERENCE_LABELS[:1]}
"""What is told from the rest: forged, and the same person."""
_LEAST = 1e-9


class Counted(NamedTuple):
    """How the verdict counts what this model says of a face.

    Attributes:
        line: Its calibration.
        weights: What fusion gives it.
    """

    line: Line
    weights: LookWeights


def log_odds(said: Array, engine: str) -> Array:
    """(n,) of the positive labels against the others, from (n, answers); *inconclusive* has no part."""
    of = [LOOKS[engine].answers.index(label) for label in LABELS[engine]]
    positive = np.isin(LABELS[engine], POSITIVE[engine])
    shares = said[:, of].clip(_LEAST)
    return np.asarray(np.log(shares[:, positive].sum(1) / shares[:, ~positive].sum(1)))


def top(said: Array, engine: str) -> Words:
    """(n,) the most probable answer."""
    return np.array(LOOKS[engine].answers)[said.argmax(1)]


def positive(samples: Sequence[Sample], engine: str) -> NDArray[np.bool_]:
    """(n,) the truth about it."""
    return np.isin(labels(samples), POSITIVE[engine])


def detectors(samples: Sequence[Sample], kept: Kept) -> Array:
    """(n, 3) probabilities of the forensic tools in the order of ``traces.DETECTORS``; NaN without a reading.

    Measured on the picture itself, whatever readings its prompt states.
    """
    version = card(WEIGHTS).sha256
    return np.array([kept.value(f"detectors {version} {s.id}", partial(_detectors, s)) for s in samples], np.float64)


def fused(probabilities: Array, seen: Array | None = None, counted: Counted | None = None) -> Array:
    """(n,) logarithm of how much likelier it all is on a forged face, as a verdict weighs it; 0 without a reading.

    Args:
        probabilities: What ``detectors`` gave.
        seen: (n,) log odds of a forgery that the model gives, if it has a part.
        counted: How it is weighed then.
    """
    weights, known = fusion.calibration().traces[WEIGHTS], ~np.isnan(probabilities).any(1)
    looks = None
    if seen is not None and counted is not None:
        looks = np.array([counted.line(1 / (1 + float(np.exp(-odds)))) for odds in seen[known]])
    families = weights.families(probabilities[known], looks, counted.weights if counted else None)
    found = np.zeros(len(probabilities))
    found[known] = np.log(families[:, 1:].sum(1) / 2 / families[:, 0])
    return found


def similarities(samples: Sequence[Sample], kept: Kept) -> Array:
    """(n,) cosine of the picture to the reference."""
    version = card("sface").sha256
    return np.array([kept.value(f"cosine {version} {s.id}", partial(_cosine, s)) for s in samples])


def calibrated(fit: Array, truth: Words, test: Array) -> tuple[Words, Array]:
    """Logistic regression on (n, k) numbers, the labels weighing alike.

    Returns:
        The labels, and (m, labels) their probabilities for (m, k) numbers.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    found = model.fit(fit, truth).predict_proba(test)
    return np.asarray(model.classes_), np.asarray(found)


def _detectors(sample: Sample) -> list[float | None]:
    found = readings.measured(view_of(faces(sample)[0]), readings.FORENSIC)
    stated = {item.measure: item.probability for item in found}
    return [stated.get(measure) for measure in DETECTORS]


def _cosine(sample: Sample) -> float:
    first, reference = (view_of(face).feature for face in faces(sample))
    return identity.similarity(first, reference)
