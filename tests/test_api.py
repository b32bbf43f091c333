"""Verdicts over HTTP: a real server, the real graph and tools, templated text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from PIL import Image
from sqlalchemy import func, select

import facewitness
from facewitness.agent.record import Record, json_schema
from facewitness.tools.limits import MAX_BYTES
from facewitness.ui.api import bodies
from facewitness.ui.api.tables import Base, Event, Job, Picture, Spool

from .api_server import Running, running, wait
from .hostile_files import encode, png

WAIT = {"Prefer": "wait=60"}
QUESTION = "Is the head turned away?"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("api")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


@pytest.fixture(scope="module")
def own(photo: bytes) -> Record:
    """The library's record, with the models already loaded: a tool may take 10 seconds, loading included."""
    facewitness.examine(photo, model="none")
    return facewitness.examine(photo, question=QUESTION, model="none")


@pytest.fixture(scope="module")
def kept(own: Record, client: httpx.Client, photo: bytes) -> dict[str, Any]:
    """A finished verdict whose pictures are kept."""
    return examined(client, {"photo": photo}, {"question": QUESTION, "keep_pictures": "600"})


def examined(client: httpx.Client, files: Any, data: dict[str, str] | None = None) -> dict[str, Any]:
    """Handed in and waited for, also on a slow machine."""
    return wait(client, client.post("/v1/verdicts", files=files, data=data).raise_for_status().headers["Location"])


def rows(server: Running, table: type[Base]) -> int:
    with server.service.database.reading() as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def as_json(photo: bytes, **more: object) -> dict[str, object]:
    return {"photo": base64.b64encode(photo).decode(), **more}


def code(answer: httpx.Response) -> str:
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:facewitness:error:{problem['code']}"
    return problem["code"]


# --- a verdict


def test_the_record_is_what_the_library_makes(kept: dict[str, Any], own: Record) -> None:
    jsonschema.validate(kept["record"], json_schema())
    served = Record.model_validate(kept["record"])
    assert served.verdict == own.verdict
    assert served.evidence == own.evidence
    assert served.explanation == own.explanation


def test_an_answer_comes_within_the_wait(client: httpx.Client, kept: dict[str, Any], photo: bytes) -> None:
    answer = client.post("/v1/verdicts", files={"photo": photo}, headers=WAIT)
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=60"
    assert set(answer.json()) == set(kept)
    assert client.get(answer.headers["Location"]).json() == answer.json()


def test_without_a_wait_it_is_accepted_and_followed(client: httpx.Client, server: Running, photo: bytes) -> None:
    answer = client.post("/v1/verdicts", json=as_json(photo, question=QUESTION))
    assert answer.status_code == 202
    path = answer.headers["Location"]
    assert answer.json()["links"]["self"] == path
    events = _events(client, f"{path}/events")
    names = [name for _, name, _ in events]
    assert [number for number, _, _ in events[:-1]] == list(range(1, len(events)))
    assert names.index("stage") < names.index("evidence") < names.index("sentence") < names.index("done")
    record = events[-1][2]["record"]
    told = {data["finding"] for _, name, data in events if name == "evidence"}
    assert told <= {item["finding"] for item in record["evidence"]}
    sentences = [data["text"] for _, name, data in events if name == "sentence"]
    assert " ".join(sentences).startswith(record["explanation"]["summary"])
    assert all(data["evidence"] for _, name, data in events if name == "sentence")
    later = _events(client, f"{path}/events", {"Last-Event-ID": "5"})
    assert later == events[5:]
    assert client.get(path).json() == events[-1][2]


def _events(client: httpx.Client, path: str, headers: dict[str, str] | None = None) -> list[tuple[int, str, Any]]:
    answer = client.get(path, headers=headers)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((int(fields.get("id", 0)), fields["event"], json.loads(fields["data"])))
    return found


def test_references_are_compared(client: httpx.Client, photo: bytes) -> None:
    buffer = BytesIO()
    Image.open(BytesIO(photo)).resize((400, 400)).save(buffer, "PNG")
    files = [("photo", photo), ("references", buffer.getvalue())]
    record = examined(client, files)["record"]
    assert record["comparison"]["references"] == 1
    assert "the person" in record["verdict"]["probabilities"]


def test_pictures_are_kept_only_on_request(client: httpx.Client, kept: dict[str, Any], photo: bytes) -> None:
    report = client.get(kept["links"]["report"])
    assert report.headers["Content-Type"].startswith("text/html")
    assert kept["record"]["id"] in report.text
    assert kept["links"]["overlays"]
    for path in kept["links"]["overlays"].values():
        overlay = client.get(path)
        assert overlay.headers["Content-Type"] == "image/png"
        assert Image.open(BytesIO(overlay.content)).size[0] > 100
    other = examined(client, {"photo": photo})
    assert other["links"]["report"] is None
    assert other["links"]["overlays"] == {}
    refused = client.get(f"{other['links']['self']}/report.html")
    assert (refused.status_code, code(refused)) == (410, "request.pictures_not_kept")


def test_the_report_is_also_a_pdf(client: httpx.Client, kept: dict[str, Any]) -> None:
    answer = client.get(kept["links"]["report_pdf"])
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-") and answer.content.rstrip().endswith(b"%%EOF")
    assert len(answer.content) > 20_000  # the photo is in it
    assert b"/JavaScript" not in answer.content and b"/URI" not in answer.content


def test_verdicts_are_listed_by_page(client: httpx.Client, server: Running, photo: bytes) -> None:
    for number in range(3):
        examined(client, {"photo": photo}, {"question": f"{QUESTION} {number}"})
    path, seen, pages = "/v1/verdicts?limit=2", [], 0
    while path:
        page = client.get(path).raise_for_status().json()
        assert 1 <= len(page["verdicts"]) <= 2
        seen += page["verdicts"]
        path, pages = page["next"], pages + 1
    assert pages > 1
    assert len({row["id"] for row in seen}) == len(seen) == rows(server, Job)
    assert [row["created_at"] for row in seen] == sorted((row["created_at"] for row in seen), reverse=True)
    assert client.get(seen[0]["path"]).json()["created_at"] == seen[0]["created_at"]
    assert client.get("/v1/verdicts", params={"status": "queued"}).json() == {"verdicts": [], "next": None}
    done = client.get("/v1/verdicts", params={"status": "done", "limit": 1}).json()
    assert "status=done" in done["next"]
    assert [row["status"] for row in done["verdicts"]] == ["done"]
    odd = [r'[1.0, "\ud800"]', f'[NaN, "vd_{"0" * 32}"]', '[1.0, "x"]']
    encoded = [base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in odd]
    for cursor in ("x", "bnVsbA", "WzFd", "WzEuNSwgIlx1MDAwMCJd", "[" * 150, "\u00e9", *encoded):
        refused = client.get("/v1/verdicts", params={"cursor": cursor})
        assert (refused.status_code, code(refused)) == (422, "request.malformed")
    assert code(client.get("/v1/verdicts", params={"limit": 101})) == "request.malformed"


def test_no_photo_is_left_when_the_job_has_ended(server: Running, kept: dict[str, Any]) -> None:
    assert server.service.jobs.counts() == {"queued": 0, "running": 0}
    assert rows(server, Spool) == 0


def test_delete_leaves_nothing(client: httpx.Client, server: Running, photo: bytes) -> None:
    tables = (Job, Event, Picture, Spool)
    before = [rows(server, table) for table in tables]
    verdict = examined(client, {"photo": photo}, {"keep_pictures": "600"})
    path = verdict["links"]["self"]
    sealed = _sealed(server, verdict["id"])
    assert len(sealed) > 10
    assert _found(server, sealed) == len(sealed)
    assert client.delete(path).status_code == 204
    assert code(client.get(path)) == code(client.delete(path)) == code(client.get(f"{path}/events"))
    assert [rows(server, table) for table in tables] == before
    assert _found(server, sealed) == 0


def _sealed(server: Running, job: str) -> list[bytes]:
    with server.service.database.reading() as session:
        tables = (Event, Picture)
        return [sealed for table in tables for sealed in session.scalars(select(table.sealed).where(table.job == job))]


def _found(server: Running, canaries: list[bytes]) -> int:
    """How many occur in some file of the service; a page of SQLite may hold the first bytes only."""
    files = [file.read_bytes() for file in server.service.settings.folder.iterdir()]
    return sum(any(canary[:40] in file for file in files) for canary in canaries)


# --- the same request again


def test_an_idempotency_key_names_one_verdict(client: httpx.Client, photo: bytes) -> None:
    key = {"Idempotency-Key": "a-1"}
    first = client.post("/v1/verdicts", files={"photo": photo}, headers=key)
    again = client.post("/v1/verdicts", files={"photo": photo}, headers={**key, **WAIT})
    assert again.json()["id"] == first.json()["id"]
    other = client.post("/v1/verdicts", files={"photo": photo}, data={"face": "1"}, headers=key)
    assert (other.status_code, code(other)) == (422, "request.idempotency_key_reused")


# --- refusals


@pytest.mark.parametrize(
    ("data", "status", "expected"),
    [
        (b"no picture", 415, "input.not_an_image"),
        (b"", 415, "input.not_an_image"),
        (encode("GIF"), 415, "input.unsupported_format"),
        (png(20_000, 20_000, b""), 413, "input.too_many_pixels"),
        (encode("JPEG")[:200], 422, "input.truncated"),
        (b"\xff\xd8\xff" + bytes(MAX_BYTES), 413, "input.file_too_large"),
    ],
    ids=["text", "empty", "gif", "pixels", "cut", "bytes"],
)
def test_a_photo_that_cannot_be_used_is_refused_at_once(
    client: httpx.Client, server: Running, data: bytes, status: int, expected: str
) -> None:
    before = rows(server, Job)
    answer = client.post("/v1/verdicts", files={"photo": data})
    assert (answer.status_code, code(answer)) == (status, expected)
    assert rows(server, Job) == before


def test_what_only_decoding_shows_is_the_end_of_the_job(client: httpx.Client, photo: bytes) -> None:
    damaged = photo[: len(photo) // 2] + photo[-2:]
    answer = client.post("/v1/verdicts", files={"photo": damaged}, headers=WAIT)
    assert (answer.status_code, code(answer)) == (422, "input.truncated")
    path = client.post("/v1/verdicts", files={"photo": damaged}).headers["Location"]
    verdict = wait(client, path)
    assert (verdict["status"], verdict["problem"]["code"]) == ("failed", "input.truncated")
    assert _events(client, f"{path}/events")[-1][1] == "failed"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "file:///etc/passwd",
        "/etc/passwd",
        "//evil.example/a.jpg",
        "data:image/png;base64,AAAA",
        "gopher://127.0.0.1:70/",
        "..%2f..%2fetc%2fpasswd",
    ],
)
def test_addresses_and_paths_are_no_photos(client: httpx.Client, address: str) -> None:
    for answer in (
        client.post("/v1/verdicts", json={"photo": address}),
        client.post("/v1/verdicts", data={"photo": address}, files={"references": b"x"}),
        client.post("/v1/verdicts", json={"photo": {"url": address}}),
    ):
        assert answer.status_code in (415, 422)
        assert code(answer) in ("request.malformed", "input.not_an_image")
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"photo": 7},
        {},
        {"photo": "AAAA", "path": "/etc/passwd"},
        {"photo": "AAAA", "face": 0},
        {"photo": "AAAA", "face": "1"},
        {"photo": "AAAA", "keep_pictures": 10**9},
        {"photo": "AAAA", "references": ["AAAA"] * 4},
        {"photo": "AAAA", "model": "http://127.0.0.1/v1#x"},
    ],
)
def test_a_malformed_request_names_the_field_and_echoes_nothing(client: httpx.Client, wrong: dict[str, object]) -> None:
    answer = client.post("/v1/verdicts", json=wrong)
    assert (answer.status_code, code(answer)) == (422, "request.malformed")
    assert answer.json()["faults"]
    assert "AAAA" not in answer.text


def test_a_body_is_refused_as_soon_as_it_is_too_large(client: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 10 * bodies.MAX_BODY:
            sent += 1_000_000
            yield bytes(1_000_000)

    headers = {"Content-Type": "application/json"}
    try:
        answer = client.post("/v1/verdicts", content=endless(), headers=headers)
        assert (answer.status_code, code(answer)) == (413, "request.too_large")
    except httpx.TransportError:  # closed before all was sent
        pass
    assert sent < 2 * bodies.MAX_BODY
    connection = HTTPConnection("127.0.0.1", client.base_url.port, timeout=30)
    connection.putrequest("POST", "/v1/verdicts")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    assert connection.getresponse().status == 413  # by its header; the body is not waited for
    connection.close()


def test_unknown_things_are_problems(client: httpx.Client) -> None:
    assert code(client.get("/nothing")) == "request.not_found"
    assert code(client.get("/v1/verdicts/vd_" + "0" * 32)) == "request.not_found"
    assert code(client.get("/v1/verdicts/../../etc/passwd")) == "request.not_found"
    refused = client.put("/v1/verdicts")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, POST")
    assert client.post("/v1/openapi.json").headers["Allow"]
    unfinished = client.post("/v1/verdicts", content=b"{", headers={"Content-Type": "text/plain"})
    assert code(unfinished) == "request.malformed"


@pytest.mark.parametrize("charset", ["undefined", "punycode"])
def test_a_charset_that_decodes_nothing_is_a_malformed_request(client: httpx.Client, charset: str) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="question"\r\n\r\na-99999999999zzzz\r\n--x--\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    answer = client.post("/v1/verdicts", content=body, headers=headers)
    assert (answer.status_code, code(answer)) == (422, "request.malformed")


# --- about the service


def test_tools_are_listed_with_versions_and_licences(client: httpx.Client) -> None:
    listed = client.get("/v1/tools").json()
    assert {"quality", "identity", "manipulation"} <= {tool["name"] for tool in listed["tools"]}
    models = {model["name"]: model for model in listed["models"]}
    assert models["yunet"]["licence"] == "MIT"
    assert all(len(model["sha256"]) == 64 and model["version"] for model in models.values())


def test_health_and_metrics(client: httpx.Client, kept: dict[str, Any]) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "problems": []}
    assert client.get("/readyz").status_code == 200
    text = client.get("/metrics").text
    label = kept["record"]["verdict"]["label"]
    assert f'facewitness_verdicts_total{{label="{label}"}}' in text
    assert 'facewitness_stage_seconds_count{stage="tool.quality"}' in text
    assert kept["id"] not in text


def test_the_description_is_openapi_31_with_examples(client: httpx.Client) -> None:
    document = client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    post = document["paths"]["/v1/verdicts"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert post["requestBody"]["content"]["application/json"]["example"]
    for name in ("Verdict", "Verdicts", "Batch", "Person"):
        assert document["components"]["schemas"][name]["examples"]
    for path, status in (("/v1/batches", "202"), ("/v1/people", "201")):
        other = document["paths"][path]["post"]
        assert set(other["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
        assert other["requestBody"]["content"]["application/json"]["example"]
        assert set(other["responses"]) >= {status, "401", "403", "413", "422", "429", "503"}
    assert set(post["responses"]) >= {"200", "202", "401", "413", "415", "422", "429", "503"}
    answers = [
        (status, answer["content"])
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if status != "204" and not (status == "503" and operation["tags"] == ["health"])
    ]
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert all(content == problem for status, content in answers if status >= "400")
    assert document["components"]["schemas"]["Problem"]["properties"]["faults"]
    chat = document["paths"]["/v1/chat/completions"]["post"]["responses"]
    assert set(chat["200"]["content"]) == {"application/json", "text/event-stream"} and "409" in chat
