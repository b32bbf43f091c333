"""The write-ahead log of a file that others are opening too."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from facewitness.agent import sqlite
from facewitness.agent.sqlite import write_ahead


@pytest.fixture
def holder(tmp_path: Path) -> sqlite3.Connection:
    """Has the file ``tmp_path / "file"`` for itself, until it commits."""
    database = sqlite3.connect(tmp_path / "file", isolation_level=None, check_same_thread=False)
    database.execute("BEGIN EXCLUSIVE")
    return database


def impatient(folder: Path) -> sqlite3.Connection:
    """SQLite itself waits for no lock, as it does not for the switch to the log."""
    return sqlite3.connect(folder / "file", timeout=0, isolation_level=None)


def test_it_waits_for_the_lock(holder: sqlite3.Connection, tmp_path: Path) -> None:
    database = impatient(tmp_path)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        database.execute("PRAGMA journal_mode = WAL")
    timer = threading.Timer(0.2, holder.execute, ("COMMIT",))
    timer.start()
    write_ahead(database)
    timer.join()
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_it_gives_up_in_the_end(holder: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead(impatient(tmp_path))


def test_another_fault_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"something else, and long enough to be no header of SQLite" * 20)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead(impatient(tmp_path))
