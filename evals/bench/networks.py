"""All evidence of a photo, beside its networks called one by one in a plain loop.

What the networks take, on one core, is the limit: no order of work is faster over all cores than their sum over the
cores. So the comparison is made in a process that keeps to one core, as those of ``facewitness screen`` do; a second
one, with all cores, shows how long a single photo takes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidOption
from .rounds import in_turns, spread

if TYPE_CHECKING:
    from ...tools.image import RGBImage


def measure(paths: Sequence[Path], rounds: int) -> dict[str, Any]:
    """On one core, and with all."""
    return {"photos": len(paths), "one core": _child(paths, rounds, True), "all cores": _child(paths, rounds, False)}


def _child(paths: Sequence[Path], rounds: int, one_core: bool) -> dict[str, Any]:
    command = [sys.executable, "-m", __name__, "--rounds", str(rounds), *(["--one-core"] if one_core else [])]
    done = subprocess.run([*command, *map(str, paths)], check=True, capture_output=True, text=True)  # noqa: S603 - ours
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def timed(paths: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Milliseconds a photo, in this process, the share of them that the networks need, and what a batch would save."""
    from ...agent.examine import examine_all
    from ...tools import alignment, detection, forensic_network, landmarks, sface
    from ...tools.image import load

    photos = [photo for photo in map(load, paths) if detection.detect(photo.rgb)]
    if not photos:
        raise InvalidOption("This needs photos with a face.")

    def networks(number: int) -> None:
        for photo in photos:
            face = detection.detect(photo.rgb)[0]
            landmarks.track(photo.rgb, face)
            sface.see(alignment.align(photo.rgb, face.points))
            forensic_network.read(alignment.align_wide(photo.rgb, face.points)[None])

    def evidence(number: int) -> float:
        records = [examine_all(photo, model="none", all_faces=False).records[0] for photo in photos]
        whole.append(sum(record.timings_ms["total"] for record in records) / 1000)
        return sum(record.timings_ms["evidence"] for record in records) / 1000

    whole: list[float] = []
    taken = in_turns({"networks": networks, "evidence": evidence}, rounds)
    by_photo = {name: [1000 * one / len(photos) for one in seconds] for name, seconds in taken.items()}
    by_photo["verdict"] = [1000 * one / len(photos) for one in whole[1:]]
    shares = [bare / all_ for bare, all_ in zip(by_photo["networks"], by_photo["evidence"], strict=True)]
    crops = np.stack([alignment.align_wide(photo.rgb, detection.detect(photo.rgb)[0].points) for photo in photos])
    return {
        **{name: spread(values, 2) for name, values in by_photo.items()},
        "share": spread(shares, 3),
        "forensic network": _batches(crops, forensic_network.read, rounds),
    }


def _batches(crops: RGBImage, read: Callable[[RGBImage], object], rounds: int) -> dict[str, Any]:
    """Milliseconds a crop, one after the other and in one batch."""

    def alone(number: int) -> None:
        for crop in crops:
            read(crop[None])

    def together(number: int) -> None:
        read(crops)

    taken = in_turns({"one by one": alone, "in one batch": together}, rounds)
    return {way: spread([1000 * one / len(crops) for one in seconds], 2) for way, seconds in taken.items()}


def main() -> None:
    """The process of :func:`measure`."""
    parser = argparse.ArgumentParser(prog=f"python -m {__name__}")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("photos", type=Path, nargs="+")
    options = parser.parse_args()
    if options.one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before a runtime counts the cores
    print(json.dumps(timed(options.photos, options.rounds)))


if __name__ == "__main__":
    main()
