"""AffectNet's validation set: ``images/0.jpg`` with ``annotations/0_exp.npy``, or a folder a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...errors import InvalidOption
from .item import Benchmark, Item, Switches, choice, pictures, relative
from .rafdb import QUESTION

NAMES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""In the order of the published labels 0 to 7."""


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    names = NAMES[: int(choice(switches, "classes", "8", "7"))]
    root = next(
        (folder for folder in (data / "val_set", data / "val", data) if (folder / "annotations").is_dir()), None
    )
    if root is not None:
        labelled = ((path, _label(root / "annotations" / f"{path.stem}_exp.npy")) for path in pictures(root / "images"))
    else:
        top = next((folder for folder in (data / "val_set", data / "val") if folder.is_dir()), data)
        folders = [folder for folder in sorted(top.iterdir()) if folder.is_dir() and _named(folder.name) is not None]
        labelled = ((path, folder.name) for folder in folders for path in pictures(folder))
    for path, label in labelled:
        truth = _named(label)
        if truth is None:
            raise InvalidOption(f"AffectNet: the label of {path.name} is {label}, and 0 to 7 are known.")
        if truth in names:
            id_ = relative(path, data)
            yield Item(id_, "class", (id_,), truth, cluster=id_, question=QUESTION, options=names)


def _label(file: Path) -> str:
    try:
        return str(np.load(file, allow_pickle=False))
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
    layout="val_set/images/N.jpg with val_set/annotations/N_exp.npy; or val_set/CLASS/ by number or name.",
    polarity="Labels 0 to 7: " + ", ".join(NAMES) + ". Accuracy, and accuracy with the classes weighing alike.",
    read=_read,
    switches={"classes": "8, or 7 without contempt"},
    source="layout from memory of the distributed set, not checked against it",
)
