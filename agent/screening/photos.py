"""Which photos: of folders, lists, CSV and Parquet files, one at a time."""

from __future__ import annotations

import csv
import mimetypes
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ...errors import InvalidOption, UnreadableFile

BATCH = 10_000
"""Rows of a Parquet file that are read at a time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One photo to screen.

    Attributes:
        id: The column ``id`` of a table, else the path as it was listed.
        path: Where the file is.
        references: Photos of the person that it is claimed to show, for this photo alone.
    """

    id: str
    path: str
    references: tuple[str, ...] = ()


def listed(source: Path) -> Iterator[Listed]:
    """Photos of one source, in a fixed order.

    Args:
        source: A folder (all files below it whose name is that of an image), a photo, a text file with a path on each
            line, or a CSV or Parquet file with a column ``path`` and perhaps ``id`` and ``reference``. Paths are
            relative to the file that lists them.

    Raises:
        UnreadableFile: It does not exist or may not be read.
        InvalidOption: It is no such file.
    """
    if source.is_dir():
        return _of_folder(source)
    if not source.is_file():
        raise UnreadableFile(f"{source}: no such file or folder.")
    if _is_image(source.name):
        return iter([Listed(str(source), str(source.absolute()))])
    if source.suffix.lower() == ".parquet":
        return _of_table(source, _parquet(source))
    if source.suffix.lower() == ".csv":
        return _of_table(source, _csv(source))
    return _of_lines(source)


def _is_image(name: str) -> bool:
    return (mimetypes.guess_type(name)[0] or "").startswith("image/")


def _of_folder(folder: Path) -> Iterator[Listed]:
    def refused(error: OSError) -> NoReturn:  # else the photos below it would be missing without a word
        raise UnreadableFile(f"{error.filename}: the folder cannot be read.") from error

    for where, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(filter(_is_image, names)):
            path = os.path.join(where, name)
            yield Listed(os.path.relpath(path, folder), os.path.abspath(path))


def _of_lines(file: Path) -> Iterator[Listed]:
    with file.open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            if name := line.rstrip("\r\n"):
                yield Listed(name, _beside(file, name))


def _of_table(file: Path, rows: Iterator[Mapping[str, Any]]) -> Iterator[Listed]:
    for row in rows:
        name, reference = row.get("path"), row.get("reference") or []
        if not name:
            raise InvalidOption(f"{file}: each row needs a path, in a column of that name.")
        given = [reference] if isinstance(reference, str) else reference
        references = tuple(_beside(file, one) for one in given)
        yield Listed(str(row["id"]) if row.get("id") is not None else name, _beside(file, name), references)


def _csv(file: Path) -> Iterator[Mapping[str, Any]]:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        try:
            yield from csv.DictReader(lines)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidOption(f"{file}: not a CSV file in UTF-8 ({error}).") from error


def _parquet(file: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            columns = [name for name in ("path", "id", "reference") if name in table.schema_arrow.names]
            for batch in table.iter_batches(BATCH, columns=columns):
                yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise InvalidOption(f"{file}: not a Parquet file ({error}).") from error


def _beside(file: Path, name: str) -> str:
    return os.path.abspath(os.path.join(file.parent, name))
