"""How looks are calibrated and weighed, on looks whose worth is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from facewitness.agent import fusion
from facewitness.agent.sight import Line
from facewitness.agent.traces import LookWeights
from facewitness.agent.verdict import REFERENCE_LABELS
from facewitness.errors import WeightsMismatch

pytest.importorskip("torch", reason="needs the training extra")

from facewitness.finetune import sight_calibration, sight_looks
from facewitness.finetune.sight_looks import Looks, Sample

PERSON, FORGERY_OF, OTHER = REFERENCE_LABELS


def _sample(labels: Sequence[str], rng: np.random.Generator, told: float) -> Sample:
    """Pictures on which the look's logit is off by as much as it tells, and the detectors tell a little."""
    n, label = len(labels), np.array(labels)
    against = np.where(np.isin(label, ("real", PERSON)), -1.0, 1.0)
    look = told * against + rng.normal(size=n)
    scores = 0.5 * against[:, None] + rng.normal(size=(n, 3))
    unknown = np.full(n, np.nan)
    views = PERSON not in labels
    cosine = np.where(label == OTHER, 0.05, 0.8) + 0.05 * rng.normal(size=n)
    return Sample(
        label,
        np.repeat("frll", n),
        np.repeat("m", n),
        np.array([f"p{number % 20}" for number in range(n)]),
        1 / (1 + np.exp(-scores)),
        1 / (1 + np.exp(-look)),
        unknown if views else cosine,
        unknown,
        unknown if views else 1 / (1 + np.exp(told * against + rng.normal(size=n))),
    )


def _looks(told: float) -> Looks:
    rng = np.random.default_rng(3)
    views = _sample(["real", "manipulation", "synthesis", "morph"] * 100, rng, told)
    return Looks("ab" * 32, views, _sample([PERSON, FORGERY_OF, OTHER] * 100, rng, told))


def test_looks_that_tell_get_a_weight_and_others_none() -> None:
    lines, held = sight_calibration.fit(_looks(1.5), fusion.calibration())
    assert lines["forged"].slope == pytest.approx(3, abs=0.8), "twice the shift over the variance"
    assert held["forged"] > 0.3
    assert held["unlike"][0] > 0.2
    assert all(value >= 0.95 for value in held["needed"])
    area = held["calibration_split"]["face"]["AUC"]
    assert area["both"] > area["detectors"] > 0.5
    _, held = sight_calibration.fit(_looks(0.0), fusion.calibration())
    assert (held["forged"], held["unlike"]) == (0, [0, 0])
    _, held = sight_calibration.fit(_looks(-1.5), fusion.calibration())
    assert (held["forged"], held["unlike"]) == (0, [0, 0])


def test_a_look_that_only_tells_sources_apart_is_not_read() -> None:
    rng = np.random.default_rng(0)
    source = np.repeat(["studio", "press"], 200)
    truth = rng.random(400) < np.where(source == "studio", 0.9, 0.1)
    by_source = np.where(source == "studio", 0.7, 0.3) + rng.normal(0, 0.05, 400)
    weight = np.full(400, 1 / 400)
    told = np.where(truth, 0.05, -0.05)
    assert sight_calibration.line(by_source + told, truth, weight, source).slope > 0
    assert sight_calibration.line(by_source - told, truth, weight, source) == Line(0.0, 0.0)


def test_what_is_fitted_is_what_fusion_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    _, held = sight_calibration.fit(_looks(1.5), fusion.calibration())
    data = json.loads(Path(fusion.__file__).with_name("fusion.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(fusion, "_file", lambda: json.dumps({**data, "sight": held}).encode())
    read = fusion.calibration.__wrapped__()
    assert read.look == LookWeights("ab" * 32, held["forged"], tuple(held["needed"]), tuple(held["unlike"]))
    monkeypatch.setattr(fusion, "_file", lambda: json.dumps({**data, "sight": {**held, "forged": -1}}).encode())
    with pytest.raises(WeightsMismatch):
        fusion.calibration.__wrapped__()


def test_looks_survive_the_disk(tmp_path: Path) -> None:
    looks = _looks(1.0)
    sight_looks.save(looks, tmp_path / "looks.npz")
    again = sight_looks.load(tmp_path / "looks.npz")
    assert again.sha256 == looks.sha256
    for name in ("views", "comparisons"):
        for one in fields(Sample):
            assert np.array_equal(
                getattr(getattr(again, name), one.name),
                getattr(getattr(looks, name), one.name),
                equal_nan=one.type == "Array",
            )
