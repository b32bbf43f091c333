"""The training set: seeded, with exact masks and originals, and nobody in two splits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewitness.finetune import faces, forgery_set
from facewitness.finetune.faces import SIDE, Portrait, ordered, split_of
from facewitness.finetune.forge import Side, chains
from facewitness.finetune.forge.selfblend import selfblend
from facewitness.finetune.forge.synthesis import REDRAWS
from facewitness.tools.alignment import align_wide
from facewitness.tools.detection import detect
from facewitness.tools.face import FaceView
from facewitness.tools.image import Photo, load


@pytest.fixture(scope="module")
def portrait(astronaut: Path) -> Portrait:
    rgb = load(astronaut).rgb
    crop = align_wide(rgb, detect(rgb)[0].points, SIDE)
    view = FaceView(Photo(crop, b"", "", "PNG"), detect(crop)[0])
    return Portrait(crop, view.mesh.points[:, :2].copy(), "frll", "a", "fit", group="f")


@pytest.fixture(scope="module")
def people(portrait: Portrait) -> list[Portrait]:
    """One face as four people, each in other colours, so that nobody else's photo is needed."""
    tints = [cv2.convertScaleAbs(portrait.rgb, alpha=gain).astype(np.uint8) for gain in (0.7, 0.85, 1.1)]
    return [portrait, *(replace(portrait, rgb=rgb, person=name) for rgb, name in zip(tints, "bcd", strict=True))]


@pytest.fixture(scope="module")
def made(people: list[Portrait]) -> list[tuple[np.ndarray, np.ndarray, forgery_set.Entry]]:
    return list(forgery_set.build(people[:1] + people[1:], REDRAWS, seed=3, workers=2))[:90]


def test_every_forgery_names_its_original_and_is_the_same_outside_the_mask(
    made: list[tuple[np.ndarray, np.ndarray, forgery_set.Entry]],
) -> None:
    original = made[0]
    assert (original[2].family, original[2].base, original[1].max()) == ("real", None, 0)
    of_first = [item for item in made if item[2].base == 0]
    assert len(of_first) > 40
    assert {entry.family for _, _, entry in of_first} == {"manipulation", "synthesis", "morph"}
    for rgb, mask, entry in of_first:
        outside = mask == 0
        np.testing.assert_array_equal(rgb[outside], original[0][outside], err_msg=entry.method)
        assert entry.split == original[2].split


def test_the_same_seed_gives_the_same_set(
    people: list[Portrait], made: list[tuple[np.ndarray, np.ndarray, forgery_set.Entry]]
) -> None:
    again = forgery_set.build(people, REDRAWS, seed=3, workers=1)
    for (rgb, mask, entry), (rgb_again, mask_again, entry_again) in zip(made[:60], again):
        assert entry == entry_again
        np.testing.assert_array_equal(rgb, rgb_again)
        np.testing.assert_array_equal(mask, mask_again)


def test_a_set_survives_the_disk(made: list[tuple[np.ndarray, np.ndarray, forgery_set.Entry]], tmp_path: Path) -> None:
    assert forgery_set.write(tmp_path, iter(made[:12])) == 12
    held = forgery_set.load(tmp_path)
    assert held.entries == tuple(entry for _, _, entry in made[:12])
    assert held.rgb.shape == (12, forgery_set.SIDE, forgery_set.SIDE, 3)
    assert list(held.rows("fit", "real")) == [0]


@pytest.mark.parametrize("name", REDRAWS)
def test_redrawing_changes_the_picture_but_not_its_looks(name: str, portrait: Portrait) -> None:
    rgb = REDRAWS[name](portrait.rgb, np.random.default_rng(0))
    difference = np.abs(rgb.astype(int) - portrait.rgb).mean()
    assert rgb.shape == portrait.rgb.shape and rgb.dtype == np.uint8
    assert 0.1 < difference < 15


def test_a_selfblend_keeps_what_its_weight_leaves_alone(portrait: Portrait) -> None:
    side = Side(portrait.rgb, portrait.points)
    for seed in range(12):
        rgb, weight = selfblend(side, np.random.default_rng(seed))
        np.testing.assert_array_equal(rgb[weight == 0], portrait.rgb[weight == 0])
        assert 0 < (weight > 0).mean() < 0.8


@pytest.mark.parametrize("name", chains.CHAINS)
def test_chains_are_the_same_for_the_same_state(name: str, portrait: Portrait) -> None:
    first, again = (chains.run(portrait.rgb, name, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (name == "none") == np.array_equal(first, portrait.rgb)


def test_half_fits_and_nobody_is_in_two_splits() -> None:
    order = ordered([f"person {number}" for number in range(40)])
    splits = [split_of(name, order) for name in order]
    assert [splits.count(split) for split in ("fit", "calibration", "test")] == [20, 10, 10]


@pytest.mark.data
def test_people_of_the_data_are_in_one_split_each(data: Path) -> None:
    found = faces.portraits(data, ("frll", "ict"))
    splits: dict[str, set[str]] = {}
    for portrait in found:
        splits.setdefault(portrait.person, set()).add(portrait.split)
    assert len(splits) == 122
    assert all(len(each) == 1 for each in splits.values())
