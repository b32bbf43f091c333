"""How two faces differ region by region, from their meshes: proportions that expression and pose hardly change.

A region *differs* where a proportion is farther from the reference's than in nearly all pairs of photos of one person,
and is *alike* where it is as near as in half of them; of what lies between, nothing is said. The limits are read with
``python -m facewitness.finetune.data.likeness --data PATH``, from people of the fit split alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...tools.evidence import Evidence
from ...tools.face import Floats
from ..faces import Source
from .catalogue import Shot, opened, shots, view_of
from .sight import TOOL, WORDS

SOURCES: tuple[Source, ...] = ("frll", "lfw")
YAW_MAX = 12.0
"""Degrees by which the heads may be turned apart; beyond, widths in the picture say nothing of the faces."""


class Proportion(NamedTuple):
    """A length over the distance of the outer corners of the eyes.

    Attributes:
        region: What it belongs to.
        ends: The two mesh points.
        more, less: What the photo's region is called where the length is the greater, or the lesser.
        alike, differ: Logarithm of the ratio of two photos of one person that half, and 95 % of the pairs stay below.
    """

    region: str
    ends: tuple[int, int]
    more: str
    less: str
    alike: float
    differ: float


PROPORTIONS: Mapping[str, Proportion] = {
    "face width": Proportion("outline", (234, 454), "wider", "narrower", 0.010, 0.059),
    "face height": Proportion("outline", (10, 152), "longer", "shorter", 0.017, 0.076),
    "eye distance": Proportion("eyes", (133, 362), "farther apart", "closer together", 0.020, 0.083),
    "nose width": Proportion("nose", (129, 358), "wider", "narrower", 0.066, 0.191),
    "nose length": Proportion("nose", (168, 2), "longer", "shorter", 0.021, 0.128),
    "mouth width": Proportion("mouth", (61, 291), "wider", "narrower", 0.131, 0.329),
}


def lengths(points: Floats) -> dict[str, float]:
    """Proportions of a (478, 2) mesh."""
    unit = float(np.linalg.norm(points[33] - points[263]))
    return {
        name: float(np.linalg.norm(points[p.ends[0]] - points[p.ends[1]])) / unit for name, p in PROPORTIONS.items()
    }


def compared(photo: Floats, reference: Floats) -> dict[str, Evidence | None]:
    """By region, what the photo shows against the reference; the proportion that differs most speaks for its region."""
    mine, theirs = lengths(photo), lengths(reference)
    found: dict[str, Evidence | None] = {}
    for region in dict.fromkeys(p.region for p in PROPORTIONS.values()):
        names = [name for name, p in PROPORTIONS.items() if p.region == region]
        change = {name: float(np.log(mine[name] / theirs[name])) for name in names}
        most = max(names, key=lambda name: abs(change[name]) / PROPORTIONS[name].differ)
        found[f"{region} shape"] = _told(region, PROPORTIONS[most], change[most])
    return found


def not_comparable(degrees: float) -> dict[str, Evidence | None]:
    """What is said where the heads are turned apart."""
    regions = dict.fromkeys(p.region for p in PROPORTIONS.values())
    return {f"{region} shape": _turned(region, round(degrees)) for region in regions}


def _told(region: str, proportion: Proportion, change: float) -> Evidence | None:
    word = WORDS[region].capitalize()
    are = "are" if region == "eyes" else "is"
    if abs(change) > proportion.differ:
        how = proportion.more if change > 0 else proportion.less
        return _item(region, f"{word} {are} {how} than in the reference.", "differs")
    if abs(change) <= proportion.alike:
        return _item(region, f"{word} {'have' if region == 'eyes' else 'has'} the reference's proportions.", "alike")
    return None


def _turned(region: str, degrees: int) -> Evidence:
    finding = f"{WORDS[region].capitalize()} cannot be compared: the heads are turned {degrees} degrees apart."
    return Evidence(
        f"{TOOL}.{region} shape", TOOL, finding, unit="deg", numbers=(float(degrees),), status="not_measurable"
    )


def _item(region: str, finding: str, value: str) -> Evidence:
    return Evidence(f"{TOOL}.{region} shape", TOOL, finding, value)


def changes(photos: Sequence[Shot], most: int) -> dict[str, list[float]]:
    """By proportion, how far two photos of one person are apart; at most so many people."""
    people: dict[str, list[Shot]] = {}
    for shot in photos:
        people.setdefault(shot.person, []).append(shot)
    found: dict[str, list[float]] = {name: [] for name in PROPORTIONS}
    for first, second, *_ in [of for of in people.values() if len(of) > 1][:most]:
        sides = opened(first), opened(second)
        if sides[0] is None or sides[1] is None:
            continue
        if abs(view_of(sides[0].rgb).pose.yaw - view_of(sides[1].rgb).pose.yaw) <= YAW_MAX:
            mine, theirs = (lengths(side.points) for side in sides if side is not None)
            for name, values in found.items():
                values.append(abs(float(np.log(mine[name] / theirs[name]))))
    return found


def main() -> None:
    """Print the limits."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data.likeness")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--most", type=int, default=60, help="people of a source")
    options = parser.parse_args()
    found = [
        changes([shot for shot in shots(options.data, (source,)) if shot.split == "fit"], options.most)
        for source in SOURCES
    ]
    for name in PROPORTIONS:
        values = [value for one in found for value in one[name]]
        print(f"{name:14}{len(values):4} pairs{np.median(values):7.3f} alike{np.percentile(values, 95):7.3f} differ")


if __name__ == "__main__":
    main()
