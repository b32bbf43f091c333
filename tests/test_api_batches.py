"""Batches over HTTP: each photo an examination of the queue, all accepted or none."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from facewitness.agent.record import Record
from facewitness.ui.api.batch import MAX_PHOTOS
from facewitness.ui.api.tables import Base, Batch, Event, Job, Spool

from .api_server import SECONDS, Running, running

QUESTION = "Is the head turned away?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("api"), batch=4, queue=6) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


@pytest.fixture
def resting(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers take nothing."""
    monkeypatch.setattr(server.service.leases, "claim", lambda: None)


def rows(server: Running, table: type[Base]) -> int:
    with server.service.database.reading() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def form(*photos: tuple[str, bytes]) -> dict[str, Any]:
    return {"files": [("photos", data) for _, data in photos], "data": {"ids": [name for name, _ in photos]}}


def ended(client: httpx.Client, path: str) -> dict[str, Any]:
    end = time.monotonic() + SECONDS
    while (batch := client.get(path).raise_for_status().json())["status"] == "running":
        assert time.monotonic() < end
        time.sleep(0.1)
    return batch


def lines(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(f"{path}/results").raise_for_status()
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_each_photo_is_a_line_in_order_and_a_bad_one_has_its_problem(
    client: httpx.Client, server: Running, photo: bytes
) -> None:
    body = form(("b", photo), ("no picture", b"text"), ("a", photo))
    body["data"]["question"] = QUESTION
    answer = client.post("/v1/batches", **body)
    assert answer.status_code == 202, answer.text
    path = answer.headers["Location"]
    assert answer.json()["links"] == {"self": path, "results": f"{path}/results"}
    assert answer.json()["counts"]["failed"] == 1  # known at once
    assert ended(client, path)["counts"] == {"queued": 0, "running": 0, "done": 2, "failed": 1, "deleted": 0}
    found = lines(client, path)
    assert [(line["number"], line["id"]) for line in found] == [(1, "b"), (2, "no picture"), (3, "a")]
    assert [line["verdict"]["status"] for line in found] == ["done", "failed", "done"]
    assert found[1]["verdict"]["problem"]["code"] == "input.not_an_image"
    records = [Record.model_validate(found[place]["verdict"]["record"]) for place in (0, 2)]
    assert all(record.question == QUESTION for record in records)
    assert records[0].id != records[1].id
    assert client.get(found[0]["verdict"]["links"]["self"]).json() == found[0]["verdict"]
    listed = client.get("/v1/verdicts").json()["verdicts"]
    assert {row["batch"] for row in listed} == {answer.json()["id"]}
    assert rows(server, Spool) == 0


def test_a_verdict_deleted_by_itself_leaves_its_line(client: httpx.Client, photo: bytes) -> None:
    path = client.post("/v1/batches", **form(("one", b"text"), ("two", b"text"))).headers["Location"]
    assert client.delete(lines(client, path)[0]["verdict"]["links"]["self"]).status_code == 204
    assert client.get(path).json()["counts"]["deleted"] == 1
    assert [(line["id"], line["verdict"] is None) for line in lines(client, path)] == [("one", True), ("two", False)]


def test_delete_removes_all_verdicts_of_a_batch(
    client: httpx.Client, server: Running, photo: bytes, resting: None
) -> None:
    tables = (Batch, Job, Event, Spool)
    before = [rows(server, table) for table in tables]
    path = client.post("/v1/batches", **form(("one", photo), ("two", photo))).headers["Location"]
    assert [rows(server, table) - count for table, count in zip(tables, before)] == [1, 2, 0, 4]
    assert client.delete(path).status_code == 204
    assert [rows(server, table) for table in tables] == before
    for answer in (client.get(path), client.delete(path), client.get(f"{path}/results")):
        assert code(answer) == (404, "request.not_found")


def test_json_says_the_same_and_an_idempotency_key_names_one_batch(
    client: httpx.Client, server: Running, photo: bytes, resting: None
) -> None:
    text = base64.b64encode(photo).decode()
    body = {"photos": [{"id": "one", "photo": text}, {"id": "two", "photo": text}]}
    first = client.post("/v1/batches", json=body, headers={"Idempotency-Key": "k"})
    count = rows(server, Job)
    again = client.post("/v1/batches", **form(("one", photo), ("two", photo)), headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert rows(server, Job) == count
    body["photos"][1]["id"] = "three"
    other = client.post("/v1/batches", json=body, headers={"Idempotency-Key": "k"})
    assert code(other) == (422, "request.idempotency_key_reused")
    client.delete(first.headers["Location"])


def test_a_batch_is_accepted_whole_or_not_at_all(
    client: httpx.Client, server: Running, photo: bytes, resting: None
) -> None:
    before = rows(server, Job)
    five = client.post("/v1/batches", **form(*((str(number), photo) for number in range(5))))
    assert code(five) == (429, "request.too_many")
    assert five.headers["Retry-After"]
    assert rows(server, Job) == before
    paths = [client.post("/v1/batches", **form(("1", photo), ("2", photo))).headers["Location"] for _ in range(2)]
    paths += [client.post("/v1/verdicts", files={"photo": photo}).headers["Location"] for _ in range(2)]
    full = client.post("/v1/verdicts", files={"photo": photo})
    assert code(full) == (503, "service.busy")
    for path in paths:
        assert client.delete(path).status_code == 204


def test_single_photos_go_before_batches(client: httpx.Client, server: Running, photo: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.service.leases, "claim", lambda: None)
        time.sleep(0.5)  # a worker may be within a claim that began before
        batch = client.post("/v1/batches", **form(("1", photo), ("2", photo))).headers["Location"]
        single = client.post("/v1/verdicts", files={"photo": photo}).headers["Location"]
    assert ended(client, batch)["counts"]["done"] == 2
    verdicts = [client.get(single).json(), *(line["verdict"] for line in lines(client, batch))]
    finished = [verdict["finished_at"] for verdict in verdicts]
    assert finished == sorted(finished)


@pytest.mark.parametrize(
    "body",
    [
        {"photos": []},
        {"photos": [{"id": "a", "photo": "!"}]},
        {"photos": [{"id": "a\n", "photo": ""}]},
        {"photos": [{"id": "a\u202e", "photo": ""}]},
        {"photos": [{"id": "a", "photo": ""}, {"id": "a", "photo": ""}]},
        {"photos": [{"id": str(number), "photo": ""} for number in range(MAX_PHOTOS + 1)]},
        {"photos": [{"id": "a", "photo": ""}], "references": [""]},
        {},
    ],
    ids=["none", "base64", "control", "turned", "twice", "many", "references", "empty"],
)
def test_what_is_no_batch_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    assert code(client.post("/v1/batches", json=body)) == (422, "request.malformed")


def test_ids_must_go_with_the_photos(client: httpx.Client) -> None:
    files = [("photos", b"one"), ("photos", b"two")]
    assert code(client.post("/v1/batches", files=files, data={"ids": ["a"]})) == (422, "request.malformed")
    path = client.post("/v1/batches", files=files).headers["Location"]
    assert [line["id"] for line in lines(client, path)] == ["1", "2"]


def test_another_owner_sees_nothing_of_a_batch(server: Running, photo: bytes) -> None:
    """Runs last: from the first key on nothing goes without one."""
    keys = [server.service.keys.create(["verdicts"], 1, owner)[1] for owner in (None, None, "newsroom", "newsroom")]
    mine, other, one, another = (server.client(key) for key in keys)
    path = mine.post("/v1/batches", **form(("a", b"text"))).headers["Location"]
    for answer in (other.get(path), other.get(f"{path}/results"), other.delete(path)):
        assert code(answer) == (404, "request.not_found")
    assert other.get("/v1/verdicts").json()["verdicts"] == []
    assert mine.get(path).status_code == 200
    shared = one.post("/v1/batches", **form(("a", b"text"))).headers["Location"]
    assert another.get(shared).json() == one.get(shared).json()
    named = form(("a", photo))
    named["data"]["person"] = "Ada"
    assert code(mine.post("/v1/batches", **named)) == (403, "request.not_permitted")
    for client in (mine, other, one, another):
        client.close()
