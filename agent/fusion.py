"""From evidence to a verdict: calibrated probabilities, and a stated reason to abstain.

What decides today is the similarity to the references; its calibration is read from ``fusion.json``, which
``facewitness.finetune.fusion`` fits and ``docs/design/fusion.md`` explains. No language model takes part.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

from ..errors import WeightsMismatch
from ..tools.evidence import Evidence, ModelCard
from ..tools.identity import SAME_PERSON_MIN
from .verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS, Decision, Reason

PERSON, FORGERY, OTHER = REFERENCE_LABELS
NO_DETECTOR = Reason(
    "forgery.no_detector",
    "There is no forgery detector yet, so an authentic photo cannot be told from a manipulated or a synthetic one.",
)
NO_DETECTOR_WITH_REFERENCES = Reason(
    "forgery.no_detector",
    "There is no forgery detector yet, so a photo of the person cannot be told from a forgery that "
    "keeps the person's likeness.",
)

ASSUMED_RARE = Reason(
    "forgery.assumed_rare",
    "There is no forgery detector yet, and forgeries are assumed to be rare.",
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Contents of ``fusion.json``.

    Attributes:
        weights: Per label of ``REFERENCE_LABELS``: constant, factor of the cosine, factor of its square.
        temperature: The three scores are divided by it.
        span: Least and greatest cosine fitted; others are taken as the nearer end.
        prior: How likely each label is taken to be beforehand; sums to 1. An assumption, not a measurement.
        threshold: Least probability at which a label is given.
        other_max: Greatest probability of ``someone else`` at which the likeness is called the person's.
    """

    weights: tuple[tuple[float, float, float], ...]
    temperature: float
    span: tuple[float, float]
    prior: tuple[float, float, float]
    threshold: float
    other_max: float

    def probabilities(self, similarity: float) -> dict[str, float]:
        """Probabilities of the three labels at a cosine, given the prior."""
        s = min(max(similarity, self.span[0]), self.span[1])
        scores = [(a + b * s + c * s * s) / self.temperature for a, b, c in self.weights]
        odds = [prior * math.exp(score - max(scores)) for prior, score in zip(self.prior, scores, strict=True)]
        return {label: odd / sum(odds) for label, odd in zip(REFERENCE_LABELS, odds, strict=True)}


def decide(evidence: tuple[Evidence, ...], with_references: bool) -> Decision:
    """Verdict on one face.

    Args:
        evidence: All that was measured on the face and on its photo.
        with_references: Which question is asked: is this face authentic, or is it the person of the references.

    Returns:
        A decision that abstains, and says why, wherever the evidence does not carry a label.
    """
    if not with_references:
        missing = tuple(item.id for item in evidence if item.tool == "forgery" and item.status != "ok")
        return _undecided(SINGLE_LABELS, (NO_DETECTOR,), missing)
    found = {item.measure: item for item in evidence if item.status == "ok"}
    similarity = found.get("identity.similarity")
    if similarity is None or not isinstance(similarity.value, float):
        return _undecided(REFERENCE_LABELS, (_not_measured(evidence), NO_DETECTOR_WITH_REFERENCES))
    agreement = found.get("identity.references_agree")
    if agreement is not None and isinstance(agreement.value, float) and agreement.value < SAME_PERSON_MIN:
        return _undecided(REFERENCE_LABELS, (_disagreement(agreement),), (agreement.id,))
    return _by_similarity(similarity, similarity.value)


def not_assessable(reason: Reason, with_references: bool, seen: tuple[str, ...] = ()) -> Decision:
    """Verdict when no face could be examined: nothing is known beyond the prior; ``seen`` says why by evidence id."""
    return _undecided(REFERENCE_LABELS if with_references else SINGLE_LABELS, (reason,), seen, assessable=False)


def card() -> ModelCard:
    """Identity of the fitted parameters in use."""
    data = _file()
    return ModelCard("fusion", json.loads(data)["version"], hashlib.sha256(data).hexdigest(), "Apache-2.0", True)


def _by_similarity(item: Evidence, similarity: float) -> Decision:
    fitted = calibration()
    probabilities = fitted.probabilities(similarity)
    top = max(REFERENCE_LABELS, key=probabilities.__getitem__)
    label = top if probabilities[top] >= fitted.threshold else INCONCLUSIVE
    like_person = probabilities[OTHER] <= fitted.other_max
    cosine = f"The cosine similarity to the references, {item.numbers[0] if item.numbers else similarity:.2f},"
    reasons = _reasons(label, like_person, cosine)
    return Decision(label, probabilities, label == INCONCLUSIVE, reasons=reasons, deciding=(item.id,))


def _reasons(label: str, like_person: bool, cosine: str) -> tuple[Reason, ...]:
    if label == OTHER:
        return (Reason("identity.differs", f"{cosine} is in the range of other people."),)
    if label == PERSON:
        text = f"{cosine} is in the range of the person's own photos, above that of most forgeries of the person."
        return Reason("identity.matches", text), ASSUMED_RARE
    if label == FORGERY:
        return (Reason("identity.partial", f"{cosine} is in the range of forgeries of the person."),)
    if like_person:
        text = f"{cosine} is in the range of the person's own photos, and of forgeries of the person too."
        return Reason("identity.matches", text), NO_DETECTOR_WITH_REFERENCES
    text = f"{cosine} lies where the person, forgeries of the person and other people overlap."
    return Reason("identity.ambiguous", text), NO_DETECTOR_WITH_REFERENCES


def _not_measured(evidence: tuple[Evidence, ...]) -> Reason:
    why = next((item.finding for item in evidence if item.tool == "identity" and item.status != "ok"), "")
    return Reason("identity.not_measured", f"The similarity to the references was not measured. {why}".strip())


def _disagreement(item: Evidence) -> Reason:
    text = (
        f"The references disagree with one another: their least cosine similarity is {item.value:.3f}, "
        f"below {SAME_PERSON_MIN}, so they may show different people."
    )
    return Reason("identity.references_disagree", text)


def _undecided(
    labels: tuple[str, ...], reasons: tuple[Reason, ...], deciding: tuple[str, ...] = (), assessable: bool = True
) -> Decision:
    fitted = calibration().prior if labels == REFERENCE_LABELS else (1 / len(labels),) * len(labels)
    prior = dict(zip(labels, fitted, strict=True))
    return Decision(INCONCLUSIVE, prior, True, assessable=assessable, reasons=reasons, deciding=deciding)


@cache
def _file() -> bytes:
    return resources.files(__package__).joinpath("fusion.json").read_bytes()


@cache
def calibration() -> Calibration:
    """The fitted parameters, checked.

    Raises:
        WeightsMismatch: The file is not one that the recipe writes.
    """
    try:
        fitted = json.loads(_file())
        result = Calibration(
            weights=tuple((float(a), float(b), float(c)) for a, b, c in fitted["weights"]),
            temperature=float(fitted["temperature"]),
            span=(float(fitted["span"][0]), float(fitted["span"][1])),
            prior=(float(fitted["prior"][0]), float(fitted["prior"][1]), float(fitted["prior"][2])),
            threshold=float(fitted["threshold"]),
            other_max=float(fitted["other_max"]),
        )
        sound = result.temperature > 0 and -1 <= result.span[0] < result.span[1] <= 1
        limits = (*result.prior, result.threshold, result.other_max)
        if not sound or len(result.weights) != len(REFERENCE_LABELS) or not all(0 <= limit <= 1 for limit in limits):
            raise ValueError("out of range")
        if abs(sum(result.prior) - 1) > 1e-9:
            raise ValueError("the prior does not sum to 1")
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsMismatch("agent/fusion.json is damaged; install facewitness again.") from error
    return result
