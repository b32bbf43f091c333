"""The rows as one Parquet or NDJSON file, and whole records as NDJSON; each appears complete or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ...errors import InvalidOption
from .journal import Row

ROW_GROUP = 10_000
"""Rows that are in memory at a time."""
COLUMNS = {
    "id": "text",
    "path": "text",
    "sha256": "text",
    "label": "text",
    "probabilities": "numbers",
    "abstained": "bool",
    "assessable": "bool",
    "reasons": "texts",
    "scores": "numbers",
    "record": "text",
    "error": "text",
    "message": "text",
    "milliseconds": "number",
    "software": "text",
    "weights": "text",
}
"""Of the output, and what each holds; ``numbers`` are named."""
RECORDS = 10_000
"""In one file of records."""


def check(out: Path) -> None:
    """Refuse what could not be written, before hours of work.

    Raises:
        InvalidOption: Neither Parquet nor NDJSON by its name, or there is no pyarrow for Parquet.
    """
    if out.suffix not in (".parquet", ".ndjson"):
        raise InvalidOption("The output is named .parquet or .ndjson.")
    if not out.absolute().parent.is_dir():
        raise InvalidOption("The folder of the output does not exist; the output and its journal are local files.")
    if out.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InvalidOption(
                "Parquet needs pyarrow: install facewitness[screen], or name the output .ndjson."
            ) from None


def check_new(out: Path, records: Path | None) -> None:
    """Refuse to write over, or among, what an earlier run wrote.

    Raises:
        InvalidOption: The output exists, or the folder of records holds some.
    """
    if out.exists():
        raise InvalidOption(f"{out.name} exists and is complete: choose another output.")
    if records is not None and any(records.glob("records-*")):
        raise InvalidOption(f"{records.name} holds records already: choose another folder.")


def write(out: Path, rows: Iterator[Row], metadata: dict[str, str]) -> None:
    """Write the rows; ``metadata`` goes into a Parquet file's schema."""
    part = out.with_name(f"{out.name}.part")
    if out.suffix == ".parquet":
        _parquet(part, rows, metadata)
    else:
        _lines(part, (json.dumps({name: row.get(name) for name in COLUMNS}) for row in rows))
    _settle(part, out)


def write_records(folder: Path, records: Iterator[str]) -> None:
    """Write records in files of 10,000 lines."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    while lines := list(islice(records, RECORDS)):
        file = folder / f"records-{number:05}.ndjson"
        part = file.with_name(f"{file.name}.part")
        _lines(part, lines)
        _settle(part, file)
        number += 1


def _parquet(file: Path, rows: Iterator[Row], metadata: dict[str, str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(pa).with_metadata(metadata)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROW_GROUP)):
            for row in group:  # a map is a list of pairs there
                for name in ("probabilities", "scores"):
                    if row.get(name) is not None:
                        row[name] = list(row[name].items())
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema))


def _schema(pa: Any) -> Any:
    text = pa.string()
    numbers = pa.map_(text, pa.float64())
    kinds = {"text": text, "texts": pa.list_(text), "numbers": numbers, "number": pa.float64(), "bool": pa.bool_()}
    return pa.schema({name: kinds[kind] for name, kind in COLUMNS.items()})


def _lines(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{line}\n" for line in lines)


def _settle(part: Path, file: Path) -> None:
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(file)
