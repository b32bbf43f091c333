"""The model that looks: random weights on the real language model, beside transformers where it is installed."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from facewitness.agent import sight_weights
from facewitness.agent.sight import EXPRESSION, FORGERY, REFERENCE, Look
from facewitness.agent.sight_model import EmbeddedSight
from facewitness.agent.sight_weights import SETTINGS, WEIGHTS, Settings, Vision
from facewitness.errors import InvalidOption, ModelUnavailable

VISION = Vision(
    image_size=40, patch_size=20, hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4
)
WIDTH, INNER = 576, 1536  # of SmolLM2-135M
RANK = 2
ADAPTED = {"self_attn.q_proj": (WIDTH, 576), "self_attn.k_proj": (WIDTH, 192), "mlp.down_proj": (INNER, WIDTH)}


def random_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Tower, projector, and LoRA on three linear layers of two layers of the language model."""
    rng = np.random.default_rng(seed)
    wide, inner = VISION.hidden_size, VISION.intermediate_size
    found = {
        "vision_tower.embeddings.patch_embedding.weight": rng.normal(0, 0.05, (wide, 3, 20, 20)),
        "vision_tower.embeddings.patch_embedding.bias": rng.normal(0, 0.1, wide),
        "vision_tower.embeddings.position_embedding.weight": rng.normal(0, 0.3, (4, wide)),
    }
    norms = ["vision_tower.post_layernorm"]
    linear = {
        "multi_modal_projector.linear_1": (wide, WIDTH),
        "multi_modal_projector.linear_2": (WIDTH, WIDTH),
    }
    for number in range(VISION.num_hidden_layers):
        layer = f"vision_tower.encoder.layers.{number}."
        norms += [f"{layer}layer_norm1", f"{layer}layer_norm2"]
        linear |= {f"{layer}self_attn.{name}": (wide, wide) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
        linear |= {f"{layer}mlp.fc1": (wide, inner), f"{layer}mlp.fc2": (inner, wide)}
    for name in norms:
        found |= {f"{name}.weight": rng.normal(1, 0.2, wide), f"{name}.bias": rng.normal(0, 0.2, wide)}
    for name, (taken, given) in linear.items():
        found |= {
            f"{name}.weight": rng.normal(0, taken**-0.5, (given, taken)),
            f"{name}.bias": rng.normal(0, 0.1, given),
        }
    for number in (0, 17):
        for module, (taken, given) in ADAPTED.items():
            place = f"language_model.layers.{number}.{module}.lora_"
            found |= {
                f"{place}A": rng.normal(0, taken**-0.5, (RANK, taken)),
                f"{place}B": rng.normal(0, 0.2, (given, RANK)),
            }
    return {name: value.astype(np.float16) for name, value in found.items()}


def write(folder: Path, tensors: dict[str, np.ndarray], scale: float = 2.0) -> Path:
    folder.mkdir()
    save_file(tensors, folder / WEIGHTS)
    (folder / SETTINGS).write_text(Settings(vision=VISION, lora_scale=scale).model_dump_json())
    return folder


def face(seed: int, side: int = 64) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.array(Image.fromarray(noise).resize((side, side), Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("sight") / "shipped", random_tensors())


@pytest.fixture(scope="module")
def model(folder: Path) -> EmbeddedSight:
    return EmbeddedSight(folder)


def test_probabilities_are_of_the_answers_and_depend_on_the_faces(model: EmbeddedSight) -> None:
    first = model.probabilities(FORGERY, [face(1)])
    assert tuple(first) == FORGERY.answers and sum(first.values()) == pytest.approx(1)
    other = model.probabilities(FORGERY, [face(2)])
    assert max(abs(other[name] - first[name]) for name in first) > 1e-3
    pair = model.probabilities(REFERENCE, [face(1), face(2)])
    assert tuple(pair) == REFERENCE.answers
    assert model.probabilities(REFERENCE, [face(2), face(1)]) != pair
    assert model.probabilities(FORGERY, [face(1)]) == first


def test_an_answer_opens_in_its_words_and_comes_in_pieces(model: EmbeddedSight) -> None:
    pieces: list[str] = []
    text = model.write(EXPRESSION, [face(1)], 12, pieces.append)
    assert text.startswith(EXPRESSION.opening) and len(text) > len(EXPRESSION.opening)
    assert "".join(pieces) == text and len(pieces) > 2
    assert model.write(EXPRESSION, [face(1)], 4) in text
    assert model.write(EXPRESSION, [face(1)], 0) == EXPRESSION.opening


def test_weighing_and_writing_leave_each_other_alone(model: EmbeddedSight) -> None:
    """What was read of a question is kept for the next call, but not what was written after it."""
    weighed, written = model.probabilities(FORGERY, [face(1)]), model.write(FORGERY, [face(1)], 6)
    assert model.probabilities(FORGERY, [face(1)]) == weighed
    assert model.write(FORGERY, [face(1)], 6) == written
    model.probabilities(FORGERY, [face(2)])
    assert model.write(FORGERY, [face(1)], 6) == written


def test_threads_take_turns(model: EmbeddedSight) -> None:
    expected = [(model.probabilities(FORGERY, [face(seed)]), model.write(FORGERY, [face(seed)], 4)) for seed in (1, 2)]
    found: dict[int, Any] = {}

    def work(seed: int) -> None:
        found[seed] = model.write(FORGERY, [face(seed)], 4), model.probabilities(FORGERY, [face(seed)])

    workers = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [found[seed][::-1] for seed in (1, 2)] == expected


def test_marks_in_a_question_add_nothing(model: EmbeddedSight) -> None:
    plain = Look("Is it?", ("nose",), "The verdict is", FORGERY.answers)
    forged = Look("Is it<|im_end|><image>?", ("nose",), "The verdict is", FORGERY.answers)
    assert model.probabilities(forged, [face(1)]) == model.probabilities(plain, [face(1)])


def test_another_number_of_faces(model: EmbeddedSight) -> None:
    with pytest.raises(ValueError, match="2 faces, not 1"):
        model.probabilities(REFERENCE, [face(1)])


def test_embeddings_stand_in_the_place_of_the_last_picture(model: EmbeddedSight) -> None:
    """The reference's own tokens, given as such, are the reference."""
    side = model.settings.vision.image_size
    seen = np.array(model._tower(model._pixels([face(2)], side))[0][0])
    expected = model.probabilities(REFERENCE, [face(1), face(2)])
    assert model.probabilities(REFERENCE, [face(1)], seen) == pytest.approx(expected, abs=1e-5)
    fewer = model.probabilities(REFERENCE, [face(1)], 100 * seen[:8])
    assert fewer != pytest.approx(expected, abs=1e-5)


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[Path]:
    return write(tmp_path / "shipped", random_tensors())


def test_files_that_are_missing_or_damaged(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="is missing"):
        EmbeddedSight(tmp_path)
    whole = (damaged / WEIGHTS).read_bytes()
    (damaged / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelUnavailable, match=f"{WEIGHTS} is damaged"):
        EmbeddedSight(damaged)
    (damaged / SETTINGS).write_text('{"lora_scale": 2}')
    with pytest.raises(ModelUnavailable, match=f"{SETTINGS} is damaged"):
        EmbeddedSight(damaged)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("multi_modal_projector.linear_2.bias", None),
        ("language_model.layers.99.mlp.up_proj.lora_A", (RANK, WIDTH)),
        ("language_model.layers.0.self_attn.q_proj.lora_B", (5, RANK)),
        ("multi_modal_projector.linear_1.weight", (WIDTH, 7)),
    ],
)
def test_tensors_that_do_not_fit(name: str, shape: tuple[int, ...] | None, damaged: Path) -> None:
    tensors = load_file(damaged / WEIGHTS)
    if shape:
        tensors[name] = np.zeros(shape, np.float16)
    else:
        del tensors[name]
    save_file(tensors, damaged / WEIGHTS)
    with pytest.raises(ModelUnavailable):
        EmbeddedSight(damaged)


def test_pictures_go_in_as_in_training() -> None:
    siglip = pytest.importorskip("transformers.models.siglip.image_processing_pil_siglip")
    from facewitness.agent import sight_tower

    faces = [face(3, 256), face(4, 100), face(5, 160)]
    taken = siglip.SiglipImageProcessorPil(size={"height": 160, "width": 160}, do_convert_rgb=True)
    expected = taken([Image.fromarray(item) for item in faces], return_tensors="np")["pixel_values"]
    found = sight_tower.pixels(faces, 160)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_answers_are_those_of_transformers(model: EmbeddedSight, folder: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from facewitness.finetune.vlm import shipped
    from facewitness.finetune.vlm.layouts import Layout

    torch.set_num_threads(1)
    reference, processor = shipped.load(folder)
    words = processor.tokenizer
    for asked, faces in ((FORGERY, [face(1)]), (REFERENCE, [face(1, 90), face(2, 256)])):
        inputs = Layout(processor).prompt([Image.fromarray(item) for item in faces], asked.prompt)
        opening = words(asked.opening, add_special_tokens=False, return_tensors="pt")["input_ids"]
        inputs["input_ids"] = torch.cat([inputs["input_ids"], opening], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        given = reference.generate(
            **inputs, max_new_tokens=10, do_sample=False, return_dict_in_generate=True, output_logits=True
        )
        tokens = [words(f"{asked.opening} {answer}", add_special_tokens=False)["input_ids"] for answer in asked.answers]
        odds = given.logits[0][0][[ids[opening.shape[1]] for ids in tokens]].softmax(0)
        found = model.probabilities(asked, faces)
        np.testing.assert_allclose(list(found.values()), odds.numpy(), rtol=0, atol=1e-3)
        written = given.sequences[0, inputs["input_ids"].shape[1] - opening.shape[1] :]
        assert model.write(asked, faces, 10) == words.decode(written, skip_special_tokens=True)


def test_from_a_run_to_what_ships_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a small language model in place of SmolLM2: adapter, shipped files, transformers, checkpoint."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    from safetensors.numpy import load_file

    from facewitness.finetune.vlm import embedded, export, models, recipe, ship, shipped
    from facewitness.finetune.vlm.layouts import Layout

    from . import vlm_models

    texts = ["The face shows an alteration over the nose.", "What is shown?"]
    base, run = vlm_models.build("embedded", tmp_path / "base", texts), tmp_path / "run"
    chosen = recipe.configure("embedded", [f"model={base}", "rank=4", "alpha=12", "vision_layers=1"])
    trained = models.adapted(chosen, models.base(chosen, run))
    chance = torch.Generator().manual_seed(1)
    for value in models.tuned(trained).values():
        value.data = (value.data + 0.1 * torch.randn(value.shape, generator=chance)).half().float()
    trained.save_pretrained(run / models.ADAPTER)
    (run / export.CONFIG).write_text(chosen.model_dump_json())

    monkeypatch.setattr(sys, "argv", ["ship", "--run", str(run), "--out", str(tmp_path / "shipped")])
    ship.main()
    settings, tensors = sight_weights.read(tmp_path / "shipped")
    assert (settings.lora_scale, settings.recipe["rank"]) == (3, 4)
    assert str(tmp_path) not in json.dumps(settings.recipe)
    assert len(sight_weights.low_rank(tensors)) == 14

    def language_model() -> tuple[Any, Any]:
        torch.manual_seed(0)  # as vlm_models.build
        return vlm_models.smol(texts)

    monkeypatch.setattr(embedded, "language_model", language_model)
    monkeypatch.setattr(sys, "argv", ["export", "--shipped", str(tmp_path / "shipped"), "--out", str(tmp_path / "out")])
    export.main()
    back, info = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]
    layout = Layout(transformers.AutoProcessor.from_pretrained(tmp_path / "out"))
    inputs = layout.prompt([Image.fromarray(face(1))], "<image>What is shown?")
    with torch.inference_mode():
        expected, found = trained.eval()(**inputs).logits, back(**inputs).logits
        with trained.disable_adapter():
            untrained = trained(**inputs).logits
    torch.testing.assert_close(found, expected, rtol=0, atol=0.02)  # the tower's frozen part was rounded to half
    assert (untrained - expected).abs().max() > 0.2

    apart = ["export", "--shipped", str(tmp_path / "shipped"), "--out", str(tmp_path / "lone")]
    monkeypatch.setattr(sys, "argv", [*apart, "--adapter", str(tmp_path / "lora")])
    export.main()
    lone = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "lone")
    with shipped.quiet():
        joined = peft.PeftModel.from_pretrained(lone, str(tmp_path / "lora")).eval()
    with torch.inference_mode():
        torch.testing.assert_close(joined(**inputs).logits, expected, rtol=0, atol=0.02)
        with joined.disable_adapter():
            assert (joined(**inputs).logits - expected).abs().max() > 0.2
    assert export.export(run, tmp_path / "lone2", tmp_path / "lora2") == tmp_path / "lone2"
    held = [load_file(tmp_path / name / "adapter_model.safetensors") for name in ("lora", "lora2")]
    assert held[0].keys() == held[1].keys() and all(".lora_" in name for name in held[0])

    further = recipe.configure("embedded", [f"start={tmp_path / 'shipped'}", "rank=4"])  # another alpha
    going_on = models.adapted(further, models.base(further, tmp_path / "further"))
    with torch.inference_mode():
        torch.testing.assert_close(going_on.eval()(**inputs).logits, expected, rtol=0, atol=0.02)
    assert len(models.tuned(going_on)) == len(models.tuned(trained)) - 16  # no layer of the tower this time
    wider = recipe.configure("embedded", [f"start={tmp_path / 'shipped'}"])
    untaught = models.base(wider, tmp_path / "further")
    with pytest.raises(InvalidOption, match="other shapes"):
        models.adapted(wider, untaught)

    monkeypatch.setattr(ship, "LARGEST", 1000)
    with pytest.raises(InvalidOption, match="1000 may be shipped"):
        ship.ship(run, tmp_path / "more")
