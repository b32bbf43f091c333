"""What would change the verdict, tried with every value that each sentence speaks of."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from facewitness.agent import fusion, grounding
from facewitness.agent.conversation import answers, counterfactual
from facewitness.agent.verdict import Brief, Claim, Decision
from facewitness.tools import weights
from facewitness.tools.evidence import Evidence

VALUES = (0.0, 0.0001, 0.001, *(round(float(p), 3) for p in np.arange(0.005, 1, 0.005)), 0.999, 0.9999, 1.0)
COSINES = tuple(round(float(c), 3) for c in np.arange(-1, 1.0001, 0.005))
RANGE = re.compile(r"(at least|at most|between) (-?[\d.]+\d)(?: and (-?[\d.]+\d))?")


def measured(
    cosine: float | None, scores: tuple[float, float, float], whole: float | None, agree: float | None = None
) -> tuple[Evidence, ...]:
    card = weights.card("forensics")
    found = [
        Evidence(measure, measure.partition(".")[0], "", score, probability=score, model=card)
        for measure, score in zip(("manipulation.face", "synthesis.face", "morph.face"), scores, strict=True)
    ]
    for measure, value in (("identity.similarity", cosine), ("identity.references_agree", agree)):
        if value is not None:
            found.append(Evidence(measure, "identity", "", value, numbers=(round(value, 2),)))
    if whole is not None:
        found.append(Evidence("reference_comparison.face", "reference_comparison", "", whole, probability=whole))
    return tuple(replace(item, id=f"e{number}") for number, item in enumerate(found, 1))


def label(evidence: tuple[Evidence, ...], measure: str, value: float, referenced: bool = True) -> str:
    probability = None if measure.startswith("identity") else value
    other = tuple(
        replace(item, value=value, numbers=(), probability=probability) if item.measure == measure else item
        for item in evidence
    )
    return fusion.decide(other, referenced).label


def within(finding: str, values: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """The values that a sentence speaks of, and those within a hundredth beside them, where the verdict may turn."""
    kind, first, second = RANGE.search(finding).groups()  # type: ignore[union-attr]
    low = -1.0 if kind == "at most" else float(first)
    high = float(second) if second else float(first) if kind == "at most" else 1.0
    return [v for v in values if low <= v <= high], [v for v in values if high + 0.011 < v < high + 0.03]


CASES = (
    (0.10, (0.3, 0.3, 0.3), 0.9, None),
    (0.10, (0.3, 0.999, 0.3), 0.9, None),
    (0.87, (0.73, 0.37, 0.24), 0.9, None),
    (0.6, (0.3, 0.3, 0.3), 0.9, None),
    (0.95, (0.3, 0.3, 0.3), 0.95, None),
    (0.95, (0.3, 0.3, 0.3), None, 0.05),
    (0.95, (0.3, 0.9995, 0.3), None, 0.5),
    (None, (0.7, 0.5, 0.5), None, None),
    (None, (0.3, 0.3, 0.3), None, None),
    (None, (0.99, 0.5, 0.5), None, None),
)


@pytest.mark.parametrize(("cosine", "scores", "whole", "agree"), CASES)
def test_every_value_that_is_spoken_of_gives_the_verdict_that_is_said(
    cosine: float | None, scores: tuple[float, float, float], whole: float | None, agree: float | None
) -> None:
    evidence, referenced = measured(cosine, scores, whole, agree), cosine is not None
    decision = fusion.decide(evidence, referenced)
    found = counterfactual.changes(evidence, decision)
    for item in found:
        measure, _, side = item.measure.removeprefix("counterfactual.").rpartition(".")
        if measure in ("", "reference_photo"):
            continue
        spoken, beyond = within(item.finding, COSINES if measure.startswith("identity") else VALUES)
        said = item.finding.rpartition("would be ")[2].rstrip(".")
        wrong = [value for value in spoken if label(evidence, measure, value, referenced) != said]
        assert spoken and not wrong, (item.finding, wrong[:3])
        if " between " in item.finding and side == "least" and beyond:
            assert said not in {label(evidence, measure, value, referenced) for value in beyond}, item.finding
    accepted(found, evidence, decision)


def accepted(found: list[Evidence], evidence: tuple[Evidence, ...], decision: Decision) -> None:
    """The check lets every sentence through, in the finding's own words."""
    numbered = [replace(item, id=f"e{n}") for n, item in enumerate(found, len(evidence) + 1)]
    brief = Brief((*evidence, *numbered), decision, None, 0)
    claims = [Claim(item.finding, (item.id,), "observations") for item in numbered]
    assert [grounding.why_unsupported(claim, brief) for claim in claims] == [None] * len(claims)
    assert [claim.text for claim in answers.checked(claims, brief)] == [item.finding for item in found]
    for item in found:
        numbers = {float(text) for text in re.findall(r"-?\d+\.\d+", item.finding)}
        assert numbers <= {item.value, *item.numbers}, item


def test_where_the_verdict_changes_again_both_ends_are_said() -> None:
    evidence = measured(0.10, (0.3, 0.3, 0.3), 0.9)
    found = counterfactual.changes(evidence, fusion.decide(evidence, True))
    item = next(item for item in found if item.measure == "counterfactual.identity.similarity.least")
    assert re.fullmatch(
        r"If the cosine similarity to the references were between 0\.\d\d and 0\.\d\d instead of 0\.10, "
        r"the verdict would be inconclusive\.",
        item.finding,
    )
    assert item.value is not None and item.value < item.numbers[0]
    assert label(evidence, "identity.similarity", float(item.numbers[0]) + 0.01) == "the person"


def test_references_that_disagree_are_what_would_have_to_change() -> None:
    evidence = measured(0.95, (0.3, 0.3, 0.3), None, 0.05)
    found = counterfactual.changes(evidence, fusion.decide(evidence, True))
    assert [item.measure for item in found] == ["counterfactual.identity.references_agree.least"]


@pytest.mark.parametrize("scores", [(0.3, 0.3, 0.3), (0.7, 0.5, 0.5), (0.97, 0.9, 0.5)])
def test_what_a_reference_photo_would_show_holds_for_every_likeness_that_is_named(
    scores: tuple[float, float, float],
) -> None:
    evidence = measured(None, scores, None)
    for item in counterfactual.changes(evidence, fusion.decide(evidence, False)):
        if "reference_photo" not in item.measure:
            continue
        said = item.finding.rpartition("would be ")[2].rstrip(".")
        parts = (0.9, 0.9999) if said == "the person" else (None, 0.0001, 0.2, 0.5, 0.9, 0.9999)
        for whole in parts:
            given = (*evidence, *measured(0.5, scores, whole)[3:])
            wrong = [c for c in within(item.finding, COSINES)[0] if label(given, "identity.similarity", c) != said]
            assert not wrong, (item.finding, whole, wrong[:3])


def test_detectors_without_a_value_are_assumed_at_even_odds_and_that_is_said() -> None:
    found = counterfactual.changes((), fusion.decide((), False))
    told = [item for item in found if "were measured" in item.finding]
    assert len(told) == 3
    for item in told:
        assert ", the others at even odds, the verdict would be" in item.finding
        said = item.finding.rpartition("would be ")[2].rstrip(".")
        measure = item.measure.removeprefix("counterfactual.").removesuffix(".least")
        even = measured(None, (0.5, 0.5, 0.5), None)
        values = within(item.finding, VALUES)[0]
        assert values and {label(even, measure, value, False) for value in values} == {said}
    accepted(found, (), fusion.decide((), False))
