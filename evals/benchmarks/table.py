"""People's own photos, or any tree that no other reader knows: one CSV file that says what each picture is.

Columns: ``path`` and ``label``; and, where they are known, ``references`` (paths, separated by ``;``), ``person``,
``video``, ``method``, ``split`` (``val`` or ``test``), ``mask``, and any ``group:NAME``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...agent.verdict import REFERENCE_LABELS, SINGLE_LABELS
from ...errors import InvalidOption
from .item import AUTHENTIC, FORGED, Benchmark, Item, Kind, Split, Switches, each_csv

LABELS: dict[str, tuple[Kind, str]] = {
    **{label: ("forgery", label) for label in (*SINGLE_LABELS, FORGED)},
    **{label: ("reference", label) for label in REFERENCE_LABELS},
    "real": ("forgery", AUTHENTIC),
    "fake": ("forgery", FORGED),
}
"""Words of the column ``label``. Numbers are refused: 1 is fake in one set and real in another."""
_GROUP = "group:"


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    del switches
    if data.is_dir():
        return
    for place, row in enumerate(each_csv(data), 2):
        if not row.get("path") or row.get("label") not in LABELS:
            words = ", ".join(LABELS)
            raise InvalidOption(f"{data.name}, line {place}: path is missing, or label is none of {words}.")
        yield item(row, f"{place}:{row['path']}")


def item(row: dict[str, str], id_: str) -> Item:
    """A row with a known label as a sample."""
    kind, truth = LABELS[row["label"]]
    person, video = row.get("person") or "", row.get("video") or ""
    split: Split = "val" if row.get("split") == "val" else "test"
    return Item(
        id_,
        kind,
        (row["path"],),
        truth,
        references=tuple(part.strip() for part in (row.get("references") or "").split(";") if part.strip()),
        cluster=person or video or row["path"],
        person=person,
        video=video,
        method=row.get("method") or "",
        split=split,
        groups={name.removeprefix(_GROUP): value for name, value in row.items() if name.startswith(_GROUP) and value},
        mask=row.get("mask") or "",
    )


BENCHMARK = Benchmark(
    name="csv",
    title="Own photos listed in a CSV file",
    layout="a CSV file with the columns path and label; paths are below the file's folder.",
    polarity="By words, never by numbers: fake, forged, manipulated and synthetic are positive; of verdicts with "
    "references, the person is positive.",
    read=_read,
    source="our own",
)
