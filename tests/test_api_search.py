"""Searching by face: only by a scope of its own and for a stated purpose, audited before it is answered."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageFilter

from facewitness.agent import fusion
from facewitness.agent.people import Template
from facewitness.tools import weights
from facewitness.tools.face import Floats
from facewitness.tools.identity import SAME_PERSON_MIN, similarity
from facewitness.tools.image import load
from facewitness.tools.portrait import only_face
from facewitness.ui.api import schemas
from facewitness.ui.api.access import SCOPES
from facewitness.ui.api.search import FALSE_MATCHES

from .api_server import Running, running, unaudited
from .conftest import ROOT

PURPOSE = "Case 2026/31: who is at the gate"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from .postgres_server import fresh_database

    home = tmp_path_factory.mktemp("home")
    url = None if request.param == "sqlite" else fresh_database(request.getfixturevalue("postgres_server"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEWITNESS_HOME", str(home))
        with running(home / "api", database=url) as server:
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


@pytest.fixture(scope="module")
def feature(other_photo: bytes) -> Floats:
    return only_face(load(other_photo)).feature


def client(server: Running, *scopes: str, owner: str | None = None) -> httpx.Client:
    return server.client(server.service.keys.create(scopes or ("search",), 1, owner)[1])


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def search(one: httpx.Client, photo: bytes, **form: Any) -> httpx.Response:
    return one.post("/v1/people/search", files={"photo": photo}, data={"purpose": PURPOSE, **form})


def enroll(server: Running, owner: str, name: str, *features: Floats) -> str:
    templates = [Template(one, hashlib.sha256(one.tobytes()).hexdigest(), weights.card("sface")) for one in features]
    return server.service.people.enroll(owner, name, templates)[0]


def at(feature: Floats, cosine: float, seed: int = 0) -> Floats:
    """A feature of this cosine to another."""
    unit = feature / np.linalg.norm(feature)
    random = np.random.default_rng(seed).normal(size=128)
    across = random - (random @ unit) * unit
    return (cosine * unit + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across)).astype(np.float32)


def searches(server: Running) -> list[Any]:
    return [entry for entry in server.service.audit.entries() if entry.action == "person.search"]


def test_before_the_first_key_nobody_may_search(server: Running, photo: bytes) -> None:
    """Runs first: what needs no key elsewhere takes one here."""
    with server.client() as local:
        assert local.get("/v1/people").status_code == 200
        assert code(search(local, photo)) == (403, "request.not_permitted")
    assert searches(server) == []


def test_only_the_scope_search_lets_search_and_it_lets_do_nothing_else(server: Running, photo: bytes) -> None:
    with client(server, *(scope for scope in SCOPES if scope != "search")) as others, client(server) as one:
        assert code(search(others, photo)) == (403, "request.not_permitted")
        assert search(one, photo).status_code == 200
        assert code(one.get("/v1/people")) == (403, "request.not_permitted")
        assert code(one.post("/v1/verdicts", files={"photo": photo})) == (403, "request.not_permitted")
    with server.client() as nobody:
        assert code(search(nobody, photo)) == (401, "request.not_authenticated")


def test_the_most_like_come_first_with_a_calibrated_probability(server: Running, photo: bytes, feature: Floats) -> None:
    asked = only_face(load(photo)).feature
    people = {f"P{cosine}": at(asked, cosine, seed) for seed, cosine in enumerate((0.2, 0.4, 0.5, 0.44))}
    ids = {name: enroll(server, "many", name, one) for name, one in people.items()}
    ids["Ada"] = enroll(server, "many", "Ada", feature)
    enroll(server, "elsewhere", "Not mine", asked)
    with client(server, owner="many") as one:
        answer = search(one, photo)
        body = {"photo": base64.b64encode(photo).decode(), "purpose": PURPOSE, "limit": 1}
        few = one.post("/v1/people/search", json=body).json()
    found = answer.json()
    assert [row["name"] for row in found["candidates"]] == ["Ada", "P0.5", "P0.44", "P0.4"]  # 0.2: no candidate
    assert [row["match"] for row in found["candidates"]] == [True, True, False, False]
    assert (found["recognised"], found["people"], found["expected_false_matches"]) == (True, 5, 0.001)
    threshold = found["calibration"]["threshold"]
    for row in found["candidates"]:
        cosine = similarity(asked, {**people, "Ada": feature}[row["name"]])
        assert row["id"] == ids[row["name"]]
        assert row["similarity"] == pytest.approx(cosine, abs=1e-4)
        someone_else = fusion.calibration().probabilities(round(cosine, 4))["someone else"]
        assert row["probability"] == pytest.approx(1 - someone_else, abs=1e-4)
        assert row["match"] == (row["probability"] >= threshold)
        assert row["reason"] == ("identity.matches" if row["match"] else "identity.ambiguous")
    assert threshold == 0.98
    for name, card in (("features", weights.card("sface")), ("calibration", fusion.card())):
        assert (found[name]["version"], found[name]["sha256"]) == (card.version, card.sha256)
        assert found[name]["licence"] == "Apache-2.0"
    assert few["candidates"] == found["candidates"][:1]
    assert few["statement"] == found["statement"] and "2 of 5 people" in few["statement"], "matches not shown count too"


def test_below_the_verdict_s_threshold_it_abstains(server: Running, photo: bytes) -> None:
    asked = only_face(load(photo)).feature
    enroll(server, "unsure", "Perhaps", at(asked, 0.44))
    with client(server, owner="unsure") as one, client(server, owner="nobody") as other:
        unsure, nobody = search(one, photo).json(), search(other, photo).json()
    assert [row["name"] for row in unsure["candidates"]] == ["Perhaps"]
    assert (nobody["candidates"], nobody["people"]) == ([], 0)
    for found in (unsure, nobody):
        assert not found["recognised"]
        assert found["statement"].startswith("Nobody is recognised.")


def test_whose_photos_disagree_is_no_match(server: Running, photo: bytes) -> None:
    asked = only_face(load(photo)).feature
    enroll(server, "torn", "Two people", asked, at(asked, SAME_PERSON_MIN - 0.1))
    with client(server, owner="torn") as one:
        (row,) = search(one, photo).json()["candidates"]
    assert (row["match"], row["reason"]) == (False, "identity.references_disagree")


def test_who_is_enrolled_and_deleted_counts_at_once(server: Running, photo: bytes, other_photo: bytes) -> None:
    form = {"name": "Ada", "consent": "form-1", "purpose": "Video calls"}
    with client(server, "search", "people", owner="moving") as one:
        for _ in range(2):
            made = one.post("/v1/people", files=[("photos", other_photo)], data=form)
            assert [row["name"] for row in search(one, photo).json()["candidates"]] == ["Ada"]
            one.delete(made.headers["Location"])
            assert search(one, photo).json()["candidates"] == []


def test_a_search_is_audited_without_photo_and_likeness(
    server: Running, photo: bytes, feature: Floats, tmp_path: Path
) -> None:
    asked = only_face(load(photo)).feature
    for name, one in (("Ada", feature), ("Perhaps", at(asked, 0.44)), ("Far", at(asked, 0.1))):
        enroll(server, "audited", name, one)
    before = len(searches(server))
    with client(server, owner="audited") as one:
        actor = server.service.keys.list()[-1].id
        found = search(one, photo, purpose=f"  {PURPOSE} ").json()
    (entry,) = searches(server)[before:]
    assert (entry.actor, entry.subject) == (actor, found["id"])
    assert json.loads(entry.detail) == {"purpose": PURPOSE, "people": 3, "candidates": 2, "matches": 1}
    server.service.audit.verify()
    middle, home = len(photo) // 2, server.service.settings.folder.parent
    canaries = (photo[middle : middle + 32], asked.tobytes()[:32], hashlib.sha256(photo).hexdigest().encode())
    for file in (file for file in home.rglob("*") if file.is_file()):
        assert not any(canary in file.read_bytes() for canary in canaries), file


def test_what_cannot_be_audited_is_not_answered(server: Running, photo: bytes) -> None:
    with client(server) as one:
        with unaudited(server.service.database, "person.search"):
            assert code(search(one, photo)) == (503, "service.database")
        assert search(one, photo).status_code == 200


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"purpose": "too short"}, "purpose"),
        ({"purpose": " " * 40}, "purpose"),
        ({"purpose": "x" * 501}, "purpose"),
        ({"purpose": "two\nlines of it"}, "purpose"),
        ({"purpose": "two\u2028lines of it"}, "purpose"),
        ({"purpose": "clears the terminal \x9b2J"}, "purpose"),
        ({"limit": "0"}, "limit"),
        ({"limit": "21"}, "limit"),
        ({"person": "Ada"}, "person"),
    ],
)
def test_what_is_not_as_described_is_refused(server: Running, photo: bytes, form: dict[str, str], field: str) -> None:
    before = len(searches(server))
    with client(server) as one:
        refused = search(one, photo, **form)
        assert code(refused) == (422, "request.malformed")
        assert [fault["field"] for fault in refused.json()["faults"]] == [field]
        missing = one.post("/v1/people/search", files={"photo": photo})
        assert [fault["field"] for fault in missing.json()["faults"]] == ["purpose"]
    assert len(searches(server)) == before


def test_one_face_is_needed_or_named(server: Running, photo: bytes) -> None:
    blank, two = BytesIO(), BytesIO()
    Image.new("RGB", (200, 200), "grey").save(blank, "PNG")
    one_face = Image.open(BytesIO(photo))
    pair = Image.new("RGB", (1024, 512))
    pair.paste(one_face, (0, 0))
    pair.paste(one_face.resize((400, 400)), (560, 50))
    pair.save(two, "PNG")
    before = len(searches(server))
    with client(server) as one:
        assert code(search(one, blank.getvalue())) == (422, "face.none")
        assert code(search(one, two.getvalue())) == (422, "face.several")
        assert code(search(one, two.getvalue(), face=3)) == (422, "input.invalid_option")
        assert code(search(one, b"text")) == (415, "input.not_an_image")
        assert code(search(one, photo[: len(photo) // 2])) == (422, "input.truncated")
        assert len(searches(server)) == before
        assert search(one, two.getvalue(), face=2).status_code == 200


def test_searches_count_to_the_rate(server: Running, photo: bytes) -> None:
    with client(server) as one:
        assert search(one, photo).headers["RateLimit"].startswith('"work";r=999;')


def test_without_faiss_it_says_so(server: Running, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with client(server, owner="without") as one:
        assert code(search(one, photo)) == (501, "service.not_installed")


def test_the_share_of_false_matches_is_the_measured_one() -> None:
    measured = json.loads((ROOT / "evals" / "results" / "reference_verdict.json").read_text("utf-8"))
    shares = measured["enrolment"]["all people"]["everybody else's photos"]
    likeness = shares["likeness is the person's (identity.matches)"]
    assert likeness["right"] / likeness["of"] == FALSE_MATCHES


def test_it_is_described_with_an_example(server: Running) -> None:
    with client(server) as one:
        document = one.get("/v1/openapi.json").json()
    told = document["paths"]["/v1/people/search"]["post"]
    assert {"200", "403", "415", "422", "429", "501"} <= set(told["responses"])
    asked = told["requestBody"]["content"]["application/json"]["example"]
    assert 10 <= len(asked["purpose"]) <= 500
    (example,) = document["components"]["schemas"]["Search"]["examples"]
    assert schemas.Search.model_validate(example).model_dump() == example
