"""Quality measurements and the gate."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.errors import NotAssessable
from facewitness.tools import image, quality
from facewitness.tools.alignment import align
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView, HeadPose
from facewitness.tools.image import Photo, RGBImage


@pytest.fixture(scope="module")
def rgb(astronaut: Path) -> RGBImage:
    return image.load(astronaut).rgb


def _view(rgb: RGBImage) -> FaceView:
    return FaceView(Photo(rgb, b"", "", "PNG"), detect(rgb)[0])


def _blurred(rgb: RGBImage, sigma_at_112: float) -> RGBImage:
    """Blurred by so many pixels of the aligned crop."""
    scale = np.linalg.norm(np.subtract(*detect(rgb)[0].points[:2])) / 35.2
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma_at_112 * float(scale)), np.uint8)


def _numbers(text: str) -> set[float]:
    return {float(word.strip(".,;")) for word in text.split() if word.strip(".,;").replace(".", "", 1).isdigit()}


def test_a_good_photo_passes(rgb: RGBImage) -> None:
    quality.assess(_view(rgb))


@pytest.mark.parametrize("sigma", [2, 3, 4])
def test_blur_reads_about_the_gaussian_that_was_applied(rgb: RGBImage, sigma: int) -> None:
    crop = align(rgb, detect(rgb)[0].points)
    blurred = np.asarray(cv2.GaussianBlur(crop, (0, 0), sigma), np.uint8)
    assert quality.blur(crop) < 2.5
    assert quality.blur(blurred) == pytest.approx(sigma, abs=1.3)


def test_blur_does_not_depend_on_contrast_and_hardly_on_noise(rgb: RGBImage) -> None:
    crop = np.asarray(cv2.GaussianBlur(align(rgb, detect(rgb)[0].points), (0, 0), 4), np.uint8)
    noise = np.random.default_rng(0).normal(0, 4, crop.shape)
    assert quality.blur((crop * 0.5 + 60).astype(np.uint8)) == pytest.approx(quality.blur(crop), abs=0.4)
    assert quality.blur(np.clip(crop + noise, 0, 255).astype(np.uint8)) == pytest.approx(quality.blur(crop), abs=0.8)
    assert quality.blur(np.full((112, 112, 3), 90, np.uint8)) == float("inf")


def test_a_blurred_face_is_refused(rgb: RGBImage) -> None:
    with pytest.raises(NotAssessable, match=r"blur of \d+\.\d px .* at most 5\.0 px") as refusal:
        quality.assess(_view(_blurred(rgb, 7)))
    assert refusal.value.code == "face.too_blurred"
    quality.assess(_view(_blurred(rgb, 1.5)))


def test_a_small_face_is_refused(rgb: RGBImage) -> None:
    size = detect(rgb)[0].size
    small = np.asarray(cv2.resize(rgb, None, fx=24 / size, fy=24 / size, interpolation=cv2.INTER_AREA), np.uint8)
    with pytest.raises(NotAssessable, match=r"2\d\.\d px on its shorter side; at least 32 px") as refusal:
        quality.assess(_view(small))
    assert refusal.value.code == "face.too_small"


@pytest.mark.parametrize(("yaw", "refused"), [(-75.0, True), (45.0, False)])
def test_a_profile_is_refused(rgb: RGBImage, yaw: float, refused: bool) -> None:
    """The pose is set: no photo of a profile may be kept in the repository."""
    view = _view(rgb)
    view._memo["pose"] = HeadPose(yaw, 0, 0)
    if not refused:
        assert quality.assess(view)["yaw_deg"] == yaw
        return
    with pytest.raises(NotAssessable, match="turned 75 degrees to the side; at most 60") as refusal:
        quality.assess(view)
    assert refusal.value.code == "face.turned_away"


def test_a_covered_face_is_refused(rgb: RGBImage) -> None:
    face = detect(rgb)[0]
    covered = np.random.default_rng(0).integers(0, 256, rgb.shape, dtype=np.uint8)
    with pytest.raises(
        NotAssessable, match=r"turned away or covered: the .* presence is 0\.\d\d, below 0\.\d\d\.$"
    ) as refusal:
        quality.assess(FaceView(Photo(covered, b"", "", "PNG"), face))
    assert refusal.value.code == "face.turned_away"


def test_findings_state_only_their_own_numbers(rgb: RGBImage) -> None:
    found = {item.measure: item for item in quality.TOOL.measure(_view(rgb), ())}
    assert list(found) == [f"quality.{what}" for what in ("size", "blur", "brightness", "clipped", "feature_norm")]
    for item in found.values():
        assert isinstance(item.value, float | int)
        assert item.finding.endswith(".") and item.probability is None
        assert _numbers(item.finding) == {item.value, *item.numbers}


def test_brightness_and_clipping_follow_the_light(rgb: RGBImage) -> None:
    def measured(altered: RGBImage, what: str) -> float:
        face = detect(rgb)[0]
        view = FaceView(Photo(altered, b"", "", "PNG"), face)
        value = next(item.value for item in quality.TOOL.measure(view, ()) if item.measure == f"quality.{what}")
        assert isinstance(value, float | int)
        return value

    plain = measured(rgb, "brightness")
    assert measured((rgb * 0.5).astype(np.uint8), "brightness") == pytest.approx(plain / 2, abs=2)
    over = np.clip(rgb.astype(np.int16) + 150, 0, 255).astype(np.uint8)
    assert measured(rgb, "clipped") < 5 < 40 < measured(over, "clipped")
    assert measured(_blurred(rgb, 5), "feature_norm") < measured(rgb, "feature_norm") - 1


@pytest.mark.data
def test_no_portrait_of_a_labelled_set_is_refused(data: Path) -> None:
    portraits = sorted((data / "frll_london" / "neutral").glob("*.jpg"))[::5]
    assert len(portraits) >= 20
    for portrait in portraits:
        quality.assess(_view(image.load(portrait).rgb))
