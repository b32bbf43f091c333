"""The vocabulary of a verdict: labels, decision, brief and claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..tools.evidence import Evidence

SINGLE_LABELS = ("authentic", "manipulated", "synthetic")
REFERENCE_LABELS = ("the person", "a forgery of the person", "someone else")
INCONCLUSIVE = "inconclusive"

Section = Literal["summary", "observations", "interpretation", "conclusion"]
SECTIONS: tuple[Section, ...] = ("summary", "observations", "interpretation", "conclusion")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is as it is, or why there is none; ``code`` is stable."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What fusion computes from the evidence; no words of a language model have a part in it.

    Attributes:
        label: One of the three labels of the question asked, or ``inconclusive``.
        probabilities: The three labels of the question asked; sums to 1.
        abstained: True exactly when ``label`` is ``inconclusive``.
        assessable: False when no face could be examined at all.
        reasons: What decided, and what is missing.
        deciding: Ids of the evidence that decided, most important first.
    """

    label: str
    probabilities: dict[str, float]
    abstained: bool
    assessable: bool = True
    reasons: tuple[Reason, ...] = ()
    deciding: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Brief:
    """All that an explanation may rest on."""

    evidence: tuple[Evidence, ...]
    decision: Decision
    question: str | None = None
    references: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of the explanation, the evidence ids it cites, and whether they support it."""

    text: str
    evidence: tuple[str, ...]
    section: Section
    supported: bool = False
