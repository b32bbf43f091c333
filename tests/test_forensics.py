"""The forensic detectors: their evidence, their map, and when they do not answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.errors import NotMeasurable, ToolUnavailable
from facewitness.tools import (
    forensic_network,
    forensic_parts,
    manipulation,
    morph,
    synthesis,
    trace_calibration,
    weights,
)
from facewitness.tools.alignment import WIDE_SIZE, align_wide, wide_transform
from facewitness.tools.conditions import NAMES, conditions
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.image import Photo, RGBImage, load

TOLERANCE = 1e-4
"""How far a score may move with what else is in the batch, in logits."""


@pytest.fixture(scope="module")
def view(astronaut: Path) -> FaceView:
    photo = load(astronaut)
    return FaceView(photo, detect(photo.rgb)[0])


def _of(rgb: RGBImage) -> FaceView:
    return FaceView(Photo(rgb, b"", "", "PNG"), detect(rgb)[0])


@pytest.mark.parametrize("tool", [manipulation, synthesis, morph])
def test_each_gives_a_calibrated_probability_and_names_its_weights(tool: object, view: FaceView) -> None:
    found = tool.TOOL.measure(view, [])[0]
    assert found.measure.endswith(".face")
    assert 0 < found.probability < 1
    assert found.value == pytest.approx(found.probability, abs=0.01)
    assert f"{found.value:.2f}" in found.finding
    assert found.model == weights.card("forensics")


@pytest.mark.parametrize("tool", [manipulation, synthesis, morph])
def test_commercial_only_leaves_them_out(tool: object, view: FaceView) -> None:
    with pytest.raises(ToolUnavailable, match="commercial"):
        tool.TOOL.measure(FaceView(view.photo, view.face, commercial_only=True), [])
    assert weights.card("forensics").commercial_use is False


def test_parts_are_where_they_are(view: FaceView) -> None:
    found = forensic_parts.parts(view)
    assert tuple(found) == forensic_parts.NAMES
    centres = {name: np.argwhere(mask).mean(0) for name, mask in found.items()}
    assert centres["hairline"][0] < centres["left_eye"][0] < centres["nose"][0] < centres["mouth"][0]
    assert centres["right_eye"][1] < centres["nose"][1] < centres["left_eye"][1]
    assert not (found["skin"] & (found["mouth"] | found["nose"] | found["left_eye"] | found["right_eye"])).any()


def test_the_map_lies_over_the_face_in_the_photo(view: FaceView) -> None:
    heat = np.zeros((20, 20), np.float32)
    heat[13:16, 8:12] = 1
    picture = manipulation.map_picture(view, heat)
    cells = np.array(picture.heat)
    row, column = np.argwhere(cells > 0.5).mean(0) + 0.5
    left, top, width, height = picture.heat_box
    x, y = left + column / len(cells) * width, top + row / len(cells) * height
    mouth = view.face.points[3:].mean(0)
    assert np.hypot(x - mouth[0], y - mouth[1]) < 0.25 * view.face.size


def test_scores_do_not_depend_on_batch_or_order(view: FaceView) -> None:
    rng = np.random.default_rng(0)
    crops = np.stack([view.crop, view.crop[:, ::-1], cv2.GaussianBlur(view.crop, (0, 0), 2), 255 - view.crop])
    alone = [forensic_network.read(crop[None])[0] for crop in crops]
    order = rng.permutation(len(crops))
    together = forensic_network.read(crops[order])
    for place, number in enumerate(order):
        for name, score in alone[number].scores.items():
            assert together[place].scores[name] == pytest.approx(score, abs=TOLERANCE)
        np.testing.assert_allclose(together[place].heat, alone[number].heat, atol=TOLERANCE)


def test_a_picture_unlike_the_training_data_is_not_judged(view: FaceView) -> None:
    noise = np.random.default_rng(1).integers(0, 256, view.photo.rgb.shape, np.uint8)
    strange = FaceView(Photo(noise, b"", "", "PNG"), view.face)
    with pytest.raises(NotMeasurable, match="too unlike the detector's training data"):
        synthesis.TOOL.measure(strange, [])


def test_no_score_speaks_for_a_photo() -> None:
    assert (trace_calibration.calibration().single[:, 0] >= 0).all()


def test_looking_more_real_than_real_is_no_evidence() -> None:
    fitted = trace_calibration.calibration()
    usual, extreme = fitted.alone(np.stack([fitted.floor, fitted.floor - 50]))
    np.testing.assert_array_equal(usual, extreme)


@pytest.mark.parametrize(("probability", "value"), [(0.0001, 0.01), (0.436, 0.44), (0.99999, 0.99)])
def test_no_certainty_is_printed(probability: float, value: float) -> None:
    assert trace_calibration.printed(probability) == value


def test_conditions_follow_the_photo(view: FaceView) -> None:
    plain = dict(zip(NAMES, conditions(view.crop), strict=True))
    blurred = dict(zip(NAMES, conditions(cv2.GaussianBlur(view.crop, (0, 0), 2)), strict=True))
    noisy = view.crop + np.random.default_rng(0).normal(0, 12, view.crop.shape)
    grainy = dict(zip(NAMES, conditions(noisy.clip(0, 255).astype(np.uint8)), strict=True))
    assert blurred["fine detail"] < plain["fine detail"] - 1
    assert grainy["noise"] > plain["noise"] + 1


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_crop_is_the_same_whatever_the_photos_size(factor: float, view: FaceView) -> None:
    rgb = cv2.resize(view.photo.rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    crop = align_wide(rgb, (view.face.points + 0.5) * factor - 0.5)
    difference = np.abs(crop.astype(int) - view.crop.astype(int))
    assert crop.shape == (WIDE_SIZE, WIDE_SIZE, 3)
    assert difference.mean() < 6


def test_the_crop_repeats_the_photos_border(view: FaceView) -> None:
    x, y, width, height = (round(value) for value in view.face.box)
    tight = view.photo.rgb[y : y + height, x : x + width]
    crop = align_wide(tight, view.face.points - np.float32([x, y]))
    assert crop[0].any() and crop[-1].any()
    inside = wide_transform(view.face.points)
    assert inside.shape == (2, 3)


def _dimmed(rgb: RGBImage, gains: Sequence[float]) -> list[float]:
    found = []
    for gain in gains:
        view = _of(cv2.convertScaleAbs(rgb, alpha=gain))
        found.append(trace_calibration.judge(view.traces, view.crop).alone["synthesis"])
    return found


def test_brightness_alone_does_not_make_a_forgery(view: FaceView) -> None:
    assert np.ptp(_dimmed(view.photo.rgb, (0.8, 1.0, 1.2))) < 0.6
