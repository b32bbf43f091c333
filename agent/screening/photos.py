"""Which photos: of folders, lists, CSV and Parquet files, here or in an object store, one at a time."""

from __future__ import annotations

import csv
import io
import mimetypes
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, NoReturn

from ...errors import InvalidOption, UnreadableFile
from . import stores

BATCH = 10_000
"""Rows of a Parquet file that are read at a time."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One photo to screen.

    Attributes:
        id: The column ``id`` of a table, else the path as it was listed.
        path: Where the file is: absolute, or the address of an object.
        references: Photos of the person that it is claimed to show, for this photo alone.
    """

    id: str
    path: str
    references: tuple[str, ...] = ()


def located(name: str | Path) -> str:
    """Make a path absolute; the address of an object stays as it is."""
    text = stores.plain(str(name))
    return text if stores.is_remote(text) else os.path.abspath(text)


def listed(source: str | Path) -> Iterator[Listed]:
    """Photos of one source, in a fixed order.

    Args:
        source: A folder (all files below it whose name is that of an image), a photo, a text file with a path on each
            line, or a CSV or Parquet file with a column ``path`` and perhaps ``id`` and ``reference``; a path or the
            address of an object. Paths are relative to the file that lists them.

    Raises:
        UnreadableFile: It does not exist or may not be read.
        InvalidOption: It is no such file.
        AddressRefused: It is an address, and not that of an object store.
    """
    name, where = str(source), located(source)
    if stores.is_remote(where):
        return _of_store(name, where)
    if os.path.isdir(where):
        return _of_folder(where)
    if not os.path.isfile(where):
        raise UnreadableFile(f"{name}: no such file or folder.")
    return _of_file(name, where)


def _of_file(name: str, where: str) -> Iterator[Listed]:
    if _is_image(name):
        return iter([Listed(name, where)])
    if name.lower().endswith(".parquet"):
        return _of_table(where, _parquet(where))
    if name.lower().endswith(".csv"):
        return _of_table(where, _csv(where))
    return _of_lines(where)


def _of_store(name: str, where: str) -> Iterator[Listed]:
    with stores.errors_told(name):
        below = stores.objects(where)
        first = next(below, None)
        if first is None:
            yield from _of_file(name, where)
            return
        for found, address in chain([first], below):
            if _is_image(found):
                yield Listed(found, address)


def _is_image(name: str) -> bool:
    return (mimetypes.guess_type(name)[0] or "").startswith("image/")


def _of_folder(folder: str) -> Iterator[Listed]:
    def refused(error: OSError) -> NoReturn:  # else the photos below it would be missing without a word
        raise UnreadableFile(f"{error.filename}: the folder cannot be read.") from error

    for where, folders, names in os.walk(folder, onerror=refused):
        folders.sort()
        for name in sorted(filter(_is_image, names)):
            path = os.path.join(where, name)
            yield Listed(os.path.relpath(path, folder), path)


def _of_lines(where: str) -> Iterator[Listed]:
    with _open(where) as file, io.TextIOWrapper(file, "utf-8", "surrogateescape") as lines:
        for line in lines:
            if name := line.rstrip("\r\n"):
                yield Listed(name, _beside(where, name))


def _of_table(where: str, rows: Iterator[Mapping[str, Any]]) -> Iterator[Listed]:
    for row in rows:
        name, reference = row.get("path"), row.get("reference") or []
        if not name or not isinstance(name, str):
            raise InvalidOption(f"{posixpath.basename(where)}: each row needs a path, in a column of that name.")
        given = reference if isinstance(reference, list) else [reference]
        if not all(isinstance(one, str) for one in given):
            raise InvalidOption(f"{posixpath.basename(where)}: a reference is the path of a photo.")
        references = tuple(_beside(where, one) for one in given)
        yield Listed(str(row["id"]) if row.get("id") is not None else name, _beside(where, name), references)


def _csv(where: str) -> Iterator[Mapping[str, Any]]:
    with _open(where) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        try:
            yield from csv.DictReader(lines)
        except (UnicodeDecodeError, csv.Error) as error:
            raise InvalidOption(f"{posixpath.basename(where)}: not a CSV file in UTF-8 ({error}).") from error


def _parquet(where: str) -> Iterator[Mapping[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with _open(where) as file, parquet.ParquetFile(file) as table:
            columns = [name for name in ("path", "id", "reference") if name in table.schema_arrow.names]
            for batch in table.iter_batches(BATCH, columns=columns):
                yield from batch.to_pylist()
    except pa.ArrowInvalid as error:
        raise InvalidOption(f"{posixpath.basename(where)}: not a Parquet file ({error}).") from error


def _open(where: str) -> IO[bytes]:
    return stores.open_list(where) if stores.is_remote(where) else open(where, "rb")


def _beside(where: str, name: str) -> str:
    """A name in a list: an address, or relative to the list."""
    if stores.is_remote(name) or stores.plain(name) != name:
        return stores.plain(name)
    if stores.is_remote(where):
        return posixpath.join(posixpath.dirname(where), name.lstrip("/"))
    return os.path.abspath(os.path.join(os.path.dirname(where), name))
