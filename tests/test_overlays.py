"""Maps over the photo: where the colour lies, that low values leave the photo as it is, and that the line is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facewitness.agent.record import EvidenceInfo
from facewitness.tools.evidence import Picture
from facewitness.tools.image import load
from facewitness.ui import heat, overlays

RGB = load(Path(__file__).parents[1] / "examples" / "astronaut.jpg").rgb
BOX = (148.0, 32.0, 150.0, 150.0)
ITEM = EvidenceInfo(id="e1", measure="manipulation.face", tool="manipulation", finding="Altered.", status="ok")


def spot(row: float, column: float, size: int = 20, spread: float = 2.0) -> Picture:
    """A map with one round spot that reaches 1."""
    y, x = np.mgrid[0:size, 0:size]
    values = np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * spread**2))
    return Picture(heat=tuple(tuple(map(float, line)) for line in values), heat_box=BOX)


def flat(value: float) -> Picture:
    return Picture(heat=((value,) * 3,) * 3, heat_box=BOX)


def photo_part(drawn: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Without the legend; the surroundings of a square map inside the photo are square."""
    return drawn[: drawn.shape[1]]


@pytest.mark.parametrize(
    "fields",
    [
        {"heat": ((0.5,),)},
        {"heat_box": BOX},
        {"heat": ((0.5, 0.5), (0.5,)), "heat_box": BOX},
        {"heat": ((),), "heat_box": BOX},
        {"heat": ((1.01,),), "heat_box": BOX},
        {"heat": ((float("nan"),),), "heat_box": BOX},
        {"heat": ((0.5,),), "heat_box": (0.0, 0.0, 0.0, 10.0)},
    ],
    ids=["no box", "no heat", "ragged", "no columns", "above 1", "no number", "no width"],
)
def test_a_map_that_cannot_be_drawn_is_refused(fields: Any) -> None:
    with pytest.raises(ValueError, match="heat"):
        Picture(**fields)


def test_the_colour_lies_where_the_value_is() -> None:
    """A spot in the middle of cell (14, 9) of 20 covers that place of the photo and nothing beyond its reach."""
    values = heat.sampled(spot(14, 9), (512, 512), (0, 0), 1)
    y, x = np.argwhere(values > 0.5).mean(axis=0) + 0.5
    assert abs(x - (148 + 9.5 * 7.5)) < 0.5
    assert abs(y - (32 + 14.5 * 7.5)) < 0.5
    assert values[:32].max() == values[182:].max() == values[:, :148].max() == values[:, 298:].max() == 0
    assert values.max() == pytest.approx(1, abs=0.03)


def test_a_part_of_the_canvas_shows_the_same_as_the_whole() -> None:
    whole = heat.sampled(spot(14, 9), (512, 512), (0, 0), 1)
    part = heat.sampled(spot(14, 9), (100, 80), (190, 110), 1)
    assert np.abs(part - whole[110:190, 190:290]).max() < 1e-5


def test_smoothing_adds_nothing_above_1_or_below_0() -> None:
    checks = tuple(tuple(float((x + y) % 2) for x in range(8)) for y in range(8))
    values = heat.smoothed(Picture(heat=checks, heat_box=BOX), 160)
    assert values.min() >= 0
    assert values.max() <= 1


def test_opacity_grows_with_the_value_and_0_is_bare() -> None:
    alpha = heat.scale()[0, :, 3].astype(int)
    assert alpha[0] == 0
    assert (np.diff(alpha) >= 0).all()
    assert alpha[-1] == round(heat.OPACITY * 255)
    assert abs(alpha[len(alpha) // 2] - alpha[-1] / 2) <= 1


def test_lightness_of_the_colours_rises_for_every_kind_of_colour_vision() -> None:
    rgb = heat.scale()[0, :, :3].astype(float)
    assert (np.diff(rgb @ (0.2126, 0.7152, 0.0722)) > -0.6).all()
    assert rgb[-1].mean() > rgb[0].mean() + 60


def test_a_map_of_zeros_leaves_the_photo_as_it_is() -> None:
    drawn, bare = (
        photo_part(overlays.draw_evidence(RGB, ITEM, picture))
        for picture in (flat(0.0), Picture(points=((148.0, 32.0), (298.0, 182.0))))
    )
    assert drawn.shape[1] == overlays.MIN_SIDE
    middle = drawn[200:600, 200:600].astype(int)
    assert len(np.unique(middle.reshape(-1, 3), axis=0)) > 1000
    assert bare.shape[2] == 3
    scaled = overlays._Canvas(RGB, overlays.surroundings(_box(), overlays.HEAT_MARGIN, 512, 512), overlays.MIN_SIDE)
    assert (scaled.pixels()[200:600, 200:600] == middle).all()


def _box() -> Any:
    return overlays.Box(x=BOX[0], y=BOX[1], width=BOX[2], height=BOX[3])


def test_a_low_value_changes_less_than_a_high_one() -> None:
    bare, low, high = (photo_part(overlays.draw_evidence(RGB, ITEM, flat(v))).astype(int) for v in (0.0, 0.1, 0.9))
    inside = slice(200, 600)
    less, more = (np.abs(one - bare)[inside, inside].mean() for one in (low, high))
    assert less < 12 < 30 < more


def test_the_line_runs_where_the_value_is_a_half() -> None:
    """A Gaussian spot falls to a half at 1.177 standard deviations; a cell is 7.5 px."""
    (line,) = heat.contours(spot(10, 10, spread=3.0))
    points = np.array(line)
    radius = np.hypot(*(points - (148 + 10.5 * 7.5, 32 + 10.5 * 7.5)).T)
    assert np.abs(radius - 1.1774 * 3 * 7.5).max() < 0.8
    assert line[0] == line[-1]


def test_a_line_closes_at_the_edge_of_the_map_and_there_is_none_without_high_values() -> None:
    assert heat.contours(flat(0.49)) == ()
    (line,) = heat.contours(flat(0.6))
    assert np.allclose((np.min(line, axis=0), np.max(line, axis=0)), ((148, 32), (298, 182)), atol=0.6)


@pytest.mark.parametrize("box", [(-60.0, -60.0, 150.0, 150.0), (430.0, 430.0, 150.0, 150.0), (600.0, 600.0, 9.0, 9.0)])
def test_a_map_at_or_over_the_edge_is_drawn(box: tuple[float, float, float, float]) -> None:
    drawn = overlays.draw_evidence(RGB, ITEM, Picture(heat=spot(10, 10).heat, heat_box=box))
    assert max(drawn.shape) <= overlays.MAX_SIDE * 1.1


def test_the_legend_stands_below_and_hides_nothing() -> None:
    drawn = overlays.draw_evidence(RGB, ITEM, spot(14, 9))
    strip = drawn[drawn.shape[1] :]
    assert drawn.shape[1] == overlays.MIN_SIDE < drawn.shape[0] < overlays.MIN_SIDE * 1.15
    bar = strip[strip.shape[0] // 3].astype(int)
    left, right = bar[40], bar[-40]
    assert abs(left - 150).max() < 20, "0 shows the ground"
    assert right[0] > 180 and right[1] > 170 and right[2] < 110, "1 is yellow"


def test_the_same_map_gives_the_same_picture() -> None:
    one, other = (overlays.draw_evidence(RGB, ITEM, spot(14, 9)) for _ in range(2))
    assert (one == other).all()


def test_places_that_two_tools_name_alike_say_which_tool() -> None:
    from facewitness.agent.record import NamedBox
    from facewitness.ui.overlays import _labels

    eye = NamedBox(x=1, y=2, width=3, height=4, name="left eye")
    items = [
        ITEM.model_copy(update={"tool": tool, "region": eye.model_copy(update={"name": name})})
        for tool, name in (("reference_comparison", "left eye"), ("compression_traces", "left eye"), ("a", "chin"))
    ]
    assert _labels(items) == ["Left eye, reference comparison", "Left eye, compression traces", "Chin"]
