"""The database: SQLite by default, any other that SQLAlchemy knows by URL, always in the newest schema."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from ...agent.sqlite import write_ahead
from ...errors import DatabaseUnusable
from .settings import Settings

FILE = "api.sqlite3"
NEWEST = "head"
"""Schema that a database is brought to."""
BUSY_SECONDS = 10
SCRUB_MS = 100
CONNECTIONS = 50
"""More than the threads that serve requests, so that none waits for a connection."""
_PRAGMAS = (
    "PRAGMA secure_delete = ON",  # freed cells and pages are overwritten with zeros
    "PRAGMA temp_store = MEMORY",
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = FULL",  # an accepted job outlives a power cut
)


class Database:
    """Sessions on one engine; several threads and processes may use the database at once.

    Args:
        settings: Names the database, or the folder of the SQLite file, which is made with mode 0700.

    Raises:
        DatabaseUnusable: It cannot be opened, or is of a newer release.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        try:
            self.engine = _engine(settings)
        except (ImportError, ArgumentError, NoSuchModuleError) as error:
            raise DatabaseUnusable("The URL of the database, or the driver that it names, cannot be used.") from error
        except OSError as error:
            raise DatabaseUnusable("The folder of the database cannot be made.") from error
        try:
            self._migrate()
        except (SQLAlchemyError, CommandError) as error:
            self.close()
            raise DatabaseUnusable(f"The database of the API cannot be used ({type(error).__name__}).") from error
        self._writer = self.engine.execution_options(writes=True)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database."""
        with Session(self.engine) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction, all or nothing; on SQLite it holds the write lock from its start."""
        with Session(self._writer) as session, session.begin():
            yield session

    def scrub(self) -> None:
        """Empty SQLite's write-ahead log, so that deleted rows are in no file; passed over while others read it."""
        if self.engine.dialect.name == "sqlite":
            with closing(self.engine.raw_connection()) as connection:
                cursor = connection.cursor()
                cursor.execute(f"PRAGMA busy_timeout = {SCRUB_MS}")
                with suppress(sqlite3.OperationalError):  # the disk is full; there will be a next time
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", "facewitness.ui.api:migrations")
        with self.engine.execution_options(writes=True).begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, NEWEST)


def _engine(settings: Settings) -> Engine:
    if settings.database is not None:
        engine = create_engine(settings.database, pool_pre_ping=True)
        file = None
    else:
        settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = settings.folder / FILE
        engine = create_engine(f"sqlite:///{file}", pool_size=CONNECTIONS, connect_args={"timeout": BUSY_SECONDS})
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, record: _prepare(connection, file))
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, file: Path | None) -> None:
    """Settings of a new SQLite connection; transactions are begun by ``_begin``, not by the driver."""
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    write_ahead(connection)
    if file is not None:
        os.chmod(file, 0o600)


def _begin(connection: Connection) -> None:
    """A transaction that will write takes the lock at once: a reader that turns writer fails where another writes."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def disk_full(error: SQLAlchemyError) -> bool:
    """Whether there is no room for what was to be written, on SQLite or PostgreSQL."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(cause, "sqlstate", "") == "53100"


def now() -> float:
    """Seconds since 1970, UTC."""
    return time.time()
