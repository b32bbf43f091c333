"""The chat without a browser: its words, panels, uploads, reports, feedback, sign-in and Gradio's settings."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner

from facewitness.agent.examine import examine_all
from facewitness.agent.record import Record
from facewitness.errors import InvalidOption, SignatureInvalid, TooManyPixels
from facewitness.tools.image import load
from facewitness.tools.limits import check_size
from facewitness.ui.api.access import Principal
from facewitness.ui.api.database import Database
from facewitness.ui.api.masterkey import open_vault
from facewitness.ui.api.service import Service
from facewitness.ui.api.settings import Settings
from facewitness.ui.api.signing import Signer, public_keys, verify
from facewitness.ui.chat import feedback, panels, reports, stage
from facewitness.ui.chat.examples import EXAMPLES, FOLDER
from facewitness.ui.chat.running import Stopped, Work
from facewitness.ui.chat.session import MOST_CASES, Case, Found, Session, Turn
from facewitness.ui.chat.speaker import speaker
from facewitness.ui.chat.steps import Steps
from facewitness.ui.chat.text import ASSETS, next_step, words
from facewitness.ui.chat.uploads import Uploads
from facewitness.ui.cli import app

from .api_server import Running, running, unaudited

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def case() -> Case:
    photo, known = load(FOLDER / "astronaut-bent.jpg"), load(FOLDER / "astronaut.jpg")
    steps = Steps()
    question = HOSTILE
    made = examine_all(photo, [known], model="none", all_faces=False, question=question, on_progress=steps.note)
    steps.end("done")
    case = Case(photo, (known,))
    case.add(Found(made, steps))
    return case


def test_every_word_is_used_and_none_is_missing() -> None:
    sources = "".join(path.read_text() for folder in (ASSETS, ASSETS.parent) for path in folder.glob("*.*"))
    sources = sources.replace((ASSETS / "en.toml").read_text(), "")
    unused = []
    for section, held in words().items():
        for key, text in held.items() if isinstance(held, dict) else ():
            dynamic = isinstance(text, dict) or key.startswith("status_") or section == "problem"
            if not dynamic and not re.search(rf"\b{section}\b.{{0,3000}}\b{key}\b|\b{key}\b", sources, re.S):
                unused.append(f"{section}.{key}")
    assert unused == []
    for name in re.findall(r"\bt\.([a-z_]+)\.([a-z_]+)\b", sources):
        assert name[1] in words()[name[0]], name


def test_what_to_do_about_a_photo_that_is_too_large_names_both_limits() -> None:
    with pytest.raises(TooManyPixels) as refused:
        check_size(9000, 9000)
    assert next_step(refused.value.code) == "Make it at most 40 million pixels and 10,000 a side, and drop it again."
    assert not [code for code in words()["problem"]["next"] if re.search("[{}]", next_step(code))]


def test_the_same_words_are_told_again() -> None:
    """Gradio shows no text that is already there, and the page hides it when another file is dropped."""
    assert panels.problem("What", "Then") != panels.problem("What", "Then")
    assert panels.note("What", "Then") != panels.note("What", "Then")


def test_panels_show_the_record_and_escape_what_is_not_ours(case: Case) -> None:
    session = Session("local", cases=[case])
    html = {name: getattr(panels, name)(case) for name in ("photo", "verdict", "steps", "talk", "evidence")}
    html["strip"] = panels.strip(session)
    assert "A forgery of the person" in html["verdict"]
    assert all("<script" not in text for text in html.values())
    assert "&lt;script&gt;" in html["verdict"]
    record = case.record
    assert record is not None
    for item in record.evidence:
        assert f'data-ids="{item.id}"' in html["evidence"]
    for claim in record.explanation.claims:
        assert f'data-ids="{" ".join(claim.evidence)}"' in html["talk"]
    assert html["verdict"].count('class="zone"') == 4
    assert "not measurable" in html["photo"]


def test_the_zone_ends_where_fusion_gives_a_label(case: Case) -> None:
    record = case.record
    assert record is not None
    assert record.verdict.probabilities[record.verdict.label] >= panels.needed(record.verdict.label)
    assert {panels.needed(label) for label in ("authentic", "manipulated", "synthetic", "someone else")} == {0.95}


def test_views_and_the_file_s_way(case: Case) -> None:
    assert case.record is not None and case.found is not None
    made = stage.stage(case.record, case.photo.rgb, case.found.pictures, case.references)
    kinds = {view.kind for view in made["views"]}
    assert kinds >= {"faces", "map", "compare", "expression", "history"}
    told = [item.measure for items in made["history"].values() for item in items]
    about_file = [item.measure for item in case.record.evidence if item.tool in stage.FILE_TOOLS]
    assert sorted(told) == sorted(about_file)
    assert list(made["history"]) == [station for station in stage.HISTORY if station in made["history"]]
    about = {key for view in made["views"] for key in view.ids}
    drawn = {key for layer in made["layers"] for key in layer.ids}
    assert drawn <= about


def test_steps_nest_tools_and_keep_their_findings(case: Case) -> None:
    assert case.steps is not None
    nested = next(tools for step, tools in case.steps.listed if step is None)
    assert len(nested) >= 10
    assert all(step.ms is not None and step.finding for step in nested)
    steps = Steps()
    steps.note({"stage": "reason", "status": "writing", "sentence": 0, "section": "summary", "text": "The "})
    steps.note({"stage": "reason", "status": "writing", "sentence": 0, "section": "summary", "text": "face."})
    steps.note({"stage": "new_thing", "status": "started"})
    assert steps.draft == "The face."
    assert [step.title for step in steps.all] == ["New thing"]


def test_work_is_stopped_at_its_next_report() -> None:
    stop, reached = threading.Event(), []

    def call(report: Any) -> None:
        report({"n": 1})
        stop.wait(5)
        try:
            report({"n": 2})
        finally:
            reached.append("end")

    work = Work(call, stop)
    seen = []
    with pytest.raises(Stopped):  # noqa: PT012
        for events in work.events():
            seen += events
            stop.set()
    assert seen == [{"n": 1}]
    end = time.monotonic() + 5
    while not reached and time.monotonic() < end:
        time.sleep(0.01)
    assert reached


def test_the_json_report_is_signed_as_the_api_signs(case: Case, tmp_path: Path) -> None:
    database = Database(Settings(folder=tmp_path))
    signer = Signer(database, open_vault(database))
    made = reports.make("json", case, signer.sign)
    assert made is not None and case.record is not None
    signed = verify(made.data, public_keys(database))
    assert Record.model_validate(signed.record) == case.record
    with pytest.raises(SignatureInvalid):
        verify(made.data.replace(b"forgery", b"Forgery", 1), public_keys(database))
    page = reports.make("html", case, signer.sign)
    assert page is not None and HOSTILE.encode() not in page.data
    assert reports.make("exe", case, signer.sign) is None
    database.close()


def test_the_pdf_names_what_it_was_made_from(case: Case, tmp_path: Path) -> None:
    pytest.importorskip("fpdf", reason="needs facewitness[ui]")
    database = Database(Settings(folder=tmp_path))
    signer = Signer(database, open_vault(database))
    made = reports.make("pdf", case, signer.sign)
    database.close()
    assert made is not None and made.data.startswith(b"%PDF-")
    assert made.data.count(b"/Type /Page\n") in range(2, 8)
    assert not re.search(rb"/(JavaScript|Launch|URI|OpenAction /)", made.data)


def test_feedback_holds_no_photo_and_can_be_taken_back(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    assert case.record is not None
    first = feedback.keep(case.record, ["wrong_verdict", "made_up"], "It is\nreal." + "x" * 900)
    second = feedback.keep(case.record, ["privacy"], "")
    lines = [json.loads(line) for line in feedback.path().read_text().splitlines()]
    assert lines[0]["reasons"] == ["wrong_verdict"]
    assert len(lines[0]["comment"]) == feedback.LONGEST
    assert case.photo.sha256 not in feedback.path().read_text()
    assert stat.S_IMODE(os.stat(feedback.path()).st_mode) == 0o600
    feedback.forget([first])
    assert [json.loads(line)["id"] for line in feedback.path().read_text().splitlines()] == [second]


def test_a_session_forgets_everything(case: Case) -> None:
    session = Session("local", cases=[case, Case(case.photo)], references=[case.photo], feedback=["x"])
    assert case.found is not None
    case.found.turns.append(Turn("Why?"))
    assert session.clear() == {"photos": 3, "answers": 1, "feedback": 1}
    assert (session.cases, session.references, session.case, session.gone) == ([], [], None, True)
    case.found.turns.clear()


def test_one_line_says_who_speaks() -> None:
    assert "No language model" in speaker("none")
    assert "Apache-2.0" in speaker("embedded")
    assert "not the photo" in speaker("http://127.0.0.1:8000/v1#some-model")
    line = speaker("http://127.0.0.1:8000/v1#some-model?vision")
    assert "some-model" in line and "127.0.0.1" in line and "the photo" in line and "Licence not known" in line
    assert all("\n" not in speaker(spec) for spec in ("none", "embedded"))


def test_examples_are_one_face_and_say_what_is_altered() -> None:
    credits = (FOLDER / "README.md").read_text()
    assert {path.name for path in FOLDER.glob("*.jpg")} == {example.file for example in EXAMPLES}
    assert all(example.file in credits and example.id in words()["examples"] for example in EXAMPLES)
    assert [example.altered for example in EXAMPLES] == [False, True, True, True]


def test_beyond_this_machine_the_chat_refuses_without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio", reason="needs facewitness[ui]")
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    run = CliRunner().invoke(app, ["chat", "--host", "0.0.0.0", "--port", "0", "--model", "none", "--no-open"])
    assert isinstance(run.exception, InvalidOption) and "keys create" in str(run.exception)


def test_without_its_packages_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    run = CliRunner().invoke(app, ["chat", "--model", "none", "--no-open"])
    assert isinstance(run.exception, InvalidOption) and "facewitness[ui]" in str(run.exception)


def test_the_oldest_photos_make_room(case: Case) -> None:
    session = Session("local")
    for _ in range(12):
        session.add(Case(case.photo))
    assert len(session.cases) == MOST_CASES and session.case is session.cases[-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    pytest.importorskip("gradio", reason="needs facewitness[ui]")
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("FACEWITNESS_HOME", str(home))
        with running(home / "api", chat=True) as server:
            yield server


@pytest.mark.filterwarnings("ignore")
def test_gradio_is_set_to_what_is_safe(server: Running) -> None:
    with server.client() as client:
        page = client.get("/chat/")
        assert 'href="/manifest.json"' in page.text and client.get("/manifest.json").json()["start_url"] == "/chat/"
        assert client.get("/favicon.ico").status_code == 204, "asked for before the head's icon is in the page"
        policy = page.headers["content-security-policy"]
        assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
        config = client.get("/chat/config").json()
        assert config["show_error"] is False
        assert config["analytics_enabled"] is False
        assert config["max_file_size"] == 10_000_000
        assert not config.get("mcp_server") and not config.get("run_history")
        assert {one["api_visibility"] for one in config["dependencies"]} == {"private"}
        assert client.post("/chat/upload", content=iter([bytes(10_000_001)])).status_code == 413


@pytest.mark.filterwarnings("ignore")
def test_of_gradio_only_what_the_page_needs_is_served(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fetch an address for whoever asks, an image on any web page included."""
    safehttpx = pytest.importorskip("safehttpx", reason="needs facewitness[ui]")
    followed = []

    async def resolved(host: str) -> str:
        followed.append(host)
        return "127.0.0.1"

    monkeypatch.setattr(safehttpx, "async_validate_url", resolved)
    own = f"{server.url}/healthz"
    api = "/chat/gradio_api"
    with server.client() as client:
        for path in (
            *(f"{api}/file={one}" for one in (own, own.replace(":", "%3A", 1), "/etc/passwd", str(Path(__file__)))),
            *(f"{api}/{start}{own}" for start in ("file/", "proxy=")),
            *(
                f"{api}/{name}"
                for name in ("info", "openapi.json", "user", "token", "runs", "deep_link?session_hash=x")
            ),
            *(f"{api}/{name}" for name in ("stream/a/b/1/playlist-file", "custom_component/a/client/b/c", "file=%0A")),
            *(f"/chat/{name}" for name in ("monitoring/summary", "svelte/x.js", "../chat/robots.txt")),
        ):
            assert client.get(path).status_code == 404, path
        for path in ("upload", "component_server", "process_recording", "run/predict", "call/photos", "cancel"):
            assert client.post(f"{api}/{path}", json={}).status_code == 404, path
        assert followed == []
        page = client.get("/chat/")
        assets = re.findall(r'"\./((?:assets|static|theme)[^"]+)"', page.text)
        assert len(assets) >= 2
        for path in ("/chat", *(f"/chat/{one}" for one in assets), "/chat/gradio_api/app_id", "/chat/config"):
            assert client.get(path, follow_redirects=True).status_code == 200, path


@pytest.mark.filterwarnings("ignore")
def test_nobody_waits_while_a_visitor_is_looked_up(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    principal, looking, others = server.service.keys.principal, threading.Event(), threading.Event()
    served_meanwhile = []

    def slow(secret: str | None) -> Principal:
        looking.set()
        served_meanwhile.append(others.wait(5))
        return principal(secret)

    monkeypatch.setattr(server.service.keys, "principal", slow)
    with server.client() as client, ThreadPoolExecutor(1) as pool:
        page = pool.submit(client.get, "/chat/config")
        assert looking.wait(5)
        assert client.get("/healthz").status_code == 200
        others.set()
        assert page.result().status_code == 200
    assert served_meanwhile[0]


@pytest.mark.filterwarnings("ignore")
def test_with_keys_nothing_is_served_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio", reason="needs facewitness[ui]")
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    with running(tmp_path / "api", chat=True) as server:
        _, people_only = server.service.keys.create(["people"], 1)
        key_id, secret = server.service.keys.create(["verdicts"], 1)
        with server.client() as client:
            for path in ("/chat/", "/chat/config"):
                answer = client.get(path)
                assert (answer.status_code, answer.headers["location"]) == (303, "/signin")
            assert client.post("/chat/upload", content=b"x").status_code == 303
            assert client.post("/signin", data={"key": people_only}).status_code == 401
            other = client.post("/signin", data={"key": secret}, headers={"Origin": "http://evil.example"})
            assert other.status_code == 403 and "set-cookie" not in other.headers
            entered = client.post("/signin", data={"key": secret})
            assert entered.status_code == 303
            assert {"HttpOnly", "SameSite=strict"} <= set(entered.headers["set-cookie"].split("; "))
            assert secret not in entered.headers["set-cookie"]
            assert client.get("/chat/config").status_code == 200
            server.service.keys.revoke(key_id)
            assert client.get("/chat/config").status_code == 303


def test_a_visitor_is_compared_only_with_people_of_the_key_s_owner(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the list, nor a name in an examination or a question, reaches another store."""
    pytest.importorskip("gradio", reason="needs facewitness[ui]")
    from facewitness.ui.chat.handlers import Handlers

    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    known = tmp_path / "known.jpg"
    known.write_bytes((FOLDER / "astronaut.jpg").read_bytes())
    assert CliRunner().invoke(app, ["enroll", "Ada", str(known)]).exit_code == 0
    service = Service(Settings(folder=tmp_path / "api", model="none"))
    said = {}
    for owner, scopes in (
        ("local", {"verdicts", "identity"}),
        ("acme", {"verdicts", "identity"}),
        ("acme", {"verdicts"}),
    ):
        principal = Principal("key", frozenset(scopes), owner)
        handlers = Handlers(service, lambda _, who=principal: who, Uploads())
        session = handlers._greeted(None)
        talk = handlers._conversation(session, case, Found(case.found.examination, Steps()))
        said[owner, len(scopes)] = session.people, talk.ask("Compare the face with the enrolled person Ada.")
    names, asked = said["local", 2]
    assert names == ["Ada"] and asked.asks and "Ada" in asked.asks
    names, asked = said["acme", 2]
    assert names == [] and asked.declined == "unknown_person"
    names, asked = said["acme", 1]
    assert names == [] and asked.declined == "policy"


def test_who_compares_with_whom_in_the_chat_is_audited(
    case: Case, url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line for an examination and one for an answer, before anything is compared; none where nobody is."""
    pytest.importorskip("gradio", reason="needs facewitness[ui]")
    from facewitness.ui.chat.handlers import Handlers

    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    known = tmp_path / "known.jpg"
    known.write_bytes((FOLDER / "astronaut.jpg").read_bytes())
    assert CliRunner().invoke(app, ["enroll", "Ada", str(known)]).exit_code == 0
    service = Service(Settings(folder=tmp_path / "api", model="none", database=url))
    who = Principal("key", frozenset({"verdicts", "identity"}), "local")
    handlers = Handlers(service, lambda _: who, Uploads())
    session = handlers._greeted(None)
    assert session.people == ["Ada"]

    def act(name: str, **data: Any) -> list[Any]:
        before = len(service.audit.entries())
        list(getattr(handlers, name)(session, SimpleNamespace(_data=data), None))
        return list(service.audit.entries()[before:])

    def told(*names: str) -> list[tuple[str, str, str, str]]:
        return [("key", "person.compare", service.people.id("local", name), '{"chat": true}') for name in names]

    def lines(entries: list[Any]) -> list[tuple[str, str, str, str]]:
        return [(entry.actor, entry.action, entry.subject, entry.detail) for entry in entries]

    session.add(Case(case.photo))
    assert lines(act("person", value="")) == []
    assert lines(act("ask", question="Compare the face with the enrolled person Ada.")) == []  # it asks back
    assert lines(act("ask", question="Yes.")) == told("Ada")
    assert lines(act("person", value="Ada")) == told("Ada")
    assert session.case is not None and session.case.record is not None and session.case.record.comparison is not None
    assert [lines(act("ask", question="Is it the same person?")) for _ in range(2)] == [told("Ada")] * 2
    assert lines(act("person", value="Nobody")) == told("Nobody")  # as in the API
    service.audit.verify()

    with unaudited(service.database, "person.compare"):
        assert session.store is not None
        session.store.begin()
        with pytest.raises(SQLAlchemyError):
            session.store.templates("Ada")
    service.database.close()
