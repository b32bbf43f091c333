"""The page as an analyst gets it: readable without script, safe with hostile text, complete."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facewitness.agent.examine import Examination
from facewitness.agent.record import ClaimInfo, ExplanationInfo, ReasoningInfo, Record
from facewitness.tools.evidence import Picture
from facewitness.tools.image import load
from facewitness.ui import overlays, page

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
HOSTILE = "Software says <script>alert(1)</script> \" onload='x' {{ 7 * 7 }} \u202egnp.exe."
FACE = {"x": 178.0, "y": 62.0, "width": 93.0, "height": 113.0}
MOUTH = {"x": 203.0, "y": 135.0, "width": 44.0, "height": 22.0, "name": "mouth"}


def _evidence(key: str, measure: str, finding: str, **more: Any) -> dict[str, Any]:
    tool = measure.split(".")[0]
    face = {"face": "f1", "region": {**FACE, "name": "face"}}
    return {"id": key, "measure": measure, "tool": tool, "finding": finding, "status": "ok"} | face | more


def _record(**changes: Any) -> Record:
    sentences = {
        "summary": ("The evidence does not decide.", ["e1", "e4"]),
        "observations": ("The face is 93 px wide and turned 4 degrees.", ["e1", "e2"]),
        "interpretation": ("The lip corners rise.", ["e3"]),
        "conclusion": ("No detector of forgery ran, so none of the labels can be given.", ["e4"]),
    }
    fields: dict[str, Any] = {
        "id": "fw_" + "0" * 32,
        "created_at": datetime(2026, 11, 23, 19, 5, tzinfo=UTC),
        "software": "facewitness 0.1.0",
        "image": {"sha256": "ab" * 32, "width": 512, "height": 512, "format": "JPEG"},
        "question": "Is this real?",
        "faces": [
            {"id": "f1", "box": FACE, "score": 0.93, "assessable": True},
            {
                "id": "f2",
                "box": {"x": 400, "y": 30, "width": 21, "height": 25},
                "score": 0.71,
                "assessable": False,
                "refusal": {"code": "face.too_small", "text": "The face is 21 px wide; 64 are needed."},
            },
        ],
        "subject": "f1",
        "verdict": {
            "label": "inconclusive",
            "probabilities": {"authentic": 0.46, "manipulated": 0.31, "synthetic": 0.23},
            "abstained": True,
            "assessable": True,
            "reasons": [{"code": "no_detector", "text": "No detector of forgery is installed."}],
            "deciding": ["e4"],
        },
        "evidence": [
            _evidence("e1", "quality.size", "The face is 93 px wide.", value=93.0, unit="px"),
            _evidence("e2", "head_pose.yaw", "The head is turned 4 degrees.", value=4.2, unit="deg"),
            _evidence("e3", "action_units.AU12", "The lip corners rise.", value=0.81, region=MOUTH, probability=0.9),
            _evidence("e4", "forgery", "No detector of forgery is installed.", status="unavailable", region=None),
            _evidence("e5", "identity", "No reference photo was given.", status="not_measurable", region=None),
            _evidence("e6", "provenance.software", HOSTILE, value=HOSTILE, face=None, region=None),
            _evidence("e7", "provenance.c2pa", "the tool failed (OSError).", status="failed", face=None, region=None),
        ],
        "explanation": {
            "summary": sentences["summary"][0],
            "claims": [{"text": text, "evidence": cited, "supported": True} for text, cited in sentences.values()],
            "reasoning": {key: text for key, (text, _) in sentences.items() if key != "summary"},
            "written_by": "template",
            "why_template": "no model was asked for",
        },
        "models": [
            {"name": "yunet", "version": "2023mar", "sha256": "cd" * 32, "licence": "MIT", "commercial_use": True},
            {"name": "fusion", "version": "1", "sha256": None, "licence": "Apache-2.0", "commercial_use": False},
        ],
        "timings_ms": {"find_faces": 41.2, "tool.quality": 3.3, "total": 322.6},
    }
    return Record.model_validate(fields | changes)


@pytest.fixture
def examination() -> Examination:
    eye = tuple((201.0 + 9 * np.cos(t), 100.0 + 4 * np.sin(t)) for t in np.linspace(0, 6.3, 12))
    return Examination((_record(),), load(ASTRONAUT), {"e2": Picture(points=eye, outlines=(eye,))})


class _Page(HTMLParser):
    """Tags with their attributes, and the text outside script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open not in ("script", "style"):
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def values(self, name: str) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


def test_writes_record_page_and_overlays_and_nothing_else(examination: Examination, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    names = ["index.html", "record.json", "overlay-faces.png", "overlay-e2.png", "overlay-e3.png"]
    assert page.write(examination, folder) == [folder / name for name in names]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert Record.model_validate_json((folder / "record.json").read_bytes()) == examination.records[0]


def test_writing_again_replaces_only_its_own_files(examination: Examination, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "record.json").write_text("old")
    page.write(examination, tmp_path)
    page.write(examination, tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert json.loads((tmp_path / "record.json").read_text())["schema"] == "facewitness.verdict/1"
    assert not list(tmp_path.glob(".*"))


def test_nothing_of_an_earlier_examination_stays(examination: Examination, tmp_path: Path) -> None:
    first = examination.records[0]
    several = replace(examination, records=(first, _record(subject="f2", evidence=first.evidence[5:])))
    earlier = page.write(several, tmp_path)
    mine = [
        "record-final.json",
        "record-f1.json.bak",
        "overlay.png",
        "overlay-e9.jpg",
        "my-record.json",
        "xrecord.json",
    ]
    for name in (*mine, "overlay-e15.png"):
        (tmp_path / name).write_text("earlier")
    (tmp_path / "overlay-e99.png").mkdir()
    written = page.write(examination, tmp_path)
    assert not {"record-f1.json", "record-f2.json", "overlay-faces-f1.png"} & {path.name for path in written}
    assert {path.name for path in earlier} - {path.name for path in written}
    assert {path.name for path in tmp_path.iterdir()} == {*(path.name for path in written), *mine, "overlay-e99.png"}


@pytest.mark.parametrize("taken", ["out", "out/index.html"])
def test_refuses_what_is_in_the_way(examination: Examination, tmp_path: Path, taken: str) -> None:
    path = tmp_path / taken
    if taken == "out":
        path.write_text("a file")
    else:
        path.mkdir(parents=True)
    with pytest.raises(OSError, match=r"exists|directory"):
        page.write(examination, tmp_path / "out")
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_told_before_the_examination(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    out = tmp_path / place
    command = [sys.executable, "-m", "facewitness", "examine", str(ASTRONAUT), "--model", "none", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (1, ""), run.stderr
    assert run.stderr.startswith(f"facewitness: output: '{out}': ") and run.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_several_subjects_share_a_page(examination: Examination, tmp_path: Path) -> None:
    first = examination.records[0]
    second = _record(subject="f2", evidence=first.evidence[5:])
    written = page.write(replace(examination, records=(first, second)), tmp_path)
    names = {path.name for path in written}
    assert {"record-f1.json", "record-f2.json", "overlay-faces-f1.png", "overlay-faces-f2.png"} <= names
    parsed = _Page((tmp_path / "index.html").read_text())
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    assert {"f1-e6", "f2-e6"} <= set(ids)


def test_a_photo_without_a_face_has_a_page(examination: Examination) -> None:
    verdict = examination.records[0].verdict.model_dump() | {"assessable": False, "deciding": []}
    nothing = {"summary": "", "claims": [], "written_by": "template"}
    nothing["reasoning"] = {"observations": "", "interpretation": "", "conclusion": ""}
    record = _record(faces=[], subject=None, verdict=verdict, evidence=[], explanation=nothing)
    parsed = _Page(page.render(Examination((record,), examination.photo)))
    assert "No face here can be assessed" in parsed.text
    assert "46 %" not in parsed.text


def test_says_everything_without_script(examination: Examination) -> None:
    text = " ".join(_Page(page.render(examination)).text.split())
    for expected in (
        "Inconclusive", "46 %", "31 %", "23 %", "Is this real?",
        "The face is 21 px wide; 64 are needed.", "no model was asked for",
        "4.2°", "93 px", "calibrated 90 %", "Measured", "Not measurable", "Unavailable", "Failed",
        "ab" * 32, "cd" * 32, "no weights file", "fw_" + "0" * 32, "23 November 2026, 19:05 UTC", "323 ms",
        "What this verdict is not",
    ):  # fmt: skip
        assert expected in text, expected


def test_hostile_text_stays_text(examination: Examination) -> None:
    html = page.render(examination)
    parsed = _Page(html)
    assert html.count("<script>") == 1
    assert "alert(1)" in parsed.text
    assert "49" not in parsed.text.split("Software says")[1][:60]
    assert "\u202e" not in html and "\ufffdgnp.exe" in parsed.text
    assert not any(name.startswith("on") for _, attrs in parsed.tags for name in attrs)


def test_nothing_but_its_own_style_and_script_may_run(examination: Examination) -> None:
    html = page.render(examination)
    policy = next(attrs["content"] for _, attrs in _Page(html).tags if attrs.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")
    for tag in ("style", "script"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not _Page(html).values("style")


def test_refers_to_nothing_outside(examination: Examination) -> None:
    html = page.render(examination)
    parsed = _Page(html)
    targets = parsed.values("href") + parsed.values("src")
    assert all(target.startswith(("#", "data:")) for target in targets)
    assert {target[1:] for target in targets if target.startswith("#")} <= set(parsed.values("id"))
    assert "url(" not in html.replace("url(#hatch)", "") and "://" not in html


def test_pictures_carry_no_metadata(examination: Examination, tmp_path: Path) -> None:
    """The photo is given EXIF and a thumbnail of private text; no written picture has either."""
    exif = Image.Exif()
    exif[0x010E] = "canary-description"
    buffer = BytesIO()
    with Image.open(ASTRONAUT) as image:
        image.save(buffer, "JPEG", exif=exif, comment=b"canary-comment")
    assert b"canary" in buffer.getvalue()
    written = page.write(replace(examination, photo=load(buffer.getvalue())), tmp_path)
    for path in written:
        assert b"canary" not in path.read_bytes()
    for uri in re.findall(r"base64,([^\"]+)", (tmp_path / "index.html").read_text()):
        data = base64.b64decode(uri)
        assert b"canary" not in data
        with Image.open(BytesIO(data)) as image:
            assert not image.getexif() and max(image.size) <= page.EMBEDDED_SIDE


def test_every_sentence_is_followed_by_what_it_cites(examination: Examination) -> None:
    html = page.render(examination)
    claim = re.search(r'data-ids="e1 e2"><bdi>The face is 93 px wide and turned(.*?)</span>', html, re.DOTALL)
    assert claim is not None
    assert re.findall(r'href="#f1-(e\d)"', claim[1]) == ["e1", "e2"]


def test_sentences_are_split_as_they_were_claimed() -> None:
    """Alike sentences keep their own citation, the longer match wins, and what is no claim is uncited."""
    cited = [("Failed.", ["e1"]), ("Failed.", ["e2"]), ("Failed. Twice.", ["e3"])]
    explanation = ExplanationInfo(
        summary="Failed.",
        claims=[ClaimInfo(text=text, evidence=ids, supported=True) for text, ids in cited],
        reasoning=ReasoningInfo(observations="Failed. Failed. Twice.", interpretation="", conclusion="Failed. Trust."),
        written_by="template",
    )
    found = {section: [(c.text, c.evidence) for c in claims] for section, claims in page.sentences(explanation).items()}
    assert found == {
        "summary": [("Failed.", ["e1"])],
        "observations": [("Failed.", ["e2"]), ("Failed. Twice.", ["e3"])],
        "interpretation": [],
        "conclusion": [("Failed.", ["e1"]), ("Trust.", [])],
    }


@pytest.mark.parametrize(
    ("probability", "text"), [(0, "0 %"), (0.001, "<1 %"), (0.5, "50 %"), (0.997, ">99 %"), (1, "100 %")]
)
def test_percent_never_claims_certainty(probability: float, text: str) -> None:
    assert page.percent(probability) == text


def test_overlays_mark_the_place_and_leave_the_rest(examination: Examination) -> None:
    rgb, record = examination.photo.rgb, examination.records[0]
    drawn = overlays.draw_faces(rgb, record)
    changed = (drawn != rgb).any(axis=2)
    assert drawn.shape == rgb.shape
    assert changed[62, 178:271].mean() > 0.9
    assert not changed[300:, :].any()
    mouth = overlays.draw_evidence(rgb, record.evidence[2], None)
    assert max(mouth.shape) == overlays.MIN_SIDE
    assert ((mouth == (64, 224, 255)).all(axis=2)).sum() > 1000


def test_large_photo_gives_small_pictures(examination: Examination) -> None:
    rgb = np.zeros((3000, 4000, 3), np.uint8)
    assert max(overlays.draw_faces(rgb, examination.records[0]).shape) == overlays.MAX_SIDE


@pytest.mark.parametrize("box", [(-30, -30, 60, 60), (500, 500, 80, 80), (700, 700, 5, 5), (10, 10, 0, 0)])
def test_a_region_at_or_over_the_edge_is_drawn(examination: Examination, box: tuple[float, ...]) -> None:
    region = dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"name": "mouth"}
    record = _record(evidence=[_evidence("e1", "action_units.AU12", "Raised.", region=region)])
    assert overlays.draw_evidence(examination.photo.rgb, record.evidence[0], None).size
    assert "Mouth" in page.render(replace(examination, records=(record,)))


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_contrast_is_aa(scheme: int) -> None:
    """WCAG 2.2 success criterion 1.4.3: at least 4.5 to 1."""
    css = (Path(page.__file__).parent / "templates" / "page.css").read_text()
    colours = dict(re.findall(r"--(\w+): (#\w{6});", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]))
    pairs = [(ink, ground) for ink in ("ink", "muted", "accent", "bad") for ground in ("page", "panel", "lit")]
    pairs += [(ink, "panel") for ink in ("good", "other", "open")] + [("accent", "chip"), ("panel", "accent")]
    for ink, ground in pairs:
        dark, light = sorted((_luminance(colours[ink]), _luminance(colours[ground])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
