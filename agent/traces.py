"""What the forensic detectors' evidence says together: a likelihood of forgery for fusion, or why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..tools.evidence import Evidence
from .verdict import Reason

DETECTORS = ("manipulation.face", "synthesis.face", "morph.face")
"""Measures whose probabilities are weighed together, in the order of the fitted weights."""


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

    def families(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) probabilities of the detectors, in their order, to (n, 3) of the labels, if equally likely before."""
        mixed, apart = features(probabilities)
        ratio = np.exp(self.forged[0] * mixed + self.forged[1])
        synthetic = 1 / (1 + np.exp(-(self.kind[0] * apart + self.kind[1])))
        odds = np.column_stack([np.ones_like(ratio), 2 * ratio * (1 - synthetic), 2 * ratio * synthetic])
        kept = (odds / odds.sum(1, keepdims=True)).clip(self.least)
        result: NDArray[np.float64] = kept / kept.sum(1, keepdims=True)
        return result


def features(probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) logarithm of the detectors' mean odds, and (n,) logit of synthesis less the greater of the others."""
    clipped = probabilities.clip(1e-6, 1 - 1e-6)
    odds = clipped / (1 - clipped)
    logits = np.log(odds)
    return np.log(odds.mean(1)), logits[:, 1] - np.maximum(logits[:, 0], logits[:, 2])


@dataclass(frozen=True, slots=True)
class Traced:
    """Joint reading of the detectors.

    Attributes:
        families: Probability of authentic, manipulated, synthetic, if all are equally likely beforehand.
        needed: Least probability of each at which it is given as a label.
        deciding: Ids of the evidence.
        reason: Why there is no reading; then the families are equal.
    """

    families: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    needed: tuple[float, float, float] = (1.0, 1.0, 1.0)
    deciding: tuple[str, ...] = ()
    reason: Reason | None = None

    @property
    def forged(self) -> float:
        """How many times likelier the scores are on a forged face, of either kind, than on an authentic one."""
        authentic, manipulated, synthetic = self.families
        return (manipulated + synthetic) / 2 / authentic

    @property
    def noticed(self) -> bool:
        """Whether there are signs of forgery at all."""
        return self.reason is None and self.forged > 1


def traced(evidence: tuple[Evidence, ...], fitted: Mapping[str, TraceWeights]) -> Traced:
    """Weigh the detectors' evidence on one face.

    Args:
        evidence: All evidence on the face.
        fitted: By the name of the detectors' weights.
    """
    found = {item.measure: item for item in evidence}
    items = [found[measure] for measure in DETECTORS if measure in found]
    ready = [item for item in items if item.probability is not None and item.model is not None]
    if len(ready) < len(DETECTORS):
        return Traced(reason=_missing(evidence), deciding=tuple(item.id for item in _silent(evidence)))
    assert ready[0].model is not None
    weights = fitted[ready[0].model.name]
    families = weights.families(np.array([[item.probability for item in ready]], np.float64))[0]
    strongest = sorted(ready, key=lambda item: -(item.probability or 0))
    authentic, manipulated, synthetic = families.tolist()
    return Traced((authentic, manipulated, synthetic), weights.needed, tuple(item.id for item in strongest))


def _silent(evidence: tuple[Evidence, ...]) -> list[Evidence]:
    tools = {measure.partition(".")[0] for measure in DETECTORS}
    return [item for item in evidence if item.tool in tools and item.status != "ok"]


def _missing(evidence: tuple[Evidence, ...]) -> Reason:
    why = next((item.finding for item in _silent(evidence)), "")
    return Reason("forgery.not_measured", f"Traces of a forgery were not measured. {why}".strip())
