"""SFace on OpenVINO gives what OpenCV gives with the same file, in its inner layers too."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.tools import sface, weights
from facewitness.tools.alignment import align
from facewitness.tools.detection import detect
from facewitness.tools.face import Floats
from facewitness.tools.image import RGBImage, load

NAMES = [*map(sface.layer, sface.STEPS), "dropout5", "fc1"]


@pytest.fixture(scope="module")
def network() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromONNX(str(weights.path("sface")))


@pytest.fixture(scope="module")
def crops(astronaut: Path) -> list[RGBImage]:
    photo = load(astronaut)
    crop = align(photo.rgb, detect(photo.rgb)[0].points)
    noise = np.random.default_rng(0).integers(0, 256, crop.shape, np.uint8)
    return [crop, np.ascontiguousarray(crop[:, ::-1]), (crop * 0.3).astype(np.uint8), noise, np.zeros_like(crop)]


def expected(network: cv2.dnn.Net, crop: RGBImage) -> list[Floats]:
    network.setInput(cv2.dnn.blobFromImage(crop, 1.0, (sface.SIDE, sface.SIDE)))
    outputs = network.forward([name if name == "fc1" else f"onnx_node!{name}" for name in NAMES])
    return [np.array(found[0], np.float32) for found in outputs]


def test_every_layer_agrees_with_opencv(network: cv2.dnn.Net, crops: list[RGBImage]) -> None:
    for crop in crops:
        for name, found, wanted in zip(NAMES, sface.layers(crop, NAMES), expected(network, crop), strict=True):
            assert found.shape == wanted.shape and found.dtype == np.float32
            assert np.abs(found - wanted).max() < 1e-4, name


def test_what_is_seen_is_those_layers(network: cv2.dnn.Net, crops: list[RGBImage]) -> None:
    *maps, last, feature = expected(network, crops[0])
    seen = sface.see(crops[0])
    assert list(seen.maps) == list(sface.STEPS)
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(seen.maps.values(), maps, strict=True))
    assert np.allclose(seen.last, last.reshape(-1, sface.CELLS).T, atol=1e-4)
    assert np.allclose(seen.feature, feature, atol=1e-4)
    assert np.linalg.norm(seen.feature) > 9


def test_a_run_gives_arrays_of_its_own(crops: list[RGBImage]) -> None:
    first = sface.see(crops[0])
    kept = first.feature.copy()
    sface.see(crops[3])
    assert np.array_equal(first.feature, kept)


def test_the_weights_by_cell_are_those_of_the_last_layer(network: cv2.dnn.Net) -> None:
    stored = np.asarray(network.getLayer("onnx_node!pre_fc1").blobs[0], np.float32)
    by_cell = sface.by_cell()
    assert by_cell.shape == (sface.CELLS, 128, 1024)
    assert np.array_equal(by_cell[7], stored.reshape(128, 1024, sface.CELLS)[:, :, 7])
