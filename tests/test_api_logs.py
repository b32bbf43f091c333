"""What the service tells of itself: logs and traces, in which nothing of a client's appears."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from facewitness.ui.api import logs, traces

from .api_server import running, wait

CANARIES = {
    "name": "Ada Canary",
    "question": "Is Ada Canary asleep?",
    "photo": b"\xff\xd8canary",
    "embedding": [0.125, -0.25],
    "person": {"name": "Ada Canary"},
    "body": "canary",
    "path": "/home/ada/canary.jpg",
}
SECRETS = (
    "fwk_AbCdEf0123456789AbCdEf0123456789AbCdEf01234",
    "whsec_c2VjcmV0IGNhbmFyeQ==",
    "Bearer abc.def.canary",
    "data:image/jpeg;base64,/9j/4AAQcanary",
    "ada.canary@example.org",
    "203.0.113.77",
    "2001:db8:0:0:0:0:0:77",
    "::ffff:203.0.113.77",
    "/home/ada/canary.jpg",
    "vd_5f0c6f1f3a5e4f0f9f0f1c2d3e4f5a6b",
    "QWRhIENhbmFyeSBBZGEgQ2FuYXJ5IEFkYSBDYW5hcnk",
)


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What the configured log writes; the process's own logging is put back afterwards."""
    root, stream = logging.getLogger(), StringIO()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger("facewitness").level
    root.handlers = []
    logs.configure(stream)
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    logging.getLogger("facewitness").setLevel(ours)


def test_fields_that_nobody_named_are_left_out(log: StringIO) -> None:
    logs.LOG.info("request", status=200, **CANARIES)
    line = json.loads(log.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "request", "level": "info", "logger": "facewitness.api", "status": 200}


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_or_a_person_is_marked(log: StringIO, secret: str) -> None:
    logs.LOG.warning(f"seen {secret} here", error=secret, key=secret)
    logging.getLogger("some.library").warning("seen %s here", secret)
    text = log.getvalue()
    assert secret not in text and "canary" not in text
    assert [json.loads(line)["event"] for line in text.splitlines()] == ["seen [redacted] here"] * 2


def test_of_an_exception_the_type_is_told(log: StringIO) -> None:
    try:
        raise ValueError("Ada Canary")
    except ValueError:
        logs.LOG.exception("failed")
        logging.getLogger("some.library").exception("failed")
    assert "Canary" not in log.getvalue() and "Traceback" not in log.getvalue()
    assert [json.loads(line)["error"] for line in log.getvalue().splitlines()] == ["ValueError"] * 2


def test_ordinary_words_stay(log: StringIO) -> None:
    for text in ("worker failed", "webhook not taken", "GET", "0a1b2c3d4e5f", "HTTP 1.1 at 12:30"):
        logs.LOG.info(text, key="0a1b2c3d4e5f", route="/v1/verdicts/{verdict_id}/overlays")
        line = json.loads(log.getvalue().splitlines()[-1])
        assert (line["event"], line["key"]) == (text, "0a1b2c3d4e5f")
        assert line["route"] == "/v1/verdicts/{verdict_id}/overlays"


def test_traces_tell_routes_labels_and_times_alone(
    tmp_path: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "TRACER", provider.get_tracer("test"))
    with running(tmp_path / "api") as server, server.client() as client:
        form = {"question": "Is Ada Canary asleep?"}
        path = client.post("/v1/verdicts?canary=1", files={"photo": astronaut.read_bytes()}, data=form).headers[
            "Location"
        ]
        verdict = wait(client, path)
        client.get("/canary/path")
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {"POST /v1/verdicts", "GET /v1/verdicts/{verdict_id}", "OTHER unknown", "examine"} <= set(spans)
    assert spans["POST /v1/verdicts"].attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/verdicts",
        "http.response.status_code": 202,
    }
    told = dict(spans["examine"].attributes or {})
    assert told.pop("facewitness.label") == verdict["record"]["verdict"]["label"]
    assert told.pop("facewitness.abstained") == verdict["record"]["verdict"]["abstained"]
    assert told and all(name.startswith("facewitness.ms.") and isinstance(value, float) for name, value in told.items())
    text = "".join(span.to_json() for span in exporter.get_finished_spans())
    for canary in ("anary", verdict["id"], "127.0.0.1", verdict["record"]["image"]["sha256"]):
        assert canary not in text


def test_the_command_exports_traces_and_logs_json(tmp_path: Path) -> None:
    """The process as an operator starts it, and a real collector's endpoint."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as http:
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}).start()
        environment = {
            **os.environ,
            "FACEWITNESS_HOME": str(tmp_path),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{http.server_port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "no_proxy": "127.0.0.1",
        }
        command = [sys.executable, "-m", "facewitness", "api", "--port", "0", "--model", "none", "--traces"]
        log = tmp_path / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, stderr=file, env=environment)
        end = time.monotonic() + 200
        while "listening on " not in log.read_text():
            assert process.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        url = log.read_text().split("listening on ")[1].split()[0]
        httpx.get(f"{url}/v1/verdicts/vd_{'0' * 32}?canary=1", timeout=60, trust_env=False)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        http.shutdown()
    lines = [json.loads(line) for line in log.read_text().splitlines()[1:]]
    assert [(line["method"], line["route"], line["status"]) for line in lines if line["event"] == "request"] == [
        ("GET", "/v1/verdicts/{verdict_id}", 404)
    ]
    assert "canary" not in log.read_text()
    exported = [ExportTraceServiceRequest.FromString(body) for body in received]
    names = [
        span.name for body in exported for part in body.resource_spans for s in part.scope_spans for span in s.spans
    ]
    assert names == ["GET /v1/verdicts/{verdict_id}"]
