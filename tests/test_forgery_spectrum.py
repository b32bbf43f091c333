"""The second view: spectra, residuals and the face recogniser's middle, read linearly."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from facewitness.tools import spectrum, trace_calibration, trace_views
from facewitness.tools.image import RGBImage
from facewitness.tools.trace_views import Linear, packed, unpacked


@pytest.fixture(scope="module")
def crop() -> RGBImage:
    soft = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (160, 160, 3)).astype(np.float32), (0, 0), 3)
    return ((soft - soft.mean()) * 5 + 128).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [160, 96])
def test_features_are_finite_and_of_one_size(crop: RGBImage, side: int) -> None:
    found = trace_views.features(cv2.resize(crop, (side, side)).astype(np.uint8))
    assert found.shape == (trace_views.SIZE,) and found.dtype == np.float32 and np.isfinite(found).all()
    assert np.isfinite(trace_views.features(np.full((side, side, 3), 128, np.uint8))).all()


def test_cosine_bands_are_those_of_opencv(crop: RGBImage) -> None:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    blocks = [grey[y : y + 8, x : x + 8] for y in range(0, 160, 8) for x in range(0, 160, 8)]
    bands = np.abs([cv2.dct(block).ravel()[1:] for block in blocks])
    np.testing.assert_allclose(spectrum.features(crop)[64:127], np.log(bands.mean(0) + 1e-2), atol=1e-3)


def test_stripes_show_in_the_ring_of_their_period(crop: RGBImage) -> None:
    wave = 6 * np.cos(2 * np.pi * np.arange(160) / 4)
    striped = (crop + wave[None, :, None]).clip(0, 255).astype(np.uint8)
    risen = spectrum.features(striped)[:64] - spectrum.features(crop)[:64]
    assert risen.argmax() == 32, "half of the highest frequency, of 64 rings"


def test_a_reading_survives_its_file() -> None:
    random = np.random.default_rng(1)
    size = trace_views.SIZE
    linear = Linear(random.normal(size=size), random.uniform(1, 2, size), random.normal(size=(size, 3)), np.arange(3.0))
    again, features = unpacked(packed(linear)), random.normal(size=(2, size)).astype(np.float32)
    np.testing.assert_allclose(again.scores(features), linear.scores(features), rtol=1e-4)
    far = again.scores(features + 1e6)
    np.testing.assert_allclose(far, again.scores(features + 2e6), err_msg="what is far off counts no more")


def test_either_view_raises_the_probability() -> None:
    fitted = replace(trace_calibration.calibration(), single=np.tile([1.0, 0.5, 0.0], (3, 1)))
    usual = fitted.floor.copy()
    first, second = usual.copy(), usual.copy()
    first[:3] += 2
    second[3:] += 2
    quiet, network, other = fitted.alone(np.stack([usual, first, second]))
    assert (network > other).all() and (other > quiet).all()


def test_no_view_speaks_for_a_photo() -> None:
    assert (trace_calibration.calibration().single[:, :2] >= 0).all()
