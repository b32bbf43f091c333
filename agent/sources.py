"""What a sentence of the explanation may repeat: the cited findings and the decision, cut into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..tools.evidence import Evidence
from .verdict import Decision
from .wording import Segment, Token, normalise, segments, stem, unquoted

_VERDICT = (
    "the verdict conclusion decision label is {label}",
    "the verdict conclusion decision label is {label} with a probability of {p}",
    "the probability of the verdict {label} is {p}",
    "the verdict decision conclusion rests most mostly mainly chiefly based supported decided on this",
)
# Spelt out, since a negation reaches the words that follow it: in a list of synonyms the last ones lie too far off.
_NO_VERDICT = (
    "the verdict conclusion decision label is inconclusive",
    *(
        text.format(noun)
        for noun in ("verdict", "conclusion", "decision")
        for text in (
            "no {} can be given",
            "no {} could be given",
            "no {} can be reached",
            "no {} could be reached",
            "no {} is possible",
            "the evidence does not suffice for a {}",
            "the evidence does not allow a {}",
            "the evidence does not support a {}",
            "the evidence is not enough for a {}",
            "the evidence is not sufficient for a {}",
            "the evidence is insufficient for a {}",
        )
    ),
    "the evidence does not decide",
    "the verdict decision conclusion rests most mostly mainly chiefly based on this",
)


@dataclass(frozen=True)
class Source:
    """One thing a clause may repeat: a sentence of a finding, or of the decision.

    Attributes:
        id: Evidence id; None for the decision.
        parts: Its segments.
        extra: Further words that name the measurement.
        values: Exact numbers that the text prints rounded, or leaves out.
        probability: Calibrated probability.
        missing: Whether it says why there is no value.
        label: For the decision: the only label that may be asserted on it, and that must be if ``bound``.
    """

    id: str | None
    parts: tuple[Segment, ...]
    extra: frozenset[str] = frozenset()
    values: tuple[float, ...] = ()
    probability: float | None = None
    missing: bool = False
    label: str | None = None
    bound: bool = False

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """All tokens in order."""
        return tuple(token for part in self.parts for token in part.tokens)


_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=\S)")


def of_evidence(item: Evidence) -> list[Source]:
    """One source for each sentence of the finding; words in quotation marks come from outside and are left out."""
    # A name such as not_evident must not lend its second word without the first.
    named = re.sub(r"\bnot \w+", " ", re.sub(r"[._]", " ", f"{item.measure} {item.tool}"))
    if isinstance(item.value, str) and '"' not in item.finding:
        named += f" {item.value}"
    extra = frozenset(stem(word) for word in re.findall(r"[a-z]+\d*", normalise(named)))
    exact = () if item.value is None or isinstance(item.value, bool | str) else (float(item.value),)
    return [
        Source(item.id, _parts(sentence), extra, (*exact, *item.numbers), item.probability, item.status != "ok")
        for sentence in _SENTENCES.split(normalise(unquoted(item.finding)))
    ]


def of_decision(decision: Decision) -> list[Source]:
    """The verdict or the abstention, each label's probability, and the reasons."""
    found = []
    for label, p in decision.probabilities.items():
        said = _parts(f"the probability of {label} is {p:.4f}")
        found.append(Source(None, said, values=(p,), probability=p, label=label, bound=True))
    if decision.abstained:
        found += [Source(None, _parts(text), label="inconclusive") for text in _NO_VERDICT]
    else:
        p = decision.probabilities[decision.label]
        stated = (text.format(label=decision.label, p=f"{p:.4f}") for text in _VERDICT)
        found += [Source(None, _parts(text), values=(p,), probability=p, label=decision.label) for text in stated]
    for reason in decision.reasons:
        found += [Source(None, _parts(text)) for text in _SENTENCES.split(normalise(unquoted(reason.text)))]
    return found


@lru_cache(maxsize=1024)  # the same evidence and verdict are read for every sentence
def _parts(text: str) -> tuple[Segment, ...]:
    return tuple(segments(text))
