"""Which evidence answers a question, by the words of its measure's name."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from facewitness.agent import relevance
from facewitness.agent.examine import examine
from facewitness.agent.verdict import INCONCLUSIVE, SINGLE_LABELS, Brief, Decision
from facewitness.tools import action_units, weights
from facewitness.tools.evidence import Evidence
from facewitness.tools.face_parts import PARTS

BENT = Path(__file__).parents[1] / "examples" / "astronaut-bent.jpg"
NOTHING = Decision(INCONCLUSIVE, dict.fromkeys(SINGLE_LABELS, 1 / 3), True)


@pytest.fixture(scope="module")
def measures(astronaut: Path) -> list[str]:
    """Names of all that an examination measures, and of every action unit and look."""
    weights.pull()
    found = {item.measure for item in examine(BENT, [astronaut], model="none").evidence}
    units = {f"action_units.AU{number}" for number in (*range(1, 47), *action_units.parameters().units)}
    return sorted(found | units | {f"sight.{name}" for name in ("face", "reference", "expression")})


def asked(question: str, *measures: str) -> list[str]:
    evidence = [
        Evidence(name, name.partition(".")[0], f"The {name}.", 0.5, id=f"e{number}")
        for number, name in enumerate(measures, 1)
    ]
    return [item.measure for item in relevance.relevant(Brief(tuple(evidence), NOTHING, question))]


def test_no_topic_is_found_inside_a_word_of_a_measure(measures: list[str]) -> None:
    assert "quality.clipped" in measures and len(measures) > 80
    for _, _, pattern in relevance._TOPICS:
        for name in filter(partial(relevance.names, pattern), measures):
            ends = {0, len(name)} | {at for cut in re.finditer(r"[._]", name) for at in cut.span()}
            whole = [name[a:b] for a in ends for b in ends if a < b]
            anchored = [word for word in whole if re.fullmatch(pattern.replace("^", ""), word, re.IGNORECASE)]
            assert anchored, (pattern, name)
    inside = [(r"mouth|lips?", "quality.clipped"), (r"AU0?[124]", "action_units.AU12"), ("eyes?", "head.eyeing")]
    assert not [case for case in inside if relevance.names(*case)]


def test_every_topic_is_measured_by_something(measures: list[str]) -> None:
    for words, _, pattern in relevance._TOPICS:
        assert any(relevance.names(pattern, name) for name in measures), words


@pytest.mark.parametrize("question", ["What about the mouth?", "Are the lips pressed?", "Does she show her teeth?"])
def test_a_question_about_the_mouth_is_answered_with_the_mouth(question: str, measures: list[str]) -> None:
    found = asked(question, *measures)
    assert "quality.clipped" not in found
    assert found[0].startswith("action_units.") and "manipulation.mouth" in found[:3]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_found_by_its_name(part: str, measures: list[str]) -> None:
    if part in ("skin", "contour"):  # no topic is about these; the conversation answers on them
        return
    found = asked(f"What about the {part.replace('_', ' ')}?", *measures)
    assert {f"manipulation.{part}", f"reference_comparison.{part}"} <= {*found}


def test_both_eyes_come_before_the_second_thing_that_a_tool_measured() -> None:
    names = ("manipulation.left_eye", "manipulation.right_eye", "action_units.AU5", "action_units.AU43")
    assert asked("Are the eyes open?", *names) == [names[2], *names[:2], names[3]]


def test_of_a_forgery_every_tool_is_heard_before_any_is_heard_twice(measures: list[str]) -> None:
    tools = [name.partition(".")[0] for name in asked("Was this photo forged?", *measures)]
    assert {"manipulation", "synthesis", "morph", "reference_comparison"} <= {*tools}
    assert len({*tools[: len({*tools})]}) == len({*tools})


def test_morphs_are_a_topic() -> None:
    names = ("manipulation.face", "morph.face", "morph.against_references")
    for question in ("What does the morph detector say?", "Was it blended?"):
        assert asked(question, *names) == [*names[1:]]
        assert relevance.tools_for(question) == {"morph"}
