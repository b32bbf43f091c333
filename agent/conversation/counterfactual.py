"""What would change the verdict: found by deciding again with other evidence, one measurement at a time.

Nothing here is a measurement of the photo. Each finding names the condition first, and fusion's own rules made it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...tools import weights
from ...tools.evidence import Evidence
from .. import fusion
from ..traces import DETECTORS
from ..verdict import Decision

TOOL = "counterfactual"
ALIKE = 0.9
"""Probability of every part being as in a reference photo that is assumed where none was compared."""
_ENDS = (0.0001, 0.001, 0.999, 0.9999)  # beyond the last hundredth detectors go on, and so may the verdict
_STEPS = tuple(sorted((*_ENDS, *(round(float(p), 2) for p in np.arange(0.01, 1.0, 0.01)))))
_COSINES = tuple(round(float(c), 2) for c in np.arange(-0.23, 0.985, 0.01))  # a step more than fusion's span
_SAID = {
    "manipulation.face": "the probability that the face was altered",
    "synthesis.face": "the probability that the whole face was generated",
    "morph.face": "the probability that the face was blended from several people",
    "reference_comparison.face": "the probability that every part is as in the references",
    "identity.similarity": "the cosine similarity to the references",
    "identity.references_agree": "the least cosine similarity between two references",
}
Side = Literal["least", "most"]


@dataclass(frozen=True, slots=True)
class Reach:
    """Values in a row that give one other verdict.

    Attributes:
        side: ``least`` where they are above the present value, ``most`` where they are below.
        label: The verdict.
        nearest: The value nearest to the present one.
        furthest: The last; None where all beyond the nearest give that verdict.
    """

    side: Side
    label: str
    nearest: float
    furthest: float | None = None

    @property
    def words(self) -> str:
        """As it follows "were"."""
        if self.furthest is None:
            return f"at {self.side} {_printed(self.nearest)}"
        if self.furthest == self.nearest:
            return _printed(self.nearest)
        low, high = sorted((self.nearest, self.furthest))
        return f"between {_printed(low)} and {_printed(high)}"

    @property
    def numbers(self) -> tuple[float, ...]:
        """In the words, beside the nearest."""
        return () if self.furthest is None else (self.furthest,)


def changes(evidence: Sequence[Evidence], decision: Decision) -> list[Evidence]:
    """What would move the verdict, as evidence without ids.

    Args:
        evidence: All of one subject.
        decision: What fusion made of it.
    """
    found = list(_measured(tuple(evidence), decision))
    if not found:
        text = "No other value of one measurement alone would change the verdict."
        found = [_item("none", text)]
    return found if _compared(decision) else [*_with_reference(tuple(evidence)), *found]


def _compared(decision: Decision) -> bool:
    return fusion.PERSON in decision.probabilities


def _measured(evidence: tuple[Evidence, ...], decision: Decision) -> Iterator[Evidence]:
    """For each measurement that fusion weighs, the nearest other value that gives another verdict."""
    held = {item.measure: item for item in evidence if item.status == "ok"}
    missing = tuple(measure for measure in DETECTORS if measure not in held)
    if missing:
        yield from _undetected(evidence, missing, decision)
    for measure in _SAID:
        item = held.get(measure)
        if item is None or not isinstance(item.value, float) or (missing and measure in DETECTORS):
            continue
        yield from _moved(evidence, item, decision)


def _moved(evidence: tuple[Evidence, ...], item: Evidence, decision: Decision) -> Iterator[Evidence]:
    now = float(_printed(float(item.value or 0)))
    grid = _COSINES if item.measure.startswith("identity.") else _STEPS

    def label(step: float) -> str:
        return _decide(evidence, {item.measure: (step, item)}, _compared(decision)).label

    for reach in (
        _reached([s for s in grid if s > now], "least", label, lambda given: given != decision.label),
        _reached([s for s in grid[::-1] if s < now], "most", label, lambda given: given != decision.label),
    ):
        if reach is not None:
            text = (
                f"If {_SAID[item.measure]} were {reach.words} instead of {_printed(now)}, "
                f"the verdict would be {reach.label}."
            )
            yield _reach(item.measure, text, reach, (now,))


def _reached(
    steps: Sequence[float], side: Side, label: Callable[[float], str], wanted: Callable[[str], bool]
) -> Reach | None:
    """The first of the steps that gives a wanted verdict, and the last in a row that gives the same."""
    found: Reach | None = None
    furthest = 0.0
    for step in steps:
        given = label(step)
        if found is None and wanted(given):
            found = Reach(side, given, step)
        if found is not None and given != found.label:
            return replace(found, furthest=furthest)
        furthest = step
    return found


def _undetected(evidence: tuple[Evidence, ...], missing: tuple[str, ...], decision: Decision) -> Iterator[Evidence]:
    """Where detectors gave no value: from which value of one of them, the others at even odds, there is a verdict."""
    card = weights.card("forensics")
    blank = {measure: (0.5, Evidence(measure, measure.partition(".")[0], "", model=card)) for measure in missing}
    others = ", the others at even odds" if len(missing) > 1 else ""
    for measure in missing:

        def label(step: float, measure: str = measure) -> str:
            instead = blank | {measure: (step, blank[measure][1])}
            return _decide(evidence, instead, _compared(decision)).label

        above = [step for step in _STEPS if step > 0.5]
        if reach := _reached(above, "least", label, lambda given: given != decision.label):
            text = f"If {_SAID[measure]} were measured and {reach.words}{others}, the verdict would be {reach.label}."
            yield _reach(measure, text, reach)


def _with_reference(evidence: tuple[Evidence, ...]) -> Iterator[Evidence]:
    """From which likeness to a reference photo there would be a verdict."""
    if like := _reached(_COSINES, "least", lambda c: _referenced(evidence, c, ALIKE), fusion.PERSON.__eq__):
        text = (
            f"If a reference photo were given, every part of the face were as in it, and the cosine similarity were "
            f"{like.words}, the verdict would be {like.label}."
        )
        yield _reach("reference_photo", text, like)

    def whatever_the_parts(cosine: float) -> str:
        every = (None, _STEPS[0], 0.5, _STEPS[-1])
        return fusion.OTHER if all(_referenced(evidence, cosine, p) == fusion.OTHER for p in every) else ""

    if unlike := _reached(_COSINES[::-1], "most", whatever_the_parts, fusion.OTHER.__eq__):
        text = (
            f"If a reference photo were given and the cosine similarity to it were {unlike.words}, "
            f"the verdict would be {unlike.label}."
        )
        yield _reach("reference_photo", text, unlike)


def _referenced(evidence: tuple[Evidence, ...], cosine: float, parts: float | None) -> str:
    """The verdict with a cosine, and where parts are compared, the probability that all are as in the reference."""
    given = {"identity.similarity": (cosine, Evidence("identity.similarity", "identity", ""))}
    if parts is not None:
        whole = Evidence("reference_comparison.face", "reference_comparison", "")
        given[whole.measure] = (parts, whole)
    return _decide(evidence, given, True).label


def _decide(
    evidence: tuple[Evidence, ...], instead: dict[str, tuple[float, Evidence]], with_references: bool
) -> Decision:
    """The decision with other values of some measurements, kept in their place or added."""
    other = {
        measure: replace(item, value=value, numbers=(), probability=None if "identity" in measure else value)
        for measure, (value, item) in instead.items()
    }
    kept = tuple(item for item in evidence if item.measure not in other)
    return fusion.decide((*kept, *other.values()), with_references)


def _printed(value: float) -> str:
    """Two digits, and four where two would make a certainty of it."""
    text = f"{value:.2f}"
    return text if 0 < abs(float(text)) < 1 or value in (0, 1) else f"{value:.4f}".rstrip("0")


def _reach(measure: str, finding: str, reach: Reach, numbers: tuple[float, ...] = ()) -> Evidence:
    return _item(f"{measure}.{reach.side}", finding, reach.nearest, (*reach.numbers, *numbers))


def _item(what: str, finding: str, value: float | None = None, numbers: tuple[float, ...] = ()) -> Evidence:
    return Evidence(f"{TOOL}.{what}", TOOL, finding, value, numbers=numbers, model=fusion.card())
