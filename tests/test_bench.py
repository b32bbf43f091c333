"""The benchmark suite: turns, ratios, and a file and a page of what was found; figures themselves are not tested."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from facewitness.errors import InvalidOption
from facewitness.evals.bench import faces, galleries, machine, networks, page, peer, plots, ratios, rounds, start, suite
from facewitness.ui.cli import app


def test_ways_take_turns_and_a_told_time_counts() -> None:
    order: list[tuple[str, int]] = []

    def way(name: str, told: float | None) -> rounds.Way:
        def run(number: int) -> float | None:
            order.append((name, number))
            return told

        return run

    taken = rounds.in_turns({"a": way("a", None), "b": way("b", 7.0)}, 12)
    assert taken["b"] == [7.0] * 12
    assert all(0 <= seconds < 1 for seconds in taken["a"])
    assert order[:2] == [("a", -1), ("b", -1)]
    pairs = [order[n : n + 2] for n in range(2, len(order), 2)]
    assert [{name for name, _ in pair} for pair in pairs] == [{"a", "b"}] * 12
    assert [pair[0][1] for pair in pairs] == list(range(12))
    assert {pair[0][0] for pair in pairs} == {"a", "b"}, "the order is drawn"


def test_times_faster_is_by_round() -> None:
    found = rounds.times_faster([2.0, 9.0, 4.0], [1.0, 3.0, 4.0])
    assert (found["median"], found["low"], found["high"], found["values"]) == (2.0, 1.0, 3.0, [2.0, 3.0, 1.0])


def test_the_machine_is_described() -> None:
    found = machine.described()
    assert found["cores"] == machine.cores() >= 1
    assert found["packages"]["numpy"]
    assert machine.resident(1) >= 0


def test_faces_with_a_peer_that_is_there_and_those_that_are_not(
    astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "facenet_pytorch.py").write_text(
        "import time\n"
        "class MTCNN:\n"
        "    def __init__(self, keep_all): pass\n"
        "    def detect(self, picture):\n"
        "        assert picture.shape == (512, 512, 3)\n"
        "        time.sleep(0.2)\n"
        "        return [1, 2], None\n"
    )
    info = tmp_path / "facenet_pytorch-9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: facenet-pytorch\nVersion: 9.9\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = faces.measure([astronaut], ["/nowhere/python", sys.executable], 2)
    told = found["ways"]["facenet-pytorch MTCNN"]
    assert (told["version"], told["faces"], told["compared_with"]) == ("9.9", 2, faces.OUR_DETECTION)
    assert told["photos_per_second"]["high"] <= 5
    assert told["times_faster"]["median"] == pytest.approx(
        found["ways"][faces.OUR_DETECTION]["photos_per_second"]["values"][0] * 0.2, rel=0.9
    )
    assert found["ways"][faces.OURS]["faces"] == 1
    others = [found["ways"][name] for name in peer.PEERS if name.startswith("face_recognition")]
    assert others == [{"why_not": "not installed in any Python that was named"}] * 2


def test_evidence_beside_its_networks(astronaut: Path) -> None:
    found = networks.timed([astronaut], 2)
    assert found["networks"]["median"] > 0
    assert 0 < found["evidence"]["low"] <= found["verdict"]["high"]
    assert all(taken["low"] > 0 for taken in found["forensic network"].values())
    assert found["share"]["values"] == pytest.approx(
        [a / b for a, b in zip(found["networks"]["values"], found["evidence"]["values"], strict=True)], abs=0.01
    )


def test_galleries_find_who_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galleries, "QUERIES", 20)
    found = galleries.measure([40, 90])
    assert list(found["sizes"]) == ["40", "90"]
    for one in found["sizes"].values():
        assert one["top_1_recall"] == 1
        assert len(one["milliseconds"][galleries.OURS]["values"]) == galleries.ROUNDS
        assert one["enroll_ms"] > 0 < one["search_after_forget_ms"]


def test_start_counts_from_the_start_of_the_process(astronaut: Path) -> None:
    found = start.measure(astronaut, 2, models=("none",))
    assert found["python alone"]["median"] < found["facewitness --help"]["median"]
    assert found["next verdict, model none"]["high"] < found["first verdict, model none"]["low"]
    assert len(found["next verdict, model none"]["values"]) == 2


def test_a_chart_is_an_svg_with_its_figures() -> None:
    drawn = plots.bars("Photos <a second>", [plots.Bar("ours & theirs", 12.5, 10, 20), plots.Bar("b", 1, 1, 1, False)])
    root = ElementTree.fromstring(drawn)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["Photos <a second>", "ours & theirs", "12.5", "b", "1"]
    first, second = [float(node.get("width", 0)) for node in root.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert first == pytest.approx(12.5 * second, rel=0.02)
    log = ElementTree.fromstring(plots.bars("t", [plots.Bar("a", 100, 100, 100), plots.Bar("b", 10, 10, 10)], log=True))
    first, second = [float(node.get("width", 0)) for node in log.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert 0 < second < first < 3.1 * second


RESULTS = Path(__file__).parents[1] / "evals" / "results" / "bench.json"


def test_the_page_of_the_docs_is_that_of_the_results(tmp_path: Path) -> None:
    written = page.write(json.loads(RESULTS.read_text("utf-8")), tmp_path / "benchmarks.md")
    docs = RESULTS.parents[2] / "docs"
    for path in written:
        kept = docs / path.relative_to(tmp_path)
        assert path.read_text("utf-8") == kept.read_text("utf-8"), f"{kept.name}: facewitness bench --page"


def test_ratios_say_whether_goals_are_met() -> None:
    fast, slow = ({"median": value, "low": value - 1, "high": value + 1} for value in (9.0, 21.0))
    ways = {"face_recognition": {"times_faster": fast}, "mtcnn": {"why_not": "not installed"}, "facewitness": {}}
    sizes = {"1000000": {"milliseconds": {"facewitness": slow, "numpy": fast}, "top_1_recall": 1.0}}
    parts = {"faces": {"ways": ways}, "gallery": {"sizes": sizes}, "agent": {"why_not": "no model"}}
    assert list(ratios.ratios({"parts": {name: {"found": found} for name, found in parts.items()}})) == [
        "faces: times faster than face_recognition: 9 (8 to 10), wanted at least 5: met",
        "gallery: milliseconds a query, 1,000,000 templates: 21 (20 to 22), wanted at most 20: missed",
        "gallery: top-1 recall, 1,000,000 templates: 1, wanted at least 0.999: met",
        "agent: not measured, no model",
    ]
    assert str(ratios.Ratio("x", 4.9, 4, 6, 5)) == "x: 4.9 (4 to 6), wanted at least 5: missed"
    assert str(ratios.Ratio("x", 1, 1, 2)) == "x: 1 (1 to 2)"


def test_parts_are_kept_beside_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(galleries, "QUERIES", 10)
    out, text = tmp_path / "new" / "bench.json", tmp_path / "page.md"
    runner = CliRunner()
    first = runner.invoke(app, ["bench", "--part", "gallery", "--templates", "20,30", "--out", str(out)])
    assert first.exit_code == 0, first.output
    assert "top-1 recall, 30 templates: 1, wanted at least 0.999: met" in first.output
    kept = json.loads(out.read_text())["parts"]["gallery"]
    command = ["bench", "--part", "screen", "--part", "agent", "--out", str(out), "--page", str(text)]
    second = runner.invoke(app, command)
    assert second.exit_code == 0, second.output
    assert "agent: not measured, no served model was named" in second.output
    found = json.loads(out.read_text())["parts"]
    assert found["gallery"] == kept
    assert "40 photos" in found["screen"]["found"]["why_not"]
    assert "Not measured: no served model" in text.read_text()
    assert (tmp_path / "images" / "bench_gallery.svg").exists()


def test_what_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="faces, evidence"):
        suite.run(["speed"], suite.Options(()), tmp_path / "out.json", print)
    for sizes in ("", "1", "10,x"):
        runner = CliRunner()
        result = runner.invoke(app, ["bench", "--templates", sizes, "--part", "gallery"])
        assert isinstance(result.exception, InvalidOption)


def test_the_same_prompts_for_both(astronaut: Path) -> None:
    pytest.importorskip("transformers")
    from facewitness.evals.bench import explanation

    asked = explanation.recorded(astronaut)
    assert asked
    assert all(messages and tokens > 0 for messages, tokens, _ in asked)
    messages, _, stop = asked[0]
    theirs = explanation._Transformers().answer(messages, 8, stop)
    ours = explanation.EmbeddedChatModel().invoke(messages, max_tokens=8, stop=stop).text
    assert theirs.strip() == str(ours).strip() != ""
