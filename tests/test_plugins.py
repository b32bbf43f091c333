"""Plug-ins of installed packages and of plugins.toml, as an examination meets them: real packages, real photo."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import cv2
import numpy as np
import pytest

from facewitness.agent import grounding
from facewitness.agent.verdict import Brief, Claim, Decision
from facewitness.errors import InvalidOption
from facewitness.tools import calibration, conformance, plugins
from facewitness.tools.adapters import entries
from facewitness.tools.alignment import TEMPLATE, align
from facewitness.tools.calibration import Calibration
from facewitness.tools.detection import detect
from facewitness.tools.detectors import aligned
from facewitness.tools.evidence import Evidence, ModelCard, without_value
from facewitness.tools.face import FaceView, Reference
from facewitness.tools.image import load

GUIDE = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", GUIDE, re.M | re.S))
HASH, COMMIT = "a" * 64, "b" * 40
CARD = 'ModelCard("toy", "2.0", None, "MIT", True)'

TOYS = f"""
import numpy as np
from facewitness.tools.detectors import Scores
from facewitness.tools.evidence import ModelCard

class Red:
    card, target, size, margin = {CARD}, "synthesis", 64, 1.35
    def score(self, crops):
        red = crops[..., 0].astype(np.float32) / 255
        return Scores(red.mean((1, 2)) * 4, red.reshape(-1, 16, 4, 16, 4).mean((2, 4)))

class Nan(Red):
    def score(self, crops):
        return Scores(np.full(len(crops), np.nan, np.float32))

class Many(Red):
    def score(self, crops):
        return Scores(np.zeros(7, np.float32))

class Dear(Red):
    card = ModelCard("dear", "1", None, "CC-BY-NC-4.0", False)

class Unknown(Red):
    card = ModelCard("unknown", "1", None, "MIT", None)

class Pixels:
    card, threshold = {CARD}, 0.25
    def embed(self, crops):
        return crops.reshape(len(crops), -1).astype(np.float32) - 128

class Units:
    card, size, margin = {CARD}, 48, 1.2
    def intensities(self, crops):
        n = len(crops)
        return {{"AU1": np.full(n, 0.1, np.float32), "AU4": np.full(n, 0.2, np.float32),
                "AU12": np.full(n, 0.83, np.float32)}}

def broken():
    raise RuntimeError("secret path")

def wrong():
    return object()
"""

Install = Callable[..., None]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("FACEWITNESS_HOME", str(folder))
    return folder


@pytest.fixture
def install(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package with these entry points of one group where Python finds it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "toys.py").write_text(TOYS, "utf-8")
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "toys", raising=False)

    def add(group: str = "facewitness.detectors", dist: str = "toys", **points: str) -> None:
        info = site / f"{dist}-2.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 2.0\n", "utf-8")
        lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
        with (info / "entry_points.txt").open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    return add


@pytest.fixture(scope="module")
def view(astronaut: Path) -> FaceView:
    photo = load(astronaut)
    return FaceView(photo, detect(photo.rgb)[0])


def asked(name: str, view: FaceView, references: list[Reference] | None = None) -> list[Evidence]:
    """Evidence as an examination would have it."""
    [tool] = [tool for tool in plugins.face_tools() if tool.name == name]
    try:
        return tool.measure(view, references or [])
    except Exception as error:
        return [without_value(tool.name, error)]


def test_a_detector_gives_a_score_and_no_probability(install: Install, view: FaceView) -> None:
    install(red="toys:Red")
    [item] = asked("detector.red", view)
    assert (item.measure, item.tool, item.status) == ("detector.red.synthesis", "detector.red", "ok")
    assert isinstance(item.value, float)
    assert f"score of {item.value:.2f}" in item.finding
    assert item.probability is None
    assert item.model == ModelCard("toy", "2.0", None, "MIT", True)
    assert plugins.find("red").origin == "package toys 2.0"


def test_only_its_own_calibration_makes_it_a_probability(install: Install, view: FaceView) -> None:
    install(red="toys:Red")
    card = ModelCard("toy", "2.0", None, "MIT", True)
    fitted = Calibration("toy", "2.0", None, slope=1.5, bias=-2.0)
    calibration.path_for(card).parent.mkdir()
    calibration.save(replace(fitted, version="1.9"), calibration.path_for(card))
    assert asked("detector.red", view)[0].probability is None
    calibration.save(fitted, calibration.path_for(card))
    [item] = asked("detector.red", view)
    assert isinstance(item.value, float)
    assert item.probability == pytest.approx(fitted.probability(item.value), abs=0.02)
    assert item.numbers == (item.probability,)
    assert f"probability of {item.probability:.2f}" in item.finding
    calibration.path_for(card).write_text("{}")
    [item] = asked("detector.red", view)
    assert (item.status, item.probability) == ("unavailable", None)
    assert "The calibration is not valid" in item.finding


def test_its_map_lies_on_the_photo_where_the_crop_was(install: Install, view: FaceView) -> None:
    install(red="toys:Red")
    picture = asked("detector.red", view)[0].picture
    assert picture is not None
    assert picture.heat_box is not None
    left, top, width, height = picture.heat_box
    rows = np.array(picture.heat, np.float32)
    side = len(rows)
    # The map is the redness of the crop, so the photo's own must agree with it, best without any shift.
    red = cv2.GaussianBlur(view.photo.rgb[..., 0].astype(np.float32), (0, 0), width / side)
    agreement = {}
    for shift in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]:
        x, y = (
            left + (np.arange(side) + 0.5 + shift[0]) * width / side,
            top + (np.arange(side) + 0.5 + shift[1]) * height / side,
        )
        grid = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        seen = cv2.remap(red, *grid, cv2.INTER_LINEAR)
        agreement[shift] = np.corrcoef(seen[9:-9, 9:-9].ravel(), rows[9:-9, 9:-9].ravel())[0, 1]
    assert agreement[0, 0] > 0.95
    assert max(agreement, key=agreement.__getitem__) == (0, 0)


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("toys:broken", "failed", r"\(RuntimeError\)"),
        ("absent:detector", "failed", r"\(ModuleNotFoundError\)"),
        ("toys:absent", "failed", r"\(AttributeError\)"),
        ("toys:wrong", "unavailable", "does not keep the protocol"),
        ("toys:Nan", "failed", "gave no finite score"),
        ("toys:Many", "failed", "gave no finite score"),
    ],
)
def test_a_broken_one_becomes_evidence(install: Install, view: FaceView, target: str, status: str, words: str) -> None:
    install(bad=target)
    [item] = asked("detector.bad", view)
    assert (item.status, item.value) == (status, None)
    assert re.search(words, item.finding)
    assert "secret" not in item.finding


def test_a_name_that_is_taken_or_odd_is_said_so(install: Install, view: FaceView) -> None:
    install(red="toys:Red", **{"Bad-Name": "toys:Red"})
    install(dist="others", red="toys:Red")
    assert [tool.name for tool in plugins.face_tools()] == ["detector.Bad_Name", "detector.red"]
    assert "is there twice" in asked("detector.red", view)[0].finding
    assert "has a name with other than" in asked("detector.Bad_Name", view)[0].finding


@pytest.mark.parametrize("name", ["dear", "unknown"])
def test_commercial_only_leaves_out_what_may_not_or_is_not_known(install: Install, view: FaceView, name: str) -> None:
    install(dear="toys:Dear", unknown="toys:Unknown", red="toys:Red")
    strict = FaceView(view.photo, view.face, commercial_only=True)
    assert asked(f"detector.{name}", view)[0].status == "ok"
    [item] = asked(f"detector.{name}", strict)
    assert item.status == "unavailable"
    assert "commercial use" in item.finding
    assert asked("detector.red", strict)[0].status == "ok"


def test_a_matcher_compares_with_reference_photos(install: Install, view: FaceView) -> None:
    install("facewitness.matchers", pixels="toys:Pixels")
    assert asked("matcher.pixels", view)[0].status == "not_measurable"
    stored = Reference(view.feature)
    assert asked("matcher.pixels", view, [stored])[0].status == "not_measurable"
    [item] = asked("matcher.pixels", view, [Reference(view.feature, view), stored])
    assert (item.measure, item.value, item.unit) == ("matcher.pixels.similarity", 1.0, "cosine")
    assert "not below its threshold of 0.25" in item.finding
    two = asked("matcher.pixels", view, [Reference(view.feature, view)] * 2)[0]
    assert two.numbers == (2.0, 0.25)


def test_action_units_are_shown_singly_only_when_present(install: Install, view: FaceView) -> None:
    install("facewitness.action_units", units="toys:Units")
    found = {item.measure: item for item in asked("action_units.units", view)}
    assert found["action_units.units.AU12"].value == 0.83
    assert found["action_units.units.below"].finding == "AU1 and AU4 are below 0.5 by units."
    assert len(found) == 2


def test_findings_hold_in_the_grounding_check(install: Install, view: FaceView) -> None:
    """Each finding, said of itself, is supported; with another number it is not."""
    install(red="toys:Red")
    install("facewitness.matchers", pixels="toys:Pixels")
    install("facewitness.action_units", units="toys:Units")
    card = ModelCard("toy", "2.0", None, "MIT", True)
    calibration.path_for(card).parent.mkdir()
    calibration.save(Calibration("toy", "2.0", None, slope=1.5, bias=-2.0), calibration.path_for(card))
    references = [Reference(view.feature, view)] * 2
    found = [item for tool in plugins.face_tools() for item in asked(tool.name, view, references)]
    items = tuple(replace(item, id=f"e{number}") for number, item in enumerate(found, 1))
    decision = Decision("inconclusive", {"authentic": 0.4, "manipulated": 0.3, "synthetic": 0.3}, True)
    brief = Brief(items, decision)
    claims = [Claim(item.finding, (item.id,), "observations") for item in items]
    assert all(claim.supported for claim in grounding.check(claims, brief))
    wrong = [replace(claim, text=re.sub(r"\d\.\d+", "0.77", claim.text, count=1)) for claim in claims]
    assert not any(claim.supported for claim in grounding.check(wrong, brief))


@pytest.mark.usefixtures("home")
def test_the_guides_package_is_installed_as_printed_and_takes_part(
    tmp_path: Path, view: FaceView, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, site = tmp_path / "package", tmp_path / "site"
    package.mkdir()
    for name in ("eyewitness.py", "test_eyewitness.py", "pyproject.toml"):
        (package / name).write_text(BLOCKS[name], "utf-8")
    options = ("--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--target", str(site))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(package)], check=True)
    assert not (site / "test_eyewitness.py").exists()
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, "eyewitness", raising=False)
    assert conformance.check_factory(plugins.find("smoothness").get) == []
    [item] = asked("detector.smoothness", view)
    assert (item.status, item.measure) == ("ok", "detector.smoothness.manipulation")


def test_no_plugins_cost_nothing(home: Path) -> None:
    assert [plugin for plugin in plugins.discover() if plugin.origin == plugins.FILE] == []


# The crop


def test_a_margin_of_one_is_the_arcface_crop(view: FaceView) -> None:
    ours = aligned(view.photo.rgb, view.face.points, 112).astype(np.float32)
    theirs = align(view.photo.rgb, view.face.points, 112).astype(np.float32)
    inner = np.abs(ours - theirs)[8:-8, 8:-8]
    assert inner.mean() < 4


def test_the_margin_widens_around_the_middle(view: FaceView) -> None:
    """Landmarks of an upright face come to lie where the widened template puts them."""
    size, margin = 224, 1.3
    crop = aligned(view.photo.rgb, view.face.points, size, margin)
    again = detect(np.pad(crop, ((60, 60), (60, 60), (0, 0))))[0].points - 60
    expected = (TEMPLATE / 112 - 0.5) / margin * size + size / 2
    assert np.abs(again - expected).mean() < 6


# plugins.toml


def write(home: Path, text: str) -> None:
    (home / plugins.FILE).write_text(dedent(text), "utf-8")


MINE = f"""
[mine]
adapter = "image_classifier"
repo = "owner/name"
revision = "{COMMIT}"
file = "model.safetensors"
sha256 = "{HASH}"
licence = "apache-2.0"
commercial_use = "unknown"
target = "synthesis"
forged = "fake"
"""


def test_an_entry_of_ones_own(home: Path) -> None:
    write(home, MINE)
    [plugin] = [plugin for plugin in plugins.discover() if plugin.origin == plugins.FILE]
    assert plugin.key == "detector.mine"
    assert plugin.get().card == ModelCard("mine", COMMIT[:12], HASH, "Apache-2.0", None)


def test_an_entry_of_the_catalogue_needs_its_name_only(home: Path) -> None:
    write(home, '[gend_clip_l_14]\n[auraface]\nversion = "mine"\nthreshold = 0.3\n')
    gend, aura = plugins.find("gend_clip_l_14"), plugins.find("matcher.auraface")
    assert gend.get().card.licence == "MIT"
    assert aura.get().card.version == "mine"
    assert getattr(aura.get(), "threshold", None) == 0.3


def test_the_catalogue_is_complete_up_to_what_it_leaves_open() -> None:
    for name, table in entries.catalogue().items():
        source = {"folder": "/somewhere"} if "repo" not in table else {"revision": table.get("revision", COMMIT)}
        entry = entries.parse(name, {"sha256": HASH, **table, **source})
        assert entry.what
        assert entry.publisher
        assert entry.terms


@pytest.mark.parametrize("name", ["pyfeat", "libreface"])
def test_what_the_catalogue_leaves_open_must_be_stated(home: Path, view: FaceView, name: str) -> None:
    write(home, f"[{name}]\n")
    [item] = asked(f"action_units.{name}", view)
    assert item.status == "unavailable"
    assert f"plugins.toml: {name}: sha256: Field required." in item.finding
    write(home, f'[{name}]\nsha256 = "{HASH}"\n')
    assert "state repo and revision (40 hex digits), or folder" in asked(f"action_units.{name}", view)[0].finding


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (f'"{COMMIT}"', '"main"', "mine: revision: String should match"),
        (f'"{HASH}"', '"123"', "mine: sha256: String should match"),
        ('"model.safetensors"', '"../model.safetensors"', "mine: file: String should match"),
        ('"apache-2.0"', '"free"', "mine: licence: .*SPDX"),
        ('"unknown"', '"yes"', "mine: commercial_use"),
        ('"synthesis"', '"beauty"', "mine: target: Input should be 'manipulation'"),
        ('"image_classifier"', '"magic"', "mine: .*'magic'"),
        ("[mine]", "[mine]\nextra = 1", "mine: extra: Extra inputs"),
        ("[mine]", "[mine", "plugins.toml is not valid TOML"),
        ("[mine]", "mine = 3\n[other]", "mine is not a table"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(home: Path, view: FaceView, old: str, new: str, words: str) -> None:
    write(home, MINE.replace(old, new))
    found = [plugin for plugin in plugins.discover() if plugin.origin == plugins.FILE]
    [item] = [item for plugin in found for item in asked(plugin.key, view)]
    assert item.status == "unavailable"
    assert re.search(words, item.finding)


def test_a_wrong_entry_has_the_code_of_an_option() -> None:
    with pytest.raises(InvalidOption, match=r"plugins\.toml: mine: adapter|Unable to extract tag") as caught:
        entries.parse("mine", {"file": "x"})
    assert caught.value.code == "input.invalid_option"
    with pytest.raises(InvalidOption, match="There is no plug-in nobody; known:"):
        plugins.find("nobody")
