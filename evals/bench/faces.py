"""Finding faces and embedding them, beside other libraries."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ...tools import detection
from ...tools.face import FaceView
from ...tools.image import Photo, load
from . import peer
from .rounds import Way, in_turns, spread, times_faster

DETECTORS = ("facenet-pytorch MTCNN",)
"""Peers that embed nothing, and are compared with our detection alone."""
OURS, OUR_DETECTION = "facewitness", "facewitness, detection alone"


class Peer:
    """A peer at work in a process of its own.

    Raises:
        OSError: This Python does not have it.
    """

    def __init__(self, python: str, name: str, photos: Sequence[Path]) -> None:
        command = [python, peer.__file__, name, *map(str, photos)]
        self._process = subprocess.Popen(  # noqa: S603 - our own script, the user's own interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.told = self._read()
        self.faces: list[int] = []

    def __call__(self, number: int) -> float:
        """One pass over all photos; the seconds of it."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        answer = self._read()
        self.faces = answer["faces"]
        return float(answer["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise OSError("not installed here")
        found: dict[str, Any] = json.loads(line)
        return found


def measure(paths: Sequence[Path], pythons: Sequence[str], rounds: int) -> dict[str, Any]:
    """Photos a second of each, and how many times as many as each peer we examine.

    Args:
        paths: The photos; all are decoded before the time is taken.
        pythons: Interpreters in which peers may be installed.
        rounds: Passes over all photos.
    """
    photos = [load(path) for path in paths]
    faces: dict[str, list[int]] = {}
    ways: dict[str, Way] = {
        OURS: lambda _: faces.update({OURS: [_embedded(photo) for photo in photos]}),
        OUR_DETECTION: lambda _: faces.update({OUR_DETECTION: [len(detection.detect(photo.rgb)) for photo in photos]}),
    }
    with ExitStack() as stack:
        peers = {name: _opened(name, pythons, paths) for name in peer.PEERS}
        for name, found in peers.items():
            if found is not None:
                stack.callback(found.close)
                ways[name] = found
        taken = in_turns(ways, rounds)
    rows = {name: _row(len(photos), seconds) for name, seconds in taken.items()}
    for name, found in peers.items():
        if found is None:
            rows[name] = {"why_not": "not installed in any Python that was named"}
            continue
        beside = OUR_DETECTION if name in DETECTORS else OURS
        rows[name] |= found.told | {
            "compared_with": beside,
            "times_faster": times_faster(taken[name], taken[beside]),
            "faces": sum(found.faces),
        }
    for name, counted in faces.items():
        rows[name]["faces"] = sum(counted)
    sides = sorted(max(photo.rgb.shape[:2]) for photo in photos)
    return {"photos": len(photos), "long_side_px": [sides[0], sides[-1]], "ways": rows}


def _row(photos: int, seconds: list[float]) -> dict[str, Any]:
    return {"photos_per_second": spread([photos / one for one in seconds], 2)}


def _embedded(photo: Photo) -> int:
    features = [FaceView(photo, face).feature for face in detection.detect(photo.rgb)]
    return len(features)


def _opened(name: str, pythons: Sequence[str], photos: Sequence[Path]) -> Peer | None:
    for python in (*pythons, sys.executable):
        try:
            return Peer(python, name, photos)
        except OSError:
            continue
    return None
