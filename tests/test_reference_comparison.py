"""Which parts of a face agree with the reference photos, and morphs against them, with the real networks."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.agent.examine import examine
from facewitness.errors import NotMeasurable, ToolUnavailable
from facewitness.finetune.comparisons import Volunteer, volunteers
from facewitness.finetune.forge import Side, forge
from facewitness.finetune.part_pairs import truth
from facewitness.tools import face_parts, identity, image, morph, part_similarity, reference_comparison
from facewitness.tools.detection import detect
from facewitness.tools.evidence import Evidence
from facewitness.tools.face import FaceView, Reference
from facewitness.tools.face_parts import PARTS
from facewitness.tools.image import Photo, RGBImage

Table = dict[str, Evidence]


def view_of(rgb: RGBImage) -> FaceView:
    return FaceView(Photo(rgb, b"", "", "PNG"), detect(rgb)[0])


def against(view: FaceView, *references: FaceView) -> Table:
    found = reference_comparison.TOOL.measure(view, [Reference(other.feature, other) for other in references])
    return {item.measure.partition(".")[2]: item for item in found}


def differing(found: Table) -> set[str]:
    return {name for name, item in found.items() if "differs" in item.finding}


@pytest.fixture(scope="module")
def face(astronaut: Path) -> FaceView:
    photo = image.load(astronaut)
    return FaceView(photo, detect(photo.rgb)[0])


@pytest.fixture(scope="module")
def darker(face: FaceView) -> FaceView:
    small = cv2.resize((face.photo.rgb * 0.7).astype(np.uint8), None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    return view_of(np.asarray(small, np.uint8))


@pytest.fixture(scope="module")
def people(data: Path) -> list[Volunteer]:
    return [person for person in volunteers(data) if person.split == "test"]


def test_the_inner_layers_are_those_of_the_feature(face: FaceView) -> None:
    seen = face_parts.describe(face)
    assert identity.similarity(seen.feature, face.feature) > 0.9999
    assert {name: values.shape for name, values in seen.local.items()} == {
        "conv_6": (104, 256),
        "conv_9": (104, 512),
        "conv_12": (104, 512),
    }


def test_a_photo_of_the_same_face_differs_in_no_part(face: FaceView, darker: FaceView) -> None:
    found = against(darker, face)
    assert set(found) == {"face", *PARTS}
    assert not differing(found)
    assert found["face"].value is not None and found["face"].value > 0.5
    read = [item for name, item in found.items() if item.status == "ok" and name != "face"]
    assert len(read) >= 4
    for item in read:
        assert item.probability == item.value and 0 < item.probability < 1
        assert f"{item.value:.4f}" in item.finding
        assert item.usual is not None and item.picture is not None and item.picture.outlines
        assert item.region is not None and item.region.name == item.measure.partition(".")[2].replace("_", " ")


def test_a_part_that_cannot_be_read_says_so(face: FaceView, darker: FaceView) -> None:
    silent = [item for item in against(darker, face).values() if item.status != "ok"]
    assert [item.measure for item in silent] == ["reference_comparison.mouth"]
    assert silent[0].status == "not_measurable" and silent[0].value is None


@pytest.mark.parametrize("name", [name for name in PARTS if name != "mouth"])
def test_a_finding_says_the_same_as_the_usual_range(name: str) -> None:
    part = part_similarity.fitted().parts[name]
    for value in np.linspace(0, 1, 201).round(4).tolist():
        text, limits = reference_comparison._said("nose", value, part, "the reference photo")
        below = " differs from " in text or "below its usual likeness" in text
        assert below == (value < part.usual), text
        assert all(f"{limit:.4f}" in text for limit in limits)
    assert reference_comparison._said("nose", round(part.usual - 0.01, 4), part, "the reference photo")[0] == (
        "The nose is below its usual likeness to the reference photo, but not clearly unlike: its likeness is "
        f"{part.usual - 0.01:.4f}, below {part.usual:.4f}."
    )


def test_turning_scaling_and_moving_leave_the_shape() -> None:
    points = part_similarity.fitted().shape
    around = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]], np.float32)
    moved = (2.5 * points @ around + 40).astype(np.float32)
    assert np.abs(part_similarity.turned(moved, points) - (points - points.mean(0))).max() < 1e-3


def test_arrays_survive_storage() -> None:
    values = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    assert np.abs(part_similarity.unpacked(part_similarity.packed(values)) - values).max() < 1e-3


def test_without_a_reference_photo_it_is_not_measurable(face: FaceView) -> None:
    with pytest.raises(NotMeasurable, match="No reference photo"):
        reference_comparison.TOOL.measure(face, [])
    with pytest.raises(NotMeasurable, match="stored templates"):
        reference_comparison.TOOL.measure(face, [Reference(face.feature)])
    assert [item.measure for item in morph.TOOL.measure(face, [Reference(face.feature)])] == ["morph.face"]


def test_it_has_no_weights_for_commercial_use(face: FaceView) -> None:
    asked = FaceView(face.photo, face.face, commercial_only=True)
    with pytest.raises(ToolUnavailable):
        reference_comparison.TOOL.measure(asked, [Reference(face.feature, face)])


def test_several_references_are_averaged(face: FaceView, darker: FaceView) -> None:
    mirrored = view_of(face.photo.rgb[:, ::-1].copy())
    table, cosine = part_similarity.compare(darker, [face, mirrored])
    alone = [part_similarity.compare(darker, [other]) for other in (face, mirrored)]
    assert np.allclose(table, np.mean([one for one, _ in alone], axis=0))
    assert cosine == pytest.approx(np.mean([one for _, one in alone]))
    assert 2 in against(darker, face, mirrored)["face"].numbers


def test_the_examination_reports_and_explains_it(astronaut: Path, tmp_path: Path) -> None:
    rgb = image.load(astronaut).rgb
    path = tmp_path / "darker.png"
    cv2.imwrite(str(path), (rgb * 0.8).astype(np.uint8)[..., ::-1])
    record = examine(path, [astronaut], model="none")
    measured = {item.measure for item in record.evidence}
    assert {"reference_comparison.face", "reference_comparison.nose", "morph.against_references"} <= measured
    assert all(claim.supported for claim in record.explanation.claims)
    assert "reference_comparison" in {model.name for model in record.models}


def test_truth_of_a_forgery_is_by_part() -> None:
    assert dict(zip(PARTS, truth("region.nose", 0))) == {**dict.fromkeys(PARTS, 1), "nose": 0}
    assert set(truth("region.nose", 1)) == set(truth("morph", 0)) == {-1}
    assert dict(zip(PARTS, truth("swap.alpha", 1)))["contour"] == 1


@pytest.mark.data
def test_other_people_differ_and_own_photos_hardly_ever(people: list[Volunteer]) -> None:
    own = [differing(against(person.smiling, person.neutral)) for person in people]
    assert sum(map(bool, own)) <= 1
    others = [differing(against(a.smiling, b.neutral)) for a, b in pairwise(people)]
    assert np.mean([len(found) >= 2 for found in others]) > 0.9


@pytest.mark.data
def test_exchanged_eyes_fall_most_and_the_contour_stays(people: list[Volunteer]) -> None:
    changed = []
    for person, other in pairwise(people[:9]):
        before = against(person.smiling, person.neutral)
        sides = [Side(one.smiling.photo.rgb, one.smiling.mesh.points) for one in (person, other)]
        after = against(view_of(forge("region.eyes", *sides, seed=1).image), person.neutral)
        changed.append([_fall(before, after, name) for name in ("right_eye", "left_eye", "nose", "skin", "contour")])
    right, left, nose, skin, contour = np.mean(changed, axis=0)
    assert min(right, left) > 0.7 > max(nose, skin), "an exchange lowers its neighbours too, but less"
    assert contour < 0.1


def _fall(before: Table, after: Table, name: str) -> float:
    a, b = before[name].value, after[name].value
    assert isinstance(a, float) and isinstance(b, float)
    return a - b


@pytest.mark.data
def test_morphs_show_against_a_genuine_photo(people: list[Volunteer]) -> None:
    own, morphed = [], []
    for person, other in pairwise(people[:11]):
        sides = [Side(one.smiling.photo.rgb, one.smiling.mesh.points) for one in (person, other)]
        reference = [Reference(person.neutral.feature, person.neutral)]
        own.append(morph.against(person.smiling, reference).probability)
        morphed.append(morph.against(view_of(forge("morph", *sides, seed=2).image), reference).probability)
    assert np.mean(np.array(own) < 0.5) >= 0.9
    assert np.mean(np.array(morphed) > 0.5) >= 0.9
    with pytest.raises(NotMeasurable, match="too unlike"):
        morph.against(people[0].smiling, [Reference(people[1].neutral.feature, people[1].neutral)])
