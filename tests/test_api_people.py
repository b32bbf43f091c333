"""People over HTTP: enrolled on a consent, seen by their owner only, deleted without a trace."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageFilter

from facewitness.agent.people import PeopleStore
from facewitness.ui.api.access import LOCAL

from .api_server import Running, running, wait

NAME = "Ada Canary"
FORM = {"name": NAME, "consent": "form-2026/117", "purpose": "Video calls of the finance team"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEWITNESS_HOME", str(home))
        with running(home / "api") as server:
            yield server


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> bytes:
    return astronaut.read_bytes()


@pytest.fixture(scope="module")
def other_photo(photo: bytes) -> bytes:
    """Of the same face."""
    buffer = BytesIO()
    Image.open(BytesIO(photo)).filter(ImageFilter.GaussianBlur(0.6)).resize((480, 480)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def client(server: Running, *scopes: str, owner: str | None = None) -> httpx.Client:
    return server.client(server.service.keys.create(scopes or ("people",), 1, owner)[1])


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_without_keys_it_is_the_store_of_the_command_line(server: Running, photo: bytes) -> None:
    """Runs first: later nothing goes without a key."""
    with server.client() as local:
        made = local.post("/v1/people", files=[("photos", photo)], data=FORM)
        assert made.status_code == 201
        assert [person.name for person in PeopleStore().people()] == [NAME]
        assert [row["name"] for row in local.get("/v1/people").json()["people"]] == [NAME]
        assert local.delete(made.headers["Location"]).status_code == 204
        assert PeopleStore().people() == []
    assert {entry.actor for entry in server.service.audit.entries()} == {LOCAL}


def test_who_is_enrolled_can_be_compared_with_and_deleted(
    server: Running, home: Path, photo: bytes, other_photo: bytes
) -> None:
    with client(server, "people", "identity", "verdicts") as one:
        made = one.post("/v1/people", files=[("photos", photo), ("photos", other_photo)], data=FORM)
        assert made.status_code == 201
        person = made.json()
        assert (person["name"], person["photos"], person["consistent"]) == (NAME, 2, True)
        assert 0.36 < person["lowest_similarity"] < 1
        listed = one.get("/v1/people").json()["people"]
        assert listed == [{name: person[name] for name in ("id", "name", "photos", "created_at")}]
        asked = one.post("/v1/verdicts", files={"photo": photo}, data={"person": NAME.upper()})
        verdict = wait(one, asked.headers["Location"])
        assert verdict["status"] == "done"
        assert "the person" in verdict["record"]["verdict"]["probabilities"]
        again = one.post("/v1/people", files=[("photos", photo)], data=FORM).json()
        assert (again["id"], again["photos"]) == (person["id"], 2)  # a photo counts once
        features = [template.feature.tobytes() for template in _store(server, listed[0]["id"]).templates(NAME)]
        assert one.delete(f"/v1/people/{person['id']}").status_code == 204
        assert one.get("/v1/people").json()["people"] == []
        assert code(one.delete(f"/v1/people/{person['id']}")) == (404, "request.not_found")
        later = one.post("/v1/verdicts", files={"photo": photo}, data={"person": NAME})
        problem = wait(one, later.headers["Location"])["problem"]
        assert (problem["code"], NAME in problem["detail"]) == ("input.unknown_person", False)
        assert NAME not in one.get(f"{later.headers['Location']}/events").text
    middle = len(photo) // 2
    for file in (file for file in home.rglob("*") if file.is_file()):
        data = file.read_bytes()
        for canary in (NAME.encode(), photo[middle : middle + 32], *features):
            assert canary not in data, file


def _store(server: Running, person_id: str) -> PeopleStore:
    """That of the newest key."""
    store = server.service.people.store(server.service.keys.list()[-1].owner)
    assert [person.name for person in store.people()] == [NAME]
    return store


def test_each_owner_has_a_store_and_a_master_key_of_its_own(server: Running, photo: bytes) -> None:
    with (
        client(server, "people", "identity", "verdicts") as mine,
        client(server, "people", "identity", "verdicts") as other,
        client(server, owner="newsroom") as one,
        client(server, owner="newsroom") as another,
    ):
        path = mine.post("/v1/people", files=[("photos", photo)], data=FORM).headers["Location"]
        assert other.get("/v1/people").json() == {"people": []}
        assert code(other.delete(path)) == (404, "request.not_found")
        asked = other.post("/v1/verdicts", files={"photo": photo}, data={"person": NAME})
        assert wait(other, asked.headers["Location"])["problem"]["code"] == "input.unknown_person"
        shared = one.post("/v1/people", files=[("photos", photo)], data=FORM).headers["Location"]
        assert shared != path  # the same name under another owner
        assert another.get("/v1/people").json() == one.get("/v1/people").json() != {"people": []}
    owners = [row.owner for row in server.service.keys.list()]
    folders = {server.service.people.store(owner).folder for owner in owners}
    keys = [file.read_text() for folder in folders for file in folder.glob("people.key")]
    assert len(set(keys)) == len(keys)


def test_consent_and_purpose_are_needed_and_audited(server: Running, photo: bytes) -> None:
    with client(server, owner="audited") as one:
        for missing in ("consent", "purpose", "name"):
            body = {name: value for name, value in FORM.items() if name != missing}
            refused = one.post("/v1/people", files=[("photos", photo)], data=body)
            assert code(refused) == (422, "request.malformed")
            assert refused.json()["faults"][0]["field"] == missing
        before = len(server.service.audit.entries())
        body = {**FORM, "photos": [base64.b64encode(photo).decode()]}
        made = one.post("/v1/people", json=body).json()
        one.delete(f"/v1/people/{made['id']}")
        enrolled, deleted = server.service.audit.entries()[before:]
        assert (enrolled.action, deleted.action) == ("person.enroll", "person.delete")
        assert enrolled.subject == deleted.subject == made["id"]
        assert enrolled.actor == deleted.actor == server.service.keys.list()[-1].id
        assert enrolled.detail == (
            '{"consent": "form-2026/117", "photos": 1, "purpose": "Video calls of the finance team"}'
        )
        assert NAME not in enrolled.detail
        server.service.audit.verify()


@pytest.mark.parametrize(
    ("change", "status", "expected"),
    [
        ({"consent": "Ada Lovelace"}, 422, "request.malformed"),
        ({"purpose": "two\nlines"}, 422, "request.malformed"),
        ({"purpose": "turned \u202e"}, 422, "request.malformed"),
        ({"name": "\u202e"}, 422, "input.invalid_option"),
        ({"name": "x" * 101}, 422, "request.malformed"),
        ({"search": "yes"}, 422, "request.malformed"),
    ],
)
def test_what_cannot_be_enrolled_is_refused(
    server: Running, photo: bytes, change: dict[str, str], status: int, expected: str
) -> None:
    with client(server) as one:
        assert code(one.post("/v1/people", files=[("photos", photo)], data={**FORM, **change})) == (status, expected)
        assert one.get("/v1/people").json() == {"people": []}


def test_who_compares_with_whom_is_audited(server: Running, photo: bytes, other_photo: bytes) -> None:
    with client(server, "people", "identity", "verdicts") as one:
        actor = server.service.keys.list()[-1].id
        person = one.post("/v1/people", files=[("photos", other_photo)], data=FORM).json()["id"]
        before = len(server.service.audit.entries())
        asked = {"files": {"photo": photo}, "data": {"person": NAME.lower()}, "headers": {"Idempotency-Key": "a"}}
        verdict = one.post("/v1/verdicts", **asked).json()["id"]
        assert one.post("/v1/verdicts", **asked).json()["id"] == verdict  # repeated, and compared once
        one.post("/v1/verdicts", files={"photo": photo})  # with nobody
        assert code(one.post("/v1/verdicts", files={"photo": b"text"}, data={"person": NAME}))[0] == 415
        files = [("photos", photo), ("photos", b"text"), ("photos", photo)]
        batch = one.post("/v1/batches", files=files, data={"person": NAME}).headers["Location"]
        lines = [json.loads(line)["verdict"] for line in one.get(f"{batch}/results").text.splitlines()]
        written = server.service.audit.entries()[before:]
        for line in lines:
            wait(one, line["links"]["self"])
    compared = [verdict, lines[0]["id"], lines[2]["id"]]
    assert [(entry.actor, entry.action, entry.subject) for entry in written] == [(actor, "person.compare", person)] * 3
    assert [json.loads(entry.detail) for entry in written] == [{"verdict": one} for one in compared]
    assert len(server.service.audit.entries()) == before + 3
    server.service.audit.verify()


def test_a_comparison_that_is_not_accepted_is_not_audited(server: Running, photo: bytes) -> None:
    with client(server, "verdicts") as one:
        before = len(server.service.audit.entries())
        for path, name in (("/v1/verdicts", "photo"), ("/v1/batches", "photos")):
            answer = one.post(path, files={name: photo}, data={"person": NAME})
            assert code(answer) == (403, "request.not_permitted")
    with client(server, "verdicts", "identity") as one:
        answer = one.post("/v1/verdicts", files={"photo": photo}, data={"person": "\u202e"})
        assert code(answer) == (422, "input.invalid_option")
    assert [entry.action for entry in server.service.audit.entries()[before:]] == ["key.create"]


def test_a_photo_without_one_clear_face_is_refused_and_nothing_is_audited(server: Running, photo: bytes) -> None:
    blank = BytesIO()
    Image.new("RGB", (200, 200), "grey").save(blank, "PNG")
    before = len(server.service.audit.entries())
    with client(server) as one:
        files = [("photos", photo), ("photos", blank.getvalue())]
        answer = one.post("/v1/people", files=files, data=FORM)
        assert code(answer) == (422, "input.invalid_reference")
        assert answer.json()["detail"].startswith("Photo 2: ")
        assert code(one.post("/v1/people", files=[("photos", b"text")], data=FORM)) == (415, "input.not_an_image")
        assert one.get("/v1/people").json() == {"people": []}
    assert [entry.action for entry in server.service.audit.entries()[before:]] == ["key.create"]


def test_the_scope_people_is_needed(server: Running, photo: bytes) -> None:
    with client(server, "verdicts", "identity") as one:
        for answer in (
            one.get("/v1/people"),
            one.post("/v1/people", files=[("photos", photo)], data=FORM),
            one.delete("/v1/people/pn_" + "0" * 32),
        ):
            assert code(answer) == (403, "request.not_permitted")
