"""Warm time per photo by stage: ``python -m facewitness.evals.speed --photo PHOTO [--out FILE]``.

Stages are timed one after the other in one process, so that each figure is the stage's own; ``evidence`` is the
time from decoded photo to all evidence as the agent runs it (faces found, then every tool, in parallel).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..agent.examine import examine_all
from ..errors import ToolError
from ..tools import detection, quality
from ..tools.face import FaceView, Reference
from ..tools.image import Photo, load
from ..tools.registry import FaceTool, tools

WARM_UP = 3


def milliseconds(job: Callable[[], object]) -> float:
    """Wall time of one call; that a tool cannot measure takes its time too."""
    started = time.perf_counter()
    with suppress(ToolError):
        job()
    return (time.perf_counter() - started) * 1000


def summary(values: list[float]) -> dict[str, float]:
    """Median and 90th percentile."""
    ordered = sorted(values)
    return {
        "median_ms": round(statistics.median(ordered), 2),
        "p90_ms": round(ordered[int(0.9 * (len(ordered) - 1))], 2),
    }


def time_stages(photo: Photo, reference: Reference, repeats: int) -> dict[str, list[float]]:
    """Each stage on its own, in the order in which an examination runs them."""
    times: dict[str, list[float]] = {}

    def note(stage: str, job: Callable[[], object]) -> None:
        times.setdefault(stage, []).append(milliseconds(job))

    for _ in range(repeats):
        view = FaceView(photo, detection.detect(photo.rgb)[0])
        note("decode", partial(load, photo.data))
        note("detect", partial(detection.detect, photo.rgb))
        note("landmarks", partial(getattr, view, "mesh"))
        note("embedding", partial(getattr, view, "feature"))
        note("assess", partial(quality.assess, view))
        for name, tool in tools().items():
            arguments = (view, [reference]) if isinstance(tool, FaceTool) else (photo,)
            note(f"tool.{name}", partial(tool.measure, *arguments))
    return times


def time_evidence(photo: Photo, repeats: int) -> list[float]:
    """From decoded photo to all evidence, as the graph runs it without a language model."""
    reference = replace(photo, sha256="0" * 64)  # the photo itself is no reference
    runs = [examine_all(photo, [reference], model="none", all_faces=False) for _ in range(repeats)]
    return [run.records[0].timings_ms["evidence"] for run in runs]


def measure(photo_path: Path, repeats: int) -> dict[str, Any]:
    """All figures for one photo."""
    photo = load(photo_path)
    face = detection.detect(photo.rgb)[0]
    view = FaceView(photo, face)
    reference = Reference(view.feature, view)
    time_stages(photo, reference, WARM_UP)
    stages = time_stages(photo, reference, repeats)
    evidence = time_evidence(photo, repeats + WARM_UP)[WARM_UP:]
    command = [sys.executable, "-m", "facewitness", "--help"]
    start = [milliseconds(partial(subprocess.run, command, capture_output=True, check=True)) for _ in range(5)]
    return {
        "command": "python -m facewitness.evals.speed",
        "photo": {"width": photo.rgb.shape[1], "height": photo.rgb.shape[0], "face_px": round(face.size)},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "repeats": repeats,
        "stages": {stage: summary(values) for stage, values in stages.items()},
        "evidence": summary(evidence),
        "help_command": summary(start),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(options.photo, options.repeats), indent=2)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
