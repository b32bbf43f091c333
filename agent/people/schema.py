"""The SQLite file behind the store: settings, tables, and what makes deleted data unreadable."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from ...errors import StoreCorrupt, StoreError
from ..sqlite import write_ahead

BUSY_SECONDS = 10.0

# One entry per schema version, each a list of statements; PRAGMA user_version counts those that have run.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE store (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            id TEXT NOT NULL, key_source TEXT NOT NULL, key_id BLOB NOT NULL, checksum BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE people (
            id TEXT PRIMARY KEY,
            name_index BLOB NOT NULL UNIQUE, name BLOB NOT NULL, data_key BLOB NOT NULL, created_at TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE templates (
            id TEXT PRIMARY KEY,
            person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
            photo_index BLOB NOT NULL, model TEXT NOT NULL, template BLOB NOT NULL, photo BLOB,
            UNIQUE (person, photo_index)
        ) STRICT""",
    ),
    (
        """CREATE TABLE adapters (
            id TEXT PRIMARY KEY,
            person TEXT NOT NULL UNIQUE REFERENCES people (id) ON DELETE CASCADE,
            facts BLOB NOT NULL, tokens BLOB NOT NULL
        ) STRICT""",
    ),
    (  # what a gallery, which holds features in memory, has missed
        "CREATE TABLE changes (one INTEGER PRIMARY KEY CHECK (one = 1), added INTEGER, removed INTEGER) STRICT",
        "INSERT INTO changes VALUES (1, 0, 0)",
        "ALTER TABLE templates ADD COLUMN added INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX templates_added ON templates (added)",
        """CREATE TRIGGER template_added AFTER INSERT ON templates BEGIN
            UPDATE changes SET added = added + 1;
            UPDATE templates SET added = (SELECT added FROM changes) WHERE id = NEW.id;
        END""",
        """CREATE TRIGGER template_removed AFTER DELETE ON templates BEGIN
            UPDATE changes SET removed = removed + 1;
        END""",
    ),
)

_PRAGMAS = (
    "PRAGMA secure_delete = ON",  # freed cells and pages are overwritten with zeros
    "PRAGMA temp_store = MEMORY",  # VACUUM leaves no copy in a temporary folder
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",
)


@contextmanager
def connect(file: Path) -> Iterator[sqlite3.Connection]:
    """Open the database, in the newest schema and without a transaction; make it if it is not there.

    Raises:
        StoreCorrupt: The file is no database, or a damaged one.
        StoreError: It is locked, not writable, or newer than this release.
    """
    try:
        fresh = not file.exists()
        with closing(sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)) as db:
            if fresh:
                os.chmod(file, 0o600)  # by name: closing a second handle of our own would drop SQLite's locks
            db.row_factory = sqlite3.Row
            db.text_factory = partial(str, encoding="utf-8", errors="replace")  # so that damage fails authentication
            for pragma in _PRAGMAS:
                db.execute(pragma)
            write_ahead(db)
            _migrate(db)
            yield db
    except sqlite3.OperationalError as error:
        raise StoreError(f"The store of people cannot be used: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise StoreCorrupt("The store of people is damaged.") from error


@contextmanager
def transaction(db: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    """All or nothing; ``DEFERRED`` for one consistent view while reading."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def compact(db: sqlite3.Connection) -> None:
    """Leave no trace of deleted rows: rebuild the file from what is left, then empty the write-ahead log.

    Raises:
        StoreError: Another process kept the log busy for ``BUSY_SECONDS``.
    """
    db.execute("VACUUM")
    end = time.monotonic() + BUSY_SECONDS
    while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:  # SQLite itself waits for readers only,
        if time.monotonic() > end:  # not for another checkpoint
            raise StoreError("Another program is reading the store, so traces remain in its log: forget once more.")
        time.sleep(0.02)


def _migrate(db: sqlite3.Connection) -> None:
    if _version(db) == len(MIGRATIONS):
        return
    with transaction(db):
        version = _version(db)  # another process may have been first
        if version > len(MIGRATIONS):
            raise StoreError(f"The store has schema {version}, newer than this release reads ({len(MIGRATIONS)}).")
        for statement in (line for migration in MIGRATIONS[version:] for line in migration):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
