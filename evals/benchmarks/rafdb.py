"""RAF-DB, basic emotions: ``EmoLabel/list_patition_label.txt``, or folders ``test/1`` to ``test/7``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from .item import Benchmark, Item, Switches, choice, pictures, relative

NAMES = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
"""In the order of the published labels 1 to 7."""
QUESTION = "Which expression does this face display?"


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    split = choice(switches, "split", "test", "train")
    root = next((folder for folder in (data / "basic", data) if (folder / "EmoLabel").is_dir()), None)
    if root is not None:
        for line in (root / "EmoLabel" / "list_patition_label.txt").read_text(encoding="utf-8").splitlines():
            name, _, label = line.strip().partition(" ")
            if name.startswith(split):
                yield _item(_picture(root, name, data), label)
        return
    for folder in sorted(path for path in (data / split).glob("*") if path.is_dir()):
        for path in pictures(folder):
            yield _item(relative(path, data), folder.name)


def _picture(root: Path, name: str, data: Path) -> str:
    """Aligned, if that copy is there; the list (spelled so) names the original."""
    aligned = root / "Image" / "aligned" / f"{Path(name).stem}_aligned.jpg"
    return relative(aligned if aligned.is_file() else root / "Image" / "original" / name, data)


def _item(path: str, label: str) -> Item:
    if label not in map(str, range(1, 8)) and label not in NAMES:
        raise InvalidOption(f"RAF-DB: the label of {path} is {label}, and 1 to 7 are known.")
    truth = NAMES[int(label) - 1] if label.isdecimal() else label
    return Item(path, "class", (path,), truth, cluster=path, question=QUESTION, options=NAMES)


BENCHMARK = Benchmark(
    name="rafdb",
    title="RAF-DB: seven expressions",
    layout="basic/EmoLabel/list_patition_label.txt with basic/Image/aligned or original; or test/1 … test/7.",
    polarity="Labels 1 to 7: " + ", ".join(NAMES) + ". Accuracy, and accuracy with the classes weighing alike.",
    read=_read,
    switches={"split": "test or train"},
    source="rafdb.py of yaoing/DAN (list, aligned pictures, order of the labels); test/1 to test/7 is a common copy, "
    "seen in no code. Not checked against the set itself.",
)
