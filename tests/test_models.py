"""``facewitness models`` with plug-ins: what is listed, fetched and checked."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from facewitness.errors import InvalidOption, WeightsMismatch, WeightsMissing
from facewitness.tools import weights
from facewitness.ui.models import INDENT, _size, app, list_weights


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a plug-in whose file lies in a local folder, and one that is wrong."""
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    body = b"\x08 an ONNX of sorts"
    (tmp_path / "net.onnx").write_bytes(body)
    (tmp_path / "plugins.toml").write_text(
        f'[mine]\nadapter = "arcface_onnx"\nfolder = "{tmp_path}"\nfile = "net.onnx"\n'
        f'sha256 = "{hashlib.sha256(body).hexdigest()}"\nlicence = "CC-BY-NC-4.0"\ncommercial_use = false\n'
        'terms = "for research"\n[pyfeat]\n',
        "utf-8",
    )
    return tmp_path


def listed() -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)}


def test_json_lists_weights_and_plugins(home: Path) -> None:
    rows = listed()
    assert rows["yunet"]["kind"] == "weights"
    mine = rows["matcher.mine"]
    assert (mine["kind"], mine["state"], mine["present"]) == ("plugin", "active", True)
    assert (mine["licence"], mine["commercial_use"], mine["terms"]) == ("CC-BY-NC-4.0", False, "for research")
    assert "sha256: Field required" in str(rows["action_units.pyfeat"]["state"])
    offered = rows["detector.gend_clip_l_14"]
    assert (offered["state"], offered["commercial_use"]) == ("offered", False)
    assert rows["detector.deep_fake_detector_v2"]["commercial_use"] is None
    (home / "net.onnx").unlink()
    assert listed()["matcher.mine"]["present"] is False


def test_the_table_says_whether_it_may_be_used_commercially(home: Path) -> None:
    text = CliRunner().invoke(app, ["list"]).stdout
    blocks = {block.split()[0]: block for block in text.split("\n\n")[0].replace("\n  ", " ").splitlines()}
    assert "CC-BY-NC-4.0, no commercial use" in blocks["matcher.mine"]
    assert "Apache-2.0, commercial use not known" in blocks["detector.deep_fake_detector_v2"]
    assert "Apache-2.0, commercial use allowed" in blocks["matcher.auraface"]
    assert "offered" in blocks["matcher.auraface"]
    assert "present" in blocks["matcher.mine"]


def test_a_source_is_shown_in_full(home: Path) -> None:
    text = CliRunner().invoke(app, ["list"]).stdout
    for weight in weights.entries():
        for source in weight.sources:
            for named in ("url", "revision", "repo", "requirement", "member"):
                assert getattr(source, named, "") in text


@pytest.mark.parametrize("columns", [80, 100])
def test_a_terminal_gets_whole_words(
    columns: int, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    list_weights()
    piped = capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    list_weights()
    shown = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out)
    assert shown.split() == piped.split()
    assert len(shown.splitlines()) > len(piped.splitlines())
    for line in shown.splitlines():
        assert len(line) <= columns or len(line.split()[-1]) > columns - INDENT  # an address stays whole
        assert line.startswith(" " * INDENT) or line in piped


def test_sizes_have_a_digit_before_the_point() -> None:
    assert [_size(count) for count in (2851, 122_489, 10_667_852)] == ["2.9 kB", "122.5 kB", "10.7 MB"]


def test_pull_and_verify_know_plugins(home: Path) -> None:
    assert CliRunner().invoke(app, ["pull", "mine"]).stdout == "1 present and verified.\n"
    assert CliRunner().invoke(app, ["verify", "mine", "action_units"]).stdout == "action_units: ok\nmine: ok\n"
    (home / "net.onnx").write_bytes(b"\x08 another")
    damaged = CliRunner().invoke(app, ["verify", "mine"])
    assert damaged.stdout == "mine: damaged\n"
    assert isinstance(damaged.exception, WeightsMismatch)
    assert isinstance(CliRunner().invoke(app, ["pull", "mine"]).exception, WeightsMismatch)
    (home / "net.onnx").unlink()
    assert CliRunner().invoke(app, ["verify", "mine"]).stdout == "mine: missing\n"
    assert isinstance(CliRunner().invoke(app, ["pull", "mine"]).exception, WeightsMissing)


def test_a_plugin_of_a_package_is_not_called_verified(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = home / "toy_package"
    (package / "toy-1.0.dist-info").mkdir(parents=True)
    (package / "toy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (package / "toy-1.0.dist-info" / "entry_points.txt").write_text("[facewitness.detectors]\ntoy = toy:Toy\n")
    (package / "toy.py").write_text(
        "from facewitness.tools.evidence import ModelCard\n"
        "class Toy:\n"
        "    card, target, size, margin = ModelCard('toy', '1', None, 'MIT', True), 'synthesis', 64, 1.3\n"
        "    def score(self, crops): ...\n"
    )
    monkeypatch.syspath_prepend(str(package))
    said = "toy: its package sees to its weights; nothing was fetched or verified.\n"
    assert CliRunner().invoke(app, ["pull", "toy"]).stdout == said
    assert CliRunner().invoke(app, ["pull", "toy", "mine"]).stdout == f"{said}1 present and verified.\n"
    assert CliRunner().invoke(app, ["verify", "toy", "mine"]).stdout == f"mine: ok\n{said}"


def test_a_folder_of_weights_is_not_for_plugins(home: Path) -> None:
    result = CliRunner().invoke(app, ["pull", "mine", "--from", str(home)])
    assert isinstance(result.exception, InvalidOption)
    assert "verified" not in result.stdout


@pytest.mark.parametrize("name", ["nobody", "pyfeat"])
def test_a_name_of_nothing_is_refused_before_anything_is_fetched(home: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["pull", "yunet", name])
    assert isinstance(result.exception, InvalidOption)
    assert f"There are no weights named '{name}'" in str(result.exception)
    assert not weights.present("yunet")
