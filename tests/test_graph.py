"""The whole examination on a real photo with the real tools; faults are injected one at a time."""

import asyncio
import io
import re
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from PIL import Image

from facewitness.agent import examine as job
from facewitness.agent.examine import examine, examine_all
from facewitness.agent.graph import build_graph
from facewitness.agent.record import Record
from facewitness.errors import InputError, InvalidOption, InvalidReference, ToolUnavailable, WeightsMissing
from facewitness.tools import registry
from facewitness.tools.evidence import Evidence
from facewitness.tools.image import load
from facewitness.tools.registry import FaceTool, PhotoTool

TIMES = {"id", "created_at", "timings_ms"}


def png(rgb: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def darker(photo: Path) -> bytes:
    return png((load(photo).rgb * 0.8).astype(np.uint8))


@pytest.fixture(scope="module")
def two_faces(astronaut: Path) -> bytes:
    """The astronaut beside a smaller, mirrored copy: two faces of different size."""
    rgb = load(astronaut).rgb
    small = np.array(Image.fromarray(rgb).resize((360, 360)))[:, ::-1]
    sheet = np.full((512, 900, 3), 128, np.uint8)
    sheet[:, :512] = rgb
    sheet[60:420, 530:890] = small
    return png(sheet)


@pytest.fixture(scope="module")
def record(astronaut: Path) -> Record:
    return examine(astronaut, model="none")


def test_a_plain_photo_is_not_called_forged_and_the_verdict_says_what_decided(record: Record) -> None:
    assert record.verdict.label in ("inconclusive", "authentic")
    assert record.verdict.assessable
    assert set(record.verdict.probabilities) == {"authentic", "manipulated", "synthetic"}
    assert record.verdict.reasons[0].code.startswith("forgery.")
    tools = {item.id: item.tool for item in record.evidence}
    assert {tools[id_] for id_ in record.verdict.deciding} <= {"manipulation", "synthesis", "morph"}


def test_every_sentence_cites_evidence_of_the_record_and_is_supported(record: Record) -> None:
    ids = [item.id for item in record.evidence]
    assert ids == [f"e{number}" for number in range(1, len(ids) + 1)]
    assert record.explanation.written_by == "template"
    assert record.explanation.claims
    for claim in record.explanation.claims:
        assert claim.supported, claim
        assert set(claim.evidence) <= set(ids)
    for section in ("observations", "interpretation", "conclusion"):
        assert getattr(record.explanation.reasoning, section)
    assert record.explanation.summary


def test_every_tool_spoke_and_every_model_is_named_with_its_licence(record: Record) -> None:
    assert {item.tool for item in record.evidence} == {"detection", *registry.tools()} - {
        "identity",
        "reference_comparison",
    }
    named = {model.name: model for model in record.models}
    assert {item.model for item in record.evidence if item.model} <= set(named)
    assert {"yunet", "face_landmarker", "fusion"} <= set(named)
    assert all(model.licence for model in named.values())
    assert named["yunet"].sha256 == "49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10"


def test_the_same_input_gives_the_same_record(record: Record, astronaut: Path) -> None:
    again = examine(astronaut, model="none")
    assert again.model_dump(exclude=TIMES) == record.model_dump(exclude=TIMES)
    assert again.id != record.id


def test_a_record_survives_json(record: Record) -> None:
    assert Record.model_validate_json(record.to_json()) == record
    assert '"schema":"facewitness.verdict/1"' in record.to_json()


def test_the_same_person_and_someone_else(astronaut: Path) -> None:
    same = examine(darker(astronaut), [astronaut], model="none")
    assert set(same.verdict.probabilities) == {"the person", "a forgery of the person", "someone else"}
    assert same.verdict.label == "the person"
    assert same.comparison is not None
    assert same.comparison.images[0].sha256 == load(astronaut).sha256


def test_the_largest_face_is_the_subject_unless_another_is_named(two_faces: bytes) -> None:
    first = examine(two_faces, model="none")
    assert first.subject == "f1"
    assert len(first.faces) == 2
    assert first.faces[0].box.width > first.faces[1].box.width
    second = examine(two_faces, model="none", face=2)
    assert second.subject == "f2"
    assert all(item.face in (None, "f2") for item in second.evidence)
    with pytest.raises(InvalidOption, match="2 found"):
        examine(two_faces, model="none", face=3)


def test_all_faces_get_a_verdict_each(two_faces: bytes) -> None:
    records = examine_all(two_faces, model="none").records
    assert [record.subject for record in records] == ["f1", "f2"]
    for record in records:
        assert {item.face for item in record.evidence} == {None, record.subject}
        assert all(claim.supported for claim in record.explanation.claims)
        assert {"tool.quality", "tool.provenance", "find_faces", "total"} <= set(record.timings_ms)
        assert not any("@" in stage for stage in record.timings_ms)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_photo_without_a_face_is_not_assessable(shade: int) -> None:
    record = examine(png(np.full((200, 300, 3), shade, np.uint8)), model="none")
    assert not record.verdict.assessable
    assert record.verdict.label == "inconclusive"
    assert [reason.code for reason in record.verdict.reasons] == ["face.none"]
    assert record.subject is None
    seen = next(item for item in record.evidence if item.tool == "detection")
    assert seen.finding == "No face was found."
    assert record.verdict.deciding == [seen.id]
    assert all(claim.supported and set(claim.evidence) == {seen.id} for claim in record.explanation.claims[:2])
    assert any(item.tool == "provenance" for item in record.evidence)


def test_a_face_too_small_is_not_assessable_with_the_measured_size(astronaut: Path) -> None:
    tiny = Image.open(astronaut).resize((64, 64))
    sheet = Image.new("RGB", (400, 400), "grey")
    sheet.paste(tiny, (100, 100))
    record = examine(png(np.array(sheet)), model="none")
    assert not record.verdict.assessable
    assert record.verdict.reasons[0].code == "face.too_small"
    assert re.search(r"1[0-9]\.[0-9] px on its shorter side; at least 32 px", record.verdict.reasons[0].text)


def test_a_reference_without_a_face_is_refused(astronaut: Path) -> None:
    with pytest.raises(InvalidReference, match="Reference photo 2"):
        examine(astronaut, [darker(astronaut), png(np.zeros((100, 100, 3), np.uint8))], model="none")


def test_the_photo_itself_is_no_reference(astronaut: Path) -> None:
    with pytest.raises(InvalidReference, match="Reference photo 1 is the examined photo"):
        examine(astronaut, [astronaut], model="none")


def test_it_runs_inside_an_event_loop(astronaut: Path, record: Record) -> None:
    async def notebook() -> Record:
        return examine(astronaut, model="none")

    assert asyncio.run(notebook()).verdict == record.verdict


def broken(*_: object) -> list[Evidence]:
    raise RuntimeError("/secret/path: weights exploded")


def missing(*_: object) -> list[Evidence]:
    raise ToolUnavailable("The tool is not installed.")


def slow(*_: object) -> list[Evidence]:
    time.sleep(30)
    return []


@pytest.mark.parametrize(
    ("fault", "status"), [(broken, "failed"), (missing, "unavailable"), (slow, "failed")], ids=lambda item: str(item)
)
def test_a_faulty_tool_becomes_evidence_that_says_so(
    fault: Any, status: str, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = {**registry.tools(), "quality": FaceTool("quality", "Quality", fault)}
    replace_tools(monkeypatch, tools)
    started = time.perf_counter()
    record = examine_all(astronaut, model="none", all_faces=False, tool_seconds=1.0).records[0]
    assert time.perf_counter() - started < 10
    item = next(item for item in record.evidence if item.tool == "quality")
    assert item.status == status
    assert "secret" not in record.to_json()
    assert record.explanation.claims


def replace_tools(monkeypatch: pytest.MonkeyPatch, tools: dict[str, Any]) -> None:
    from facewitness.agent import nodes, plan

    for module in (nodes, plan):
        monkeypatch.setattr(module, "tools", lambda: tools)


@pytest.mark.parametrize(
    "result",
    [
        [],
        None,
        [Evidence("quality.size", "identity", "In another's name.")],
        [Evidence("quality.size", "quality", "Too likely.", probability=1.2)],
        [Evidence("quality.size", "quality", "An array.", np.zeros(3))],  # type: ignore[arg-type]
    ],
    ids=["empty", "nothing", "other tool", "probability", "array"],
)
def test_a_malformed_result_becomes_evidence_that_says_so(
    result: Any, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_tools(monkeypatch, {**registry.tools(), "quality": FaceTool("quality", "Quality", lambda *_: result)})
    record = examine(astronaut, model="none")
    assert [item.status for item in record.evidence if item.tool == "quality"] == ["failed"]


def test_a_gate_that_fails_does_not_end_the_examination(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facewitness.tools.landmarks.track", broken)
    record = examine(astronaut, model="none")
    assert record.verdict.assessable
    assert {item.status for item in record.evidence if item.tool == "head_pose"} == {"failed"}


def test_missing_weights_are_named(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise WeightsMissing("The weights sface are missing.")

    monkeypatch.setattr("facewitness.tools.sface.see", gone)
    found = [item for item in examine(astronaut, model="none").evidence if item.tool == "quality"]
    assert [(item.status, item.finding) for item in found] == [("unavailable", "The weights sface are missing.")]


def test_nothing_is_traced_even_where_tracing_is_switched_on(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGSMITH_API_KEY", "key")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        model = FakeListChatModel(responses=["[]"])
        assert examine(astronaut, model=model).explanation.written_by == "template"
        time.sleep(1)  # traces are sent from a thread
        server.shutdown()
    assert asked == []


def test_a_small_second_face_gets_its_refusal(astronaut: Path) -> None:
    sheet = Image.new("RGB", (700, 512), "grey")
    sheet.paste(Image.open(astronaut), (0, 0))
    sheet.paste(Image.open(astronaut).resize((110, 110)), (560, 100))
    photo = png(np.array(sheet))
    assert [face.assessable for face in examine(photo, model="none").faces] == [True, None]
    first, second = examine_all(photo, model="none").records
    assert first.verdict.assessable
    assert [face.assessable for face in second.faces] == [True, False]
    assert second.verdict.reasons[0].code == "face.too_small"
    assert not second.verdict.assessable
    assert "tool.quality" in first.timings_ms
    assert {stage for stage in second.timings_ms if stage.startswith("tool.")} == {
        f"tool.{name}" for name, tool in registry.tools().items() if isinstance(tool, PhotoTool)
    }


def test_the_verdict_comes_even_when_every_tool_fails(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = {
        name: (PhotoTool if isinstance(tool, PhotoTool) else FaceTool)(name, tool.title, broken)
        for name, tool in registry.tools().items()
    }
    replace_tools(monkeypatch, tools)
    record = examine(astronaut, [darker(astronaut)], model="none")
    assert record.verdict.abstained
    assert {item.status for item in record.evidence if item.tool != "detection"} == {"failed"}


def test_pixels_never_enter_the_checkpoint(astronaut: Path, tmp_path: Path) -> None:
    database = tmp_path / "runs.sqlite"
    photo = load(astronaut)

    async def run() -> None:
        async with AsyncSqliteSaver.from_conn_string(str(database)) as saver:
            request = {
                "image": job.image_info(photo),
                "references": [],
                "question": None,
                "face": None,
                "all_faces": False,
            }
            await job._drive(request, job.Context(photo), None, saver)

    asyncio.run(run())
    with sqlite3.connect(database) as connection:
        assert connection.execute("select count(*) from checkpoints").fetchone()[0] > 5
    connection.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert photo.sha256.encode() in stored, "the search itself works"
    middle = photo.rgb.tobytes()
    for start in range(0, len(middle) - 48, 4800):
        assert middle[start : start + 48] not in stored or len(set(middle[start : start + 48])) < 4
    for start in range(400, len(photo.data) - 48, 480):
        assert photo.data[start : start + 48] not in stored


def test_progress_names_each_tool_and_its_time(astronaut: Path) -> None:
    events: list[dict[str, Any]] = []
    examine_all(astronaut, model="none", all_faces=False, on_progress=events.append)
    done = {event["stage"] for event in events if "ms" in event}
    assert done >= {"find_faces", "plan", "weigh", "reason", "check_grounding", "provenance", "quality"}


def test_the_graph_has_the_documented_order() -> None:
    drawing = build_graph().compile().get_graph()
    edges = {(edge.source, edge.target) for edge in drawing.edges}
    order = ["__start__", "ingest", "find_faces", "plan", "examine", "weigh", "reason", "check_grounding", "report"]
    assert set(pairwise(order)) <= edges
    assert {("check_grounding", "reason"), ("plan", "look"), ("look", "weigh")} <= edges


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        examine(tmp_path / "nothing.jpg", model="none")


def test_the_embedded_model_writes_and_every_sentence_is_checked(astronaut: Path) -> None:
    record = examine(astronaut)
    again = examine(astronaut)
    assert record.explanation.written_by == "model"
    assert record.explanation.model == "smollm2"
    assert "smollm2" in {model.name for model in record.models}
    assert all(claim.supported for claim in record.explanation.claims)
    assert again.model_dump(exclude=TIMES) == record.model_dump(exclude=TIMES)


def test_a_reference_counts_once(astronaut: Path) -> None:
    with pytest.raises(InvalidReference, match="Reference photo 2 was given twice"):
        examine(astronaut, [darker(astronaut), darker(astronaut)], model="none")
