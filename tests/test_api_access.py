"""Who may do what: API keys, scopes, rates, other sites."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from facewitness.errors import InvalidOption
from facewitness.ui.api import access, bodies, database
from facewitness.ui.api.settings import DAY
from facewitness.ui.cli import app

from .api_server import SECONDS, Running, running, wait
from .postgres_server import fresh_database


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("FACEWITNESS_HOME", str(home))
        with running(home / "api", rate=5, unfinished=2) as server:
            yield server


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


def key(server: Running, *scopes: str, days: int | None = 1) -> str:
    return server.service.keys.create(scopes or ("verdicts",), days)[1]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_pages_of_other_sites_are_kept_out_before_there_are_keys(server: Running) -> None:
    with server.client() as client:
        assert client.get("/v1/tools").status_code == 200
        assert code(client.get("/v1/tools", headers={"Host": "evil.example"})) == (403, "request.not_permitted")
        assert code(client.get("/v1/tools", headers={"Origin": "http://evil.example"})) == (
            403,
            "request.not_permitted",
        )
        assert client.get("/v1/tools", headers={"Origin": server.url}).status_code == 200


def test_beyond_this_machine_it_refuses_without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        run = CliRunner().invoke(app, ["api", "--host", host, "--port", "0", "--model", "none"])
        assert isinstance(run.exception, InvalidOption)
        assert "keys create" in str(run.exception)


def test_after_the_first_key_nothing_goes_without(server: Running) -> None:
    secret = key(server)
    with server.client() as client:
        refused = client.get("/v1/tools")
        assert code(refused) == (401, "request.not_authenticated")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/healthz").status_code == 200
        for wrong in ("fwk_wrong", secret[:-1], secret + "x", "\u00e9"):
            answer = client.get("/v1/tools", headers={"Authorization": f"Bearer {wrong}".encode("latin-1")})
            assert answer.status_code == 401
    with server.client(secret) as client:
        assert client.get("/v1/tools").status_code == 200
        elsewhere = {"Host": "facewitness.example", "Origin": "https://newsroom.example"}
        assert client.get("/v1/tools", headers=elsewhere).status_code == 200


def test_keys_are_long_and_kept_as_hashes(server: Running) -> None:
    secret = key(server)
    assert len(secret) - len(access.PREFIX) >= 43  # 256 bits in base64
    files = [file.read_bytes() for file in server.service.settings.folder.iterdir()]
    assert not any(secret[len(access.PREFIX) :].encode() in file for file in files)


def test_expired_and_revoked_keys_are_refused(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = key(server, days=1)
    moment = database.now()
    with server.client(secret) as client:
        assert client.get("/v1/tools").status_code == 200
        monkeypatch.setattr(access, "now", lambda: moment + 2 * DAY)
        assert client.get("/v1/tools").status_code == 401
        monkeypatch.undo()
        assert client.get("/v1/tools").status_code == 200
        key_id = server.service.keys.list()[-1].id
        listed = CliRunner().invoke(app, ["keys", "list"])
        assert f"{key_id}  valid" in listed.stdout
        assert CliRunner().invoke(app, ["keys", "revoke", key_id]).exit_code == 0
        assert client.get("/v1/tools").status_code == 401
        assert f"{key_id}  revoked" in CliRunner().invoke(app, ["keys", "list"]).stdout


def test_the_command_makes_a_key(server: Running) -> None:
    run = CliRunner().invoke(app, ["keys", "create", "--scope", "verdicts", "--scope", "people"])
    secret = run.stdout.strip()
    assert secret.startswith(access.PREFIX)
    with server.client(secret) as client:
        assert client.get("/v1/tools").status_code == 200
    wrong = CliRunner().invoke(app, ["keys", "create", "--scope", "everything"])
    assert isinstance(wrong.exception, InvalidOption)


def test_scopes(server: Running, photo: bytes) -> None:
    with server.client(key(server, "metrics")) as client:
        assert client.get("/metrics").status_code == 200
        assert code(client.get("/v1/tools")) == (403, "request.not_permitted")
    with server.client(key(server, "verdicts")) as client:
        assert client.get("/metrics").status_code == 403
        answer = client.post("/v1/verdicts", files={"photo": photo}, data={"person": "Ada"})
        assert code(answer) == (403, "request.not_permitted")
        assert code(client.get("/v1/people")) == (403, "request.not_permitted")
    with server.client(key(server, "verdicts", "identity")) as client:
        path = client.post("/v1/verdicts", files={"photo": photo}, data={"person": "Ada"}).headers["Location"]
        assert wait(client, path)["problem"]["code"] == "input.unknown_person"


def test_another_key_sees_nothing(server: Running, photo: bytes) -> None:
    with server.client(key(server)) as mine, server.client(key(server)) as other:
        headers = {"Idempotency-Key": "the same"}
        path = mine.post("/v1/verdicts", files={"photo": photo}, headers=headers).headers["Location"]
        for answer in (
            other.get(path),
            other.delete(path),
            other.get(f"{path}/events"),
            other.get(f"{path}/record.json"),
        ):
            assert code(answer) == (404, "request.not_found")
        theirs = other.post("/v1/verdicts", files={"photo": photo}, headers=headers).headers["Location"]
        assert theirs != path
        assert wait(mine, path)["status"] == "done"
        assert wait(other, theirs)["status"] == "done"


def test_the_rate_is_limited_and_told(server: Running) -> None:
    with server.client(key(server)) as client, server.client(key(server)) as other:
        for left in (4, 3, 2, 1, 0):
            answer = client.post("/v1/verdicts", json={})
            assert answer.status_code == 422
            assert answer.headers["RateLimit-Policy"] == '"work";q=5;w=60'
            assert answer.headers["RateLimit"].startswith(f'"work";r={left};t=')
        refused = client.post("/v1/verdicts", json={})
        assert code(refused) == (429, "request.too_many")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/v1/tools").status_code == 200  # reading is not limited
        assert other.post("/v1/verdicts", json={}).status_code == 422


def test_unfinished_examinations_are_limited(server: Running, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.service.leases, "claim", lambda: None)  # the workers rest
    with server.client(key(server)) as client:
        paths = [client.post("/v1/verdicts", files={"photo": photo}).headers["Location"] for _ in range(2)]
        refused = client.post("/v1/verdicts", files={"photo": photo})
        assert code(refused) == (429, "request.too_many")
        assert refused.headers["Retry-After"]
        assert client.delete(paths[0]).status_code == 204
        assert client.post("/v1/verdicts", files={"photo": photo}).status_code == 202


def test_slow_bodies_of_one_owner_keep_nobody_else_waiting(tmp_path: Path) -> None:
    with running(tmp_path / "api") as server, ExitStack() as slow:
        one, another = key(server), key(server)
        for _ in range(bodies.UPLOADS):
            connection = HTTPConnection(server.url.removeprefix("http://"), timeout=SECONDS)
            slow.callback(connection.close)
            connection.putrequest("POST", "/v1/verdicts")
            for name, value in (
                ("Authorization", f"Bearer {one}"),
                ("Content-Type", "application/json"),
                ("Content-Length", "1000"),
            ):
                connection.putheader(name, value)
            connection.endheaders(b"{")
        time.sleep(2)
        began = time.monotonic()
        with server.client(another) as client:
            assert code(client.post("/v1/verdicts", json={})) == (422, "request.malformed")
        assert time.monotonic() - began < bodies.MAX_SECONDS / 2


def test_behind_a_proxy_it_answers_while_the_database_does_not(tmp_path: Path, postgres_server: str) -> None:
    """A table that is locked for good is as a database that hangs."""
    address = fresh_database(postgres_server)
    with running(tmp_path / "api", database=address) as server, server.client() as client:
        database = server.service.database
        elsewhere = {"Host": "facewitness.example"}
        key(server)
        with ThreadPoolExecutor() as pool:
            with database.writing() as session:
                session.execute(text("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"))
                first = pool.submit(client.get, "/healthz", headers=elsewhere)
                time.sleep(1)
                assert client.get("/healthz", timeout=10).status_code == 200
                assert not first.done()  # nobody knows yet whether there is a key
            assert first.result().status_code == 200
            with database.writing() as session:
                session.execute(text("LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE"))
                assert client.get("/healthz", headers=elsewhere, timeout=10).status_code == 200
