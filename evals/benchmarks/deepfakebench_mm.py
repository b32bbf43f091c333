"""DeepfakeBench-MM: ``DATASET.json`` with ``{train|val|test: [{path, video_label, audio_label, label, …}]}``.

The clips are ``<path>/frames.mp4`` with sound beside them. Only what is seen is judged, so the truth is
``video_label``: a genuine face with a cloned voice is authentic here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Split, Switches, number, read_json

CLIP = "frames.mp4"


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    every = number(switches, "every", 5)
    for file in [data] if data.is_file() else sorted(data.glob("*.json")):
        held = read_json(file)
        if not isinstance(held, dict) or not set(held) & {"val", "test"}:
            raise InvalidOption(f"{file.name} is not in DeepfakeBench-MM's layout: it has no list val or test.")
        for split in ("val", "test"):
            for row in held.get(split, []):
                yield from _frames(file.stem, split, row, every, number(switches, "frames", 5))


def _frames(dataset: str, split: Split, row: Mapping[str, Any], every: int, count: int) -> Iterator[Item]:
    made = row.get("method") or ""
    method = "+".join(made) if isinstance(made, list) else str(made)
    truth = FORGED if int(row["video_label"]) >= 1 else AUTHENTIC
    for place in range(0, every * count, every):
        yield Item(
            f"{dataset}/{split}/{row['path']}#{place}",
            "forgery",
            (f"{row['path']}/{CLIP}#{place}",),
            truth,
            cluster=str(row["path"]),
            video=str(row["path"]),
            method="" if truth == AUTHENTIC else method or "fake",
            split=split,
            groups={"voice": "cloned" if int(row.get("audio_label", 0)) >= 1 else "genuine"},
        )


BENCHMARK = Benchmark(
    name="deepfakebench-mm",
    title="DeepfakeBench-MM: clips with sound, of which the pictures are judged",
    layout="DATASET.json with {val: […], test: [{path, video_label, audio_label, label, method}]}, and "
    "PATH/frames.mp4.",
    polarity="Published video_label 1 is a forged picture, label 1 also a cloned voice alone. Here a forged picture is "
    "positive.",
    read=_read,
    switches={"frames": "frames of a clip, 5", "every": "distance of the frames, 5"},
    source="datasets/audio_video_dataset.py and preprocess/fakeavceleb_preprocessor.py of the released code",
)
