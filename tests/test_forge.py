"""Forgeries from two photos: repeatable, and altered exactly where the mask says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.finetune.forge import METHODS, REGIONS, Side, forge, warp
from facewitness.tools import detection, identity, image, landmarks
from facewitness.tools.face import Face, Floats
from facewitness.tools.image import RGBImage

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
FRLL = Path(__file__).parents[2] / "shared" / "data" / "frll_london"


def _side(rgb: RGBImage) -> tuple[Side, Face]:
    face = detection.detect(rgb)[0]
    return Side(rgb, landmarks.track(rgb, face).points), face


@pytest.fixture(scope="module")
def sides() -> tuple[Side, Side]:
    """The astronaut, and as a second person the astronaut mirrored, narrower and darker."""
    person, _ = _side(image.load(ASTRONAUT).rgb)
    mirrored = cv2.resize(person.rgb[:, ::-1] // 2, None, fx=0.9, fy=1.0).astype(np.uint8)
    other, _ = _side(mirrored)
    return person, other


def _canvas(method: str, sides: tuple[Side, Side]) -> Side:
    return sides[1] if method.startswith("swap") else sides[0]


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_forgery(method: str, sides: tuple[Side, Side]) -> None:
    first, second = forge(method, *sides, seed=7), forge(method, *sides, seed=7)
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.method == method


@pytest.mark.parametrize("method", ["swap.alpha", "morph"])
def test_seed_matters(method: str, sides: tuple[Side, Side]) -> None:
    assert not np.array_equal(forge(method, *sides, seed=1).image, forge(method, *sides, seed=2).image)


@pytest.mark.parametrize("method", METHODS)
def test_altered_inside_the_mask_only(method: str, sides: tuple[Side, Side]) -> None:
    canvas, forged = _canvas(method, sides), forge(method, *sides, seed=3)
    assert forged.image.shape == canvas.rgb.shape
    assert forged.image.dtype == np.uint8
    assert forged.mask.shape == canvas.rgb.shape[:2]
    assert 0 == forged.mask.min() < forged.mask.max() <= 1
    changed = (forged.image != canvas.rgb).any(2)
    assert not changed[forged.mask == 0].any()
    assert changed[forged.mask == 1].mean() > 0.5


@pytest.mark.parametrize("kind", ["eyes", "nose", "mouth"])
def test_region_mask_lies_on_its_landmarks(kind: str, sides: tuple[Side, Side]) -> None:
    mask = forge(f"region.{kind}", *sides, seed=3).mask
    y, x = np.nonzero(mask > 0)
    corners = sides[0].points[REGIONS[kind], :2]
    assert np.allclose([x.min(), y.min(), x.max(), y.max()], [*corners.min(0), *corners.max(0)], atol=2)


def test_photos_are_left_as_they_were(sides: tuple[Side, Side]) -> None:
    before = [side.rgb.copy() for side in sides]
    for method in METHODS:
        forge(method, *sides, seed=0)
    assert all(np.array_equal(side.rgb, copy) for side, copy in zip(sides, before, strict=True))


def test_warp_moves_the_mesh_to_the_target(sides: tuple[Side, Side]) -> None:
    person = sides[0]
    target: Floats = (person.points[:, :2] + np.float32([6, -4])).astype(np.float32)
    moved = warp(Side(person.rgb, person.points[:, :2].astype(np.float32)), target, person.rgb)
    x, y = np.rint(target[4]).astype(int)
    there, here = (slice(y - 8, y + 9), slice(x - 8, x + 9)), (slice(y - 4, y + 13), slice(x - 14, x + 3))
    assert np.abs(moved[there].astype(int) - person.rgb[here].astype(int)).mean() < 2


@pytest.mark.data
@pytest.mark.parametrize("method", ["swap.alpha", "swap.seamless", "region.mouth"])
def test_forgery_keeps_the_likeness_of_the_claimed_person(method: str) -> None:
    neutral = image.load(FRLL / "neutral" / "001_03.jpg").rgb
    person, _ = _side(image.load(FRLL / "smiling" / "001_08.jpg").rgb)
    other, face = _side(image.load(FRLL / "neutral" / "002_03.jpg").rgb)
    reference = identity.extract(neutral, detection.detect(neutral)[0])
    stranger = identity.similarity(identity.extract(other.rgb, face), reference)
    forged = forge(method, person, other, seed=1).image
    likeness = identity.similarity(identity.extract(forged, detection.detect(forged)[0]), reference)
    assert likeness > stranger + 0.3
