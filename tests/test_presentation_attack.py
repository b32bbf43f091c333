"""Presentation attacks: said not to be measured; the simulated recaptures that this rests on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facewitness.errors import NotMeasurable
from facewitness.evals import presentation_attack as evaluation
from facewitness.tools import image, presentation_attack
from facewitness.tools.alignment import align_wide
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.image import RGBImage


@pytest.fixture(scope="module")
def view(astronaut: Path) -> FaceView:
    photo = image.load(astronaut)
    return FaceView(photo, detect(photo.rgb)[0])


def _crops(rgb: RGBImage, view: FaceView) -> list[RGBImage]:
    """The same face in a few framings, so that there is some bona fide variation."""
    return [align_wide(rgb, view.face.points + shift) for shift in range(12)]


def test_it_says_that_it_does_not_measure(view: FaceView) -> None:
    with pytest.raises(NotMeasurable, match=r"were not measured: .*\.$"):
        presentation_attack.TOOL.measure(view, ())


@pytest.mark.parametrize("name", evaluation.ATTACKS)
def test_a_recapture_is_repeatable_and_shows_the_same_scene(name: str, view: FaceView) -> None:
    rgb = view.photo.rgb
    first, second = (evaluation.ATTACKS[name](rgb, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == rgb.shape and first.dtype == np.uint8
    assert not np.array_equal(first, evaluation.ATTACKS[name](rgb, np.random.default_rng(4)))
    assert len(detect(first)) == 1


@pytest.mark.parametrize("name", evaluation.ATTACKS)
def test_a_recapture_lies_farther_from_the_photo_than_the_photo_itself(name: str, view: FaceView) -> None:
    known = np.array([evaluation.features(crop) for crop in _crops(view.photo.rgb, view)])
    recaptured = evaluation.ATTACKS[name](view.photo.rgb, np.random.default_rng(0))
    asked = np.array([evaluation.features(crop) for crop in _crops(recaptured, view)])
    assert np.median(evaluation.distances(known, asked)) > 2 * np.median(evaluation.distances(known, known))
