"""The worked example of CONTRIBUTING.md runs as it is printed."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from facewitness.agent import examine, plan
from facewitness.tools import registry

GUIDE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", GUIDE, re.M | re.S))


@pytest.fixture
def blink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the tool where the guide puts it, for one test."""
    (tmp_path / "blink.py").write_text(BLOCKS["tools/blink.py"], "utf-8")
    spec = importlib.util.spec_from_file_location("facewitness.tools.blink", tmp_path / "blink.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "facewitness.tools.blink", module)
    monkeypatch.setattr("facewitness.tools.blink", module, raising=False)
    line: dict[str, tuple[str, ...]] = {}
    exec(BLOCKS["tools/registry.py"], line)
    assert line["MODULES"] == (*registry.MODULES, "blink"), "the guide shows an older line of the registry"
    monkeypatch.setattr(registry, "MODULES", line["MODULES"])
    registry.tools.cache_clear()
    yield
    registry.tools.cache_clear()


@pytest.mark.usefixtures("blink")
def test_the_printed_test_passes(astronaut: Path) -> None:
    names: dict[str, object] = {}
    exec(BLOCKS["tests/test_blink.py"], names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    for test in tests:
        assert callable(test)
        test(astronaut)


@pytest.mark.usefixtures("blink")
def test_the_tool_takes_part_in_an_examination(astronaut: Path) -> None:
    assert "blink" in plan.choose(None, 0)
    record = examine.examine(astronaut, model="none")
    found = {item.measure: item for item in record.evidence if item.tool == "blink"}
    assert set(found) == {"blink.left_eye", "blink.right_eye"}
    assert all(item.status == "ok" for item in found.values())
    assert any(found["blink.left_eye"].finding == claim.text and claim.supported for claim in record.explanation.claims)
