# ruff: noqa: E402
"""The projector learns the words of the answers, and a model built with it begins with what it learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file

from facewitness.errors import InvalidOption
from facewitness.finetune.vlm import embedded, words

from . import vlm_models

CHANGES = {"steps": 60, "batch": 16, "rate": 5e-3, "validate_every": 20}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Samples whose answers depend on the picture, and the small language model in the place of the large one."""
    made = [replace(sample, question="What colour?") for sample in vlm_models.samples(fit=64, held=32)]
    texts = [text for sample in made for text in (sample.prompt, sample.answer)]

    def small() -> tuple[object, object]:
        torch.manual_seed(0)
        return vlm_models.smol(texts)

    monkeypatch.setattr(embedded, "language_model", small)
    return vlm_models.data(tmp_path, made)


def config(tmp_path: Path, **changes: object) -> words.Config:
    return words.Config.model_validate({"tower": str(vlm_models.tower(tmp_path / "tower")), **CHANGES, **changes})


def test_it_learns_and_the_model_begins_with_it(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    chosen = config(tmp_path)
    file = words.teach(chosen, data, tmp_path / "run")
    logged = words.Run(tmp_path / "run", chosen, resume=True).lines()
    assert logged[-1]["loss_validation"] < 0.7 * logged[0]["loss_validation"]
    assert logged[-1]["auc_validation"] > 0.9
    built = embedded.build(tmp_path / "base", Path(chosen.tower), projector=tmp_path / "run")
    held, taught = load_file(built / "model.safetensors"), load_file(file)
    assert {name.rpartition("projector.")[2] for name in held if "projector" in name} == set(taught)
    for name, value in held.items():
        if "projector" in name:
            torch.testing.assert_close(value, taught[name.rpartition("projector.")[2]])


def test_going_on_ends_the_same(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    chosen = config(tmp_path, steps=40)
    whole = load_file(words.teach(chosen, data, tmp_path / "whole"))
    save = words.Run.save

    def once(run: words.Run, step: int, state: dict[str, object]) -> None:
        save(run, step, state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(words.Run, "save", once)
        with pytest.raises(KeyboardInterrupt):
            words.teach(chosen, data, tmp_path / "cut")
    rest = load_file(words.teach(chosen, data, tmp_path / "cut", resume=True))
    assert all(torch.equal(value, rest[name]) for name, value in whole.items())


def test_what_cannot_be_used(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="Name the tower"):
        words.teach(words.Config(), data, tmp_path / "a")
    given = [replace(sample, given=("e1",)) for sample in vlm_models.samples(fit=4, held=4)]
    with pytest.raises(InvalidOption, match="use the short form"):
        words.teach(config(tmp_path), vlm_models.data(tmp_path / "given", given), tmp_path / "b")
    same = [
        replace(sample, question="What colour?", answer="Nothing.") for sample in vlm_models.samples(fit=16, held=4)
    ]
    with pytest.raises(InvalidOption, match="no word to teach"):
        words.teach(config(tmp_path), vlm_models.data(tmp_path / "same", same), tmp_path / "c")
    with pytest.raises(InvalidOption, match="holds no projector"):
        embedded.build(tmp_path / "d", Path(config(tmp_path).tower), projector=tmp_path)
