"""Forgeries: repeatable, and altered exactly where the mask says."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facewitness.finetune import contact_sheet
from facewitness.finetune.forge import ALONE, FAMILIES, METHODS, REFERENCE_METHODS, REGIONS, Side, forge, warp
from facewitness.finetune.forge.blending import BLENDINGS, composite
from facewitness.finetune.forge.colour import COLOURS, match_colour
from facewitness.finetune.forge.mesh import hull
from facewitness.tools import detection, identity, image, landmarks
from facewitness.tools.face import Face, FaceView, Floats
from facewitness.tools.image import RGBImage

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
FRLL = Path(__file__).parents[2] / "shared" / "data" / "frll_london"


def _side(rgb: RGBImage) -> tuple[Side, Face]:
    face = detection.detect(rgb)[0]
    return Side(rgb, landmarks.track(rgb, face).points), face


@pytest.fixture(scope="module")
def sides() -> tuple[Side, Side, Side]:
    """The astronaut; as a second person the astronaut mirrored, narrower and darker; as a third, wider and redder."""
    person, _ = _side(image.load(ASTRONAUT).rgb)
    mirrored = cv2.resize(person.rgb[:, ::-1] // 2, None, fx=0.9, fy=1.0).astype(np.uint8)
    other, _ = _side(mirrored)
    third, _ = _side(cv2.resize(person.rgb // np.uint8([1, 2, 2]), None, fx=1.1, fy=1.0).astype(np.uint8))
    return person, other, third


@pytest.fixture(scope="module")
def crops(sides: tuple[Side, Side, Side]) -> tuple[Side, Side, Side]:
    """Their aligned crops of 256 pixels."""
    first, second, third = (contact_sheet.side(side.rgb) for side in sides)
    return first, second, third


def _canvas(method: str, sides: tuple[Side, ...]) -> Side:
    return sides[1] if method.startswith("swap") else sides[0]


def test_registry_is_consistent() -> None:
    assert len(set(METHODS)) == len(METHODS)
    assert {*ALONE, *REFERENCE_METHODS} <= {*METHODS}
    assert all(method.startswith(family) for family, methods in FAMILIES.items() for method in methods)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_forgery(method: str, crops: tuple[Side, Side, Side]) -> None:
    person, other, third = crops
    first, second = (forge(method, person, other, 7, third) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.mask, second.mask)
    assert first.method == method


@pytest.mark.parametrize("method", [method for method in METHODS if method not in ("swap.seamless", "swap.mixed")])
def test_seed_matters(method: str, crops: tuple[Side, Side, Side]) -> None:
    person, other, third = crops
    images = [forge(method, person, other, seed, third).image for seed in range(3)]
    assert any(not np.array_equal(images[0], image) for image in images[1:])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(4))
def test_altered_inside_the_mask_only(method: str, seed: int, crops: tuple[Side, Side, Side]) -> None:
    _check(method, seed, crops)


@pytest.mark.parametrize("method", METHODS)
def test_full_photos_too(method: str, sides: tuple[Side, Side, Side]) -> None:
    _check(method, 3, sides)


def _check(method: str, seed: int, sides: tuple[Side, Side, Side]) -> None:
    person, other, third = sides
    canvas, forged = _canvas(method, sides), forge(method, person, other, seed, third)
    assert forged.image.shape == canvas.rgb.shape
    assert forged.image.dtype == np.uint8
    assert forged.mask.shape == canvas.rgb.shape[:2]
    assert forged.mask.dtype == np.float32
    assert 0 <= forged.mask.min() <= forged.mask.max() <= 1
    assert (forged.mask.min() == 1) == (method == "morph.full")
    changed = (forged.image != canvas.rgb).any(2)
    assert not changed[forged.mask == 0].any()
    assert changed[forged.mask == 1].mean() > 0.5


@pytest.mark.parametrize("method", ALONE)
def test_one_photo_is_enough(method: str, crops: tuple[Side, Side, Side]) -> None:
    person, other, _ = crops
    assert np.array_equal(forge(method, person, None, 5).image, forge(method, person, other, 5).image)


@pytest.mark.parametrize(("method", "message"), [("swap.alpha", "more people"), ("swap", "no method")])
def test_refuses(method: str, message: str, crops: tuple[Side, Side, Side]) -> None:
    with pytest.raises(ValueError, match=message):
        forge(method, crops[0], None, 1)


def test_three_people_are_not_two(crops: tuple[Side, Side, Side]) -> None:
    with pytest.raises(ValueError, match="more people"):
        forge("morph3", crops[0], crops[1], 1)


def test_closed_lips_are_not_stretched_over_teeth(crops: tuple[Side, Side, Side]) -> None:
    """The mask of a swap leaves out the open mouth when the source's is closed."""
    closed, smiling = crops[0], crops[1]
    closed = Side(closed.rgb, closed.points.copy())
    closed.points[13] = closed.points[14]
    middle = tuple(np.rint(smiling.points[[13, 14], :2].mean(0)).astype(int)[::-1])
    assert forge("swap.plain", crops[2], smiling, 3).mask[middle] == 1
    assert forge("swap.plain", closed, smiling, 3).mask[middle] == 0


@pytest.mark.parametrize(
    ("method", "index", "axis", "sign"),
    [("edit.smile", 61, 1, -1), ("edit.frown", 61, 1, 1), ("edit.frown", 291, 1, 1), ("edit.smile", 291, 0, 1)],
)
def test_expressions_move_the_mouth(
    method: str, index: int, axis: int, sign: int, sides: tuple[Side, Side, Side]
) -> None:
    """Measured by the landmark model on the edited photo."""
    before = sides[0].points[index]
    moves = []
    for seed in range(3):
        after, _ = _side(forge(method, sides[0], None, seed).image)
        moves.append(after.points[index][axis] - before[axis])
    assert sign * float(np.mean(moves)) > 0.5


@pytest.mark.parametrize("blending", BLENDINGS)
def test_composite_shows_the_patch_inside_and_the_canvas_outside(blending: str) -> None:
    rng = np.random.default_rng(0)
    canvas = cv2.GaussianBlur(rng.integers(60, 120, (96, 96, 3)).astype(np.uint8), (0, 0), 2)
    patch = cv2.GaussianBlur(rng.integers(0, 255, (96, 96, 3)).astype(np.uint8), (0, 0), 1)
    inside = np.zeros((96, 96), np.uint8)
    inside[20:70, 30:96] = 1
    made, mask = composite(patch, canvas, inside, blending, 4.0)
    assert np.array_equal(made[mask == 0], canvas[mask == 0])
    assert not mask[inside == 0].any()

    def detail(rgb: RGBImage) -> NDArray[np.float64]:
        return cv2.Laplacian(rgb, cv2.CV_64F)[35:55, 50:75].ravel()

    assert np.corrcoef(detail(made), detail(patch))[0, 1] > 0.8


@pytest.mark.parametrize("kind", COLOURS)
def test_colours_come_nearer(kind: str, crops: tuple[Side, Side, Side]) -> None:
    person, _, reddish = crops
    inside = hull(person.points[REGIONS["face"]], person.rgb)
    made = match_colour(person.rgb, reddish.rgb, inside, kind)
    chosen = inside > 0

    def distance(rgb: RGBImage) -> float:
        return float(np.abs(rgb[chosen].mean(0) - reddish.rgb[chosen].mean(0)).max())

    assert distance(made) == distance(person.rgb) if kind == "none" else distance(made) < 0.2 * distance(person.rgb)


def test_contact_sheet_has_a_row_for_every_method(crops: tuple[Side, Side, Side]) -> None:
    rows = list(contact_sheet.rows(list(crops), 0))
    titles = [row.title for row in rows]
    assert {*METHODS} < {*titles}
    assert len(set(titles)) == len(titles)
    drawn = contact_sheet.sheet(rows[:2])
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] % 2 == 0
    assert drawn.shape[1] == 5 * contact_sheet.SIZE


@pytest.mark.parametrize("kind", ["eyes", "nose", "mouth"])
def test_region_mask_lies_on_its_landmarks(kind: str, sides: tuple[Side, Side, Side]) -> None:
    mask = forge(f"region.{kind}", sides[0], sides[1], seed=3).mask
    y, x = np.nonzero(mask > 0)
    corners = sides[0].points[REGIONS[kind], :2]
    assert np.allclose([x.min(), y.min(), x.max(), y.max()], [*corners.min(0), *corners.max(0)], atol=2)


def test_photos_are_left_as_they_were(sides: tuple[Side, Side, Side]) -> None:
    before = [side.rgb.copy() for side in sides]
    for method in METHODS:
        forge(method, sides[0], sides[1], 0, sides[2])
    assert all(np.array_equal(side.rgb, copy) for side, copy in zip(sides, before, strict=True))


def test_warp_moves_the_mesh_to_the_target(sides: tuple[Side, Side, Side]) -> None:
    person = sides[0]
    target: Floats = (person.points[:, :2] + np.float32([6, -4])).astype(np.float32)
    moved = warp(Side(person.rgb, person.points[:, :2].astype(np.float32)), target, person.rgb)
    x, y = np.rint(target[4]).astype(int)
    there, here = (slice(y - 8, y + 9), slice(x - 8, x + 9)), (slice(y - 4, y + 13), slice(x - 14, x + 3))
    assert np.abs(moved[there].astype(int) - person.rgb[here].astype(int)).mean() < 2


def _feature(rgb: RGBImage, face: Face) -> Floats:
    return FaceView(image.Photo(rgb, b"", "", "PNG"), face).feature


@pytest.mark.data
@pytest.mark.parametrize("method", ["swap.alpha", "swap.seamless", "region.mouth"])
def test_forgery_keeps_the_likeness_of_the_claimed_person(method: str) -> None:
    neutral = image.load(FRLL / "neutral" / "001_03.jpg").rgb
    person, _ = _side(image.load(FRLL / "smiling" / "001_08.jpg").rgb)
    other, face = _side(image.load(FRLL / "neutral" / "002_03.jpg").rgb)
    reference = _feature(neutral, detection.detect(neutral)[0])
    stranger = identity.similarity(_feature(other.rgb, face), reference)
    forged = forge(method, person, other, seed=1).image
    likeness = identity.similarity(_feature(forged, detection.detect(forged)[0]), reference)
    assert likeness > stranger + 0.3
