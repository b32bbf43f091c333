"""Photos on their way into the chat: over HTTP, in memory, and gone once they are read."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

pytest.importorskip("gradio", reason="needs facewitness[ui]")

from facewitness.errors import InputError
from facewitness.ui.chat import uploads
from facewitness.ui.chat.session import MOST_PHOTOS
from facewitness.ui.chat.uploads import Uploads

from .api_server import Running, running

pytestmark = pytest.mark.filterwarnings("ignore")
GONE = "not there any more"


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, temporary: Path) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEWITNESS_HOME", str(home))
        patch.setattr(tempfile, "tempdir", str(temporary))
        with running(home / "api", chat=True) as server:
            yield server


class Tab:
    """A visitor's page, without the browser."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self._client, self._name = client, name
        config = client.get("/chat/config").json()
        self._events = {target[1]: one["id"] for one in config["dependencies"] for target in one["targets"]}

    def upload(self, data: bytes) -> str:
        answer = self._client.post("/chat/upload", content=data, headers={"Content-Type": "image/jpeg"})
        return str(answer.raise_for_status().json()["name"])

    def act(self, event: str, **data: Any) -> str:
        """All that is put on screen for an event."""
        body = {"data": [None], "event_data": data, "fn_index": self._events[event], "session_hash": self._name}
        self._client.post("/chat/gradio_api/queue/join", json=body).raise_for_status()
        shown = ""
        with self._client.stream("GET", "/chat/gradio_api/queue/data", params={"session_hash": self._name}) as messages:
            for line in messages.iter_lines():
                shown += line
                if line.startswith("data: ") and json.loads(line[6:])["msg"] == "process_completed":
                    break
        return shown


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_upload_reaches_the_disk(server: Running, temporary: Path, astronaut: Path) -> None:
    """Neither a whole one nor one that breaks off, at our address or at Gradio's."""
    data, end = astronaut.read_bytes(), b"\r\n--x--\r\n"
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    address = urlsplit(server.url)
    with server.client() as client:
        for path, body in (("/chat/upload", data), ("/chat/gradio_api/upload", part + data + end)):
            client.post(path, content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
            assert left(temporary) == []
            with socket.create_connection((str(address.hostname), int(address.port or 0))) as broken:
                head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 6000000\r\n"
                head += "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
                broken.sendall(head.encode() + part + data)
                time.sleep(0.5)
            time.sleep(0.5)
            assert client.get("/healthz").status_code == 200
            assert left(temporary) == []


def test_an_upload_can_be_read_once_whatever_comes_of_it(server: Running, astronaut: Path) -> None:
    with server.client() as client:
        tab = Tab(client, "once")
        name = tab.upload(astronaut.read_bytes())
        assert "There is no photo yet" in tab.act("ask", question="Why?", photos=[name])
        assert GONE in tab.act("photos", photos=[name])
        names = [tab.upload(b"no photo") for _ in range(MOST_PHOTOS + 1)]
        assert GONE not in tab.act("references", photos=names)
        assert all(GONE in tab.act("photos", photos=[name]) for name in names)


def test_two_visitors_may_upload_the_same_file(server: Running, astronaut: Path) -> None:
    with server.client() as client:
        one, two = Tab(client, "one"), Tab(client, "two")
        first, second = (tab.upload(astronaut.read_bytes()) for tab in (one, two))
        assert first != second
        assert "Inconclusive" in one.act("photos", photos=[first])
        assert "Inconclusive" in two.act("photos", photos=[second])


def test_deleting_takes_what_was_not_read_yet(server: Running, astronaut: Path) -> None:
    with server.client() as client:
        tab = Tab(client, "deleting")
        name = tab.upload(astronaut.read_bytes())
        assert "Deleted" in tab.act("remove", photos=[name])
        assert GONE in tab.act("photos", photos=[name])


def test_an_upload_that_nobody_asks_about_goes(
    server: Running, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "KEPT", 0.2)
    with server.client() as client:
        tab = Tab(client, "forgotten")
        name = tab.upload(astronaut.read_bytes())
        time.sleep(0.5)
        assert GONE in tab.act("photos", photos=[name])


def test_the_first_uploads_make_room(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = astronaut.read_bytes()
    monkeypatch.setattr(uploads, "MOST_BYTES", 2 * len(data))
    taken = _taken_of_three(data)
    assert taken == [None, data, data]
    assert [photo.format for photo in uploads.photos(taken[1:])] == ["JPEG", "JPEG"]
    with pytest.raises(InputError):
        uploads.photos(taken)
    monkeypatch.setattr(uploads, "MOST_FILES", 2)
    assert _taken_of_three(b"") == [None, b"", b""]


def _taken_of_three(data: bytes) -> list[bytes | None]:
    async def taken() -> list[bytes | None]:
        arrived = Uploads()
        return arrived.take([arrived.put(data) for _ in range(3)])

    return asyncio.run(taken())
