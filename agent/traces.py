"""What the forensic detectors' evidence says together: a likelihood of forgery for fusion, or why there is none.

A vision-language model's look at the face may be weighed beside them, never without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.evidence import Evidence
from .verdict import INCONCLUSIVE, SINGLE_LABELS, Reason

DETECTORS = ("manipulation.face", "synthesis.face", "morph.face")
"""Measures whose probabilities are weighed together, in the order of the fitted weights."""
LOOK, LOOK_AT_BOTH, LOOK_AT_EXPRESSION = "sight.face", "sight.reference", "sight.expression"
"""Measures of the looks at the face alone, and at the face and a reference."""
CARRIED = 0.5
"""A label that a look brings about must be at least this probable without the look."""

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LookWeights:
    """How the looks of a vision-language model are weighed beside the other evidence.

    Attributes:
        sha256: The weights whose looks this was fitted on; looks of others have no weight.
        forged: Not negative: what a look's logit of a forgery is multiplied by, before it is added to the logarithm of
            the detectors' odds; 0 where the fit gave it no weight.
        needed: In place of ``TraceWeights.needed``.
        unlike: Not negative: by how much a forgery of the person, and someone else, gain on the person for each unit of
            logit by which the look at both faces holds it for improbable that it is the person.
    """

    sha256: str
    forged: float
    needed: tuple[float, float, float]
    unlike: tuple[float, float]

    def counted(self, item: Evidence | None) -> float | None:
        """Probability that a look states; None where it has no weight."""
        if item is None or item.model is None or item.model.sha256 != self.sha256:
            return None
        return item.probability

    def gained(self, same: float | None) -> tuple[float, float]:
        """Factors of the odds of a forgery and of someone else after a look at both faces.

        One that finds the person changes nothing, as parts that agree do not.
        """
        doubt = 0.0 if same is None else max(0.0, -float(logit(np.array(same))))
        return float(np.exp(self.unlike[0] * doubt)), float(np.exp(self.unlike[1] * doubt))


def logit(probabilities: Array) -> Array:
    """Logarithm of the odds, finite for certainties too."""
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6)
    result: Array = np.log(clipped / (1 - clipped))
    return result


@dataclass(frozen=True, slots=True)
class TraceWeights:
    """Logistic regressions on the odds that the detectors state.

    A forgery leaves the traces of one family or another, so the likelihood of the scores on forged faces is a mixture:
    the mean of the detectors' odds, each against real photos.

    Attributes:
        forged: Slope, not negative, and bias of forged against authentic, on the logarithm of that mean.
        kind: Slope and bias of synthetic against manipulated, on the logit of synthesis less the greater of the others.
        least: No label is held less likely than this: the photos it was fitted on cannot show more.
        needed: Least probability at which authentic, manipulated and synthetic are given.
    """

    forged: tuple[float, float]
    kind: tuple[float, float]
    least: float
    needed: tuple[float, float, float]

    def families(self, probabilities: Array, looks: Array | None = None, weighed: LookWeights | None = None) -> Array:
        """(n, 3) probabilities of the detectors, in their order, to (n, 3) of the labels, if equally likely before.

        Where looks are given, (n,) probabilities of a forgery, they are weighed too. As with the detectors, seeing
        nothing does not speak for a photo: what the detectors hold for authentic gets no more so, and what they hold
        for forged no more authentic than even odds.
        """
        mixed, apart = features(probabilities)
        odds = self.forged[0] * mixed + self.forged[1]
        if looks is not None and weighed is not None:
            odds = np.maximum(odds + weighed.forged * logit(looks), np.minimum(odds, 0))
        ratio = np.exp(odds)
        synthetic = 1 / (1 + np.exp(-(self.kind[0] * apart + self.kind[1])))
        shares = np.column_stack([np.ones_like(ratio), 2 * ratio * (1 - synthetic), 2 * ratio * synthetic])
        kept = (shares / shares.sum(1, keepdims=True)).clip(self.least)
        result: Array = kept / kept.sum(1, keepdims=True)
        return result


def features(probabilities: Array) -> tuple[Array, Array]:
    """(n,) logarithm of the detectors' mean odds, and (n,) logit of synthesis less the greater of the others."""
    logits = logit(probabilities)
    return np.log(np.exp(logits).mean(1)), logits[:, 1] - np.maximum(logits[:, 0], logits[:, 2])


@dataclass(frozen=True, slots=True)
class Traced:
    """Joint reading of the detectors.

    Attributes:
        families: Probability of authentic, manipulated, synthetic, if all are equally likely beforehand.
        needed: Least probability of each at which it is given as a label.
        deciding: Ids of the evidence.
        reason: Why there is no reading; then the families are equal.
        without_look: The detectors' own reading, where a look was weighed too.
    """

    families: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    needed: tuple[float, float, float] = (1.0, 1.0, 1.0)
    deciding: tuple[str, ...] = ()
    reason: Reason | None = None
    without_look: Traced | None = None

    @property
    def detectors(self) -> Traced:
        """The reading of the detectors alone."""
        return self.without_look or self

    @property
    def forged(self) -> float:
        """How many times likelier the scores are on a forged face, of either kind, than on an authentic one."""
        authentic, manipulated, synthetic = self.families
        return (manipulated + synthetic) / 2 / authentic

    @property
    def noticed(self) -> bool:
        """Whether there are signs of forgery at all."""
        return self.reason is None and self.forged > 1

    @property
    def label(self) -> str:
        """The label that is probable enough, with the look and not by the look alone; else inconclusive."""
        top = int(np.argmax(self.families))
        given = self.families[top] >= self.needed[top] and self.detectors.families[top] >= CARRIED
        return SINGLE_LABELS[top] if given else INCONCLUSIVE


def traced(
    evidence: tuple[Evidence, ...], fitted: Mapping[str, TraceWeights], weighed: LookWeights | None = None
) -> Traced:
    """Weigh the detectors' evidence on one face, and a look at it.

    Args:
        evidence: All evidence on the face.
        fitted: By the name of the detectors' weights.
        weighed: How a look counts; None if it does not.
    """
    found = {item.measure: item for item in evidence}
    items = [found[measure] for measure in DETECTORS if measure in found]
    ready = [item for item in items if item.probability is not None and item.model is not None]
    if len(ready) < len(DETECTORS):
        return Traced(reason=_missing(evidence), deciding=tuple(item.id for item in _silent(evidence)))
    assert ready[0].model is not None
    weights = fitted[ready[0].model.name]
    scores = np.array([[item.probability for item in ready]], np.float64)
    strongest = tuple(item.id for item in sorted(ready, key=lambda item: -(item.probability or 0)))
    detectors = Traced(_first(weights.families(scores)), weights.needed, strongest)
    look = weighed.counted(found.get(LOOK)) if weighed is not None and weighed.forged else None
    if weighed is None or look is None:
        return detectors
    families = _first(weights.families(scores, np.array([look]), weighed))
    return Traced(families, weighed.needed, (*strongest, found[LOOK].id), without_look=detectors)


def _first(families: Array) -> tuple[float, float, float]:
    authentic, manipulated, synthetic = families[0].tolist()
    return authentic, manipulated, synthetic


def _silent(evidence: tuple[Evidence, ...]) -> list[Evidence]:
    tools = {measure.partition(".")[0] for measure in DETECTORS}
    return [item for item in evidence if item.tool in tools and item.status != "ok"]


def _missing(evidence: tuple[Evidence, ...]) -> Reason:
    why = next((item.finding for item in _silent(evidence)), "")
    return Reason("forgery.not_measured", f"Traces of a forgery were not measured. {why}".strip())
