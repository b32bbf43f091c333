"""A peer, in a Python of its own: ``python peer.py NAME PHOTO …``; a script that needs nothing of facewitness.

Says its version and seconds of loading, then, for each line it is sent, seconds and faces of one pass over all photos.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

Pass = Callable[[Any], int]
"""Faces in a picture."""


def face_recognition(options: dict[str, Any]) -> tuple[str, Pass]:
    """``face_encodings``: HOG detector, five landmarks, ResNet of 128 numbers."""
    module = import_module("face_recognition")

    def encode(picture: Any) -> int:
        places = module.face_locations(picture, **options)
        return len(module.face_encodings(picture, places))

    return version("face_recognition"), encode


def face_recognition_plain() -> tuple[str, Pass]:
    """With its defaults: the picture is enlarged once before detection."""
    return face_recognition({})


def face_recognition_not_enlarged() -> tuple[str, Pass]:
    """Without enlarging, which finds fewer small faces."""
    return face_recognition({"number_of_times_to_upsample": 0})


def mtcnn() -> tuple[str, Pass]:
    """facenet-pytorch's detector; its embedding's weights are not in the package."""
    module = import_module("facenet_pytorch")
    detector = module.MTCNN(keep_all=True)

    def detect(picture: Any) -> int:
        boxes, _ = detector.detect(picture)
        return 0 if boxes is None else len(boxes)

    return version("facenet-pytorch"), detect


PEERS: dict[str, Callable[[], tuple[str, Pass]]] = {
    "face_recognition": face_recognition_plain,
    "face_recognition, not enlarged": face_recognition_not_enlarged,
    "facenet-pytorch MTCNN": mtcnn,
}


def main() -> None:
    """Serve passes until standard input ends."""
    name, *photos = sys.argv[1:]
    started = time.perf_counter()
    numpy, image = import_module("numpy"), import_module("PIL.Image")
    found, work = PEERS[name]()
    pictures = [numpy.asarray(image.open(photo).convert("RGB")) for photo in photos]
    print(json.dumps({"version": found, "load_seconds": round(time.perf_counter() - started, 2)}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        faces = [work(picture) for picture in pictures]
        print(json.dumps({"seconds": time.perf_counter() - started, "faces": faces}), flush=True)


if __name__ == "__main__":
    main()
