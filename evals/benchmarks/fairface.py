"""FairFace: real photos with age, gender and race, to compare false alarms between groups, or to ask about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .item import AUTHENTIC, Benchmark, Item, Switches, choice, read_csv

GROUPS = ("gender", "age", "race")


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    split = choice(switches, "split", "val", "train")
    file = data / f"fairface_label_{split}.csv"
    rows = read_csv(file) if file.is_file() else []
    for row in rows:
        yield labelled(
            row["file"], {name: row[name] for name in GROUPS}, choice(switches, "ask", "none", *GROUPS), rows
        )


def labelled(path: str, groups: dict[str, str], ask: str, rows: list[dict[str, str]]) -> Item:
    """A real photo: is it called forged; or, where ``ask`` names a group, the question which value it has."""
    if ask == "none":
        return Item(path, "forgery", (path,), AUTHENTIC, cluster=path, groups=groups)
    options = tuple(sorted({row[ask] for row in rows}))
    question = f"What is the {ask} group of the person in the photo?"
    return Item(path, "class", (path,), groups[ask], cluster=path, groups=groups, question=question, options=options)


BENCHMARK = Benchmark(
    name="fairface",
    title="FairFace: false alarms by gender, age and race",
    layout="fairface_label_val.csv with file, age, gender, race, and the pictures that it names.",
    polarity="All photos are authentic, so only false alarms and abstentions are measured; with ask, the class itself.",
    read=_read,
    switches={"split": "val or train", "ask": "none, gender, age or race: asks a vision-language model for it"},
    source="the published label files",
)
