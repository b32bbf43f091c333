# ruff: noqa: E402
"""The vision-language recipes on small random models of their architectures: train, resume, merge, reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("accelerate")
pytest.importorskip("bitsandbytes")
pytest.importorskip("datasets")
pytest.importorskip("matplotlib")
transformers = pytest.importorskip("transformers")

from accelerate import debug_launcher
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors import safe_open

from facewitness.errors import InvalidOption, WeightsMissing, WeightsRefused
from facewitness.finetune.training import CHECKPOINT
from facewitness.finetune.vlm import export, models, recipe, train
from facewitness.finetune.vlm.layouts import Layout

from . import vlm_models

FAMILIES = ("embedded", "llava-1.5-7b", "paligemma2-3b", "qwen2.5-vl-7b")
STAGES = (
    'stages=[{name="projector", train=["projector"], epochs=1, batch=4, rate=1e-2},'
    '{name="lora", train=["language", "projector", "vision"], epochs=2, batch=4, accumulate=2, rate=2e-2,'
    " projector_rate=1e-2, vision_rate=1e-3}]"
)
QUICK = [
    "revision=", "precision=no", "quantise=no", "workers=0", "sequence=200", "rank=8", "alpha=16", "vision_layers=1",
    "save_every=5", "validate_every=9", STAGES,
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text for sample in vlm_models.samples() for text in (sample.prompt, sample.answer)]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: vlm_models.build(name, root / name, texts) for name in FAMILIES}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vlm_models.data(tmp_path_factory.mktemp("data"), vlm_models.samples())


def configure(name: str, bases: dict[str, Path], *changes: str) -> recipe.Recipe:
    return recipe.configure(name, [f"model={bases[name]}", *QUICK, *changes])


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def logits(model: Any, processor: Any) -> torch.Tensor:
    """After a prompt with two pictures."""
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    with torch.inference_mode():
        return model(**Layout(processor).prompt(images, "<image><image>What colours?")).logits


@pytest.mark.parametrize("name", FAMILIES)
def test_recipe(name: str, bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    """Loss falls, the base stays as it is, and adapter and merged export give the trained model's logits."""
    chosen, run, out = configure(name, bases), tmp_path / "run", tmp_path / "out"
    model = train.train(chosen, data, run)
    steps = [line for line in lines(run) if "loss" in line]
    assert [line["stage"] for line in steps] == ["projector"] * 6 + ["lora"] * 12
    losses = [line["loss"] for line in steps]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    held = [line["loss_validation"] for line in lines(run) if "loss_validation" in line]
    assert len(held) == 3 and held[-1] < held[0]
    assert {"config.json", "log.jsonl", "curves.png", CHECKPOINT, "adapter"} <= {path.name for path in run.iterdir()}

    names = models.family(model.base_model.model.config)
    parts = {models.part(key, names) for key in models.tuned(model.train())}
    assert parts == {"language", "projector", "vision"}
    processor = models.processor(chosen, run)
    expected = logits(model.eval(), processor)
    with model.disable_adapter():
        untouched = logits(model, processor)
    torch.testing.assert_close(untouched, logits(models.base(chosen, run), processor), rtol=0, atol=1e-5)
    assert (untouched - expected).abs().max() > 0.1
    torch.testing.assert_close(logits(models.trained(chosen, run), processor), expected, rtol=0, atol=1e-5)

    export.export(run, out)
    kind = transformers.AutoModelForImageTextToText
    loaded, info = kind.from_pretrained(out, use_safetensors=True, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    found = logits(loaded.eval(), models.processor(configure(name, {name: out}), run))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert (out / "video_preprocessor_config.json").is_file() == (name == "qwen2.5-vl-7b")
    with safe_open(out / "model.safetensors", "pt") as file:
        prefixes = {key.partition(".layers." if ".layers." in key else ".blocks.")[0] for key in file.keys()}  # noqa: SIM118
    assert ("vision_tower.vision_model.encoder" in prefixes) == (name != "qwen2.5-vl-7b")


@pytest.mark.parametrize("stop", [2, 8])
def test_resumed_is_the_same_as_uninterrupted(
    stop: int, bases: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in either stage, before the first checkpoint and after one; dropout draws at random."""
    short = STAGES.replace("epochs=1", "epochs=0.5").replace("epochs=2", "epochs=1")
    chosen = configure("embedded", bases, "dropout=0.1", short)
    whole = train.train(chosen, data, tmp_path / "whole")
    step = train.Training._step

    def interrupted(self: Any, model: Any, optimiser: Any, parts: Any, number: int) -> Any:
        if number == stop:
            raise KeyboardInterrupt
        return step(self, model, optimiser, parts, number)

    monkeypatch.setattr(train.Training, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(chosen, data, tmp_path / "cut")
    monkeypatch.undo()
    resumed = train.train(chosen, data, tmp_path / "cut", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    again = train.train(chosen, data, tmp_path / "cut", resume=True)  # finished: nothing is left to do
    assert lines(tmp_path / "cut") == lines(tmp_path / "whole")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def test_other_data_do_not_resume(bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    chosen = configure("embedded", bases, STAGES.replace("epochs=2", "epochs=0.2"))
    train.train(chosen, data, tmp_path / "run")
    less = vlm_models.data(tmp_path / "less", vlm_models.samples(fit=23))
    with pytest.raises(InvalidOption, match="not those"):
        train.train(chosen, less, tmp_path / "run", resume=True)


def test_qlora(bases: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four bits on the CPU: the loss falls, and what is saved answers the same over the same four bits."""
    import bitsandbytes

    # Its kernel for such CPUs takes no layers as small as these, and is not differentiable.
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: False)
    name = "llava-1.5-7b"
    chosen = configure(name, bases, "quantise=nf4")
    model = train.train(chosen, data, tmp_path)
    losses = [line["loss"] for line in lines(tmp_path) if "loss" in line]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    quantised = {key for key, part in model.named_modules() if isinstance(part, bitsandbytes.nn.Linear4bit)}
    assert len(quantised) == 14 and all(".language_model.layers." in key for key in quantised)
    state = model.base_model.model.model.language_model.layers[0].mlp.up_proj.base_layer.weight.quant_state
    assert state.quant_type == "nf4" and state.nested
    processor = models.processor(chosen, tmp_path)
    expected = logits(model, processor)
    torch.testing.assert_close(logits(models.trained(chosen, tmp_path), processor), expected, rtol=0, atol=1e-5)
    merged = export.merged(chosen, tmp_path)
    assert not any(isinstance(part, bitsandbytes.nn.Linear4bit) for part in merged.modules())
    whole = models.trained(chosen.model_copy(update={"quantise": "no"}), tmp_path)
    torch.testing.assert_close(logits(merged, processor), logits(whole, processor), rtol=0, atol=1e-4)
    assert (logits(merged, processor) - expected).abs().mean() > 0.01  # what the rounding costs


@pytest.mark.parametrize("name", FAMILIES[1:])
def test_tower_and_projector_are_not_quantised(name: str, bases: dict[str, Path], tmp_path: Path) -> None:
    import bitsandbytes

    model = models.base(configure(name, bases, "quantise=nf4"), tmp_path)
    names = models.family(model.config)
    for key, part in model.named_modules():
        if isinstance(part, torch.nn.Linear):
            quantised = isinstance(part, bitsandbytes.nn.Linear4bit)
            assert quantised == key.startswith(f"{names.language}."), key


def test_parts_of_a_batch_add_up(bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    """Samples have answers of different lengths: a mean of means would differ."""
    one, four = (
        train.train(configure("embedded", bases, _single(parts)), data, tmp_path / str(parts)) for parts in (1, 4)
    )
    for name, value in models.tuned(one.train()).items():
        torch.testing.assert_close(value, four.state_dict()[name], rtol=1e-3, atol=1e-5)


def test_two_processes_train_as_one(
    bases: dict[str, Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With gloo on the CPU."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # accelerate warns where it has to choose
    chosen = configure("embedded", bases, _single(1))
    train.train(chosen, data, tmp_path / "one")
    debug_launcher(_two, (chosen, data, tmp_path / "two"), num_processes=2)
    one, two = lines(tmp_path / "one"), lines(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for a, b in zip(one, two, strict=True):
        assert a.pop("stage", "") == b.pop("stage", "")
        assert a == pytest.approx(b, rel=1e-4)


def _single(parts: int) -> str:
    return (
        f'stages=[{{name="lora", train=["language", "projector"], batch=4, accumulate={parts}, rate=1e-3, epochs=0.5}}]'
    )


def _two(chosen: recipe.Recipe, data: Path, out: Path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # the parent's came along
    train.train(chosen, data, out)


@pytest.mark.parametrize("name", recipe.names())
def test_shipped_recipes(name: str, tmp_path: Path) -> None:
    chosen = recipe.configure(name, [])
    assert chosen.licence and "projector" in chosen.stages[0].train
    if chosen.model != recipe.EMBEDDED:
        assert len(chosen.revision) == 40 and chosen.memory > 0
        with pytest.raises(InvalidOption, match="--set revision="):
            models.base(recipe.configure(name, ["revision=main"]), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (STAGES.replace("batch=4, rate", "batch=25, rate"), "needs 25 samples"),
        (STAGES.replace("accumulate=2", "accumulate=3"), "does not split"),
        (STAGES.replace('"projector"], epochs', '"vision"], epochs'), "trains nothing"),
        ("sequence=20", "longer than 20"),
        ("vision_layers=9", "vision_layers=2"),
    ],
)
def test_options_that_cannot_be_used(
    change: str, message: str, bases: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    changes = [change, "vision_layers=0"] if message == "trains nothing" else [change]
    with pytest.raises(InvalidOption, match=message):
        train.train(configure("embedded", bases, *changes), data, tmp_path)


def test_models_that_cannot_be_had(bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOption, match="known: embedded"):
        recipe.configure("gpt", [])
    with pytest.raises(InvalidOption, match="no finished training"):
        models.trained(configure("embedded", bases), tmp_path)
    with pytest.raises(InvalidOption, match="no run"):
        export.export(tmp_path, tmp_path / "out")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text((bases["llava-1.5-7b"] / "config.json").read_text())
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    with pytest.raises(WeightsRefused):
        models.base(configure("llava-1.5-7b", bases, f"model={pickled}"), tmp_path)
    other = json.loads((bases["llava-1.5-7b"] / "config.json").read_text())
    (pickled / "config.json").write_text(json.dumps({**other["text_config"], "model_type": "llama"}))
    with pytest.raises(InvalidOption, match="llama is not known"):
        models.base(configure("llava-1.5-7b", bases, f"model={pickled}"), tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsMissing):
        models.base(recipe.configure("qwen2.5-vl-7b", ["model=nobody/nothing"]), tmp_path)
