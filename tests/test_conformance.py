"""The conformance check finds what it says it finds, and lets a plug-in that keeps its protocol pass."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 - what must be found
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facewitness.errors import ToolError
from facewitness.tools import conformance
from facewitness.tools.detectors import Crops, Detector, Scores
from facewitness.tools.evidence import ModelCard

CARD = ModelCard("mean", "1", None, "MIT", True)
GUIDE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", GUIDE, re.M | re.S))


def redness(crops: Crops) -> np.ndarray:
    return (crops[..., 0].astype(np.float32) / 255).mean((1, 2))


@dataclass
class Mean:
    """A detector whose every part can be replaced."""

    say: Callable[[Mean, Crops], Any] = lambda self, crops: Scores(redness(crops))
    card: Any = CARD
    target: Any = "synthesis"
    size: Any = 32
    margin: Any = 1.0
    calls: int = 0
    busy: threading.Lock = field(default_factory=threading.Lock)

    def score(self, crops: Crops) -> Any:
        self.calls += 1
        return self.say(self, crops)


class Matcher:
    card, threshold = CARD, 0.3

    def embed(self, crops: Crops) -> np.ndarray:
        return np.stack([redness(crops), np.ones(len(crops), np.float32)], 1)


class Units:
    card, size, margin = CARD, 48, 1.2

    def intensities(self, crops: Crops) -> dict[str, np.ndarray]:
        return {"AU1": redness(crops), "AU12": 1 - redness(crops)}


def codes(plugin: object, swap: bool = False) -> set[str]:
    return {problem.code.removeprefix("conformance.") for problem in conformance.check(plugin, swap)}


@pytest.mark.parametrize("plugin", [Mean(), Matcher(), Units()], ids=["detector", "matcher", "action units"])
def test_what_keeps_its_protocol_passes(plugin: object) -> None:
    assert conformance.check(plugin, swap=True) == []
    conformance.require(plugin)


def test_a_map_is_allowed() -> None:
    heat = lambda crops: crops[:, ::4, ::4, 0].astype(np.float32) / 255  # noqa: E731
    assert codes(Mean(lambda self, crops: Scores(redness(crops), heat(crops)))) == set()


def in_parallel(self: Mean, crops: Crops) -> Scores:
    """A workspace that two calls at the same time would share."""
    if not self.busy.acquire(blocking=False):
        return Scores(redness(crops) + 1)
    threading.Event().wait(0.05)
    self.busy.release()
    return Scores(redness(crops))


def connect(self: Mean, crops: Crops) -> Scores:
    with socket.socket() as one, suppress(OSError):
        one.connect(("127.0.0.1", 9))
    return Scores(redness(crops))


def unpickle(self: Mean, crops: Crops) -> Scores:
    pickle.loads(pickle.dumps(CARD))
    return Scores(redness(crops))


def paint(self: Mean, crops: Crops) -> Scores:
    crops[:, 0, 0] = 7
    return Scores(redness(crops))


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (lambda self, crops: Scores(redness(crops).astype(np.float64)), "dtype"),
        (lambda self, crops: Scores(redness(crops)[:, None]), "shape"),
        (lambda self, crops: Scores(redness(crops)[:1]), "shape"),
        (lambda self, crops: Scores(redness(crops).tolist()), "type"),
        (lambda self, crops: Scores(np.log(redness(crops), where=redness(crops) > 0, out=None) * np.inf), "not_finite"),
        (lambda self, crops: Scores(redness(crops), np.full((len(crops), 4, 4), 1.5, np.float32)), "range"),
        (lambda self, crops: Scores(redness(crops), np.zeros((len(crops), 4), np.float32)), "shape"),
        (lambda self, crops: Scores(redness(crops) + np.float32(self.calls)), "not_deterministic"),
        (lambda self, crops: Scores(redness(crops) - redness(crops).mean()), "batch"),
        (lambda self, crops: Scores(redness(crops) + np.arange(len(crops), dtype=np.float32)), "order"),
        (in_parallel, "threads"),
        (connect, "network"),
        (unpickle, "pickle"),
        (paint, "input_changed"),
        (lambda self, crops: {}["nothing"], "raised"),
        (lambda self, crops: None, "raised"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_each_fault_is_found_by_its_code(say: Callable[[Mean, Crops], Any], code: str) -> None:
    assert code in codes(Mean(say))


def test_a_plugin_blind_to_colour_order_is_reported_on_request() -> None:
    blind = Mean(lambda self, crops: Scores(crops.astype(np.float32).mean((1, 2, 3))))
    assert codes(blind) == set()
    assert codes(blind, swap=True) == {"colour_order"}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"version": " "}, "version"),
        ({"sha256": "abc"}, "sha256"),
        ({"licence": "Free as in beer"}, "licence"),
        ({"commercial_use": None}, "commercial_use"),
    ],
)
def test_an_incomplete_card_is_found(change: dict[str, Any], word: str) -> None:
    [problem] = conformance.check(Mean(card=replace(CARD, **change)))
    assert problem.code == "conformance.card"
    assert problem.message.startswith(word)


def test_a_reference_of_ones_own_is_a_licence() -> None:
    assert codes(Mean(card=replace(CARD, licence="LicenseRef-of-mine"))) == set()


@pytest.mark.parametrize("change", [{"target": "beauty"}, {"size": "big"}, {"size": 4}, {"margin": 9.0}])
def test_attributes_out_of_range_are_found(change: dict[str, Any]) -> None:
    assert codes(Mean(**change)) == {"attribute"}


def test_what_is_no_plugin_is_said_so() -> None:
    assert codes(object()) == {"protocol"}
    assert codes(Mean(card=None)) == {"card"}


def test_require_raises_with_the_codes() -> None:
    with pytest.raises(ToolError, match=r"conformance\.dtype: .*float64") as caught:
        conformance.require(Mean(lambda self, crops: Scores(redness(crops).astype(np.float64))))
    assert caught.value.code == "tool.failed"


def test_a_factory_that_fails_or_unpickles_is_found() -> None:
    def broken() -> Detector:
        raise RuntimeError("no weights")

    def pickled() -> Mean:
        pickle.loads(pickle.dumps(CARD))
        return Mean()

    assert [problem.code for problem in conformance.check_factory(broken)] == ["conformance.raised"]
    assert [problem.code for problem in conformance.check_factory(pickled)] == ["conformance.pickle"]


def run(named: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "facewitness.tools.conformance", named],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(folder)},
        timeout=250,
    )


def test_the_guides_detector_conforms_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "eyewitness.py").write_text(BLOCKS["eyewitness.py"], "utf-8")
    (tmp_path / "bad.py").write_text("from eyewitness import *\n\n\ndef detector():\n    return object()\n", "utf-8")
    good, bad, absent = (run(f"{name}:detector", tmp_path) for name in ("eyewitness", "bad", "absent"))
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.startswith("It conforms.")
    assert (bad.returncode, bad.stdout.split(":")[0]) == (1, "conformance.protocol")
    assert (absent.returncode, absent.stderr.split(":")[0]) == (2, "input.invalid_option")


def test_the_guides_own_test_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eyewitness.py").write_text(BLOCKS["eyewitness.py"], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "eyewitness", raising=False)
    names: dict[str, Any] = {}
    exec(BLOCKS["test_eyewitness.py"], names)
    names["test_it_conforms"]()
    assert len(BLOCKS["eyewitness.py"].splitlines()) <= 30
