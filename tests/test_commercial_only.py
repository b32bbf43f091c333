"""With ``commercial_only`` no weight of other or unknown terms takes part, whatever a tool does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from langchain_core.language_models import FakeListChatModel

from facewitness.agent import nodes, plan
from facewitness.agent.examine import examine, examine_all
from facewitness.agent.record import Record
from facewitness.errors import InvalidOption
from facewitness.tools import registry
from facewitness.tools.evidence import Evidence, ModelCard
from facewitness.tools.face import FaceView, Reference
from facewitness.tools.image import load
from facewitness.tools.registry import FaceTool, PhotoTool


def _card(commercial_use: bool | None) -> ModelCard:
    return ModelCard("thirdparty", "1", "ab" * 32, "CC-BY-NC-4.0", commercial_use)


def _install(monkeypatch: pytest.MonkeyPatch, tool: FaceTool | PhotoTool) -> None:
    tools = {**registry.tools(), tool.name: tool}
    for module in (nodes, plan):
        monkeypatch.setattr(module, "tools", lambda: tools)


def _of(record: Record, tool: str) -> tuple[str, str]:
    (item,) = [item for item in record.evidence if item.tool == tool]
    return item.status, item.finding


def test_every_weight_of_a_record_has_commercial_terms(astronaut: Path) -> None:
    record = examine(astronaut, model="none", commercial_only=True)
    assert record.options.commercial_only
    assert record.models
    assert all(model.commercial_use is True for model in record.models)
    assert Record.model_validate_json(record.to_json()) == record


def test_it_is_off_unless_asked_for_and_old_records_are_read(astronaut: Path) -> None:
    record = examine(astronaut, model="none")
    assert not record.options.commercial_only
    old = record.model_dump(mode="json", by_alias=True)
    del old["options"]
    assert Record.model_validate(old) == record


@pytest.mark.parametrize("terms", [False, None], ids=["forbidden", "not known"])
@pytest.mark.parametrize("kind", ["quality", "provenance"])
def test_a_tool_with_other_weights_is_left_out(
    kind: str, terms: bool | None, astronaut: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [Evidence(f"{kind}.x", kind, "The value is 0.90.", 0.9, model=_card(terms))]
    tool = FaceTool(kind, "T", lambda *_: found) if kind == "quality" else PhotoTool(kind, "T", lambda _: found)
    _install(monkeypatch, tool)
    assert "thirdparty" in {model.name for model in examine(astronaut, model="none").models}
    record = examine(astronaut, model="none", commercial_only=True)
    text = f"The {kind} tool uses weights without commercial terms, so it was left out."
    assert _of(record, kind) == ("unavailable", text)
    assert "thirdparty" not in record.to_json()
    assert all(claim.supported for claim in record.explanation.claims)


def test_tools_are_told_for_the_photo_and_for_the_references(astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []

    def measure(view: FaceView, references: Sequence[Reference]) -> list[Evidence]:
        told.append(view.commercial_only)
        told.extend(reference.view.commercial_only for reference in references if reference.view)
        return [Evidence("quality.x", "quality", "Fine.", 1.0)]

    _install(monkeypatch, FaceTool("quality", "Q", measure))
    photo = load(astronaut)
    other = replace(photo, rgb=(photo.rgb * 0.8).astype(np.uint8), sha256="0" * 64)
    for chosen in (True, False):
        told.clear()
        examine_all(photo, [other], model="none", commercial_only=chosen, all_faces=False)
        assert told == [chosen, chosen]


def test_a_language_model_of_unknown_terms_is_refused(astronaut: Path) -> None:
    for model in ("http://127.0.0.1:9/v1#anything", FakeListChatModel(responses=["[]"])):
        with pytest.raises(InvalidOption, match="terms of this language model are not known"):
            examine(astronaut, model=model, commercial_only=True)
