"""SQLite files that several threads and processes open at once."""

from __future__ import annotations

import sqlite3
import time

BUSY_SECONDS = 10.0
PAUSE_SECONDS = 0.01


def write_ahead(database: sqlite3.Connection) -> None:
    """Turn the write-ahead log on.

    Where another connection turns it on at the same moment, SQLite gives up at once, whatever its timeout says.

    Raises:
        sqlite3.OperationalError: It cannot be turned on, or the file stayed locked for ``BUSY_SECONDS``.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        time.sleep(PAUSE_SECONDS)
