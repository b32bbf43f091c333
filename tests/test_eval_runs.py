"""Whole runs: systems on real pictures, logs, resumption after a kill, reports, the command line."""

from __future__ import annotations

import csv
import gc
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from facewitness.errors import InvalidOption
from facewitness.evals import gallery, judges, leakage, report, runner, scores, systems
from facewitness.evals.answers import Answer, Store
from facewitness.evals.benchmarks import Item
from facewitness.evals.pictures import Material, material
from facewitness.evals.runner import Plan, Run
from facewitness.tools.evidence import Picture
from facewitness.ui.cli import app

from .chat_server import ChatServer

# Inspect leaves streams to the garbage collector; they are collected here, where that is no error.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

QUICK = ("tools", "similarity", "constant")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """Two faces that are called real, one that is called fake, a picture without a face, and one that is none."""
    root = tmp_path_factory.mktemp("photos")
    (root / "real").mkdir()
    (root / "fake" / "blurred").mkdir(parents=True)
    shutil.copy(astronaut, root / "real" / "a.jpg")
    bgr = cv2.imread(str(astronaut))
    cv2.imwrite(str(root / "real" / "mirrored.png"), bgr[:, ::-1])
    cv2.imwrite(str(root / "fake" / "blurred" / "b.png"), cv2.GaussianBlur(bgr, (0, 0), 2))
    Image.new("RGB", (64, 64), "green").save(root / "fake" / "c.png")
    (root / "fake" / "d.jpg").write_bytes(b"no picture")
    return root


@pytest.fixture(scope="session")
def done(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    out = tmp_path_factory.mktemp("run")
    plan = Plan("folder", str(photos), QUICK, command="facewitness eval folder --data photos")
    return runner.run(plan, out), out


def test_a_run_answers_every_sample_and_a_bad_one_stops_nothing(done: tuple[Run, Path]) -> None:
    run, _ = done
    assert list(run.rows) == list(QUICK)
    for rows in run.rows.values():
        assert [row.item.id for row in rows] == [
            "real/a.jpg", "real/mirrored.png", "fake/blurred/b.png", "fake/c.png", "fake/d.jpg",
        ]  # fmt: skip
    tools = {row.item.id: row.answer for row in run.rows["tools"]}
    assert tools["fake/d.jpg"].unscored == "input.not_an_image" and "JPEG" in tools["fake/d.jpg"].why
    assert tools["fake/c.png"].unscored == "face.none"
    for name in ("real/a.jpg", "real/mirrored.png", "fake/blurred/b.png"):
        assert tools[name].score is not None and 0 <= tools[name].score <= 1
        assert tools[name].face and tools[name].point and tools[name].agrees and tools[name].supported == 1
        assert tools[name].ms > 0
    assert {row.answer.unscored for row in run.rows["similarity"][:4]} == {"system.no_reference"}
    assert {(row.answer.label, row.answer.score) for row in run.rows["constant"]} == {("forged", 1.0)}


def test_what_was_logged_opens_in_inspect(done: tuple[Run, Path]) -> None:
    from inspect_ai.log import list_eval_logs, read_eval_log

    _, out = done
    logs = [read_eval_log(info, header_only=True) for info in list_eval_logs(str(out / runner.LOGS))]
    assert {log.eval.task for log in logs} == {f"folder_{name}" for name in QUICK}
    assert {log.status for log in logs} == {"success"}
    assert all(log.results and log.results.completed_samples == 5 for log in logs)


def test_a_finished_run_is_not_run_again_and_another_is_refused(done: tuple[Run, Path]) -> None:
    run, out = done
    with pytest.raises(InvalidOption, match="--resume"):
        runner.run(run.plan, out)
    told: list[Any] = []
    again = runner.run(run.plan, out, resume=True, on_progress=lambda *args: told.append(args))
    assert told == [] and again.rows == run.rows
    with pytest.raises(InvalidOption, match="is not in the layout"):
        runner.run(Plan("lfw-pairs", run.plan.data, QUICK), out / "unread")
    assert not (out / "unread").exists()  # nothing is begun
    other = Plan("folder", run.plan.data, QUICK, limit=1)
    with pytest.raises(InvalidOption, match="something else"):
        runner.run(other, out, resume=True)
    with pytest.raises(InvalidOption, match="no system oracle"):
        runner.run(Plan("folder", run.plan.data, ("oracle",)), out / "new")


def test_the_agent_without_a_language_model_shares_the_answers_of_the_tools(
    done: tuple[Run, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, out = done
    asked: list[str] = []
    monkeypatch.setattr(judges, "examined", lambda *args: asked.append("asked"))
    store = Store(out / runner.ANSWERS)
    try:
        agent = systems.System("agent", "none", {"forgery": "forged"}, {})
        answer = runner._answer(agent, store, run.rows["tools"][0].item, run.plan.root)
    finally:
        store.close()
    assert asked == [] and answer.score == run.rows["tools"][0].answer.score


def test_answers_are_kept_by_content_and_not_by_name(photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "moved")
    (tmp_path / "moved" / "real" / "a.jpg").rename(tmp_path / "moved" / "real" / "z.jpg")
    store, tools = Store(tmp_path / "answers.sqlite"), systems.System("tools", "none", {}, {})
    item = Item("x", "forgery", ("real/a.jpg",), "authentic", cluster="x")
    first = runner._answer(tools, store, item, photos)
    renamed = Item("y", "forgery", ("real/z.jpg",), "forged", cluster="y")
    second = runner._answer(tools, store, renamed, tmp_path / "moved")
    assert len(store) == 1 and (second.score, second.ms) == (first.score, first.ms)
    runner._answer(tools, store, Item("x", "forgery", ("fake/c.png",), "forged", cluster="x"), photos)
    assert len(store) == 2
    store.close()


KILLED = """
import sys
from pathlib import Path
from facewitness.evals import runner, systems
sys.path.insert(0, str(Path(sys.argv[0]).parent))
from slow import slow

systems._SYSTEMS = {**systems._SYSTEMS, "tools": lambda *asked: slow(*asked, sys.argv[3])}
runner.run(runner.Plan("folder", sys.argv[1], ("tools", "constant")), Path(sys.argv[2]), resume=True)
"""
SLOW = """
import time
from facewitness.evals.answers import Answer

def slow(system, item, files, calls):
    time.sleep(0.03)
    with open(calls, "a") as log:
        log.write(item.id + "\\n")
    return Answer("authentic", score=(len(files.images[0]) * 37 % 101) / 101)
"""


def test_killed_five_times_a_run_ends_as_if_undisturbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    for n in range(60):
        path = data / ("fake" if n % 2 else "real") / f"{n:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(n + 1))
    script = _file(tmp_path / "killed.py", KILLED)
    _file(tmp_path / "slow.py", SLOW)
    calls, out = tmp_path / "calls", tmp_path / "killed"
    command = [sys.executable, str(script), str(data), str(out), str(calls)]
    kills = 0
    while kills < 5:
        before, until = len(_lines(calls)), time.monotonic() + 100
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(_lines(calls)) < before + 7 and child.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        assert child.poll() is None, "It ended before it could be killed."
        child.send_signal(signal.SIGKILL)
        child.wait()
        kills += 1
    monkeypatch.syspath_prepend(tmp_path)
    slow = importlib.import_module("slow").slow
    monkeypatch.setattr(systems, "_SYSTEMS", {**systems._SYSTEMS, "tools": lambda *asked: slow(*asked, calls)})
    plan = Plan("folder", str(data), ("tools", "constant"))
    killed = runner.run(plan, out, resume=True)
    asked = _lines(calls)
    whole = runner.run(plan, tmp_path / "whole")
    figures = [_without_time(scores.scored(run, rounds=100)) for run in (whole, killed)]
    assert figures[0] == figures[1]
    assert figures[0]["tools"]["scored"] == 60
    # At most the answer that was being written at each kill was asked for twice.
    assert len(set(asked)) == 60 and len(asked) <= 60 + kills


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _without_time(found: dict[str, Any]) -> dict[str, Any]:
    return {name: {part: held for part, held in of.items() if part != "costs"} for name, of in found.items()}


GROWN = """
import csv, sys
from pathlib import Path
from facewitness.evals import runner, samples, systems

samples.PART = runner.PART = 100
folder, count = Path(sys.argv[1]), int(sys.argv[2])
(folder / "a.png").write_bytes(b"a picture that nobody opens")
with (folder / f"{count}.csv").open("w") as file:
    csv.writer(file).writerows([("path", "label"), *(("a.png", ("real", "fake")[n % 2]) for n in range(count))])
done = runner.run(runner.Plan("csv", str(folder / f"{count}.csv"), ("constant",)), folder / f"of {count}")
assert len(done.rows["constant"]) == count
print(systems.memory())
"""


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    script = _file(tmp_path / "grown.py", GROWN)
    few, many = 200, 1400
    peaks = []
    for count in (few, many):
        command = [sys.executable, str(script), str(tmp_path), str(count)]
        peaks.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]))
    # With all samples in one task it was 17 kB each; what is left are the rows that were read back.
    assert (peaks[1] - peaks[0]) * 1024 / (many - few) < 6


def test_what_is_read_back_is_small() -> None:
    def row(n: int) -> runner.Row:
        item = Item(f"fake/{n}.jpg", "forgery", (f"fake/{n}.jpg",), "forged", cluster=f"fake/{n}.jpg", method="swap")
        answer = Answer(
            "manipulated",
            score=n / 7,
            probabilities={"authentic": n / 3, "manipulated": n / 5, "synthetic": n / 11},
            text=f"{n} " + "The verdict is manipulated. " * 40,
            supported=1.0,
            agrees=True,
            point=(n / 2, n / 3),
            face=(n / 2, n / 3, n / 5, n / 7),
            marks=tuple((name, (n / 2, n / 3, n / 5, n / 7)) for name in ("manipulation.face", "morph.face")),
            ms=n / 9,
        )
        held = json.loads(json.dumps([item.to_json(), answer.to_json()]))
        read = Item.from_json(held[0])
        assert (read, Answer.from_json(held[1])) == (item, answer)
        return runner.Row(read, runner._reduced(read, Answer.from_json(held[1])))

    row(0)
    tracemalloc.start()
    try:
        rows = [row(n) for n in range(1, 501)]
        size = tracemalloc.get_traced_memory()[0] / len(rows)
    finally:
        tracemalloc.stop()
    assert len(rows[-1].answer.text) == runner.SHOWN and size < 3000


def test_a_failing_system_is_logged_as_an_error_and_asked_again_on_resume(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from facewitness.errors import ModelUnavailable

    def down(*args: Any) -> Answer:
        raise ModelUnavailable("The language model gave no answer.")

    plan = Plan("folder", str(photos), ("tools",))
    monkeypatch.setattr(systems, "_SYSTEMS", {**systems._SYSTEMS, "tools": down})
    first = runner.run(plan, tmp_path / "run")
    assert {row.answer.unscored for row in first.rows["tools"]} == {"system.failed"}
    monkeypatch.setattr(
        systems, "_SYSTEMS", {**systems._SYSTEMS, "tools": lambda *args: Answer("authentic", score=0.1)}
    )
    second = runner.run(plan, tmp_path / "run", resume=True)
    assert {row.answer.score for row in second.rows["tools"]} == {0.1}


def test_similarity_and_references(astronaut: Path) -> None:
    bgr = cv2.imread(str(astronaut))
    mirrored = bytes(cv2.imencode(".png", bgr[:, ::-1])[1].tobytes())
    item = Item("s", "reference", ("a.jpg",), "the person", references=("b.png",))
    answer = judges.similarity(item, Material((astronaut.read_bytes(),), (mirrored,)))
    assert answer.label == "the person" and answer.score is not None and answer.score > 0.8
    alone = judges.similarity(
        item, material(Item("s", "reference", (astronaut.name,), references=(astronaut.name,)), astronaut.parent)
    )
    assert alone.unscored == "reference.none"
    whole = judges.examined(item, Material((astronaut.read_bytes(),), (mirrored,)), "none")
    assert whole.label in ("the person", "inconclusive") and whole.probabilities["someone else"] < 0.01


def test_an_examination_answers_questions_that_map_on_its_verdicts(
    astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Material((astronaut.read_bytes(), astronaut.read_bytes()), ())
    item = Item("q", "choice", ("a", "b"), "A", options=("Image 1", "Both"), verdicts=("10", "11"))
    assert judges.examined(item, files, "none").abstained  # nothing was found on this photo
    said = iter(["manipulated", "authentic"])
    real = judges.examine_all

    def told(*args: Any, **kwargs: Any) -> Any:
        record = real(*args, **kwargs).records[0]
        label = next(said)
        verdict = record.verdict.model_copy(update={"label": label, "abstained": False})
        return type("Found", (), {"records": [record.model_copy(update={"verdict": verdict})]})

    monkeypatch.setattr(judges, "examine_all", told)
    assert judges.examined(item, files, "none").label == "A"
    silent = Item("q", "choice", ("a",), "A", options=("red", "green"))
    assert judges.examined(silent, files, "none").unscored == "system.no_verdict"
    assert judges.option(("#1", "#2", "*"), "11") == "B" and judges.option(("10", "*"), "11") == "B"
    assert judges.option(("10", "11"), "00") == "inconclusive"


def test_action_units_and_expression_of_a_smile(astronaut: Path) -> None:
    files = Material((astronaut.read_bytes(),), ())
    answer = judges.examined(Item("s", "units", ("a",), units={"12": 1, "4": 0}), files, "none")
    assert answer.present == {"12": 1} and answer.units["12"] > 0.5
    options = ("neutral", "happiness", "anger")
    assert judges.examined(Item("s", "class", ("a",), options=options), files, "none").label == "happiness"
    assert (
        judges.examined(Item("s", "class", ("a",), options=("20-29",)), files, "none").unscored == "system.not_measured"
    )


def test_a_map_points_at_its_strongest_cell() -> None:
    drawn = Picture(heat=((0.1, 0.2), (0.9, 0.3)), heat_box=(10, 20, 40, 60))
    assert judges.peak(drawn) == (20.0, 65.0)


class Words(ChatServer):
    """Says one thing; without probabilities of tokens unless it is given some."""

    said, logprobs = "B", None

    def choice(self) -> dict[str, Any]:
        found: dict[str, Any] = {"message": {"role": "assistant", "content": self.said}, "finish_reason": "stop"}
        return found | (
            {"logprobs": {"content": [{"token": "x", "logprob": 0, "top_logprobs": self.logprobs}]}}
            if self.logprobs
            else {}
        )


@pytest.fixture
def server() -> Iterator[Words]:
    running = Words()
    yield running
    running.close()


def vlm(server: Words, item: Item, astronaut: Path, name: str = "vlm", **switches: str) -> Answer:
    model = f"{server.address}#eyes?vision"
    return systems.System(name, model, {}, switches).answer(item, Material((astronaut.read_bytes(),), ()))


def test_a_vision_language_model_is_asked_multiple_choice(server: Words, astronaut: Path) -> None:
    item = Item("q", "choice", ("a",), "B", question="Which?", options=("sad", "happy"))
    assert vlm(server, item, astronaut).label == "B"
    sent = server.requests[0]["messages"][0]["content"]
    assert sent[0]["image_url"]["url"].startswith("data:image/png;base64,")
    assert sent[1]["text"] == "Which?\n(A) sad\n(B) happy"
    server.said = "A person who is happy"
    assert vlm(server, item, astronaut).label == "B"
    assert vlm(server, item, astronaut, scorer="published").label == "A"
    server.said = "I would rather not say."
    assert vlm(server, item, astronaut).unscored == "model.answer_invalid"
    server.said = "happy"
    assert vlm(server, Item("c", "class", ("a",), "happy", options=("sad", "happy")), astronaut).label == "happy"
    words = vlm(server, Item("t", "text", ("a",), question="Why?", targets=("she smiles",)), astronaut)
    assert (words.label, words.text) == ("answered", "happy")


def test_a_vision_language_model_gives_a_score_only_with_probabilities(server: Words, astronaut: Path) -> None:
    item = Item("f", "forgery", ("a",), "forged")
    server.said = "manipulated"
    hard = vlm(server, item, astronaut)
    assert (hard.label, hard.score) == ("manipulated", None)
    server.logprobs = [{"token": "aut", "logprob": -0.22314355}, {"token": "man", "logprob": -1.6094379}]
    soft = vlm(server, item, astronaut)
    assert soft.label == "authentic" and soft.score == pytest.approx(0.2, abs=1e-6)
    shown = server.requests[-1]["messages"][0]["content"][0]["image_url"]["url"]
    vlm(server, item, astronaut, name="blind")
    assert server.requests[-1]["messages"][0]["content"][0]["image_url"]["url"] != shown


def test_a_model_is_told_what_the_tools_state_and_its_opposite(server: Words, astronaut: Path) -> None:
    item = Item("f", "forgery", ("a",), "forged")
    server.logprobs = [{"token": "aut", "logprob": -0.22314355}, {"token": "man", "logprob": -1.6094379}]
    told, turned = (vlm(server, item, astronaut, name=name) for name in ("told", "turned"))
    assert told.score == pytest.approx(0.2, abs=1e-6) and told.stated is not None and turned.stated is not None
    assert told.stated + turned.stated == pytest.approx(1) and told.stated != 0.5
    pictures, words = zip(*(request["messages"][0]["content"] for request in server.requests[-2:]), strict=True)
    assert pictures[0] == pictures[1]  # only the words differ, and of these one number
    before, after = (text["text"].splitlines() for text in words)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert len(changed) == 1 and changed[0][0].replace(f"{told.stated:.2f}", f"{turned.stated:.2f}") == changed[0][1]
    assert (
        vlm(server, Item("r", "reference", ("a",), "the person"), astronaut, name="told").unscored == "system.not_told"
    )


def test_what_a_model_cannot_do_is_unscored(server: Words, astronaut: Path) -> None:
    deaf = systems.System("vlm", f"{server.address}#text", {}, {})
    files = Material((astronaut.read_bytes(),), ())
    assert deaf.answer(Item("f", "forgery", ("a",), "forged"), files).unscored == "model.blind"
    units = systems.System("vlm", f"{server.address}#eyes?vision", {}, {})
    assert units.answer(Item("u", "units", ("a",), units={"12": 1}), files).unscored == "system.not_asked"
    embedded = systems.System("vlm", "embedded", {}, {})
    asked = Item("q", "choice", ("a",), "A", options=("x", "y"))
    assert embedded.answer(asked, files).unscored == "model.no_questions"


def test_leakage_is_found_after_recompression_and_scaling(photos: Path, astronaut: Path, tmp_path: Path) -> None:
    with Image.open(astronaut) as image:
        image.resize((180, 180)).save(tmp_path / "small.jpg", quality=50)
    (tmp_path / "train.txt").write_text("small.jpg\nmissing.jpg\n", encoding="utf-8")
    with pytest.raises(InvalidOption, match=r"empty.txt"):
        leakage.listed(_file(tmp_path / "empty.txt", ""))
    items = [Item(name, "forgery", (name,), cluster=name) for name in ("real/a.jpg", "fake/c.png", "fake/d.jpg")]
    found = leakage.check([tmp_path / "train.txt"], items, photos)
    assert (found.trained, found.evaluated, found.unreadable, found.leaked) == (1, 2, 2, 1)
    assert found.pairs[0][0] == "real/a.jpg"
    listed = _file(tmp_path / "train.json", json.dumps({"images": [{"image_path": "small.jpg"}]}))
    assert leakage.listed(listed) == [tmp_path / "small.jpg"]
    assert leakage.listed(_file(tmp_path / "train.csv", "id,image\n1,small.jpg\n")) == [tmp_path / "small.jpg"]


def _file(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_report_is_one_page_and_the_other_files_hold_no_picture(done: tuple[Run, Path]) -> None:
    run, out = done
    found = report.result(run, rounds=50)
    page, *others = report.write(run, found, out)
    html = page.read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", html) and "<script" not in html
    assert "data:image/jpeg" in html and "In short" in html and "fake/d.jpg" in html
    assert all("data:image" not in path.read_text(encoding="utf-8") for path in others)
    held = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert held["polarity"] and held["versions"]["inspect-ai"] and held["weights sha256"]["sface"]
    assert held["systems"]["tools"]["unscored"] == {"face.none": 1, "input.not_an_image": 1}
    lines = list(csv.DictReader((out / "answers.csv").open(encoding="utf-8")))
    assert len(lines) == 5 * len(QUICK) and lines[0]["id"] == "real/a.jpg"
    assert str(out.parent) not in json.dumps(held)


def test_the_report_escapes_what_benchmarks_bring(done: tuple[Run, Path]) -> None:
    run, _ = done
    hostile = Item("<script>alert(1)</script>", "forgery", ("real/a.jpg",), "forged", cluster="x", method="<b>")
    rows = {name: [runner.Row(hostile, rows[0].answer), *rows[1:]] for name, rows in run.rows.items()}
    wrong = Run(run.plan, rows, run.made_by)
    html = report.html(wrong, report.result(wrong, rounds=10))
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert report._safe(["=1+1", "-x", "plain", 0.5, ""]) == ["'=1+1", "'-x", "plain", 0.5, ""]


def test_errors_are_shown_with_what_was_marked(done: tuple[Run, Path]) -> None:
    run, _ = done
    face = next(row for row in run.rows["tools"] if row.item.id == "real/a.jpg")
    wrong = runner.Row(Item("x", "forgery", ("real/a.jpg",), "forged", cluster="x"), face.answer)
    errors = gallery.worst([wrong, face], "tools")
    shown = gallery.shown(errors, run.plan.root)
    assert shown and shown[0].uri.startswith("data:image/jpeg") and shown[0].boxes[0][0] == "face"
    width, height = shown[0].size
    assert shown[0].point and 0 <= shown[0].point[0] <= width and 0 <= shown[0].point[1] <= height


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["eval", *arguments])


def test_command_line(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = invoke("list")
    assert listed.exit_code == 0 and "vipbench" in listed.stdout and "polarity" in listed.stdout
    ran = invoke("folder", "--data", str(photos), "--system", "constant", "--beside", "none", "--json")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["systems"]["constant"]["scored"] == 5
    assert (tmp_path / "facewitness-eval" / "folder" / "report.html").is_file()
    again = invoke("report", "facewitness-eval/folder", "--time-limit", "10")
    assert again.exit_code == 0 and "constant guess" in again.stdout
    assert isinstance(invoke("run", "folder", "--data", str(photos)).exception, InvalidOption)
    assert "NAME=VALUE" in str(invoke("folder", "--data", str(photos), "--option", "kind").exception)


def test_compare_on_the_command_line_fails_on_a_regression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    for n in range(60):
        path = data / ("fake" if n % 2 else "real") / f"{n:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{n}".encode())

    def made(good: bool) -> Path:
        def said(system: Any, item: Item, files: Material) -> Answer:
            forged = item.truth == "forged" if good else int(files.images[0]) % 3 == 0
            return Answer("manipulated" if forged else "authentic", score=0.9 if forged else 0.1)

        monkeypatch.setattr(systems, "_SYSTEMS", {**systems._SYSTEMS, "tools": said})
        out = tmp_path / f"good-{good}"
        runner.run(Plan("folder", str(data), ("tools",)), out)
        return out

    good, bad = made(True), made(False)
    worse = invoke("compare", str(good), str(bad))
    assert worse.exit_code == 1 and "The second is worse." in worse.stdout
    better = invoke("compare", str(bad), str(good), "--json")
    assert better.exit_code == 0 and json.loads(better.stdout)["regressed"] is False
    assert "has no system vlm" in str(invoke("compare", str(good), str(bad), "--system", "vlm").exception)


def test_the_command_line_loads_nothing_heavy() -> None:
    heavy = "('inspect_ai', 'numpy', 'sklearn')"
    code = f"import sys, facewitness.ui.evaluate; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""}
    )
    assert done.stdout.strip() == "[]"
