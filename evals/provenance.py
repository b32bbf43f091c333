"""What compression and resizing traces find, and how often they are wrong, on people that nothing was fixed on.

Run: ``python -m facewitness.evals.provenance --data PATH --out evals/results/provenance.json``

Every figure is a count of photos, one of each person in a cell, with the share's 95 % interval after Wilson.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.stats import binomtest

from ..finetune.comparisons import LFW_SPLITS, lfw_pairs
from ..finetune.forge import REFERENCE_METHODS
from ..finetune.forge.swaps import SWAPS
from ..tools import image
from ..tools.alignment import TEMPLATE
from ..tools.compression_traces import LACKS, NAME, TOOL
from ..tools.evidence import Evidence
from ..tools.face import Face, FaceView
from ..tools.image import RGBImage
from .provenance_ghosts import ghost_table
from .provenance_material import Subject, cropped, decoded, ffhq, frll, pasted, put_back, saved, swapped

ONCE = (None, 60, 75, 85, 95)
TWICE = (
    (60, 75),
    (60, 90),
    (75, None),
    (75, 75),
    (75, 90),
    (75, 95),
    (85, 75),
    (85, 90),
    (85, 95),
    (93, None),
    (93, 95),
)
CROPPED = ((60, 75), (75, 90), (75, 95), (85, 95))
PAIRS = ((75, None), (75, 90), (85, 95))
"""Qualities of the first and the last saving; None is a PNG."""
BETWEEN = 0.8
"""Factor by which a photo is reduced, to have no history or between two savings."""
SIDES, FACTORS, RESIZED_LAST = (128, 256), (0.7, 0.9, 1.5), (None, 95)
_LFW = 100
_PARTS = ("left_eye", "right_eye", "nose", "mouth")

Found = dict[str, Evidence]
Pair = tuple[int, int | None]
Check = Callable[[Found], bool]
Forge = Callable[[Subject, int], RGBImage]
"""Makes a forgery from a person and the quality at which the photos were saved before."""


def examined(view: FaceView) -> Found:
    """The tool's evidence by what it measures."""
    return {item.measure.removeprefix(f"{NAME}."): item for item in TOOL.measure(view, [])}


def rate(hits: Iterable[bool]) -> str:
    """Count and number, with the interval of the share."""
    every = list(hits)
    low, high = binomtest(sum(every), len(every)).proportion_ci(method="wilson")
    return f"{sum(every)} of {len(every)} [{low:.3f}, {high:.3f}]"


def saving_found(found: Found) -> bool:
    """Whether an earlier saving shows around the face."""
    return readable(found, "earlier_saving") and found["earlier_saving"].value != "none"


def readable(found: Found, what: str) -> bool:
    """Whether it was measured."""
    return what in found and found[what].status == "ok"


def lacking(found: Found) -> bool:
    """Whether the face is said to lack the trace around it."""
    return readable(found, "face") and float(found["face"].value or 0) <= LACKS


def part_lacking(found: Found) -> bool:
    """Whether a part of the face is said to lack it, or some of it."""
    return any(name in found for name in _PARTS)


def resized(found: Found) -> bool:
    """Whether the face is said to be resized."""
    return readable(found, "resizing") and "shows a trace" in found["resizing"].finding


def resized_alone(found: Found) -> bool:
    """Whether the face is said to be resized, and its surroundings are not."""
    return resized(found) and readable(found, "resizing_around") and "do not" in found["resizing_around"].finding


def summary(examinations: Sequence[Found]) -> dict[str, Any]:
    """Everything that the tool says of photos with the same history; rates are of all of them."""
    kept = [float(found["face"].value or 0) for found in examinations if readable(found, "face")]
    checks: dict[str, Check] = {
        "savings can be read": lambda found: readable(found, "earlier_saving"),
        "earlier saving found": saving_found,
        "face can be compared": lambda found: readable(found, "face"),
        "face lacks it": lacking,
        "a part lacks it": part_lacking,
        "face has an own saving": lambda found: "own_saving" in found,
        **_RESIZING,
    }
    figures = {name: rate(map(check, examinations)) for name, check in checks.items()}
    return figures | {"median share of the face": round(float(np.median(kept)), 3) if kept else None}


_RESIZING: dict[str, Check] = {
    "resizing can be read": lambda found: readable(found, "resizing"),
    "face resized": resized,
    "face resized alone": resized_alone,
}


def reduced(rgb: RGBImage) -> RGBImage:
    """The photo at 0.8 of its size, which leaves no trace of a saving."""
    return cv2.resize(rgb, None, fx=BETWEEN, fy=BETWEEN, interpolation=cv2.INTER_AREA).astype(np.uint8)


def genuine(subjects: Sequence[Subject]) -> dict[str, Any]:
    """False alarms: photos as they are, reduced so that they were never saved, and then saved once."""
    table = {"as they are": summary([examined(one.view(one.data)) for one in subjects])}
    for quality in ONCE:
        found = [examined(one.view(saved(reduced(one.rgb), quality), BETWEEN)) for one in subjects]
        table["never saved" if quality is None else f"saved once, {quality}"] = summary(found)
    return table


def histories(subjects: Sequence[Subject], pairs: Sequence[Pair], forge: Forge, crop: bool = False) -> dict[str, Any]:
    """Genuine and forged photos by qualities of the first and the last saving, also cropped in between."""
    table: dict[str, Any] = {}
    cut = cropped if crop else np.ascontiguousarray
    for first, last in pairs:
        makers: dict[str, Forge] = {"genuine": lambda one, quality: decoded(saved(one.rgb, quality)), "forged": forge}
        table[f"{first}, {last or 'PNG'}"] = {
            name: summary([examined(one.view(saved(cut(make(one, first)), last), 1.0, crop)) for one in subjects])
            for name, make in makers.items()
        }
    return table


def resized_between(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Genuine photos that were reduced after the first saving."""
    return {
        f"{first}, reduced, {last or 'PNG'}": summary(
            [examined(one.view(saved(reduced(decoded(saved(one.rgb, first))), last), BETWEEN)) for one in subjects]
        )
        for first, last in PAIRS
    }


def methods(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Each kind of forgery after savings that leave a trace."""
    table: dict[str, Any] = {}
    for first, last in PAIRS[1:]:
        for method in REFERENCE_METHODS:
            found = [
                examined(one.view(saved(swapped(method, one, other, first), last)))
                for one, other in zip(subjects, [*subjects[1:], subjects[0]], strict=True)
            ]
            table.setdefault(f"{first}, {last or 'PNG'}", {})[method] = summary(found)
    return table


def donated(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Faces cut from a JPEG of quality 75 with other blocks, in photos that were never saved."""
    return {
        str(last or "PNG"): summary([examined(one.view(saved(pasted(one, 75), last))) for one in subjects])
        for last in (None, 95)
    }


def resizing(subjects: Sequence[Subject]) -> dict[str, Any]:
    """Whole photos and faces alone, resized by several factors, then saved."""
    table = {}
    for last in RESIZED_LAST:
        for factor in FACTORS:
            views = [_whole(one, factor, last) for one in subjects]
            table[f"whole photo, {factor}, {last or 'PNG'}"] = resizing_summary(views)
        for side in SIDES:
            views = [one.view(saved(put_back(one, one.rgb, side), last)) for one in subjects]
            table[f"face at {side} px, {last or 'PNG'}"] = resizing_summary(views)
    return table


def _whole(one: Subject, factor: float, last: int | None) -> FaceView:
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    rgb = cv2.resize(one.rgb, None, fx=factor, fy=factor, interpolation=way)
    return one.view(saved(rgb.astype(np.uint8), last), factor)


def resizing_summary(views: Sequence[FaceView]) -> dict[str, Any]:
    """What the tool says of resizing alone."""
    every = [examined(view) for view in views]
    return {name: rate(map(check, every)) for name, check in _RESIZING.items()}


def small_faces(data: Path) -> dict[str, Any]:
    """Press photos of 112 px that hold nothing but the face: what the tool says of them."""
    test = [pair["a"] for pair in lfw_pairs(data) if LFW_SPLITS[int(pair["fold"])] == "test"]
    face = Face("f1", (0, 0, 112, 112), TEMPLATE.astype(np.float32), 1.0)
    photos = (image.load(data / "lfw_pairs_aligned" / "images" / name) for name in sorted(set(test))[:_LFW])
    return summary([examined(FaceView(photo, face)) for photo in photos])


def tables(data: Path, limit: int) -> Iterator[tuple[str, Any]]:
    """Each table with its name."""
    london, flickr = frll(data)[:limit], list(ffhq(data, limit))
    pairs = {one.person: (one, other) for one, other in zip(london, [*london[1:], *london[:1]], strict=True)}

    @cache
    def made(person: str, first: int) -> RGBImage:
        return swapped(SWAPS[int(person) % len(SWAPS)], *pairs[person], first)

    def swap(one: Subject, first: int) -> RGBImage:
        return made(one.person, first)

    def returned(one: Subject, first: int) -> RGBImage:
        return put_back(one, decoded(saved(one.rgb, first)), 256)

    yield "people", {"frll": len(london), "ffhq": len(flickr)}
    yield "two savings (frll, swaps)", histories(london, TWICE, swap)
    yield "one saving or none (frll)", genuine(london)
    yield "two savings, cropped between (frll, swaps)", histories(london, CROPPED, swap, crop=True)
    yield "resized between two savings (frll)", resized_between(london)
    yield "methods (frll)", methods(london)
    yield "face pasted from another JPEG (frll)", donated(london)
    yield "one saving or none (ffhq)", genuine(flickr)
    yield "two savings (ffhq, face at 256 px)", histories(flickr, PAIRS, returned)
    yield "resizing (frll)", resizing(london)
    yield "resizing (ffhq)", resizing(flickr)
    yield "as they are, 112 px (lfw)", small_faces(data)
    yield "AUC beside that of JPEG ghosts (frll)", ghost_table(london, swap)


def main() -> None:
    """Command line; the file is written anew after each table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with frll_london, stylegan2_vs_ffhq, LFW")
    parser.add_argument("--limit", type=int, default=25, help="people of FRLL, and of FFHQ")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    for name, table in tables(options.data, options.limit):
        found[name] = table
        options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
