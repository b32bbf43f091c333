"""What is done and what is left, in an SQLite file beside the output, which outlives any crash.

The photos are listed once, in one transaction; each has one row for good, so that none is lost and none comes twice.
Only the parent process writes. The file is locked while it runs; the system lets go of the lock when it dies.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import InvalidOption
from .photos import Listed

Row = dict[str, Any]

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS plan (text TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS photos (
        place INTEGER PRIMARY KEY, listed TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0,
        sha256 TEXT, result TEXT, error TEXT, message TEXT, ms REAL
    );
    CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, row TEXT NOT NULL, record TEXT);
"""


@dataclass(slots=True)
class Outcome:
    """What became of one photo.

    Attributes:
        sha256: Of the file; None if it could not be read.
        result: Key of its result; None if there is none.
        error: Stable code of why not.
        message: The same in words.
        ms: Milliseconds that it took; 0 for bytes that were seen before.
    """

    sha256: str | None = None
    result: str | None = None
    error: str | None = None
    message: str | None = None
    ms: float = 0.0


class Journal:
    """Open, or begin, the journal of one output.

    Args:
        file: The SQLite file.

    Raises:
        InvalidOption: Another process is at it, or it is no journal.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._database = sqlite3.connect(file, timeout=0.5)
        try:
            # Exclusive first: then WAL needs no shared memory, and a second run is refused. In WAL a commit waits for
            # no disk: the end of a process loses nothing, that of the machine the last moments, which are done again.
            for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
                self._database.execute(f"PRAGMA {pragma}")
            self._database.executescript(_SCHEMA)
        except sqlite3.OperationalError:
            self._database.close()
            raise InvalidOption(f"{file.name} is in use by another run, or cannot be written.") from None
        except sqlite3.DatabaseError:
            self._database.close()
            raise InvalidOption(f"{file.name} is not a journal of this command.") from None

    def begin(self, plan: str, photos: Iterable[Listed]) -> None:
        """List the photos, all or none, unless that was done before.

        Raises:
            InvalidOption: It was done for another plan.
        """
        kept = self._database.execute("SELECT text FROM plan").fetchone()
        if kept is not None and kept[0] != plan:
            raise InvalidOption(
                f"{self.file.name} was begun with other photos, options, weights or another version: "
                "delete it to begin anew, or choose another output."
            )
        if kept is None:
            try:
                self._list(plan, photos)
            except BaseException:
                self.remove()
                raise

    def _list(self, plan: str, photos: Iterable[Listed]) -> None:
        with self._database:
            rows = ((json.dumps(asdict(photo)),) for photo in photos)
            self._database.executemany("INSERT INTO photos (listed) VALUES (?)", rows)
            self._database.execute("INSERT INTO plan VALUES (?)", (plan,))

    def counts(self) -> tuple[int, int]:
        """How many photos are done, and how many there are."""
        done, total = self._database.execute("SELECT coalesce(sum(done), 0), count(*) FROM photos").fetchone()
        return int(done), int(total)

    def pending(self, page: int = 256) -> Iterator[tuple[int, Listed]]:
        """Place and photo of what was not done when it was looked at, in order."""
        place = 0
        query = "SELECT place, listed FROM photos WHERE done = 0 AND place > ? ORDER BY place LIMIT ?"
        while rows := self._database.execute(query, (place, page)).fetchall():
            for place, text in rows:
                found = json.loads(text)
                yield place, Listed(found["id"], found["path"], tuple(found["references"]))

    def has(self, key: str) -> bool:
        """Whether the result is known."""
        return self._database.execute("SELECT 1 FROM results WHERE key = ?", (key,)).fetchone() is not None

    def add(self, key: str, row: Row, record: str | None) -> None:
        """Keep a result."""
        self._database.execute("INSERT OR IGNORE INTO results VALUES (?, ?, ?)", (key, json.dumps(row), record))

    def finish(self, place: int, outcome: Outcome) -> None:
        """Keep what became of a photo."""
        self._database.execute(
            "UPDATE photos SET done = 1, sha256 = ?, result = ?, error = ?, message = ?, ms = ? WHERE place = ?",
            (outcome.sha256, outcome.result, outcome.error, outcome.message, outcome.ms, place),
        )

    def commit(self) -> None:
        """Make it last; a result and its photo go together."""
        self._database.commit()

    def rows(self) -> Iterator[Row]:
        """One for each photo, as listed."""
        query = """SELECT listed, sha256, error, message, ms, row FROM photos LEFT JOIN results ON key = result
                   ORDER BY place"""
        for text, sha256, error, message, ms, row in self._database.execute(query):
            photo = json.loads(text)
            # A name in no known encoding: shown with its bytes, since Parquet and JSON hold Unicode only.
            named = {name: photo[name].encode("utf-8", "backslashreplace").decode() for name in ("id", "path")}
            found = json.loads(row) if row else {}
            yield {**named, "sha256": sha256, **found, "error": error, "message": message, "milliseconds": ms}

    def outcomes(self) -> Iterator[Row]:
        """Of each photo, as listed: ``outcome``, and ``row`` and ``record`` of its result; for another journal."""
        query = """SELECT sha256, result, error, message, ms, row, record FROM photos LEFT JOIN results ON key = result
                   ORDER BY place"""
        for *outcome, row, record in self._database.execute(query):
            yield {"outcome": asdict(Outcome(*outcome)), "row": row and json.loads(row), "record": record}

    def records(self) -> Iterator[str]:
        """Whole records, one for each result, in no particular order."""
        for (record,) in self._database.execute("SELECT record FROM results WHERE record IS NOT NULL ORDER BY key"):
            yield record

    def tally(self) -> tuple[dict[str, int], dict[str, int], int]:
        """Photos by label, photos by error code, and the number of results."""
        query = "SELECT row ->> '$.label', count(*) FROM photos JOIN results ON key = result GROUP BY 1 ORDER BY 2 DESC"
        labels = dict(self._database.execute(query).fetchall())
        query = "SELECT error, count(*) FROM photos WHERE error IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"
        errors = dict(self._database.execute(query).fetchall())
        return labels, errors, int(self._database.execute("SELECT count(*) FROM results").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def remove(self) -> None:
        """Delete it: the output holds everything."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
