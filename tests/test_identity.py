"""SFace features and the comparison with references."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.errors import NotMeasurable
from facewitness.tools import identity, image, weights
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView, Floats, Reference
from facewitness.tools.image import Photo, RGBImage


@pytest.fixture(scope="module")
def view(astronaut: Path) -> FaceView:
    photo = image.load(astronaut)
    return FaceView(photo, detect(photo.rgb)[0])


def _altered(view: FaceView, rgb: RGBImage) -> Reference:
    photo = Photo(rgb, b"", "", "PNG")
    altered = FaceView(photo, detect(rgb)[0])
    return Reference(altered.feature, altered)


def _half_size(view: FaceView) -> Reference:
    return _altered(view, np.asarray(cv2.resize(view.photo.rgb, None, fx=0.5, fy=0.5), np.uint8))


def _stranger(view: FaceView) -> Reference:
    """A feature at a right angle to the face's own, as those of strangers nearly are."""
    other: Floats = np.random.default_rng(0).normal(size=128).astype(np.float32)
    own = view.feature / np.linalg.norm(view.feature)
    return Reference(other - own * float(own @ other))


def test_the_feature_is_not_normalised_and_survives_scale_mirror_and_light(view: FaceView) -> None:
    assert view.feature.shape == (128,) and view.feature.dtype == np.float32
    assert np.linalg.norm(view.feature) > 9
    rgb = view.photo.rgb
    for altered in (rgb[:, ::-1].copy(), (rgb * 0.6).astype(np.uint8)):
        assert identity.similarity(view.feature, _altered(view, altered).feature) > 0.9
    assert identity.similarity(view.feature, _half_size(view).feature) > 0.9


def test_the_feature_is_that_of_opencv_s_own_alignment_and_colour_order(view: FaceView) -> None:
    bgr, face = np.ascontiguousarray(view.photo.rgb[:, :, ::-1]), view.face
    network = cv2.FaceRecognizerSF.create(str(weights.path("sface")), "")
    row = np.array([[*face.box, *face.points.ravel(), face.score]], np.float32)
    expected = np.asarray(network.feature(network.alignCrop(bgr, row)), np.float32).ravel()
    assert identity.similarity(view.feature, expected) > 0.999
    swapped = FaceView(replace(view.photo, rgb=bgr), face).feature
    assert identity.similarity(swapped, expected) < 0.98


def test_similarity_is_a_cosine() -> None:
    a, b = np.eye(128, dtype=np.float32)[:2]
    assert identity.similarity(a, 5 * a) == pytest.approx(1)
    assert identity.similarity(a, -a) == pytest.approx(-1)
    assert identity.similarity(a, a + b) == identity.similarity(a + b, a) == pytest.approx(2**-0.5)
    assert identity.similarity(a, 0 * a) == 0


def test_without_references_nothing_is_compared(view: FaceView) -> None:
    with pytest.raises(NotMeasurable, match=r"^No reference photo was given, so identity was not compared\.$"):
        identity.TOOL.measure(view, ())


def test_one_reference(view: FaceView) -> None:
    found = {item.measure: item for item in identity.TOOL.measure(view, (_half_size(view),))}
    assert list(found) == ["identity.similarity", "identity.reference.1"]
    assert found["identity.similarity"].value == found["identity.reference.1"].value
    assert found["identity.similarity"].probability is None


def test_references_are_compared_singly_and_by_their_mean(view: FaceView) -> None:
    references = (_half_size(view), _stranger(view))
    found = {item.measure: item for item in identity.TOOL.measure(view, references)}
    own, stranger = (item.value for name, item in found.items() if ".reference." in name)
    mean = found["identity.similarity"]
    assert isinstance(own, float) and isinstance(stranger, float) and isinstance(mean.value, float)
    assert own > 0.9 and abs(stranger) < 0.01 < stranger + mean.value < 0.9
    assert mean.finding == f"Cosine similarity to the mean of 2 reference photos is {mean.value:.2f}."
    assert mean.numbers == (round(mean.value, 2), 2) and mean.unit == "cosine"
    agree = found["identity.references_agree"]
    assert isinstance(agree.value, float)
    assert agree.value < identity.SAME_PERSON_MIN and "disagree" in agree.finding


def test_alike_references_agree(view: FaceView) -> None:
    found = {item.measure: item for item in identity.TOOL.measure(view, (_half_size(view), Reference(view.feature)))}
    agree = found["identity.references_agree"]
    assert isinstance(agree.value, float)
    assert agree.value > 0.9 and " agree " in agree.finding


@pytest.mark.data
def test_genuine_pairs_score_above_look_alikes(data: Path) -> None:
    folder = data / "frll_london"
    rows = list(csv.DictReader((folder / "pairs.csv").read_text("utf-8").splitlines()))
    features: dict[str, Floats] = {}

    def cosine(row: dict[str, str]) -> float:
        for name in (row["a"], row["b"]):
            if name not in features:
                rgb = image.load(folder / name).rgb
                features[name] = FaceView(Photo(rgb, b"", "", "PNG"), detect(rgb)[0]).feature
        return identity.similarity(features[row["a"]], features[row["b"]])

    same, other = ([row for row in rows if row["same"] == label][:15] for label in "10")
    genuine, impostor = [cosine(row) for row in same], [cosine(row) for row in other]
    assert len(genuine) == len(impostor) == 15
    assert min(genuine) > 0.6 > max(impostor)
