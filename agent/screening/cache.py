"""Results of earlier runs, by the bytes of the photo and all that a result depends on: verdicts, never pixels."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Protocol

from ...errors import InvalidOption
from ..sqlite import write_ahead
from .journal import Row

FILE = "screened.sqlite3"
BUSY_SECONDS = 30.0

Result = tuple[Row, str | None]  # columns of the verdict; the whole record, if it was wanted


class Results(Protocol):
    """What a run asks for results, and tells of new ones."""

    def get(self, key: str) -> Result | None:
        """The result of the journal's key."""

    def put(self, key: str, row: Row, record: str | None) -> None:
        """Keep a result."""


class Cache:
    """Results in one SQLite file, which runs on this machine may share.

    Args:
        folder: Where the file is; made if need be.
        context: All that a result depends on, beside the bytes of the photo and of the references.

    Raises:
        InvalidOption: The folder cannot be used.
    """

    def __init__(self, folder: Path, context: str) -> None:
        self._context = context
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Every statement is a transaction of its own.
            self._database = sqlite3.connect(folder / FILE, timeout=BUSY_SECONDS, isolation_level=None)
            write_ahead(self._database)
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, row TEXT NOT NULL, record TEXT)"
            )
        except (OSError, sqlite3.Error) as error:
            raise InvalidOption(f"The cache in {folder} cannot be used ({error}).") from error

    def get(self, key: str) -> Result | None:
        """The result of the journal's key, if it is known."""
        query = "SELECT row, record FROM results WHERE key = ?"
        found = self._database.execute(query, (self._whole(key),)).fetchone()
        return found and (json.loads(found[0]), found[1])

    def put(self, key: str, row: Row, record: str | None) -> None:
        """Keep a result; the first of a key stays."""
        values = (self._whole(key), json.dumps(row), record)
        self._database.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?)", values)

    def _whole(self, key: str) -> str:
        return hashlib.sha256(f"{self._context} {key}".encode()).hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
