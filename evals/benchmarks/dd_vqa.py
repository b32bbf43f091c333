"""DD-VQA (Common Sense Reasoning for Deepfake Detection): questions on FaceForensics++ with two or three answers each.

Frames are not shipped: put one a video at ``frames/<manipulation>/<video>.png`` (or ``.jpg``) below the data folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from .item import LETTERS, SUFFIXES, Benchmark, Item, Switches, choice, read_json, relative

MANIPULATIONS = {"0": "Deepfakes", "1": "Face2Face", "2": "FaceShifter", "3": "FaceSwap", "5": "Original",
                 "6": "Neuraltexture"}  # fmt: skip
"""By the number that a key begins with; there is no 4."""
_VERDICT = ("real", "fake")


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    root = next((folder for folder in (data / "DQ_FF++", data) if (folder / "test_set").is_dir()), None)
    if root is None:
        return
    for file in sorted((root / choice(switches, "split", "test_set", "train_set")).glob("*/*.json")):
        for key, questions in read_json(file).items():
            manipulation, _, video = key.partition("_")
            if MANIPULATIONS.get(manipulation) != file.stem:
                raise InvalidOption(f"{file.name}: the key {key} is not one of {file.stem}.")
            frame = _frame(data / "frames" / file.stem, video)
            for place, held in questions.items():
                yield _item(key, file.stem, relative(frame, data), place, held["question"], held["answer"])


def _frame(folder: Path, video: str) -> Path:
    return next(
        (path for suffix in SUFFIXES if (path := folder / f"{video}{suffix}").is_file()), folder / f"{video}.png"
    )


def _item(key: str, manipulation: str, frame: str, place: str, question: str, answers: list[str]) -> Item:
    """Question 0 asks whether the face is real, which maps on a verdict; the others are answered in words."""
    cluster = key.partition("_")[2]
    if place != "0":
        return Item(
            f"{key}/{place}",
            "text",
            (frame,),
            cluster=cluster,
            method=manipulation,
            question=question,
            targets=tuple(answers),
        )
    return Item(
        f"{key}/0",
        "choice",
        (frame,),
        LETTERS[int(manipulation != MANIPULATIONS["5"])],
        cluster=cluster,
        method=manipulation,
        question=question,
        options=_VERDICT,
        verdicts=("0", "1"),
        targets=tuple(answers),
    )


BENCHMARK = Benchmark(
    name="dd-vqa",
    title="DD-VQA: is the face real, and what of skin, eyebrows, eyes, nose and mouth says so",
    layout="DQ_FF++/test_set/MANIPULATION/MANIPULATION.json, and frames/MANIPULATION/VIDEO.png, which are not shipped.",
    polarity="The folder says it: Original is real, the rest fake. Human answers contradict it here and there and are "
    "not used for question 0; for the others any of them is a right answer.",
    read=_read,
    switches={"split": "test_set or train_set"},
    source="the released JSON files",
)
