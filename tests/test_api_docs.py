"""The examples of docs/api.md, run as they stand."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .api_server import Running, running

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "api.md").read_text("utf-8")
EXAMPLES = re.findall(r"```sh example\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("FACEWITNESS_HOME", str(home))
        with running(home / "api") as server:
            yield server


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_run(server: Running, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "README.md").symlink_to(ROOT / "README.md")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "API": server.url, "PATH": path, "no_proxy": "127.0.0.1"}
    script = "set -e\n" + "\necho; echo ---\n".join(EXAMPLES)
    run = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert run.returncode == 0, run.stderr
    shown = run.stdout.split("---\n")
    assert len(shown) == len(EXAMPLES)
    expected = [
        '"status": "done"',
        "HTTP/1.1 202 Accepted",
        "event: sentence",
        '"status": "done"',
        "204\n",
        '{"number": 2, "id": "door-2", "verdict": {"id": "vd_',
        '"name":"Ada Example"',
        '"valid":true',
        "rows, unaltered",
        '"object":"chat.completion"',
        'facewitness_verdicts_total{label="',
        '"code":"input.not_an_image"',
        '"recognised":true',
    ]
    for example, text in zip(expected, shown, strict=True):
        assert example in text
    assert "request.not_found" in shown[4]
    assert shown[6].endswith("204\n\n")
    assert "Valid: signed at" in shown[7]
    assert '"name":"Ada Example"' in shown[12]
    assert "verdict.delete" in shown[8] and "person.enroll" in shown[8]
    assert (tmp_path / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!")


def test_every_code_of_the_table_exists() -> None:
    codes = set(re.findall(r"`((?:request|input|service)\.[a-z_]+)`", TEXT))
    source = (ROOT / "errors.py").read_text("utf-8")
    assert len(codes) > 15
    assert [code for code in sorted(codes) if f'"{code}"' not in source] == []
