"""Line charts as inline SVG: few lines, no script, readable in black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 46
TICKS = 5
DASHES = ("", "7 3", "2 3", "9 3 2 3", "1 5", "12 4")
"""By place of the line, so that lines differ without colour."""

Points = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its key.

    Attributes:
        svg: The drawing.
        key: Name and place of each line.
    """

    svg: Markup
    key: tuple[tuple[str, int], ...]


def lines(
    series: Mapping[str, Points], across: str, up: str, diagonal: bool = False, dots: bool = False, top: float = 1.0
) -> Chart:
    """A chart of lines over 0..1.

    Args:
        series: By name: points of x in 0..1 and y in 0..``top``.
        across: What x is.
        up: What y is.
        diagonal: Draw the line of chance, or of perfect calibration.
        dots: Mark the points.
        top: Greatest y.
    """
    parts = [_grid(top), _axes(across, up, top)]
    if diagonal:
        parts.append(f'<path class="chance" d="{_path([(0, 0), (1, top)], top)}"/>')
    for place, points in enumerate(series.values()):
        if points:
            dash = DASHES[place % len(DASHES)]
            parts.append(f'<path class="line s{place}" stroke-dasharray="{dash}" d="{_path(points, top)}"/>')
            if dots:
                parts += [f'<circle class="dot s{place}" cx="{x}" cy="{y}" r="3.2"/>' for x, y in _at(points, top)]
    summary = f"{up} over {across.lower()}, {len(series)} lines"
    svg = (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(summary)}">'
        + "".join(parts)
        + "</svg>"
    )
    return Chart(Markup(svg), tuple((name, place) for place, name in enumerate(series)))  # noqa: S704 - escaped


def nice_top(greatest: float) -> float:
    """The least of a few round numbers that is not smaller."""
    return next((step for step in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75) if greatest <= step), 1.0)


def _at(points: Points, top: float) -> list[tuple[float, float]]:
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    return [
        (round(LEFT + float(x) * width, 1), round(TOP + (1 - min(float(y) / top, 1)) * height, 1))
        for x, y, *_ in points
    ]


def _path(points: Points, top: float) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in _at(points, top))


def _grid(top: float) -> str:
    steps = [step / TICKS for step in range(TICKS + 1)]
    upright = "".join(_path([(step, 0), (step, top)], top) for step in steps)
    level = "".join(_path([(0, step * top), (1, step * top)], top) for step in steps)
    return f'<path class="grid" d="{upright}{level}"/>'


def _axes(across: str, up: str, top: float) -> str:
    found = []
    for step in (step / TICKS for step in range(TICKS + 1)):
        ((x, y),) = _at([(step, 0)], 1)
        found.append(f'<text class="tick" x="{x}" y="{y + 16}" text-anchor="middle">{step:.1f}</text>')
        ((x, y),) = _at([(0, step)], 1)
        found.append(f'<text class="tick" x="{x - 7}" y="{y + 4}" text-anchor="end">{step * top:.2g}</text>')
    middle, low = TOP + (HEIGHT - TOP - BOTTOM) / 2, f'x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}"'
    turned = f'transform="translate(13 {middle}) rotate(-90)"'
    found += [
        f'<text class="axis" {place} text-anchor="middle">{escape(name)}</text>'
        for place, name in ((low, across), (turned, up))
    ]
    return "".join(found)
