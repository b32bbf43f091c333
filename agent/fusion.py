"""From evidence to a verdict: calibrated probabilities, and a stated reason to abstain.

What decides are the similarity to the references and the traces that the forensic detectors found; their calibration is
read from ``fusion.json``, which ``facewitness.finetune`` fits and ``docs/design/fusion.md`` explains. No words of a
language model take part; the probabilities of one that looked at the face count beside the rest, never alone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from ..errors import WeightsMismatch
from ..tools.evidence import Evidence, ModelCard
from ..tools.identity import SAME_PERSON_MIN
from . import reasons
from .traces import CARRIED, DETECTORS, LOOK_AT_BOTH, LookWeights, Traced, TraceWeights, traced
from .verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS, Decision, Reason

AUTHENTIC = SINGLE_LABELS[0]
PERSON, FORGERY, OTHER = REFERENCE_LABELS

EVEN = 0.5
"""Probability at even odds from which on a detector speaks for a forgery."""


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
        traces: How the detectors' probabilities are weighed, by the name of their weights.
        look: How a vision-language model's looks are weighed beside them; None if not at all.
    """

    weights: tuple[tuple[float, float, float], ...]
    temperature: float
    span: tuple[float, float]
    prior: tuple[float, float, float]
    threshold: float
    other_max: float
    traces: Mapping[str, TraceWeights] = field(default_factory=dict)
    look: LookWeights | None = None

    def probabilities(
        self,
        similarity: float,
        forged: float = 1.0,
        parts: float | None = None,
        gained: tuple[float, float] = (1.0, 1.0),
    ) -> dict[str, float]:
        """Probabilities of the three labels at a cosine.

        The cosine tells the person, or a forgery of them, from someone else, of whom as many photos are taken to be
        forged beforehand: traces of a forgery do not say of whom it is. Parts that differ tell a forgery from the
        person; parts that agree do not make the person likelier, since no forgery was compared with a photo of
        another day when they were fitted.

        Args:
            similarity: Cosine to the references.
            forged: How many times likelier the detectors' scores are on a forged face than on an authentic one.
            parts: Probability, at even odds of the person and a forgery, that every part is as in the references; None
                where parts were not compared.
            gained: How many times likelier a forgery, and someone else, are after a look at both faces.
        """
        s = min(max(similarity, self.span[0]), self.span[1])
        scores = [(a + b * s + c * s * s) / self.temperature for a, b, c in self.weights]
        odds = [prior * math.exp(score - max(scores)) for prior, score in zip(self.prior, scores, strict=True)]
        person, forgery, other = (REFERENCE_LABELS.index(label) for label in (PERSON, FORGERY, OTHER))
        if parts is not None:
            alike, unlike = parts * self.prior[person], (1 - parts) * self.prior[forgery]
            both = odds[person] + odds[forgery]
            odds[forgery] = max(odds[forgery], both * unlike / (alike + unlike))
            odds[person] = both - odds[forgery]
        odds[forgery] *= forged * gained[0]
        share = self.prior[forgery] / (self.prior[person] + self.prior[forgery])
        odds[other] *= (1 - share + share * forged) * gained[1]
        return {label: odd / sum(odds) for label, odd in zip(REFERENCE_LABELS, odds, strict=True)}


def decide(evidence: tuple[Evidence, ...], with_references: bool, fitted: Calibration | None = None) -> Decision:
    """Verdict on one face.

    Args:
        evidence: All that was measured on the face and on its photo.
        with_references: Which question is asked: is this face authentic, or is it the person of the references.
        fitted: Parameters; the shipped ones if not given.

    Returns:
        A decision that abstains, and says why, wherever the evidence does not carry a label.
    """
    fitted = fitted or calibration()
    traces = traced(evidence, fitted.traces, fitted.look)
    found = {item.measure: item for item in evidence if item.status == "ok"}
    if not with_references:
        return _by_traces(traces, found)
    similarity = found.get("identity.similarity")
    if similarity is None or not isinstance(similarity.value, float):
        return _undecided(REFERENCE_LABELS, (reasons.not_measured(evidence),))
    agreement = found.get("identity.references_agree")
    if agreement is not None and isinstance(agreement.value, float) and agreement.value < SAME_PERSON_MIN:
        return _undecided(REFERENCE_LABELS, (reasons.disagreement(agreement),), (agreement.id,))
    return _by_similarity(similarity, similarity.value, traces, found, fitted)


def not_assessable(reason: Reason, with_references: bool, seen: tuple[str, ...] = ()) -> Decision:
    """Verdict when no face could be examined: nothing is known beyond the prior; ``seen`` says why by evidence id."""
    return _undecided(REFERENCE_LABELS if with_references else SINGLE_LABELS, (reason,), seen, assessable=False)


def card() -> ModelCard:
    """Identity of the fitted parameters in use."""
    data = _file()
    return ModelCard("fusion", json.loads(data)["version"], hashlib.sha256(data).hexdigest(), "Apache-2.0", True)


def _by_traces(traces: Traced, found: Mapping[str, Evidence]) -> Decision:
    if traces.reason:
        return _undecided(SINGLE_LABELS, (traces.reason,), traces.deciding)
    label = traces.label
    if label == INCONCLUSIVE and not _noticed(traces):
        # An unseen generator can look more real than a photo, so silence is not reported as a probability.
        return _undecided(SINGLE_LABELS, (reasons.nothing(),), traces.deciding)
    probabilities = dict(zip(SINGLE_LABELS, traces.families, strict=True))
    why, deciding = (reasons.seen(label, traces),), _speaking(label, traces, found)
    return Decision(label, probabilities, label == INCONCLUSIVE, reasons=why, deciding=deciding)


def _by_similarity(
    item: Evidence, similarity: float, traces: Traced, found: Mapping[str, Evidence], fitted: Calibration
) -> Decision:
    whole, look = found.get("reference_comparison.face"), found.get(LOOK_AT_BOTH)
    parts = None if whole is None else whole.probability
    gained = fitted.look.gained(fitted.look.counted(look)) if fitted.look else (1.0, 1.0)
    probabilities = fitted.probabilities(similarity, traces.forged, parts, gained)
    without_look = fitted.probabilities(similarity, traces.detectors.forged, parts)
    differs = (whole,) if whole is not None and parts is not None and parts < 0.5 else ()
    unlike = (look,) if look is not None and max(gained) > 1 else ()
    top = max(REFERENCE_LABELS, key=probabilities.__getitem__)
    given = probabilities[top] >= fitted.threshold and without_look[top] >= CARRIED
    label = top if given else INCONCLUSIVE
    cosine = f"The cosine similarity to the references, {item.numbers[0] if item.numbers else similarity:.2f},"
    like_person = fitted.probabilities(similarity)[OTHER] <= fitted.other_max
    said = (*(reasons.differing(found) for _ in differs), *(reasons.unlike() for _ in unlike))
    why = (
        *reasons.likeness(label, like_person, cosine),
        *reasons.forensic(label, traces, said),
        *reasons.others(found),
    )
    compared = (item.id, *(one.id for one in (*differs, *unlike)))
    deciding = (item.id,) if label == OTHER else (*compared, *_weighing(label, traces, found, bool(said)))
    return Decision(label, probabilities, label == INCONCLUSIVE, reasons=why, deciding=deciding)


def _weighing(label: str, traces: Traced, found: Mapping[str, Evidence], said: bool) -> tuple[str, ...]:
    """Ids of the traces that the verdict on the person rests on beside the comparison: none that speak against it.

    Silent traces speak for the person, or leave a likeness without a reason to doubt it; they have no part in a doubt
    that the comparison ``said`` already.
    """
    if traces.reason:
        return traces.deciding
    if _noticed(traces):
        return () if label == PERSON else _speaking(label, traces, found)
    return traces.deciding if label == PERSON or not said else ()


def _speaking(label: str, traces: Traced, found: Mapping[str, Evidence]) -> tuple[str, ...]:
    """Ids of noticed traces, most important first; without those that speak against it where a forgery is the verdict.

    The strongest stays: traces may be noticed together where none is alone. So does a look, which is weighed last.
    """
    if label in (INCONCLUSIVE, AUTHENTIC):
        return traces.deciding
    calm = {found[name].id for name in DETECTORS if name in found and (found[name].probability or 0) < EVEN}
    return tuple(id_ for n, id_ in enumerate(traces.deciding) if n == 0 or id_ not in calm)


def _noticed(traces: Traced) -> bool:
    """Whether there are signs of forgery, be it that a look does not confirm them, or that it alone sees them."""
    return traces.noticed or traces.detectors.noticed


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
            traces={name: _trace_weights(held) for name, held in fitted["traces"].items()},
            look=_look_weights(fitted["sight"]) if "sight" in fitted else None,
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


def _trace_weights(held: Mapping[str, Any]) -> TraceWeights:
    authentic, manipulated, synthetic = (float(value) for value in held["needed"])
    forged, kind = ((float(held[name][0]), float(held[name][1])) for name in ("forged", "kind"))
    return TraceWeights(forged, kind, float(held["least"]), (authentic, manipulated, synthetic))


def _look_weights(held: Mapping[str, Any]) -> LookWeights:
    authentic, manipulated, synthetic = (float(value) for value in held["needed"])
    forgery, other = (float(value) for value in held["unlike"])
    result = LookWeights(
        str(held["sha256"]), float(held["forged"]), (authentic, manipulated, synthetic), (forgery, other)
    )
    if min(result.forged, forgery, other) < 0:
        raise ValueError("out of range")
    return result
