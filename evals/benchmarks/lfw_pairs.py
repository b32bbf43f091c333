"""Labeled Faces in the Wild, View 2: 6,000 pairs in ten folds, each with people of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import InvalidOption
from .item import OTHER, PERSON, Benchmark, Item, Switches, choice, read_csv


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    folder = next((name for name in ("images", "lfw", "lfw-deepfunneled") if (data / name).is_dir()), "")
    wanted = set(switches["folds"].split(",")) if "folds" in switches else None
    aligned = choice(switches, "aligned", "no", "yes") == "yes"
    if (data / "pairs.txt").is_file():
        pairs = _pairs_txt(data / "pairs.txt")
    elif (data / "pairs.csv").is_file():
        pairs = ((row["fold"], row["a"], row["b"], row["same"] == "1") for row in read_csv(data / "pairs.csv"))
    else:
        return
    for place, (fold, a, b, same) in enumerate(pairs):
        if wanted is None or fold in wanted:
            first, second = (f"{folder}/{name}" if folder else name for name in (a, b))
            yield Item(
                f"{fold}/{place}:{a}|{b}",
                "reference",
                (second,),
                PERSON if same else OTHER,
                references=(first,),
                cluster=a.split("/")[0],
                fold=fold,
                aligned=aligned,
            )


def _pairs_txt(file: Path) -> Iterator[tuple[str, str, str, bool]]:
    """The published list: folds and pairs of a kind first, then 300 of one person and 300 of two, fold by fold."""
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        folds, each = (int(part) for part in lines[0])
        for place, parts in enumerate(lines[1:]):
            if len(parts) == 3:
                name, one, two = parts
                yield str(place // (2 * each)), _file(name, one), _file(name, two), True
            else:
                name, one, other, two = parts
                yield str(place // (2 * each)), _file(name, one), _file(other, two), False
        if len(lines) - 1 != folds * 2 * each:
            raise InvalidOption(f"{file.name} does not hold the {folds * 2 * each} pairs that its first line names.")
    except ValueError as error:
        raise InvalidOption(f"{file.name} is not LFW's list of pairs.") from error


def _file(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}.jpg"


BENCHMARK = Benchmark(
    name="lfw-pairs",
    title="LFW pairs: the same person or two people, ten folds",
    layout="pairs.txt (published) or pairs.csv (fold, a, b, same), pictures in images/ or lfw/ as NAME/NAME_0001.jpg.",
    polarity="The same person is positive; the first photo of a pair is the reference.",
    read=_read,
    switches={
        "folds": "only these, such as 0,1",
        "aligned": "yes: pictures are faces aligned to 112 x 112; an examination looks for the face all the same",
    },
    source="pairs.txt of View 2",
)
