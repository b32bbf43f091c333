"""A real server on this machine for the tests of the HTTP API."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from facewitness.ui.api.database import Database
from facewitness.ui.api.server import http_server
from facewitness.ui.api.service import Service
from facewitness.ui.api.settings import Settings

SECONDS = 250


@dataclass(frozen=True)
class Running:
    """A server in a thread of this process.

    Attributes:
        url: Its address.
        service: What it works with.
    """

    url: str
    service: Service

    def client(self, secret: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False)


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Running]:
    service = Service(Settings(folder=folder, **{"model": "none", "rate": 1000, **settings}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = http_server(service)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", service)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def unaudited(database: Database, action: str) -> Iterator[None]:
    """While a block runs, the database refuses lines of the audit log about an action."""
    if database.engine.dialect.name == "sqlite":
        refuse = (
            f"CREATE TRIGGER refused BEFORE INSERT ON audit WHEN NEW.action = '{action}' "
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        allow = "DROP TRIGGER refused"
    else:
        refuse = f"ALTER TABLE audit ADD CONSTRAINT refused CHECK (action <> '{action}') NOT VALID"
        allow = "ALTER TABLE audit DROP CONSTRAINT refused"
    with database.writing() as session:
        session.execute(text(refuse))
    yield
    with database.writing() as session:
        session.execute(text(allow))


def wait(client: httpx.Client, path: str) -> dict[str, Any]:
    """The verdict at a path once it has ended."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        verdict = client.get(path).raise_for_status().json()
        if verdict["status"] not in ("queued", "running"):
            return verdict
        time.sleep(0.1)
    raise TimeoutError(path)
