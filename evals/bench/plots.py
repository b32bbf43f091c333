"""Bar charts as SVG files: few bars, the spread over the rounds as a line, readable in black and white."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, BAR, GAP, LEFT, RIGHT = 680, 22, 12, 290, 90
TOP, BOTTOM = 34, 12
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600}.ours{fill:#1f5fa8}.other{fill:#9aa7b4}"
    ".spread{stroke:#222;stroke-width:1.5}.paper{fill:#fff}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure.

    Attributes:
        name: What it is of.
        value: Median over the rounds.
        low: Least.
        high: Greatest.
        ours: Whether it is one of facewitness.
    """

    name: str
    value: float
    low: float
    high: float
    ours: bool = True


def bars(title: str, rows: Sequence[Bar], log: bool = False) -> str:
    """A chart of horizontal bars.

    Args:
        title: With the unit.
        rows: From above; all values greater than 0.
        log: Whether lengths are of the logarithm, from the power of ten below the least.
    """
    most = max(row.high for row in rows)
    floor = 10.0 ** math.floor(math.log10(min(row.low for row in rows)) - 0.1) if log else 0.0

    def at(value: float) -> float:
        share = math.log(value / floor) / math.log(most / floor) if log else value / most
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    parts = [_bar(row, TOP + number * (BAR + GAP), at) for number, row in enumerate(rows)]
    height = TOP + len(rows) * (BAR + GAP) + BOTTOM
    told = escape(title + (", logarithmic" if log else ""))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{told}">'
        f'<style>{_STYLE}</style><rect class="paper" width="{WIDTH}" height="{height}"/>'
        f'<text class="title" x="12" y="21">{told}</text>{"".join(parts)}</svg>\n'
    )


def _bar(row: Bar, y: int, at: Callable[[float], float]) -> str:
    end, low, high, middle = at(row.value), at(row.low), at(row.high), y + BAR / 2
    kind = "ours" if row.ours else "other"
    return (
        f'<text x="{LEFT - 8}" y="{middle + 5}" text-anchor="end">{escape(row.name)}</text>'
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{round(end - LEFT, 1)}" height="{BAR}"/>'
        f'<line class="spread" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
        f'<text x="{max(end, high) + 6}" y="{middle + 5}">{row.value:,.4g}</text>'
    )
