"""What would change the verdict: found by deciding again with other evidence, one measurement at a time.

Nothing here is a measurement of the photo. Each finding names the condition first, and fusion's own rules made it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...tools import weights
from ...tools.evidence import Evidence
from .. import fusion
from ..traces import DETECTORS
from ..verdict import Decision

TOOL = "counterfactual"
ALIKE = 0.9
"""Probability of every part being as in a reference photo that is assumed where none was compared."""
_STEPS = tuple(round(float(p), 2) for p in np.arange(0.01, 1.0, 0.01))  # as precise as findings state it
_COSINES = tuple(round(float(c), 2) for c in np.arange(-0.2, 0.98, 0.01))
_SAID = {
    "manipulation.face": "the probability that the face was altered",
    "synthesis.face": "the probability that the whole face was generated",
    "morph.face": "the probability that the face was blended from several people",
    "reference_comparison.face": "the probability that every part is as in the references",
    "identity.similarity": "the cosine similarity to the references",
}


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
    now = round(float(item.value or 0), 2)
    grid = _COSINES if item.measure == "identity.similarity" else _STEPS
    for side, steps in (("least", [s for s in grid if s > now]), ("most", [s for s in grid[::-1] if s < now])):
        for step in steps:
            label = _decide(evidence, {item.measure: (step, item)}, _compared(decision)).label
            if label != decision.label:
                text = (
                    f"If {_SAID[item.measure]} were at {side} {step:.2f} instead of {now:.2f}, "
                    f"the verdict would be {label}."
                )
                yield _item(f"{item.measure}.{side}", text, step, (now,))
                break


def _undetected(evidence: tuple[Evidence, ...], missing: tuple[str, ...], decision: Decision) -> Iterator[Evidence]:
    """Where detectors gave no value: from which value of one of them, the others at even odds, there is a verdict."""
    card = weights.card("forensics")
    blank = {measure: (0.5, Evidence(measure, measure.partition(".")[0], "", model=card)) for measure in missing}
    for measure in missing:
        for step in _STEPS[50:]:
            label = _decide(evidence, blank | {measure: (step, blank[measure][1])}, _compared(decision)).label
            if label != decision.label:
                text = f"If {_SAID[measure]} were measured and at least {step:.2f}, the verdict would be {label}."
                yield _item(f"{measure}.least", text, step)
                break


def _with_reference(evidence: tuple[Evidence, ...]) -> Iterator[Evidence]:
    """From which likeness to a reference photo there would be a verdict."""
    cosine = Evidence("identity.similarity", "identity", "")
    parts = {"reference_comparison.face": (ALIKE, Evidence("reference_comparison.face", "reference_comparison", ""))}
    alike = {c: _decide(evidence, {cosine.measure: (c, cosine), **parts}, True).label for c in _COSINES}
    if like := [c for c, label in alike.items() if label == fusion.PERSON]:
        yield _item(
            "reference_photo.least",
            f"If a reference photo were given, every part of the face were as in it, and the cosine similarity were at "
            f"least {min(like):.2f}, the verdict would be {fusion.PERSON}.",
            min(like),
        )
    alone = {c: _decide(evidence, {cosine.measure: (c, cosine)}, True).label for c in _COSINES}
    if unlike := [c for c, label in alone.items() if label == fusion.OTHER]:
        yield _item(
            "reference_photo.most",
            f"If a reference photo were given and the cosine similarity to it were at most {max(unlike):.2f}, "
            f"the verdict would be {fusion.OTHER}.",
            max(unlike),
        )


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


def _item(what: str, finding: str, value: float | None = None, numbers: tuple[float, ...] = ()) -> Evidence:
    return Evidence(f"{TOOL}.{what}", TOOL, finding, value, numbers=numbers, model=fusion.card())
