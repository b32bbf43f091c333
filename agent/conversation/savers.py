"""Where conversations and examinations survive a restart: LangGraph's own savers, by URL."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ...errors import InvalidOption
from ..sqlite import write_ahead

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata, CheckpointTuple

_SQLITE = "sqlite:///"
_FORMS = 'use "memory", "sqlite:///PATH" or "postgresql://USER@HOST/DATABASE"'


def saver(url: str) -> BaseCheckpointSaver[Any]:
    """A saver for ``examine_all`` and ``Conversation``; one serves any number of threads and event loops.

    What is stored is plain JSON, and nothing else is read back. It holds questions, answers and evidence, so a SQLite
    file is made readable for its owner only.

    Args:
        url: ``memory``, ``sqlite:///PATH``, or the URL of a PostgreSQL database.

    Raises:
        InvalidOption: Another URL, a database that cannot be opened, or a package that is not installed.
    """
    if url == "memory":
        return InMemorySaver(serde=_serde())
    try:
        if url.startswith(_SQLITE):
            return _sqlite(Path(url.removeprefix(_SQLITE)))
        if urlsplit(url).scheme in ("postgresql", "postgres", "postgresql+psycopg"):
            return _postgres("postgresql" + url[url.index(":") :])
    except ImportError as error:
        raise InvalidOption(f"Checkpoints there need a package that is not installed: {error.name}.") from error
    raise InvalidOption(f"There is no place for checkpoints of that name; {_FORMS}.")


def _serde() -> JsonPlusSerializer:
    """Reads back plain types and LangGraph's own, never what a tampered file names."""
    return JsonPlusSerializer(allowed_msgpack_modules=None)


def _sqlite(path: Path) -> BaseCheckpointSaver[Any]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    class Sqlite(_FromAnyLoop, SqliteSaver):
        """See ``_FromAnyLoop``."""

    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, check_same_thread=False)
        write_ahead(connection)  # LangGraph's own try is not repeated
        opened = Sqlite(connection, serde=_serde())
        opened.setup()
    except (OSError, sqlite3.Error) as error:
        raise InvalidOption("The file for checkpoints cannot be opened.") from error
    return opened


def _postgres(url: str) -> BaseCheckpointSaver[Any]:
    from langgraph.checkpoint.postgres import PostgresSaver
    from psycopg import Error
    from psycopg.rows import dict_row
    from psycopg_pool import ConnectionPool, PoolTimeout

    class Postgres(_FromAnyLoop, PostgresSaver):
        """See ``_FromAnyLoop``."""

    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row, "connect_timeout": 5}
    try:
        pool: Any = ConnectionPool(url, kwargs=options, min_size=1, max_size=4, open=False)
        pool.open(wait=True, timeout=5)
        opened = Postgres(pool, serde=_serde())
        opened.setup()
    except (Error, PoolTimeout) as error:
        raise InvalidOption("The database for checkpoints does not answer.") from error
    return opened


class _FromAnyLoop(BaseCheckpointSaver[Any]):
    """The asynchronous methods by the blocking ones: LangGraph's asynchronous savers belong to one event loop.

    A conversation is asked from a notebook, a page's thread and a server in turn, each with a loop of its own.
    """

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        return await asyncio.to_thread(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        found = await asyncio.to_thread(lambda: list(self.list(config, filter=filter, before=before, limit=limit)))
        for item in found:
            yield item

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        await asyncio.to_thread(self.delete_thread, thread_id)
