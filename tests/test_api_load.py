"""The load run, small: what it counts is what happened."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from facewitness.evals import api_load


def test_a_small_run(astronaut: Path) -> None:
    options = argparse.Namespace(photos=[astronaut], clients=3, verdicts=6, workers=1, model="none", database=None)
    found = api_load.measure(options)
    assert (found["all_clients"]["verdicts"], found["all_clients"]["errors"]) == (6, {})
    assert found["one_client"]["verdicts"] == 6
    inside, request = found["all_clients"]["examination_in_the_server"], found["all_clients"]["request"]
    assert 0 < inside["p50_ms"] < request["p50_ms"] <= request["p95_ms"]
    assert found["bare"]["photos_per_second"] > 0
    held = found["memory"]["samples_mb"]
    assert list(held)[-1] == "6" and min(held.values()) > 100


def test_what_goes_wrong_is_counted(astronaut: Path) -> None:
    with api_load.serving("none", 1, 1, None) as server:
        found = api_load.load(server, [astronaut.read_bytes(), b"no photo"], 1, 4)
    assert dict(found.errors) == {"415 input.not_an_image": 2}
    assert len(found.seconds) == 2
    gone = api_load.load(server, [b""], 1, 2)
    assert dict(gone.errors) == {"ConnectError": 2}


def test_times() -> None:
    assert api_load.times([0.001 * number for number in range(1, 101)]) == {"p50_ms": 50.5, "p95_ms": 95.0}
    found = api_load.Load(memory=[(done, 100.0 + done) for done in range(0, 101)])
    assert api_load.memory(found, 100)["growth"] == pytest.approx(187.5 / 137 - 1, abs=0.01)
