# ruff: noqa: E402
"""The embedded model's parts, memory estimates, and a small training from photos to a checkpoint by the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("peft")
pytest.importorskip("accelerate")
pytest.importorskip("bitsandbytes")
pytest.importorskip("datasets")
pytest.importorskip("matplotlib")

from PIL import Image

from facewitness.errors import InvalidOption
from facewitness.finetune.data import __main__ as making_sets
from facewitness.finetune.data import catalogue, store
from facewitness.finetune.vlm import __main__ as training
from facewitness.finetune.vlm import embedded, export, memory, recipe
from facewitness.finetune.vlm.layouts import Layout

from . import data_photos, vlm_models

TEXTS = ["The face shows an alteration over the nose.", "What is shown?"]


def test_assembled_from_its_parts(tmp_path: Path) -> None:
    """The language model answers as before where there is no picture; the tower is the one given."""
    language, words = vlm_models.smol(TEXTS)
    tower = vlm_models.tower(tmp_path / "tower")
    model, processor = embedded.assemble(language, words, tower)
    given = transformers.SiglipVisionModel.from_pretrained(tower).state_dict()
    held = model.model.vision_tower.state_dict()
    assert all(torch.equal(value, held[name]) for name, value in given.items()) and len(given) == len(held)

    ids = words(TEXTS[0], return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        found, expected = model(input_ids=ids).logits, language(input_ids=ids).logits
    torch.testing.assert_close(found[..., : expected.shape[-1]], expected, rtol=0, atol=1e-5)
    assert model.config.text_config.vocab_size % 64 == 0
    assert model.lm_head.weight.data_ptr() == model.model.language_model.embed_tokens.weight.data_ptr()

    inputs = Layout(processor).prompt([Image.new("RGB", (256, 256))] * 2, "<image><image>What is shown?")
    assert (inputs["input_ids"] == model.config.image_token_id).sum() == 2 * vlm_models.TOKENS["embedded"]
    model.generate(**inputs, max_new_tokens=2, do_sample=False)
    again, _ = embedded.assemble(*vlm_models.smol(TEXTS), tower)
    projector = model.model.multi_modal_projector.state_dict()
    assert all(torch.equal(v, projector[k]) for k, v in again.model.multi_modal_projector.state_dict().items())


def test_a_folder_that_is_no_tower(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="holds no vision tower"):
        embedded.assemble(*vlm_models.smol(TEXTS), tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InvalidOption, match="a llama"):
        embedded.assemble(*vlm_models.smol(TEXTS), tmp_path)


@pytest.mark.data
def test_the_real_language_model(tmp_path: Path) -> None:
    """Needs no labelled photos, but takes a minute."""
    folder = embedded.build(tmp_path / "base")
    assert embedded.build(folder) == folder and [path.name for path in tmp_path.iterdir()] == ["base"]
    model, info = transformers.LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    words = transformers.AutoProcessor.from_pretrained(folder).tokenizer
    turn = [{"role": "user", "content": "What is the capital of France?"}]
    ids = words.apply_chat_template(turn, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    answer = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert "Paris" in words.decode(answer)


CONFIGS = {
    "llava-1.5-7b": lambda: transformers.LlavaConfig(text_config=transformers.LlamaConfig(vocab_size=32064).to_dict()),
    "paligemma2-3b": lambda: transformers.PaliGemmaConfig(
        vision_config={
            "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
            "num_hidden_layers": 27, "num_attention_heads": 16, "patch_size": 14, "image_size": 224,
            "vision_use_head": False,
        },
        text_config={
            "model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
            "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 257216,
        },
        projection_dim=2304, hidden_size=2304, vocab_size=257216,
    ),
    "qwen2.5-vl-7b": lambda: transformers.Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152064,
        },
        vision_config={
            "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
        },
    ),
}  # fmt: skip
PARAMETERS = {"llava-1.5-7b": 7.06e9, "paligemma2-3b": 3.03e9, "qwen2.5-vl-7b": 8.29e9}


@pytest.mark.parametrize("name", CONFIGS)
def test_memory_is_what_the_recipe_says(name: str) -> None:
    """The shapes are those of the published models: their numbers of parameters are."""
    chosen, config = recipe.configure(name, []), CONFIGS[name]()
    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(config)
    assert sum(value.numel() for value in model.parameters()) == pytest.approx(PARAMETERS[name], rel=0.005)
    found = memory.estimate(chosen, config)
    assert found == pytest.approx(chosen.memory, abs=0.1)
    if name == "llava-1.5-7b":
        whole = memory.estimate(chosen.model_copy(update={"quantise": "no"}), config)
        saved = 32 * (4 * 4096**2 + 3 * 4096 * 11008) * (2 - 0.516)
        assert (whole - found) * memory.GIB == pytest.approx(saved, rel=0.001)


def test_from_photos_to_a_checkpoint(astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines' samples, the training command, the export command, and a model that transformers loads."""
    photos = data_photos.build(tmp_path / "photos", astronaut)
    made = list(making_sets.made(("expression",), catalogue.shots(photos, ("frll",)), 20, 0, None))
    store.write(tmp_path / "data", made)
    texts = [text for sample in made for text in (sample.prompt, sample.answer)]
    base = vlm_models.build("embedded", tmp_path / "base", texts)
    changes = (
        f"model={base}", "sequence=1024", "rank=8", "save_every=4", "validate_every=8",
        'stages=[{name="projector", train=["projector"], batch=4, epochs=2, rate=1e-2},'
        '{name="lora", train=["language", "projector"], batch=4, epochs=4, rate=1e-2}]',
    )  # fmt: skip
    run, out = tmp_path / "run", tmp_path / "out"
    options = [part for change in changes for part in ("--set", change)]
    given = ["vlm", "--recipe", "embedded", "--data", str(tmp_path / "data"), "--out", str(run), *options]
    monkeypatch.setattr(sys, "argv", given)
    training.main()
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in logged if "loss" in line]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    with pytest.raises(SystemExit) as ended:
        training.main()  # the folder is taken
    assert ended.value.code == InvalidOption.exit_code

    monkeypatch.setattr(sys, "argv", ["export", "--run", str(run), "--out", str(out)])
    export.main()
    model, info = transformers.AutoModelForImageTextToText.from_pretrained(out, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    layout = Layout(transformers.AutoProcessor.from_pretrained(out))
    inputs = layout.prompt([Image.new("RGB", (256, 256))], made[0].prompt)
    assert model.generate(**inputs, max_new_tokens=3, do_sample=False).shape[1] > inputs["input_ids"].shape[1]
