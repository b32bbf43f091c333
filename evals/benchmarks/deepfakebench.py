"""DeepfakeBench's rearranged JSON: ``{dataset: {label: {split: {[compression:] {video: {label, frames}}}}}}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Split, Switches, choice, number, read_json

COMPRESSIONS = ("c23", "c40", "raw")
_REALS = ("real", "original", "youtube", "actors")


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    files = [data] if data.is_file() else sorted(data.glob("*.json"))
    root = data.parent if data.is_file() else data
    for file in files:
        for dataset, labels in _datasets(file).items():
            for label, splits in labels.items():
                for split in ("val", "test"):
                    videos = _videos(splits.get(split) or {}, choice(switches, "compression", *COMPRESSIONS))
                    for video, held in videos.items():
                        yield from _frames(dataset, label, split, video, held, switches, root)


def _datasets(file: Path) -> Mapping[str, Any]:
    held = read_json(file)
    shaped = isinstance(held, dict) and all(
        isinstance(labels, dict)
        and all(isinstance(splits, dict) and set(splits) & {"train", "val", "test"} for splits in labels.values())
        for labels in held.values()
    )
    if not shaped:
        raise InvalidOption(f"{file.name} is not in DeepfakeBench's layout: {{dataset: {{label: {{split: …}}}}}}.")
    return dict(held)


def _videos(held: Mapping[str, Any], compression: str) -> Mapping[str, Any]:
    """Videos of a split; the FaceForensics++ family has a level for the compression."""
    levels = set(held) & set(COMPRESSIONS)
    return held.get(compression, {}) if levels else held


def _frames(
    dataset: str, label: str, split: Split, video: str, held: Mapping[str, Any], switches: Switches, root: Path
) -> Iterator[Item]:
    own = str(held.get("label", label))
    truth = AUTHENTIC if _is_real(own) else FORGED
    frames = sorted(map(_path, held["frames"]), key=_order)
    masks = {_order(mask): mask for mask in map(_path, held.get("masks", []))}
    for frame in _sampled(frames, number(switches, "frames", 32), choice(switches, "sampling", "published", "even")):
        # Published video figures group by the parent folder's name alone, which two videos may share.
        parent = PurePosixPath(frame).parent
        group = parent.name if choice(switches, "video", "published", "path") == "published" else f"{own}/{parent}"
        mask = masks.get(_order(frame), "")
        yield Item(
            f"{dataset}/{own}/{split}/{video}/{frame}",
            "forgery",
            (frame,),
            truth,
            cluster=f"{own}/{video}",
            video=group,
            method="" if truth == AUTHENTIC else own,
            split=split,
            mask=mask if mask and (root / mask).is_file() else "",
        )


def _is_real(label: str) -> bool:
    """Published names: ``FF-real``, ``CelebDFv2_real``, ``DFDC_Real``; the folders' own names are known too."""
    return any(word in label.lower() for word in _REALS)


def _path(text: str) -> str:
    """Written on Windows in some files."""
    return PureWindowsPath(text).as_posix() if "\\" in text else text


def _order(frame: str) -> tuple[int, str]:
    stem = PurePosixPath(frame).stem
    return (int(stem) if stem.isdecimal() else -1, stem)


def _sampled(frames: list[str], wanted: int, sampling: str) -> list[str]:
    """``published``: the first so many, since the step is computed after the total was cut; ``even``: spread out."""
    if len(frames) <= wanted:
        return frames
    if sampling == "published":
        return frames[:wanted]
    step = len(frames) // wanted
    return frames[::step][:wanted]


BENCHMARK = Benchmark(
    name="deepfakebench",
    title="DeepfakeBench JSON: frames and videos of FaceForensics++, Celeb-DF, DFDC …",
    layout="DATASET.json with {dataset: {label: {train|val|test: {[c23|c40:] {video: {label, frames}}}}}}, frames "
    "below the same folder.",
    polarity="Published label_dict: 0 real, 1 or more fake. Here forged is positive, by the label's name: one with "
    "real in it is 0.",
    read=_read,
    switches={
        "frames": "frames of a video, 32",
        "sampling": "published (the first ones, as the released code does) or even",
        "video": "published (videos grouped by their folder's name alone) or path",
        "compression": "c23, c40 or raw, where the file has them",
    },
    source="training/dataset/abstract_dataset.py and preprocessing/rearrange.py of the released code",
)
