"""Detection and alignment on real photos, and on pictures without a face."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.tools import image
from facewitness.tools.alignment import TEMPLATE, align, similarity_transform
from facewitness.tools.detection import MAX_FACES, detect
from facewitness.tools.image import RGBImage


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> RGBImage:
    return image.load(astronaut).rgb


def _scaled(rgb: RGBImage, factor: float) -> RGBImage:
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=method), np.uint8)


def _close_up(rgb: RGBImage, share: float) -> RGBImage:
    """The middle of the face's box: ``share`` of its sides."""
    x, y, width, height = detect(rgb)[0].box
    left, top = x + width * (1 - share) / 2, y + height * (1 - share) / 2
    return rgb[int(top) : int(top + height * share), int(left) : int(left + width * share)]


def test_one_face_with_its_points_in_order(photo: RGBImage) -> None:
    (face,) = detect(photo)
    right_eye, left_eye, nose, right_mouth, left_mouth = face.points
    assert face.id == "f1"
    assert face.score > 0.9
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert face.size == min(face.box[2:])


@pytest.mark.parametrize("factor", [0.25, 0.5, 3.0])
def test_the_face_is_at_the_same_place_at_every_scale(photo: RGBImage, factor: float) -> None:
    (whole,), (scaled,) = detect(photo), detect(_scaled(photo, factor))
    assert np.allclose(scaled.points / factor, whole.points, atol=0.15 * whole.size)


@pytest.mark.parametrize("share", [1.0, 0.7, 0.6])
@pytest.mark.parametrize("side", [100, 640, 1400])
def test_a_face_that_fills_the_frame(photo: RGBImage, share: float, side: int) -> None:
    crop = _close_up(photo, share)
    faces = detect(_scaled(crop, side / max(crop.shape)))
    assert faces
    assert faces[0].size > 0.4 * side * min(crop.shape[:2]) / max(crop.shape[:2])


def test_small_faces_in_a_large_photo_largest_first_and_at_most_twenty(photo: RGBImage) -> None:
    wall = np.full((1400, 2400, 3), 90, np.uint8)
    for number in range(24):
        tile = _scaled(photo, 0.4 if number == 7 else 0.3)
        row, column = divmod(number, 6)
        wall[row * 340 :][: tile.shape[0], column * 390 :][:, : tile.shape[1]] = tile
    faces = detect(wall)
    assert [face.id for face in faces] == [f"f{number}" for number in range(1, MAX_FACES + 1)]
    areas = [face.box[2] * face.box[3] for face in faces]
    assert areas == sorted(areas, reverse=True)
    assert faces[0].box[0] // 390 == 1 and faces[0].box[1] // 340 == 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_no_face(level: int) -> None:
    assert detect(np.full((480, 640, 3), level, np.uint8)) == []


def test_noise_has_no_face() -> None:
    assert detect(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)) == []


def test_strips_and_single_pixels_have_no_face(photo: RGBImage) -> None:
    """OpenCV's network invents faces in black strips once it has seen other shapes."""
    for _ in range(5):
        detect(photo)
        for height, width in ((1, 1), (1, 5000), (17, 5000), (64, 5000), (5000, 40), (20, 20)):
            assert detect(np.zeros((height, width, 3), np.uint8)) == []


def test_threads_get_the_same_faces(photo: RGBImage) -> None:
    photos = [_scaled(photo, factor) for factor in (0.5, 0.7, 0.9, 1.1)] * 3
    alone = [detect(rgb)[0].box for rgb in photos]
    with ThreadPoolExecutor(4) as pool:
        assert [faces[0].box for faces in pool.map(detect, photos)] == alone


def test_the_transform_is_a_similarity_that_recovers_a_known_one() -> None:
    turn = np.deg2rad(25)
    linear = 1.7 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found = similarity_transform(TEMPLATE, TEMPLATE @ linear.T + (4, -9))
    assert np.allclose(found, np.column_stack([linear, (4, -9)]))


@pytest.mark.parametrize("size", [112, 224])
def test_an_aligned_face_has_its_points_on_the_template(photo: RGBImage, size: int) -> None:
    crop = align(photo, detect(photo)[0].points, size)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    (face,) = detect(crop)
    assert np.abs(face.points - TEMPLATE * size / 112).max() < 0.05 * size


@pytest.mark.data
def test_every_portrait_of_a_labelled_set_has_exactly_one_face(data: Path) -> None:
    folder = data / "frll_london"
    rows = list(csv.DictReader((folder / "labels.csv").read_text("utf-8").splitlines()))
    portraits = [row["image"] for row in rows if row["expression"] in ("neutral", "smiling")][::6]
    assert len(portraits) >= 30
    assert [name for name in portraits if len(detect(image.load(folder / name).rgb)) != 1] == []
