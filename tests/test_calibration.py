"""Calibrations: what they compute, what is refused, and that fitting finds the parameters that made the data."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from facewitness.errors import InvalidOption
from facewitness.finetune.calibrate import fit
from facewitness.tools import calibration
from facewitness.tools.calibration import Calibration
from facewitness.tools.evidence import ModelCard

CARD = ModelCard("smoothness", "1.0", None, "MIT", True)
PLATT = Calibration("smoothness", "1.0", None, slope=2.0, bias=-1.0)


def drawn(slope: float, bias: float, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which exactly this slope and bias tell the truth, at even odds."""
    random = np.random.default_rng(0)
    logits = random.uniform(-3, 3, count)
    return logits, random.random(count) < 1 / (1 + np.exp(-(slope * logits + bias)))


def test_platt_scaling_is_its_formula() -> None:
    logits = np.array([[-2.0, 0.0], [0.5, 3.0]])
    assert np.allclose(PLATT.probabilities(logits), 1 / (1 + np.exp(-(2 * logits - 1))))
    assert PLATT.probability(0.5) == 0.5


def test_great_scores_stay_within_the_least() -> None:
    bounded = replace(PLATT, least=0.01)
    assert bounded.probabilities([-1e6, 1e6]).tolist() == [0.01, 0.99]


def test_knots_are_joined_by_lines_and_level_beyond() -> None:
    isotonic = replace(PLATT, knots=((-1.0, 0.1), (1.0, 0.5), (2.0, 0.9)))
    assert np.allclose(isotonic.probabilities([-9, 0, 1.5, 9]), [0.1, 0.3, 0.7, 0.9])


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    kept = replace(PLATT, sha256="a" * 64, knots=((-1.0, 0.25), (1.0, 0.75)), real=12, forged=13, data="here")
    calibration.save(kept, tmp_path / "c.json")
    assert calibration.load(tmp_path / "c.json") == kept


@pytest.mark.parametrize(
    "change",
    [
        {"slope": 0.0},
        {"slope": -1.0},
        {"slope": "NaN"},
        {"least": 0.5},
        {"sha256": "abc"},
        {"knots": [[1, 0.1], [0, 0.2]]},
        {"knots": [[0, 0.3], [1, 0.2]]},
        {"knots": [[0, 0.3], [0, 0.4]]},
        {"knots": [[0, 1.3]]},
        {"more": 1},
        {"detector": None},
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (tmp_path / "c.json").write_text(json.dumps(json.loads(PLATT.to_json()) | change))
    with pytest.raises(InvalidOption, match="not valid") as caught:
        calibration.load(tmp_path / "c.json")
    assert caught.value.code == "input.invalid_option"
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="cannot be read"):
        calibration.load(tmp_path / "none.json")


@pytest.mark.parametrize("change", [{"name": "other"}, {"version": "1.1"}, {"sha256": "b" * 64}])
def test_it_counts_for_exactly_one_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    monkeypatch.setenv("FACEWITNESS_HOME", str(tmp_path))
    other = replace(CARD, **change)
    for card in (CARD, other):
        calibration.path_for(card).parent.mkdir(exist_ok=True)
        calibration.save(PLATT, calibration.path_for(card))
    assert calibration.find(CARD) == PLATT
    assert calibration.find(other) is None
    assert calibration.find(replace(CARD, licence="Apache-2.0")) == PLATT


@pytest.mark.parametrize(("slope", "bias"), [(1.0, 0.0), (0.4, 0.7), (2.5, -1.0)])
def test_fitting_finds_what_made_the_data(slope: float, bias: float) -> None:
    logits, forged = drawn(slope, bias)
    fitted = fit(CARD, logits, forged)
    # The data are not balanced where the bias is not 0; the fit is for even odds.
    odds = np.log(forged.sum() / (~forged).sum())
    assert fitted.slope == pytest.approx(slope, rel=0.05)
    assert fitted.bias == pytest.approx(bias - odds, abs=0.06)
    assert fitted.fits(CARD)


def test_temperature_scaling_has_no_bias() -> None:
    logits, forged = drawn(0.5, 0.0)
    fitted = fit(CARD, logits, forged, "temperature")
    assert fitted.bias == 0
    assert 1 / fitted.slope == pytest.approx(2, rel=0.05)


def test_how_many_there_are_of_each_kind_does_not_matter() -> None:
    logits, forged = drawn(1.0, 0.0)
    few = ~forged | (np.arange(len(forged)) % 5 == 0)
    fitted = fit(CARD, logits[few], forged[few])
    assert fitted.slope == pytest.approx(1, rel=0.1)
    assert fitted.bias == pytest.approx(0, abs=0.1)


def test_isotonic_follows_a_curve_that_no_slope_can() -> None:
    random = np.random.default_rng(1)
    logits = random.uniform(-3, 3, 20_000)
    truth = np.where(logits < 0, 0.2, 0.6)
    forged = random.random(20_000) < truth
    fitted = fit(CARD, logits, forged, "isotonic")
    prior = forged.mean()
    even = truth / prior / (truth / prior + (1 - truth) / (1 - prior))
    inside = np.abs(logits) > 0.1
    assert np.abs(fitted.probabilities(logits) - even)[inside].mean() < 0.03
    assert np.abs(fit(CARD, logits, forged).probabilities(logits) - even)[inside].mean() > 0.04
    assert calibration.parse(fitted.to_json()) == fitted


def test_kinds_that_never_overlap_give_no_certainty() -> None:
    logits = np.concatenate([np.linspace(-5, -4, 20), np.linspace(4, 5, 20)])
    fitted = fit(CARD, logits, np.repeat([False, True], 20))
    assert np.isfinite(fitted.slope)
    assert fitted.probability(100) == pytest.approx(1 - 1 / 22)


def test_what_cannot_be_fitted_is_refused() -> None:
    logits, forged = drawn(1.0, 0.0, 400)
    with pytest.raises(InvalidOption, match="no higher"):
        fit(CARD, -logits, forged)
    with pytest.raises(InvalidOption, match="at least 10"):
        fit(CARD, logits[:12], np.arange(12) < 9)


def test_the_command_calibrates_a_plugin_on_photos(tmp_path: Path, astronaut: Path) -> None:
    """The guide's detector, installed; a photo, brighter and darker, against the same smoothed."""
    guide = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text("utf-8")
    blocks = dict(re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", guide, re.M | re.S))
    (tmp_path / "eyewitness.py").write_text(blocks["eyewitness.py"], "utf-8")
    info = tmp_path / "eyewitness-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: eyewitness\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[facewitness.detectors]\nsmoothness = eyewitness:detector\n")
    photo = Image.open(astronaut).convert("RGB")
    for name in ("authentic", "forged"):
        (tmp_path / name).mkdir()
        for step in range(10):
            shown = photo.point(lambda value, step=step: value * (0.75 + step / 40))
            shown = shown.filter(ImageFilter.GaussianBlur(2 + step / 10)) if name == "forged" else shown
            shown.save(tmp_path / name / f"{step}.png")
    Image.new("RGB", (200, 200)).save(tmp_path / "forged" / "wall.png")
    arguments = ["--detector", "smoothness", "--real", str(tmp_path / "authentic"), "--fake", str(tmp_path / "forged")]
    run = subprocess.run(
        [sys.executable, "-m", "facewitness.finetune.calibrate", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "FACEWITNESS_HOME": str(tmp_path / "home")},
        timeout=280,
    )
    assert run.returncode == 0, run.stderr
    assert "10 authentic and 10 forged faces; 1 photos without a face left out" in run.stderr
    assert "AUC 1.000" in run.stderr
    path = tmp_path / "home" / "calibrations" / "smoothness.json"
    assert run.stdout == f"{path}\n"
    fitted = calibration.load(path)
    assert fitted.fits(CARD)
    assert (fitted.real, fitted.forged, fitted.least) == (10, 10, 1 / 12)
    assert fitted.data == "authentic and forged"
