"""Parts of the face, the map and the options, on the page and on the terminal."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from facewitness.agent import nodes, plan
from facewitness.agent.examine import Examination, examine_all
from facewitness.agent.record import Record
from facewitness.tools import registry
from facewitness.tools.evidence import Evidence, Picture
from facewitness.tools.image import load
from facewitness.tools.registry import FaceTool
from facewitness.ui import heat, overlays, page, parts, terminal, views

ASTRONAUT = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
FACE = {"x": 178.0, "y": 62.0, "width": 93.0, "height": 113.0}
HEAT = tuple(tuple(float(v) for v in row) for row in np.eye(20).round(3))
MAP = Picture(heat=HEAT, heat_box=(110.0, 5.0, 190.0, 190.0))


def item(number: int, measure: str, value: float | None = None, **more: Any) -> dict[str, Any]:
    status = "ok" if value is not None else "not_measurable"
    finding = f"The {measure} was {'' if status == 'ok' else 'not '}measured."
    tool = measure.partition(".")[0]
    found = {"id": f"e{number}", "measure": measure, "tool": tool, "finding": finding, "status": status}
    name = measure.partition(".")[2].replace("_", " ")
    return {**found, "value": value, "face": "f1", "region": {**FACE, "name": name}, **more}


EVIDENCE = [
    item(1, "manipulation.face", 0.87, probability=0.87, region={**FACE, "name": "face"}),
    item(2, "manipulation.left_eye", 0.08),
    item(3, "manipulation.mouth", 0.91),
    item(4, "manipulation.hairline"),
    item(5, "reference_comparison.left_eye", 0.82, usual=(0.6, 0.95)),
    item(6, "reference_comparison.mouth", 0.31, usual=(0.5, 0.92)),
    item(7, "reference_comparison.face", 0.7),
    item(8, "action_units.AU12", 0.5, region={**FACE, "name": "mouth"}),
]


def record(evidence: list[dict[str, Any]] = EVIDENCE, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "id": "fw_" + "0" * 32,
        "created_at": "2026-11-23T19:05:00Z",
        "software": "facewitness 0.1.0",
        "image": {"sha256": "ab" * 32, "width": 512, "height": 512, "format": "JPEG"},
        "faces": [{"id": "f1", "box": FACE, "score": 0.93, "assessable": True}],
        "subject": "f1",
        "verdict": {
            "label": "manipulated",
            "probabilities": {"authentic": 0.1, "manipulated": 0.8, "synthetic": 0.1},
            "abstained": False,
            "assessable": True,
            "reasons": [],
            "deciding": ["e1"],
        },
        "evidence": evidence,
        "explanation": {
            "summary": "The face was altered.",
            "claims": [{"text": "The face was altered.", "evidence": ["e3"], "supported": True}],
            "reasoning": {"observations": "", "interpretation": "", "conclusion": ""},
            "written_by": "template",
        },
        "models": [],
        "timings_ms": {"total": 322.6},
    }
    return Record.model_validate(fields | changes)


def render(*records: Record, pictures: dict[str, Picture] | None = None) -> str:
    return page.render(Examination(records, load(ASTRONAUT), pictures or {}))


def cells(html: str) -> dict[str, list[str]]:
    """Text of each row of the table of parts."""
    table = html.split('<table class="parts"')[1].split("</table>")[0]
    rows = re.findall(r'<tr role="row"><th role="rowheader"[^>]*>([^<]*)</th>(.*?)</tr>', table, re.DOTALL)
    return {
        name: [" ".join(re.sub(r"<[^>]*>|&nbsp;", " ", cell).split()) for cell in row.split("<td")[1:]]
        for name, row in rows
    }


def test_each_part_is_one_row_with_both_measurements() -> None:
    found = {name: [text.partition("> ")[2] for text in row] for name, row in cells(render(record())).items()}
    assert found == {
        "Left eye": ["0.08 e2", "0.82 usual 0.60–0.95 e5"],
        "Mouth": ["0.91 e3", "0.31 below usual 0.50–0.92 e6"],
        "Hairline": ["not measured e4", "not measured"],
    }


def test_parts_are_not_listed_again_and_everything_else_is() -> None:
    html = render(record())
    table = html.split('<table role="table">')[1].split("</table>")[0]
    assert re.findall(r'class="item[^"]*" id="f1-(e\d)"', table) == ["e1", "e7", "e8"]
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert {f"f1-e{number}" for number in range(1, 9)} <= set(ids), "every citation has a target"


def test_a_missing_part_is_named_once_with_its_reason() -> None:
    html = render(record())
    missing = html.split("What was not measured")[1].split("</section>")[0]
    assert missing.count("<li") == 1
    assert "parts not measured" in missing and "The manipulation.hairline was not measured." in missing


def test_without_references_there_is_one_column_and_without_parts_no_table() -> None:
    assert 'data-label="Likeness"' not in render(record(EVIDENCE[:4]))
    assert [len(row) for row in cells(render(record(EVIDENCE[:4]))).values()] == [1, 1, 1]
    assert '<table class="parts"' not in render(record([EVIDENCE[0], EVIDENCE[7]]))


@pytest.mark.parametrize(
    "measure", ["manipulation", "manipulation.face", "manipulation.left_eye.texture", "action_units.mouth"]
)
def test_what_is_no_part_stays_in_the_list(measure: str) -> None:
    assert not parts.is_part(record([item(1, measure, 0.5)], verdict=_undecided()).evidence[0])


def _undecided() -> dict[str, Any]:
    return record().verdict.model_dump() | {"deciding": []}


def test_a_bar_never_leaves_its_track() -> None:
    low, high = item(1, "manipulation.nose", -0.2), item(2, "reference_comparison.nose", 1.3, usual=(-1, 2))
    html = render(record([low, high], verdict=_undecided()))
    shares = [float(share) for share in re.findall(r'(?:width|x1|x2|x)="([-\d.]+)%"', html)]
    assert shares and all(0 <= share <= 100 for share in shares)


def test_the_map_is_a_layer_with_its_line_and_legend() -> None:
    html = render(record(), pictures={"e1": MAP})
    layer = re.search(r'<g id="f1-m\d">\s*<image ([^>]*)/>(.*?)</g>', html, re.DOTALL)
    assert layer is not None
    assert 'x="110.0" y="5.0" width="190.0" height="190.0"' in layer[1] and "data:image/png;base64," in layer[1]
    assert 'class="frame"' in layer[2] and 'class="level"' in layer[2]
    assert html.count('class="legend"') == 1
    assert "<span>0</span><span>0.5</span><span>1</span>" in html
    assert "show the map" in html
    assert render(record()).count('class="legend"') == 0


def test_parts_have_no_layer_of_their_own() -> None:
    assert [layer.label for layer in overlays.layers(record(), {"e1": MAP})] == ["Manipulation", "Mouth"]


def test_the_close_up_holds_the_map() -> None:
    rgb, drawn = load(ASTRONAUT).rgb, overlays.layers(record(), {"e1": MAP})
    box = views.close_up_of(record(), rgb, drawn)
    assert box is not None
    assert box.x <= 110 and box.y <= 5 and box.x + box.width >= 300 and box.y + box.height >= 195
    shown = {view.label: view.base for view in views.views_of(record(), rgb, drawn, box)}
    assert shown["Manipulation"] == "close-up"


def test_the_page_is_the_same_every_time_and_light() -> None:
    html = render(record(), pictures={"e1": MAP})
    assert html == render(record(), pictures={"e1": MAP})
    noise = np.random.default_rng(0).random((32, 32)).round(3)
    noisy = Picture(heat=tuple(map(tuple, noise.tolist())), heat_box=MAP.heat_box)
    assert len(page._heat_uri(noisy)) < 100_000
    assert sum(map(len, heat.contours(noisy))) < 20_000


@pytest.mark.parametrize("chosen", [True, False])
def test_the_page_says_that_only_commercial_terms_were_allowed(chosen: bool) -> None:
    html = render(record(options={"commercial_only": chosen}))
    assert ("Weights with commercial terms only." in html) is chosen


def test_a_face_that_was_not_assessed_claims_no_tool() -> None:
    verdict = {**_undecided(), "label": "inconclusive", "abstained": True, "assessable": False}
    face = {"id": "f1", "box": FACE, "score": 0.9, "assessable": False}
    refused = record([item(1, "provenance.format", 1.0, face=None, region=None)], verdict=verdict, faces=[face])
    html = render(refused)
    assert "This face was not assessed, so no tool looked at it." in html
    assert "Every tool that ran gave a measurement." not in html


def _shown(shown: Record) -> str:
    console = Console(width=200, record=True, file=StringIO(), highlight=False)
    terminal.show(shown, console)
    return console.export_text()


def test_the_terminal_has_one_line_for_each_tool_that_looks_at_parts() -> None:
    lines = _shown(record()).splitlines()
    assert "Altered: mouth 0.91, left eye 0.08, hairline not measured" in lines
    assert "Likeness: left eye 0.82, mouth 0.31" in lines
    assert not any("manipulation.hairline" in line for line in lines)
    assert "Part by part" not in _shown(record([EVIDENCE[0]]))


@pytest.mark.parametrize(
    ("use", "text"), [(True, "all allow commercial use"), (None, "not known: m"), (False, "not known: m")]
)
def test_the_terminal_says_what_may_be_used_commercially(use: bool | None, text: str) -> None:
    model = {"name": "m", "version": "1", "sha256": None, "licence": "x", "commercial_use": use}
    assert text in _shown(record(models=[model]))


def test_a_map_and_a_usual_range_travel_from_the_tool_to_the_files(
    astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Evidence("quality.x", "quality", "The value is 0.90.", 0.9, picture=MAP),
        Evidence("quality.y", "quality", "The value is 0.80.", 0.8, usual=(0.5, 0.9)),
    ]
    tools = {**registry.tools(), "quality": FaceTool("quality", "Q", lambda *_: found)}
    for module in (nodes, plan):
        monkeypatch.setattr(module, "tools", lambda: tools)
    examination = examine_all(astronaut, model="none", all_faces=False)
    by_measure = {item.measure: item for item in examination.records[0].evidence}
    key = by_measure["quality.x"].id
    assert examination.pictures[key] == MAP
    assert "heat" not in examination.records[0].to_json()
    assert by_measure["quality.y"].usual == (0.5, 0.9)
    assert f"overlay-{key}.png" in {path.name for path in page.write(examination, tmp_path)}
