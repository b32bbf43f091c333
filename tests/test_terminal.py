"""What the terminal adds to a record: how to compare the other faces, and what was lacking, once."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from facewitness.agent.record import Record
from facewitness.ui import terminal

from .test_parts import FACE, item, record

COMPARED = {"kind": "photos", "references": 1, "images": []}
LACKING = "There is no forgery detector whose training data allow commercial use."


def shown(one: Record) -> str:
    console = Console(file=StringIO(), width=400)
    terminal.show(one, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def group(*assessable: bool | None, **changes: Any) -> Record:
    faces = [
        {"id": f"f{n}", "box": FACE, "score": 0.9, "assessable": tried} for n, tried in enumerate(assessable, start=1)
    ]
    return record(faces=faces, **changes)


@pytest.mark.parametrize(
    ("tried", "numbers"),
    [
        ((True, None), "2"),
        ((True, None, None), "2 or 3"),
        ((None, True, None), "1 or 3"),
        ((True, *[None] * 6), "2 … 7"),
    ],
)
def test_how_to_compare_another_face(tried: tuple[bool | None, ...], numbers: str) -> None:
    subject = f"f{tried.index(True) + 1}"
    text = f"Compare another face with --face N ({numbers}), or each with --all-faces."
    assert text in shown(group(*tried, comparison=COMPARED, subject=subject))


@pytest.mark.parametrize(
    "one",
    [group(True, comparison=COMPARED), group(True, True, comparison=COMPARED), group(True, None)],
    ids=["the only face", "all faces were examined", "nothing was compared"],
)
def test_no_other_face_to_compare(one: Record) -> None:
    assert "--all-faces" not in shown(one)


def test_what_several_tools_lack_is_said_once_and_names_them() -> None:
    tools = ("manipulation", "synthesis", "morph")
    lacking = [item(n, f"{tool}.whole", finding=LACKING) for n, tool in enumerate(tools, 1)]
    lacking = [{**one, "measure": one["tool"]} for one in lacking]
    text = shown(record([*lacking, item(4, "quality.size")]))
    assert text.count(LACKING) == 1
    assert f"• Manipulation, synthesis, morph: {LACKING} [e1] [e2] [e3]" in text
    assert "• The quality.size was not measured. [e4]" in text
