"""The chat in a real Chromium, as a visitor meets it.

With FACEWITNESS_SCREENSHOTS set to a folder, each state is written there as ``chat_<state>_<width>_<mode>.png``.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

pytest.importorskip("gradio", reason="needs facewitness[ui]")
pytest.importorskip("fpdf", reason="needs facewitness[ui]")
playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")

from facewitness.tools.image import Photo  # noqa: E402
from facewitness.ui.api.signing import public_keys, verify  # noqa: E402
from facewitness.ui.cli import app  # noqa: E402

from .api_server import Running, running  # noqa: E402

CHROMIUM = os.environ.get("FACEWITNESS_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
WIDE, PHONE = (1440, 900), (390, 844)
LOOKS = [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Inspect and the browser's driver leave sockets to the garbage collector; here that is no error."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("FACEWITNESS_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Running]:
    with running(home / "api", chat=True) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, server: Running) -> Iterator[Visit]:
    """Opens the chat as a new visitor; whatever the page asks of another host, or complains of, fails the test."""
    contexts, faults = [], []

    def opened(size: tuple[int, int] = WIDE, mode: str = "light", url: str = server.url) -> Any:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=mode)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda request: faults.append(request.url) if not _own(request.url, url) else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{url}/chat/")
        page.wait_for_selector("#fw .against")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def _own(address: str, url: str) -> bool:
    return address.startswith((url, "data:", "blob:"))


def shot(page: Any, state: str) -> None:
    """Write what is on screen, in few colours so that it stays small."""
    folder = os.environ.get("FACEWITNESS_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(400)
        mode = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
        picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1)
        picture.save(Path(folder) / f"chat_{state}_{picture.width}_{mode}.png", optimize=True)


def drop(page: Any, *files: Path, what: str = "photos") -> None:
    page.set_input_files(f"[data-upload={what}] >> nth=0", list(files))


def verdict(page: Any, label: str | None = None) -> str:
    page.wait_for_selector(f".verdict .label:has-text('{label}')" if label else ".verdict .label")
    return page.inner_text(".verdict .label").strip()


def look(page: Any, view: str) -> None:
    page.locator(".views > label", has_text=view).first.click()


def ask(page: Any, question: str) -> str:
    before = page.locator(".answer:has(.claim)").count()
    page.fill("[name=question]", question)
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelectorAll('.answer:has(.claim)').length > {before}")
    return page.locator(".answer").last.inner_text()


def example(page: Any, number: int) -> None:
    page.locator(".example").nth(number).click()
    page.wait_for_selector(".verdict")


@pytest.mark.parametrize(("size", "mode"), LOOKS)
def test_upload_verdict_overlay_question_report_delete(
    visit: Visit, server: Running, astronaut: Path, size: tuple[int, int], mode: str
) -> None:
    page = visit(size, mode)
    shot(page, "start")
    drop(page, astronaut.with_name("astronaut-redrawn.jpg"))
    assert verdict(page) == "Inconclusive"
    shot(page, "verdict")
    assert page.locator(".band").count() == 3
    assert "95 %" in page.inner_text(".verdict .key")
    assert page.locator(".findings .chip").count() >= 2
    look(page, "Alteration map")
    assert page.locator(".view.map .mark.heat.shown").is_visible()
    shot(page, "map")
    answer = ask(page, "Look closer at the mouth")
    assert "mouth" in answer
    page.wait_for_function("document.querySelector('.views input:checked').value.includes('zoom')")
    shot(page, "answer")
    page.click(".menu summary")
    with page.expect_download() as caught:
        page.click(".menu button:has-text('JSON')")
    signed = verify(Path(caught.value.path()).read_bytes(), public_keys(server.service.database))
    assert signed.record["verdict"]["label"] == "inconclusive"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("[data-do=remove]")
    page.wait_for_selector("#fw-note .notice")
    assert "Photos: 1, answers: 1" in page.inner_text("#fw-note")
    assert not page.locator(".verdict, .stage, .turn").count()
    shot(page, "deleted")


def test_pointing_and_choosing_join_sentence_picture_and_list(visit: Visit) -> None:
    page = visit()
    example(page, 1)
    ask(page, "What about the nose?")
    key = page.locator(".view.compare .meters li", has_text="Nose").get_attribute("data-ids")
    sentence = page.locator(f".answer .claim[data-ids='{key}']").first
    sentence.hover()
    assert page.locator(f".evidence .item[data-ids='{key}'].lit").count() == 1
    assert page.locator(f".views .mark[data-ids='{key}'].lit").count() >= 1
    sentence.locator("bdi").click()
    assert page.locator(".views > input:checked").get_attribute("value") == "compare"
    assert page.locator(f".evidence .item[data-ids='{key}']").is_visible()
    assert page.locator(f".view.compare .mark[data-ids='{key}']").first.is_visible()
    shot(page, "cited")
    page.locator(f".evidence .item[data-ids='{key}']").hover()
    assert sentence.evaluate("one => one.classList.contains('lit')")
    page.locator(f".view.compare .mark[data-ids='{key}']").first.evaluate(
        "one => one.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
    )
    assert sentence.evaluate("one => one.classList.contains('lit')")


def test_reference_comparison_side_by_side(visit: Visit, astronaut: Path) -> None:
    page = visit()
    drop(page, astronaut, what="references")
    page.wait_for_selector(".against .known img")
    shot(page, "references")
    drop(page, astronaut.with_name("astronaut-bent.jpg"))
    assert verdict(page) == "A forgery of the person"
    look(page, "Comparison")
    assert page.locator(".pair svg, .pair img").count() == 2
    assert page.locator(".view.compare .meters li", has_text="not measurable").count() == 1
    shot(page, "compare")


def test_a_reference_that_proves_nothing_changes_nothing(visit: Visit, astronaut: Path, tmp_path: Path) -> None:
    page = visit()
    example(page, 0)
    drop(page, astronaut.with_name("astronaut-redrawn.jpg"))
    page.wait_for_selector(".verdict .chances div:first-child:has-text('Manipulated')")
    page.set_input_files(".actions [data-upload=references]", astronaut.with_name("astronaut-redrawn.jpg"))
    page.wait_for_selector("#fw-note [role=alert]:has-text('proves nothing')")
    page.wait_for_selector(".verdict .chances div:first-child:has-text('Manipulated')")
    assert page.locator(".cases .case img").count() == 2
    assert page.locator(".strip .known").count() == 0
    page.set_input_files(".actions [data-upload=references]", astronaut)
    page.wait_for_selector(".kicker:has-text('compared with one known photo')")


def test_reference_comparison_on_a_phone(visit: Visit) -> None:
    page = visit(PHONE, "dark")
    example(page, 1)
    look(page, "Comparison")
    page.locator(".pair").scroll_into_view_if_needed()
    shot(page, "compare")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_several_faces_each_with_a_verdict(visit: Visit, astronaut: Path) -> None:
    page = visit()
    drop(page, astronaut.with_name("astronaut-twice.jpg"))
    verdict(page)
    assert page.locator(".picker button").count() == 2
    shot(page, "faces")
    assert "face 1 of 2" in page.inner_text(".kicker")
    page.locator(".picker button").nth(1).click()
    page.wait_for_selector(".kicker:has-text('face 2 of 2')")
    assert page.locator(".face.subject.shown text").text_content() == "f2"
    look(page, "Action units")
    assert page.locator(".view.expression .meters b").count() >= 3
    shot(page, "action_units")
    look(page, "Provenance")
    assert page.locator(".timeline > li").count() >= 4
    shot(page, "provenance")


WATCH = """() => {
  window.seen = [];
  const look = () => {
    const found = document.querySelectorAll('.steps.running .finding').length;
    window.seen.push([found, document.querySelectorAll('.verdict').length]);
  };
  new MutationObserver(look).observe(document.getElementById('fw'), { childList: true, subtree: true });
}"""


def test_steps_appear_while_it_examines(visit: Visit, astronaut: Path) -> None:
    page = visit()
    page.evaluate(WATCH)
    drop(page, astronaut)
    verdict(page)
    seen = page.evaluate("window.seen")
    assert any(found and not done for found, done in seen), "no finding was on screen before the verdict"
    page.click(".steps summary")
    rows = page.locator(".steps .step .step")
    assert rows.count() >= 10
    assert page.locator(".steps .step .step .ms").first.inner_text().endswith("ms")
    shot(page, "steps")


def test_follow_up_retry_edit_and_copy(visit: Visit) -> None:
    page = visit()
    example(page, 0)
    first = ask(page, "What was not measured?")
    assert "not measured" in first
    ask(page, "What would change it?")
    page.locator(".answer [data-do=copy]").first.click()
    page.wait_for_selector(".answer [data-do=copy]:has-text('Copied')")
    assert "not measured" in page.evaluate("navigator.clipboard.readText()")
    page.locator("[data-do=retry]").first.click()
    page.wait_for_function("document.querySelectorAll('.turn').length == 1 && document.querySelector('.answer .claim')")
    page.locator("[data-do=edit]").first.click()
    assert page.input_value("[name=question]") == "What was not measured?"
    ask_again = "How many faces are there?"
    page.fill("[name=question]", ask_again)
    page.keyboard.press("Enter")
    page.wait_for_selector(f".turn .question:has-text('{ask_again}')")
    page.wait_for_selector(".answer .claim")
    assert page.locator(".turn").count() == 1


def test_a_photo_can_be_added_to_a_question(visit: Visit, astronaut: Path) -> None:
    page = visit()
    drop(page, astronaut.with_name("astronaut-bent.jpg"))
    verdict(page, "Inconclusive")
    drop(page, astronaut, what="attach")
    page.wait_for_selector(".attached:not([hidden])")
    page.fill("[name=question]", "Compare it with this one")
    page.click(".composer .go")
    verdict(page, "A forgery of the person")


def test_an_attached_photo_leaves_the_browser_with_its_question(visit: Visit, astronaut: Path) -> None:
    page, sent = visit(), []
    page.on("request", lambda request: sent.append(request.method) if "upload" in request.url else None)

    def attach() -> None:
        drop(page, astronaut, what="attach")
        page.wait_for_selector(".attached:not([hidden])")

    example(page, 0)
    attach()
    shot(page, "attached")
    page.click("[data-do=detach]")
    page.wait_for_selector(".attached", state="hidden")
    ask(page, "How many faces are there?")
    attach()
    page.click("[data-do=remove]")
    page.wait_for_selector("#fw-note:has-text('Deleted')")
    example(page, 0)
    assert page.locator(".attached").is_hidden()
    assert sent == []
    attach()
    page.fill("[name=question]", "Compare it with this one")
    page.click(".composer .go")
    page.wait_for_selector(".turn .answer .tools")
    assert sent == ["POST"]
    assert page.locator(".attached").is_hidden()


def test_a_bad_file_is_refused_and_says_what_to_do(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    bad = tmp_path / "broken.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0" + b"no picture" * 50)
    drop(page, bad)
    page.wait_for_selector("#fw-note [role=alert]")
    assert "again" in page.inner_text("#fw-note")
    shot(page, "bad_file")
    (tmp_path / "notes.txt").write_text("text")
    drop(page, tmp_path / "notes.txt")
    page.wait_for_selector(".notice.local:has-text('not a JPEG, PNG or WEBP')")
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(10_000_001))
    drop(page, large)
    page.wait_for_selector(".notice.local:has-text('larger than 10 MB')")
    assert page.locator("#fw-note [role=alert]").is_hidden(), "what was said of another file is gone"
    for _ in range(2):  # the same words twice are said twice
        drop(page, bad)
        page.wait_for_selector("#fw-note [role=alert]:visible")
        assert page.locator(".notice.local").is_hidden()
        page.wait_for_function("!document.getElementById('fw').dataset.sent")


def test_a_photo_without_a_face_is_not_judged(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 200), "grey").save(grey)
    drop(page, grey)
    assert verdict(page) == "Inconclusive"
    assert "nothing is said about the photo" in page.inner_text(".verdict .state")
    assert not page.locator(".band").count()


def test_the_server_goes_away(home: Path, visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facewitness.ui.api.server.DRAIN", 1)  # the page keeps a connection open
    with running(home / "other", chat=True) as other:
        page = visit(url=other.url)
        example(page, 0)
    page.fill("[name=question]", "Why?")
    page.keyboard.press("Enter")
    page.wait_for_selector(".notice.offline:not([hidden])")
    assert "facewitness chat" in page.inner_text(".notice.offline")
    shot(page, "offline")


def test_two_visitors_do_not_see_each_other(visit: Visit, astronaut: Path, tmp_path: Path) -> None:
    one, two = visit(), visit(PHONE)
    drop(one, astronaut.with_name("astronaut-redrawn.jpg"))
    drop(two, astronaut.with_name("astronaut-twice.jpg"))
    verdict(one), verdict(two)
    ask(one, "Look closer at the nose")
    assert one.locator(".picker").count() == 0
    assert two.locator(".picker").count() == 1
    assert "nose" not in two.inner_text("#fw-talk").split("Explanation")[0]
    assert two.locator(".turn").count() == 0
    two.click("[data-do=remove]")
    two.wait_for_selector("#fw-note .notice")
    assert one.locator(".turn").count() == 1
    assert "nose" in ask(one, "Look closer at the nose again")


def test_deleting_leaves_nothing_in_memory_or_on_disk(
    visit: Visit, server: Running, home: Path, tmp_path: Path
) -> None:
    noise = Image.effect_noise((96, 96), 80).convert("RGB")
    photo = tmp_path / "canary.png"
    face = Image.open(Path(__file__).parents[1] / "examples" / "astronaut.jpg")
    face.paste(noise, (400, 400))
    face.save(photo)
    data = photo.read_bytes()
    page = visit()
    drop(page, photo)
    verdict(page)
    ask(page, "Why?")
    page.click(".feedback summary")
    page.check("[value=privacy]")
    page.check("[name=consent]")
    page.click(".feedback [type=submit]")
    page.wait_for_selector("#fw-note .notice")
    kept = home / "feedback.jsonl"
    assert json.loads(kept.read_text())["reasons"] == ["privacy"]
    picture = page.get_attribute("#fw-base-photo", "href")
    assert _photos(data) and _held(picture), "the photo is in memory while it is talked about"
    page.click("[data-do=remove]")
    page.wait_for_selector("#fw-note:has-text('Deleted')")
    assert kept.read_text() == ""
    assert _gone(data)
    assert not _held(picture), "Gradio keeps what it showed"
    assert [path for path in home.rglob("*") if path.is_file() and data in path.read_bytes()] == []


def _holders() -> list[Any]:
    return [one for one in gc.get_objects() if type(one).__name__ == "StateHolder"]


def _held(picture: str) -> bool:
    """Whether Gradio holds a panel with this picture, for any visitor."""
    kept = [held for holder in _holders() for held in holder.session_data.values()]
    return any(picture in str(config["props"].get("value")) for held in kept for config in held.config_values.values())


def test_a_tab_that_was_left_is_forgotten(visit: Visit, server: Running, astronaut: Path) -> None:
    page = visit()
    drop(page, astronaut)
    verdict(page)
    picture = page.get_attribute("#fw-base-photo", "href")
    assert _held(picture)
    page.close()
    for holder in _holders():
        for key in list(holder.session_data):
            holder.delete_state(key)  # as Gradio does an hour later
    assert not _held(picture)


def _photos(data: bytes) -> list[Photo]:
    gc.collect()
    return [one for one in gc.get_objects() if type(one) is Photo and one.data == data]


def _gone(data: bytes) -> bool:
    """Threads that are about to end may hold it for a moment."""
    end = time.monotonic() + 10
    while _photos(data) and time.monotonic() < end:
        time.sleep(0.2)
    return not _photos(data)


def test_feedback_without_consent_is_not_kept(visit: Visit, home: Path) -> None:
    page = visit()
    example(page, 0)
    before = (home / "feedback.jsonl").read_text() if (home / "feedback.jsonl").exists() else ""
    page.click(".feedback summary")
    page.check("[value=wrong_verdict]")
    shot(page, "feedback")
    page.click(".feedback [type=submit]")
    page.wait_for_selector("#fw-note [role=alert]")
    assert "Nothing was kept" in page.inner_text("#fw-note")
    assert (home / "feedback.jsonl").read_text() if before else not (home / "feedback.jsonl").exists() or before == ""


def test_reports_as_page_and_pdf(visit: Visit) -> None:
    page = visit()
    example(page, 1)
    found = {}
    for kind in ("HTML", "PDF"):
        page.click(".menu summary")
        with page.expect_download() as caught:
            page.click(f".menu button:has-text('{kind}')")
        found[kind] = Path(caught.value.path()).read_bytes()
    assert b"A forgery of the person" in found["HTML"]
    assert found["PDF"].startswith(b"%PDF-")
    assert len(found["PDF"]) > 20_000


def test_it_can_be_used_from_the_keyboard(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "fw-skip"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "example":
            break
    page.keyboard.press("Enter")
    verdict(page)
    page.focus(".findings .chip >> nth=0")
    key = page.locator(".findings .chip").first.get_attribute("data-ids")
    assert page.locator(f".evidence .item[data-ids='{key}'].lit").count() == 1
    page.keyboard.press("Enter")
    assert page.locator(f".evidence .item[data-ids='{key}']").is_visible()
    page.focus(".views input:checked")
    page.keyboard.press("ArrowRight")
    assert page.locator(".views input:checked").get_attribute("value") != "faces"


def test_a_question_goes_with_the_photo(visit: Visit, astronaut: Path) -> None:
    page = visit(PHONE)
    page.fill("[name=asked]", "Is the head turned away?")
    drop(page, astronaut)
    verdict(page)
    assert "Is the head turned away?" in page.inner_text(".asked")
    page.locator("[data-do=show]").last.click()
    page.wait_for_selector(".start", state="visible")
    assert page.input_value("[name=asked]") == ""
    assert page.locator(".cases .case img").is_visible()


def test_stop_ends_an_examination(
    visit: Visit, server: Running, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facewitness.tools import registry

    tool = registry.tools()["provenance"]
    slow = registry.PhotoTool(tool.name, tool.title, lambda photo: (time.sleep(4), tool.measure(photo))[1])
    monkeypatch.setitem(registry.tools(), "provenance", slow)
    page = visit()
    drop(page, astronaut)
    page.wait_for_selector(".steps.running")
    page.evaluate("document.querySelector('[data-do=stop]').click()")
    page.wait_for_selector("#fw-note [role=alert]:has-text('Stopped')")
    assert page.locator(".verdict").count() == 0


def test_signing_in_with_a_key(browser: Any, home: Path, visit: Visit) -> None:
    with running(home / "keys", chat=True) as keyed:
        _, secret = keyed.service.keys.create(["verdicts"], 1)
        context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]})
        page = context.new_page()
        page.goto(f"{keyed.url}/chat/")
        assert page.url.endswith("/signin")
        page.fill("[name=key]", "fwk_wrong")
        page.click("[type=submit]")
        page.wait_for_selector("[role=alert]")
        shot(page, "signin")
        page.fill("[name=key]", secret)
        page.click("[type=submit]")
        page.wait_for_selector("#fw .against")
        example(page, 0)
        keyed.service.keys.revoke(keyed.service.keys.list()[0].id)
        page.goto(f"{keyed.url}/chat/")
        assert page.url.endswith("/signin")
        context.close()


def test_several_photos_at_once(visit: Visit, astronaut: Path) -> None:
    page = visit(PHONE)
    drop(page, astronaut, astronaut.with_name("astronaut-redrawn.jpg"))
    page.wait_for_function("document.querySelectorAll('.cases .case img').length == 2")
    page.wait_for_function("!document.querySelector('.cases').textContent.match(/waiting|examining/)")
    first = page.inner_text("#fw-evidence")
    page.locator(".cases .case").nth(1).click()
    page.wait_for_selector(".verdict .chances div:first-child:has-text('Manipulated')")
    assert page.locator(".cases .case").nth(1).get_attribute("aria-pressed") == "true"
    assert page.inner_text("#fw-evidence") != first


def test_comparing_with_an_enrolled_person(visit: Visit, astronaut: Path) -> None:
    run = CliRunner().invoke(app, ["enroll", "Ada <b>Lovelace</b>", str(astronaut)])
    assert run.exit_code == 0, run.output
    page = visit()
    page.wait_for_selector(".against option >> nth=1", state="attached")
    page.select_option(".against select", index=1)
    page.wait_for_selector(".against .named:has-text('Ada <b>Lovelace</b>')")
    drop(page, astronaut.with_name("astronaut-bent.jpg"))
    verdict(page)
    assert "compared with an enrolled person" in page.inner_text(".kicker")
    look(page, "Comparison")
    assert "encrypted templates" in page.inner_text(".view.compare")


def test_a_model_server_that_is_down_costs_words_only(home: Path, visit: Visit, astronaut: Path) -> None:
    with running(home / "served", chat=True, model="http://127.0.0.1:9/v1#some-model?vision") as server:
        page = visit(url=server.url)
        assert "some-model speaks, from 127.0.0.1" in page.inner_text(".speaker")
        drop(page, astronaut)
        verdict(page, "Inconclusive")
        assert "Written from a template. Because:" in page.inner_text(".byline")
        page.context.close()


def test_an_evaluation_is_looked_through(
    browser: Any, home: Path, visit: Visit, astronaut: Path, tmp_path: Path
) -> None:
    runner = pytest.importorskip("facewitness.evals.runner", reason="needs facewitness[evals]")
    for label, name in (("real", "astronaut.jpg"), ("fake", "astronaut-bent.jpg"), ("fake", "astronaut-redrawn.jpg")):
        (tmp_path / "photos" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(astronaut.with_name(name), tmp_path / "photos" / label / name)
    plan = runner.Plan("folder", str(tmp_path / "photos"), ("constant",))
    with ThreadPoolExecutor(1) as pool:  # the browser's driver has an event loop in this thread
        pool.submit(runner.run, plan, tmp_path / "run").result()
    with running(home / "evaluated", chat=True, evaluation=tmp_path / "run") as server:
        page = visit(url=server.url)
        page.click("[data-do=evaluate]")
        page.wait_for_selector(".samples li")
        assert page.locator(".samples li").count() == 1
        assert "real/astronaut.jpg" in page.inner_text(".samples")
        shot(page, "evaluation")
        page.click(".filters button:has-text('All')")
        page.wait_for_function("document.querySelectorAll('.samples li').length == 3")
        page.click(".samples li:has-text('redrawn') button")
        verdict(page, "Inconclusive")
        page.click(".sample summary")
        assert '"truth": "forged"' in page.inner_text(".sample pre")
        shot(page, "sample")
        page.click(".sample [data-do=evaluate]")
        page.wait_for_selector(".samples li")
        page.context.close()


def test_first_paint_and_first_evidence(visit: Visit, astronaut: Path, tmp_path: Path) -> None:
    """With FACEWITNESS_FIGURES set to a file, the figures are written there."""
    large = tmp_path / "large.jpg"
    Image.open(astronaut).resize((1448, 1448), Image.Resampling.LANCZOS).save(large, quality=92)
    paints, starts, evidence, verdicts = [], [], [], []
    for _ in range(5):
        page = visit()
        paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        starts.append(page.evaluate("performance.now()"))
        page.evaluate(TIMED)
        drop(page, large)
        verdict(page)
        times = page.evaluate("window.times")
        evidence.append(times["evidence"] - times["dropped"])
        verdicts.append(times["verdict"] - times["dropped"])
    found = {"first_contentful_paint": paints, "ready": starts, "first_evidence": evidence, "verdict": verdicts}
    median = {f"{name}_ms": round(sorted(values)[2]) for name, values in found.items()}
    assert median["first_contentful_paint_ms"] < 4000
    assert median["first_evidence_ms"] < 3000
    if path := os.environ.get("FACEWITNESS_FIGURES"):
        worst = {f"{name}_ms": round(max(values)) for name, values in found.items()}
        command = "FACEWITNESS_FIGURES=evals/results/chat.json pytest tests/test_chat_browser.py -k first_paint"
        report = {
            "what": "chat in headless Chromium, server in the same process, photo of 2.1 MP, --model none, 5 visits",
            "from": "the browser's own clock: navigation to paint; file chosen to first finding, and to the verdict",
            "cpus": os.cpu_count(),
            "median": median,
            "worst": worst,
            "command": command,
        }
        Path(path).write_text(json.dumps(report, indent=2) + "\n")


TIMED = """() => {
  window.times = {};
  document.addEventListener('change', () => (window.times.dropped ??= performance.now()), true);
  new MutationObserver(() => {
    if (document.querySelector('.steps .finding')) window.times.evidence ??= performance.now();
    if (document.querySelector('.verdict')) window.times.verdict ??= performance.now();
  }).observe(document.getElementById('fw'), { childList: true, subtree: true });
}"""


@pytest.mark.skipif(not os.environ.get("FACEWITNESS_AXE"), reason="FACEWITNESS_AXE names no axe.min.js of axe-core")
@pytest.mark.parametrize(("size", "mode"), LOOKS)
def test_axe_finds_nothing_serious(visit: Visit, size: tuple[int, int], mode: str) -> None:
    axe = Path(os.environ["FACEWITNESS_AXE"]).read_text()
    page = visit(size, mode)
    found = [("start", *fault) for fault in _faults(page, axe)]
    example(page, 1)
    found += [("verdict", *fault) for fault in _faults(page, axe)]
    look(page, "Comparison")
    found += [("comparison", *fault) for fault in _faults(page, axe)]
    look(page, "Provenance")
    page.click(".steps summary")
    page.click(".feedback summary")
    ask(page, "Why?")
    found += [("conversation", *fault) for fault in _faults(page, axe)]
    page.click("[data-do=show] >> nth=-1")
    example(page, 3)
    found += [("faces", *fault) for fault in _faults(page, axe)]
    assert found == []


def _faults(page: Any, axe: str) -> list[tuple[str, str, str]]:
    page.wait_for_timeout(300)
    page.evaluate(axe)
    run = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (fault["id"], fault["impact"], fault["nodes"][0]["html"][:200])
        for fault in run["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
