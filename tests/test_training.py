# ruff: noqa: E402
"""Runs: configuration, log, checkpoints that resume exactly, plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from pydantic import BaseModel, ConfigDict

from facewitness.errors import InvalidOption
from facewitness.finetune.training import CHECKPOINT, CONFIG, LOG, Run, batches, generator, resolve


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rank: int = 2


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rate: float = 0.1
    name: str = "none"
    inner: Inner = Inner()


def test_configuration_in_layers(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('rate = 0.5\nname = "recipe"\n[inner]\nrank = 4\n')
    assert resolve(Settings, recipe) == Settings(rate=0.5, name="recipe", inner=Inner(rank=4))
    changed = resolve(Settings, recipe, ["rate=2e-5", "inner.rank=8", "name=some/model"])
    assert changed == Settings(rate=2e-5, name="some/model", inner=Inner(rank=8))


@pytest.mark.parametrize("change", ["rate", "speed=1", "rate=fast", "inner.size=1"])
def test_changes_that_cannot_be_used(change: str) -> None:
    with pytest.raises(InvalidOption, match=change.partition("=")[0]):
        resolve(Settings, None, [change])


def test_a_folder_is_used_once(tmp_path: Path) -> None:
    Run(tmp_path, Settings())
    assert json.loads((tmp_path / CONFIG).read_text())["inner"] == {"rank": 2}
    with pytest.raises(InvalidOption, match="--resume"):
        Run(tmp_path, Settings())
    Run(tmp_path, Settings(), resume=True)
    with pytest.raises(InvalidOption, match="another configuration"):
        Run(tmp_path, Settings(rate=1), resume=True)


def _train(out: Path, stop: int, *, resume: bool = False, total: int = 20) -> dict[str, Any]:
    """Dropout, momentum and a schedule, so that every kind of state matters."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    x = torch.from_numpy(generator(1, 0).normal(size=(50, 4))).float()
    run = Run(out, Settings(), resume=resume)
    parts = {"model": model, "optimiser": optimiser, "schedule": schedule}
    done = 0
    if held := run.restore():
        done, state = held
        for name, part in parts.items():
            part.load_state_dict(state[name])
    for step, rows in batches(len(x), 8, 3, done, stop):
        optimiser.zero_grad()
        loss = (model(x[rows])[:, 0] - x[rows, 0]).square().mean()
        loss.backward()
        optimiser.step()
        schedule.step()
        run.log(step, loss=loss.item(), auc=0.5)
        if step % 5 == 0:
            run.save(step, {name: part.state_dict() for name, part in parts.items()})
    return {"weights": model.state_dict(), "log": run.lines(), "run": run}


def test_resumed_is_the_same_as_uninterrupted(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole", 20)
    _train(tmp_path / "cut", 13)  # the last checkpoint is of step 10: steps 11 to 13 are done again
    resumed = _train(tmp_path / "cut", 20, resume=True)
    assert resumed["log"] == whole["log"]
    for name, value in whole["weights"].items():
        assert torch.equal(value, resumed["weights"][name]), name


def test_interrupted_before_the_first_checkpoint(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole", 20)
    _train(tmp_path / "cut", 3)
    assert _train(tmp_path / "cut", 20, resume=True)["log"] == whole["log"]


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    run = Run(tmp_path, Settings())
    state = {
        "0": {0: torch.arange(3), 1: None},
        "rate": 1e-5,
        "many": [{"betas": [0.9, 0.999]}, torch.ones(())],
        "b": True,
    }
    run.save(7, state)
    held = run.restore()
    assert held is not None and held[0] == 7
    assert held[1]["0"][1] is None and torch.equal(held[1]["0"][0], torch.arange(3))
    assert held[1]["rate"] == 1e-5 and held[1]["many"][0] == {"betas": [0.9, 0.999]} and held[1]["b"] is True
    assert held[1]["many"][1].shape == ()
    assert [path.name for path in tmp_path.iterdir()].count(f"{CHECKPOINT}.new") == 0


def test_tied_tensors_can_be_saved(tmp_path: Path) -> None:
    run, tied = Run(tmp_path, Settings()), torch.ones(2, 2)
    run.save(1, {"a": tied, "b": tied.T, "c": tied[0]})
    held = run.restore()
    assert held is not None and torch.equal(held[1]["c"], torch.ones(2))


def test_epochs_take_every_row_once() -> None:
    rows = [row for _, chosen in batches(10, 3, 0, 0, 3) for row in chosen]
    assert len(set(rows)) == 9
    assert [s for s, _ in batches(10, 3, 0, 2, 5)] == [3, 4, 5]
    assert len(next(batches(2, 8, 0, 0, 1))[1]) == 2


def test_plot(tmp_path: Path) -> None:
    done = _train(tmp_path, 6)
    assert done["run"].plot().read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / LOG).read_text().splitlines()) == 6
