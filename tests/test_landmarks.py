"""Mesh, blendshapes and head pose."""

from __future__ import annotations

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.errors import NotMeasurable
from facewitness.tools import head_pose, image
from facewitness.tools.detection import detect
from facewitness.tools.face import Face, FaceView, HeadPose, Mesh
from facewitness.tools.image import Photo, RGBImage
from facewitness.tools.landmarks import BLENDSHAPES, track

RIGHT_EYE, LEFT_EYE, CHIN, NOSE = 33, 263, 152, 4


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Photo:
    return image.load(astronaut)


def _pose(rgb: RGBImage) -> HeadPose:
    return head_pose.estimate(track(rgb, detect(rgb)[0]))


def _turned(rgb: RGBImage, degrees: float) -> RGBImage:
    """The photo turned clockwise as one sees it."""
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1)
    return np.asarray(cv2.warpAffine(rgb, matrix, (width, height)), np.uint8)


def test_the_mesh_lies_on_the_face(photo: Photo) -> None:
    face = detect(photo.rgb)[0]
    mesh = track(photo.rgb, face)
    assert mesh.points.shape == (478, 3) and mesh.blendshapes.shape == (52,)
    assert mesh.presence > 0.9
    eyes = mesh.points[[RIGHT_EYE, LEFT_EYE], :2]
    assert np.abs(eyes - face.points[:2]).max() < 0.25 * face.size
    assert mesh.points[CHIN, 1] > face.points[3:, 1].max()
    assert mesh.points[NOSE, 2] < mesh.points[[RIGHT_EYE, LEFT_EYE], 2].min()


def test_the_mesh_follows_a_turned_and_scaled_photo(photo: Photo) -> None:
    upright = track(photo.rgb, detect(photo.rgb)[0])
    rgb = _turned(photo.rgb, 20)
    turned = track(rgb, detect(rgb)[0])
    middle, angle = np.array(photo.rgb.shape[1::-1]) / 2, np.deg2rad(20)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = (upright.points[:, :2] - middle) @ rotation.T + middle
    assert np.median(np.linalg.norm(turned.points[:, :2] - expected, axis=1)) < 0.03 * detect(photo.rgb)[0].size


def test_blendshapes_read_a_smile(photo: Photo) -> None:
    mesh = track(photo.rgb, detect(photo.rgb)[0])
    assert len(set(BLENDSHAPES)) == 52
    assert mesh.blendshapes.min() >= 0 and mesh.blendshapes.max() <= 1
    assert min(mesh.blendshape("mouthSmileLeft"), mesh.blendshape("mouthSmileRight")) > 0.5
    assert mesh.blendshape("jawOpen") < 0.3


def test_no_face_in_the_crop_is_said_with_its_number() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    points = np.array([[80, 80], [120, 80], [100, 100], [85, 120], [115, 120]], np.float32)
    with pytest.raises(NotMeasurable, match=r"presence is 0\.\d\d, below 0\.50\.$"):
        track(grey, Face("f1", (60, 60, 80, 80), points, 0.9))


def test_threads_get_the_same_mesh(photo: Photo) -> None:
    face = detect(photo.rgb)[0]
    alone = track(photo.rgb, face)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: track(photo.rgb, face), range(8)))
    assert all(np.array_equal(mesh.points, alone.points) for mesh in together)
    assert all(np.array_equal(mesh.blendshapes, alone.blendshapes) for mesh in together)


@pytest.mark.parametrize("degrees", [-25, 15])
def test_roll_is_positive_clockwise(photo: Photo, degrees: float) -> None:
    assert _pose(_turned(photo.rgb, degrees)).roll - _pose(photo.rgb).roll == pytest.approx(degrees, abs=3)


def test_a_mirrored_photo_turns_the_other_way(photo: Photo) -> None:
    plain, mirrored = _pose(photo.rgb), _pose(np.ascontiguousarray(photo.rgb[:, ::-1]))
    assert mirrored.yaw == pytest.approx(-plain.yaw, abs=3)
    assert mirrored.roll == pytest.approx(-plain.roll, abs=3)
    assert mirrored.pitch == pytest.approx(plain.pitch, abs=3)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(30, 0, 0), (-45, 10, 0), (0, -20, 0), (15, 15, -30), (60, 0, 20)])
def test_a_face_that_was_turned_by_known_angles(yaw: float, pitch: float, roll: float) -> None:
    """The canonical face, turned about its axes and seen from 60 cm."""
    y, p, r = np.deg2rad([yaw, -pitch, -roll])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    turned = head_pose._CANONICAL[:, 1:] @ (about_y @ about_x @ about_z).T
    points = np.full((478, 3), 500, np.float32)
    points[head_pose._LANDMARKS, :2] += 2000 * (turned * (1, -1, 1))[:, :2] / (60 - turned[:, 2:])
    pose = head_pose.estimate(Mesh(points, 1.0, np.zeros(52, np.float32)))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((yaw, pitch, roll), abs=3)


def test_cropping_does_not_change_the_pose(photo: Photo) -> None:
    whole, corner = _pose(photo.rgb), _pose(photo.rgb[:300, 100:400].copy())
    assert (corner.yaw, corner.pitch) == pytest.approx((whole.yaw, whole.pitch), abs=2)


def test_the_tool_states_three_angles_and_their_directions(photo: Photo) -> None:
    view = FaceView(photo, detect(photo.rgb)[0])
    found = {item.measure: item for item in head_pose.TOOL.measure(view, ())}
    assert list(found) == ["head_pose.yaw", "head_pose.pitch", "head_pose.roll"]
    for item in found.values():
        assert isinstance(item.value, float)
        assert item.unit == "deg" and item.numbers == (round(abs(item.value)),)
        assert f" {item.numbers[0]:.0f} degree" in item.finding and item.finding.endswith(".")
    yaw = found["head_pose.yaw"]
    assert isinstance(yaw.value, float)
    assert ("left" if yaw.value > 0 else "right") in yaw.finding


@pytest.mark.data
def test_yaw_and_pitch_agree_with_rendered_labels(data: Path) -> None:
    """Label pitch is positive downwards; measured error is 0.5 degrees of yaw and 2.0 of pitch."""
    folder = data / "ict_synthetic_au"
    labels = csv.DictReader((folder / "labels.csv").read_text("utf-8").splitlines())
    rows = [row for row in labels if row["expression"] == "neutral"]
    poses = [_pose(image.load(folder / row["image"]).rgb) for row in rows]
    yaw = np.array([pose.yaw - float(row["yaw"]) for pose, row in zip(poses, rows, strict=True)])
    pitch = np.array([pose.pitch + float(row["pitch"]) for pose, row in zip(poses, rows, strict=True)])
    assert len(rows) == 20
    assert np.abs(yaw).mean() < 1.5
    assert np.abs(pitch).mean() < 3
