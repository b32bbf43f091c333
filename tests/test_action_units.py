"""Action units on real photos, and the recipe on a small problem with a known answer."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facewitness.agent import grounding
from facewitness.agent.verdict import SINGLE_LABELS, Brief, Claim, Decision
from facewitness.errors import NotMeasurable
from facewitness.finetune import action_units as recipe
from facewitness.finetune.labelled_faces import Faces
from facewitness.tools import action_units, detection, expression, image
from facewitness.tools.face import FaceView, HeadPose, Reference
from facewitness.tools.landmarks import BLENDSHAPES


def _view(source: Path) -> FaceView:
    photo = image.load(source)
    return FaceView(photo, detection.detect(photo.rgb)[0])


def _reference(view: FaceView) -> Reference:
    return Reference(feature=np.zeros(128, np.float32), view=view)


def _showing(view: FaceView, **shapes: float) -> FaceView:
    """The same face with these blendshapes, left and right, and none besides."""
    values = [shapes.get(name.removesuffix("Left").removesuffix("Right"), 0.0) for name in BLENDSHAPES]
    changed = FaceView(view.photo, view.face)
    changed._memo["mesh"] = replace(view.mesh, blendshapes=np.array(values, np.float32))
    return changed


@pytest.fixture(scope="module")
def smiling(astronaut: Path) -> FaceView:
    """A face with a broad smile, mouth slightly open, eyes open."""
    return _view(astronaut)


def test_smile_is_present_and_eyes_are_open(smiling: FaceView) -> None:
    found = {item.measure: item for item in action_units.TOOL.measure(smiling, [])}
    assert set(found) == {f"action_units.{key}" for key in ("AU12", "AU26", "AU43", "not_evident", "not_measurable")}
    smile = found["action_units.AU12"]
    assert isinstance(smile.value, float) and smile.value > 0.6
    assert "AU12 (lip corner puller) is present, with an intensity" in smile.finding
    assert "AU43 (eyes closed or lowered) is not evident" in found["action_units.AU43"].finding


def test_region_lies_on_the_mouth(smiling: FaceView) -> None:
    smile = action_units.TOOL.measure(smiling, [])[0]
    assert smile.region is not None and smile.region.name == "mouth"
    right, left = smiling.face.points[3], smiling.face.points[4]
    middle = (right + left) / 2
    assert smile.region.x < middle[0] < smile.region.x + smile.region.width
    assert smile.region.width == pytest.approx(left[0] - right[0], rel=0.25)


def test_every_printed_number_is_listed(smiling: FaceView) -> None:
    at_rest = _reference(_showing(smiling))
    for item in action_units.TOOL.measure(_showing(smiling, mouthStretch=1.0, mouthSmile=1.0), [at_rest]):
        listed = {*item.numbers, item.value}
        printed = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", item.finding)]
        assert printed and set(printed) <= listed


def test_what_is_not_measured_is_said_once(smiling: FaceView) -> None:
    last = action_units.TOOL.measure(smiling, [])[-1]
    assert last.status == "not_measurable" and last.value is None
    assert last.finding.startswith("AU1, AU4, AU5, AU6, AU7, ") and "were not measured: no test" in last.finding
    assert set(last.numbers) == {*map(float, action_units.NAMES)} - {*map(float, action_units.parameters().units)}


def test_unit_validated_on_renders_only_is_shown_singly_when_present(smiling: FaceView) -> None:
    found = {item.measure: item for item in action_units.TOOL.measure(_showing(smiling, mouthStretch=1.0), [])}
    stretched = found["action_units.AU20"]
    assert stretched.status == "ok" and stretched.region is not None and stretched.region.name == "mouth"
    assert "AU20 (lip stretcher) is present" in stretched.finding
    assert stretched.finding.endswith("; this unit is validated on rendered faces only.")
    assert "rendered" not in found["action_units.AU12"].finding
    others = found["action_units.not_evident"]
    assert others.status == "ok" and 2.0 in others.numbers and 20.0 not in others.numbers


def test_every_fitted_unit_has_a_place_and_a_reachable_threshold(smiling: FaceView) -> None:
    assert {*action_units.MEASURED} < {*action_units.parameters().units}
    for number, unit in action_units.parameters().units.items():
        assert action_units.place(smiling, number).width > 0
        assert action_units.present(number, 1.0) and not action_units.present(number, unit.present_above - 0.01)


def test_explanation_may_repeat_every_finding(smiling: FaceView) -> None:
    at_rest = _showing(smiling)
    stretched = _showing(smiling, mouthStretch=1.0, browOuterUp=1.0)
    decision = Decision("inconclusive", dict.fromkeys(SINGLE_LABELS, 1 / 3), True)
    for view in (smiling, at_rest, stretched):
        items = action_units.TOOL.measure(view, [_reference(at_rest)]) + expression.TOOL.measure(view, [])
        evidence = tuple(replace(item, id=f"e{place}", face="f1") for place, item in enumerate(items, 1))
        for item in evidence:
            claim = Claim(item.finding, (item.id,), "observations")
            assert grounding.why_unsupported(claim, Brief(evidence, decision)) is None


def test_same_photo_as_reference_shows_no_change(smiling: FaceView) -> None:
    found = action_units.TOOL.measure(smiling, [_reference(smiling)])
    assert not [item for item in found if ".change." in item.measure]


def test_template_without_photo_is_passed_over(smiling: FaceView) -> None:
    assert action_units.rest([Reference(feature=np.zeros(128, np.float32))]) == ({}, 0)


def test_change_against_a_face_at_rest(smiling: FaceView) -> None:
    found = {item.measure: item for item in action_units.TOOL.measure(smiling, [_reference(_showing(smiling))])}
    change = found["action_units.change.AU12"]
    assert isinstance(change.value, float) and change.value > 0.6
    assert "stronger than in the reference photo" in change.finding


@pytest.mark.parametrize(("yaw", "pitch", "axis"), [(50.0, 0.0, "yaw"), (-50.0, 0.0, "yaw"), (0.0, -40.0, "pitch")])
def test_turned_face_is_not_measured(smiling: FaceView, yaw: float, pitch: float, axis: str) -> None:
    turned = FaceView(smiling.photo, smiling.face)
    turned._memo["pose"] = HeadPose(yaw=yaw, pitch=pitch, roll=0.0)
    with pytest.raises(NotMeasurable, match=f"{axis} is {abs(yaw + pitch):.0f} degrees"):
        action_units.TOOL.measure(turned, [])


def test_left_and_right_count_the_same() -> None:
    left, right = np.zeros(52), np.zeros(52)
    left[BLENDSHAPES.index("mouthSmileLeft")] = right[BLENDSHAPES.index("mouthSmileRight")] = 0.8
    one, other = action_units.features(left, 0.5), action_units.features(right, 0.5)
    assert np.array_equal(one, other)
    assert one[action_units.FEATURES.index("mouthSmile")] == pytest.approx(np.sqrt(0.4))
    assert len(action_units.FEATURES) == one.shape[0] == 31


def _made_up(people: int, shots: int) -> Faces:
    """Faces whose units are their nearest blendshape, with noise in all others."""
    random = np.random.default_rng(0)
    units = random.uniform(size=(people * shots, len(action_units.NAMES))) * (
        random.uniform(size=(people * shots, len(action_units.NAMES))) > 0.6
    )
    values = random.uniform(0, 0.05, (people * shots, 52))
    for column, number in enumerate(action_units.NAMES):
        for k, name in enumerate(BLENDSHAPES):
            if name.removesuffix("Left").removesuffix("Right") == recipe.NAMED[number]:
                values[:, k] = units[:, column]
    names = np.repeat([f"p{k}" for k in range(people)], shots)
    return Faces(values, names, np.full(len(names), ""), units, 0)


def test_recipe_recovers_known_units_of_unseen_people() -> None:
    faces = _made_up(people=10, shots=30)
    predicted = recipe.out_of_fold(faces, recipe.Setting(1.0, 0.1))
    for number in (1, 2, 4, 12, 26, 43):
        column = list(action_units.NAMES).index(number)
        assert recipe.auc(faces.units[:, column] > 0, predicted[:, column]) > 0.98


def test_folds_split_people_and_cover_all() -> None:
    people = np.repeat([f"p{k}" for k in range(20)], 3)
    parts = recipe.folds(people)
    assert np.array_equal(np.sum(parts, axis=0), np.ones(60))
    for part in parts:
        assert not set(people[part]) & set(people[~part]) and len(set(people[part])) == 4


def test_own_part_of_the_face_keeps_the_mouth_out_of_the_eyes() -> None:
    eyes, mouth = recipe.columns(6), recipe.columns(12)
    smile = action_units.FEATURES.index("mouthSmile")
    assert mouth[smile] and not eyes[smile] and not (eyes & mouth).any()


def test_unit_that_every_smile_sets_off_is_left_out() -> None:
    unit = {"weights": {"mouthSmile": 1.0}, "bias": 0.0, "present_above": 0.5}
    words = np.array(["neutral", "happiness"] * 10)
    values = np.zeros((20, 52))
    smiles = [k for k, name in enumerate(BLENDSHAPES) if name.startswith("mouthSmile")]
    real = Faces(values, words, words, np.empty((20, 0)), 0)
    values[np.ix_([1, 3], smiles)] = 1.0
    assert recipe._useful(unit, real, 0.5)
    values[np.ix_([5], smiles)] = 1.0
    assert not recipe._useful(unit, real, 0.5)
    values[:] = 0.0
    values[np.ix_([0, 2], smiles)] = 1.0
    assert not recipe._useful(unit, real, 0.5)


@pytest.mark.data
def test_smiles_of_unseen_people(data: Path) -> None:
    folder = data / "frll_london"
    scores = {
        kind: [action_units.read(_view(path))[12] for path in sorted((folder / kind).glob("*.jpg"))[:15]]
        for kind in ("neutral", "smiling")
    }
    assert np.mean(np.array(scores["smiling"]) > np.array(scores["neutral"])) >= 14 / 15
