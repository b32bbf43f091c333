"""What the cheap baselines of the forgery evaluation read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facewitness.evals import forgery_features
from facewitness.evals import forgery_spectrum as spectrum
from facewitness.tools.image import RGBImage


@pytest.fixture(scope="module")
def crop() -> RGBImage:
    soft = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (160, 160, 3)).astype(np.float32), (0, 0), 3)
    return ((soft - soft.mean()) * 5 + 128).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [160, 96])
def test_features_are_finite_and_of_one_size(crop: RGBImage, side: int) -> None:
    crops = np.stack([cv2.resize(crop, (side, side)), np.full((side, side, 3), 128)]).astype(np.uint8)
    for name, size in (("spectral", spectrum.SIZE), ("sface", 1792), ("trivial", 5)):
        found = forgery_features.FEATURES[name](crops)
        assert found.shape == (2, size) and found.dtype == np.float32 and np.isfinite(found).all()


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
