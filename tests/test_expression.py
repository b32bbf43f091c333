"""Displayed expression on real photos."""

from __future__ import annotations

from pathlib import Path

import pytest

from facewitness.tools import action_units, detection, expression, image
from facewitness.tools.evidence import Evidence
from facewitness.tools.face import FaceView


def _evidence(source: Path) -> dict[str, Evidence]:
    photo = image.load(source)
    view = FaceView(photo, detection.detect(photo.rgb)[0])
    return {item.measure: item for item in expression.TOOL.measure(view, [])}


def test_smile_is_named_but_not_the_feeling(astronaut: Path) -> None:
    found = _evidence(astronaut)["expression.displayed"]
    assert found.value == "happiness" and found.status == "ok"
    assert found.finding.startswith("The face displays happiness: a smile, AU12 at intensity 0.")
    assert found.numbers[1] > 0.6


def test_eyes_of_a_smile_are_refused_with_the_reason(astronaut: Path) -> None:
    found = _evidence(astronaut)["expression.smile_eyes"]
    assert found.status == "not_measurable" and found.value is None
    assert "eyes" in found.finding and "was not measured" in found.finding


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ({12: 0.9, 26: 0.0, 43: 0.0}, "happiness"),
        ({12: 0.9, 26: 0.9, 43: 0.9}, "happiness"),
        ({12: 0.0, 26: 0.0, 43: 0.0}, "neutral"),
        ({12: 0.0, 26: 0.9, 43: 0.0}, "unknown"),
        ({12: 0.0, 26: 0.0, 43: 0.9}, "unknown"),
    ],
)
def test_rules(scores: dict[int, float], shown: str) -> None:
    assert expression.classify(scores) == shown


def test_between_smile_and_rest_is_unknown() -> None:
    fitted = action_units.parameters()
    assert fitted.neutral < fitted.happiness
    assert expression.classify({12: (fitted.neutral + fitted.happiness) / 2, 26: 0.0, 43: 0.0}) == "unknown"


def test_what_is_neither_a_smile_nor_neutral_is_not_said_to_be_no_smile(
    astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = action_units.parameters()
    between = (fitted.neutral + fitted.units[12].present_above) / 2
    monkeypatch.setattr(action_units, "read", lambda view: {12: between, 26: 0.0, 43: 0.0})
    found = _evidence(astronaut)
    assert "neither clearly neutral nor clearly a smile" in found["expression.displayed"].finding
    assert found["expression.smile_eyes"].finding.startswith("There is no clear smile, so the eyes were not compared")


@pytest.mark.data
def test_neutral_and_smiling_studio_photos(data: Path) -> None:
    folder = data / "frll_london"
    named = {
        kind: [_evidence(path)["expression.displayed"].value for path in sorted((folder / kind).glob("*.jpg"))[:15]]
        for kind in ("neutral", "smiling")
    }
    assert named["smiling"].count("happiness") >= 10
    assert named["neutral"].count("neutral") >= 8
    assert named["smiling"].count("neutral") <= 2


@pytest.mark.data
def test_no_smile_leaves_nothing_to_compare(data: Path) -> None:
    found = _evidence(data / "frll_london" / "neutral" / "001_03.jpg")["expression.smile_eyes"]
    assert found.status == "not_measurable" and found.finding.startswith("There is no clear smile")
