"""AffectNet's validation set: ``images/0.jpg`` with ``annotations/0_exp.npy`` or in a list, or a folder a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import InvalidOption
from .item import Benchmark, Item, Switches, choice, pictures, relative
from .rafdb import QUESTION

NAMES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""In the order of the published labels 0 to 7."""
_ROOTS = ("val_set", "valid_set", "val")


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    names = NAMES[: int(choice(switches, "classes", "8", "7"))]
    for path, label in _labelled(data):
        truth = _named(label)
        if truth is None:
            raise InvalidOption(f"AffectNet: the label of {path.name} is {label}, and 0 to 7 are known.")
        if truth in names:
            id_ = relative(path, data)
            yield Item(id_, "class", (id_,), truth, cluster=id_, question=QUESTION, options=names)


def _labelled(data: Path) -> Iterator[tuple[Path, str]]:
    """Pictures with what is said of them."""
    root = next((data / name for name in _ROOTS if (data / name).is_dir()), data)
    if (root / "annotations").is_dir():
        for path in pictures(root / "images"):
            yield path, _label(root / "annotations" / f"{path.stem}_exp.npy")
    elif lists := sorted(root.glob("valid_annotations*.txt")):
        # A list of seven classes repeats that of eight.
        for line in max(lists, key=lambda file: file.stat().st_size).read_text(encoding="utf-8").splitlines():
            name, _, label = line.strip().partition(" ")
            yield root / "images" / name, label
    else:
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and _named(path.name) is not None):
            for path in pictures(folder):
                yield path, folder.name


def _label(file: Path) -> str:
    """A number, which the set keeps as text."""
    try:
        return str(int(np.load(file, allow_pickle=False).item()))
    except (OSError, ValueError) as error:
        raise InvalidOption(f"{file.name} cannot be read.") from error


def _named(label: str) -> str | None:
    if label.isdecimal():
        return NAMES[int(label)] if int(label) < len(NAMES) else None
    return {"happy": "happiness", "sad": "sadness"}.get(
        label.lower(), label.lower() if label.lower() in NAMES else None
    )


BENCHMARK = Benchmark(
    name="affectnet",
    title="AffectNet: eight or seven expressions",
    layout="val_set/images/N.jpg with val_set/annotations/N_exp.npy; valid_set/images with "
    "valid_set/valid_annotations*.txt; or val/CLASS/ by number or name.",
    polarity="Labels 0 to 7: " + ", ".join(NAMES) + ". Accuracy, and accuracy with the classes weighing alike.",
    read=_read,
    switches={"classes": "8, or 7 without contempt"},
    source="affectnet.py and utils/convert_affectnet.py of yaoing/DAN, data_preprocessing/dataset_affectnet.py of "
    "zczcwh/POSTER. Not checked against the set itself.",
)
