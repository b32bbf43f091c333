# ruff: noqa: E402
"""The backbone recipes, on small random networks of the architectures they name."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("accelerate")
transformers = pytest.importorskip("transformers")
pytest.importorskip("matplotlib")

from facewitness.errors import InvalidOption, NotAssessable, WeightsMissing, WeightsRefused
from facewitness.finetune import backbone, backbone_data, backbone_model
from facewitness.finetune.backbone_model import alignment, load, slerp, uniformity
from facewitness.finetune.training import CHECKPOINT
from facewitness.tools import conformance
from facewitness.tools.adapters import entries
from facewitness.tools.adapters.build import adapter
from facewitness.tools.adapters.loading import digest
from facewitness.tools.alignment import WIDE

SIZE = 32
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIZE, "patch_size": 8}
ARCHITECTURES = {
    "layernorm-clip-l14": "clip",
    "madation-clip": "clip",
    "lora-siglip": "siglip",
    "layernorm-dinov2": "dinov2",
}
QUICK = [
    f"size={SIZE}", "align=false", "augment=false", "precision=no", "workers=0", "batch=16", "accumulate=1",
    "epochs=6", "rate=1e-2", "head_rate=3e-1", "save_every=5", "validate_every=5", 'forged=["manipulation"]',
]  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Folders in the hub's layout; CLIP as it is there, with its text half."""
    root = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    text = {**SMALL, "intermediate_size": 64, "vocab_size": 99, "bos_token_id": 0, "eos_token_id": 1}
    text = {key: value for key, value in text.items() if key not in ("image_size", "patch_size")}
    vision = {**SMALL, "intermediate_size": 64}
    made = {
        "clip": transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config={**vision, "projection_dim": 16}, projection_dim=16)
        ),
        "siglip": transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**vision)),
        "dinov2": transformers.Dinov2Model(transformers.Dinov2Config(**{**SMALL, "image_size": 48})),
    }
    for name, model in made.items():
        model.save_pretrained(root / name)
    return {name: str(root / name) for name in made}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, and noise with a bright square for forged."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "family", "person", "split"])
        for split, count in (("fit", 48), ("calibration", 24), ("test", 4)):
            for number in range(count):
                pixels = rng.integers(0, 120, (40, 40, 3)).astype(np.uint8)
                forged = number % 3 == 0
                if forged:
                    pixels[8:30, 8:30] += 100
                cv2.imwrite(str(folder / f"{split}{number}.png"), pixels)
                table.writerow(
                    [f"{split}{number}.png", "manipulation" if forged else "real", f"{split}{number}", split]
                )
    return folder


def _train(recipe: str, models: dict[str, str], data: Path, out: Path, *changes: str, resume: bool = False):
    chosen = backbone.configure(recipe, [f"model={models[ARCHITECTURES[recipe]]}", *QUICK, *changes])
    return backbone.train(chosen, data, out, resume=resume)


@pytest.mark.parametrize("recipe", ARCHITECTURES)
def test_recipe(recipe: str, models: dict[str, str], data: Path, tmp_path: Path) -> None:
    """Loss falls, held-out AUC rises, nothing but what is meant to changes, and what is saved gives the same scores."""
    chosen = backbone.configure(recipe, [f"model={models[ARCHITECTURES[recipe]]}", *QUICK])
    torch.manual_seed(chosen.seed)
    before = backbone_model.build(chosen).state_dict()
    detector = _train(recipe, models, data, tmp_path)

    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss_class"] for line in lines if "loss_class" in line]
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])
    assert [line["auc_validation"] for line in lines if "auc_validation" in line][-1] > 0.9

    changed = {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}
    allowed = ("ln_tuning_layers.", "head.") if chosen.method == "layernorm" else ("lora_", "head.")
    assert changed and all(any(part in name for part in allowed) for name in changed)
    assert {name for name in before if "head." in name and "backbone" not in name} <= changed

    names = {path.name for path in tmp_path.iterdir()}
    left = {"adapter", "head.safetensors", "detector.safetensors", "config.json", "log.jsonl", "curves.png", CHECKPOINT}
    assert left <= names
    adapter = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == chosen.model and adapter["revision"] == chosen.revision
    assert {path.suffix for path in (tmp_path / "adapter").iterdir()} <= {".json", ".safetensors", ".md"}

    crops = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8))
    with torch.inference_mode():
        expected, found = detector(crops), load(chosen, tmp_path)(crops)
    torch.testing.assert_close(found.logits, expected.logits, rtol=0, atol=1e-6)
    if chosen.normalise:
        torch.testing.assert_close(found.features.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("recipe", ARCHITECTURES)
def test_the_result_is_a_plugin(recipe: str, models: dict[str, str], data: Path, tmp_path: Path) -> None:
    """The shipped adapter puts the written layers over the untouched backbone and gives the same scores."""
    detector = _train(recipe, models, data, tmp_path, "epochs=1")
    network, base = detector.network, Path(models[ARCHITECTURES[recipe]])
    config = json.loads((base / "config.json").read_text())
    vision = config.get("vision_config", config)
    stated = {
        "adapter": "vit_layernorm", "target": "manipulation", "licence": "MIT", "commercial_use": True,
        "margin": WIDE, "size": SIZE, "mean": network.mean, "std": network.std, "normalise": network.normalise,
        "folder": tmp_path, "file": "detector.safetensors", "sha256": digest(tmp_path / "detector.safetensors"),
        "backbone": {key: vision[key] for key in ("model_type", *SMALL, "intermediate_size") if key in vision},
        "base": {"folder": base, "file": "model.safetensors", "sha256": digest(base / "model.safetensors")},
    }  # fmt: skip
    plugged = adapter(entries.parse("tuned", stated))
    conformance.require(plugged, swap=True)
    crops = np.random.default_rng(1).integers(0, 256, (3, SIZE, SIZE, 3)).astype(np.uint8)
    with torch.inference_mode():
        expected = detector(torch.from_numpy(crops)).logits.numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(plugged.score(crops).logits, expected, atol=1e-4)


@pytest.mark.parametrize("recipe", ["layernorm-clip-l14", "madation-clip"])
def test_resumed_is_the_same_as_uninterrupted(
    recipe: str, models: dict[str, str], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at step 8 of 24, checkpoint at 5; dropout, slerp and augmentation draw at random."""
    whole = _train(recipe, models, data, tmp_path / "whole", "augment=true")
    step = backbone.Training._step
    calls = []

    def interrupted(self, crops, labels):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return step(self, crops, labels)

    monkeypatch.setattr(backbone.Training, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _train(recipe, models, data, tmp_path / "cut", "augment=true")
    monkeypatch.undo()
    resumed = _train(recipe, models, data, tmp_path / "cut", "augment=true", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert (tmp_path / "cut" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_parts_of_a_batch_add_up(models: dict[str, str], data: Path, tmp_path: Path) -> None:
    """Without metric terms and dropout, a batch in four parts gives the gradients of a batch in one."""
    plain = ["alignment=0", "uniformity=0", "slerp=false", "epochs=1"]
    one = _train("layernorm-clip-l14", models, data, tmp_path / "one", *plain)
    four = _train("layernorm-clip-l14", models, data, tmp_path / "four", *plain, "accumulate=4")
    for name, value in one.tuned().items():
        torch.testing.assert_close(value, four.tuned()[name], rtol=1e-3, atol=1e-4)


def test_other_data_do_not_resume(models: dict[str, str], data: Path, tmp_path: Path) -> None:
    _train("lora-siglip", models, data, tmp_path, "epochs=1")
    less = tmp_path / "less"
    less.mkdir()
    rows = (data / "labels.csv").read_text().splitlines()
    (less / "labels.csv").write_text("\n".join([rows[0], *(r for r in rows[1:] if "fit1." not in r)]))
    for picture in data.glob("*.png"):
        (less / picture.name).write_bytes(picture.read_bytes())
    with pytest.raises(InvalidOption, match="not those"):
        _train("lora-siglip", models, less, tmp_path, "epochs=1", resume=True)


@pytest.mark.parametrize("name", backbone.names())
def test_shipped_recipes_name_a_commit(name: str) -> None:
    recipe = backbone.configure(name, [])
    assert len(recipe.revision) == 40 and recipe.licence and recipe.forged
    with pytest.raises(InvalidOption, match="--set revision="):
        backbone_model.build(backbone.configure(name, ["revision=main"]))


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsMissing):
        backbone_model.build(backbone.configure("lora-siglip", ["model=nobody/nothing"]))


def test_pickles_are_refused(models: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text((Path(models["siglip"]) / "config.json").read_text())
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02.")
    with pytest.raises(WeightsRefused):
        backbone_model.build(backbone.configure("lora-siglip", [f"model={tmp_path}", f"size={SIZE}"]))


def test_options_that_cannot_be_used(models: dict[str, str]) -> None:
    with pytest.raises(InvalidOption, match=f"size={SIZE}"):
        backbone_model.build(backbone.configure("lora-siglip", [f"model={models['siglip']}"]))
    with pytest.raises(InvalidOption, match="pooled"):
        backbone_model.build(backbone.configure("madation-clip", [f"model={models['siglip']}"]))
    with pytest.raises(InvalidOption, match="known: layernorm-clip-l14"):
        backbone.configure("clip", [])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fit1.png,fake,x,fit", "unknown family"),
        ("../x.png,real,x,fit", "outside"),
        ("test0.png,real,fit0,test", "more than one split"),
        ("test0.png,morph,new+fit0,test", "more than one split"),
    ],
)
def test_labels_that_cannot_be_used(data: Path, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text((data / "labels.csv").read_text() + line + "\n")
    with pytest.raises(InvalidOption, match=message):
        backbone_data.pictures(tmp_path, ("manipulation",))


def test_a_split_without_forgeries(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="morph"):
        backbone_data.pictures(data, ("morph",))
    with pytest.raises(InvalidOption, match=r"labels\.csv"):
        backbone_data.pictures(tmp_path, ("morph",))


def test_faces_are_aligned(astronaut: Path) -> None:
    picture = backbone_data.Picture(astronaut, "real", "a", "fit", "")
    rgb, forged = backbone_data.Crops([picture], 96, True, None)[0, 0]
    assert rgb.shape == (96, 96, 3) and forged == 0
    blank = backbone_data.Picture(astronaut.parent / "none.png", "real", "a", "fit", "")
    with pytest.raises(Exception, match=r"none\.png"):
        backbone_data.Crops([blank], 96, True, None)[0, 0]


def test_a_picture_without_a_face(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((300, 300, 3), 120, np.uint8))
    picture = backbone_data.Picture(tmp_path / "grey.png", "real", "a", "fit", "")
    with pytest.raises(NotAssessable, match=r"grey\.png"):
        backbone_data.Crops([picture], 96, True, None)[0, 0]


def test_real_and_forged_as_often(data: Path) -> None:
    crops = backbone_data.Crops(backbone_data.pictures(data, ("manipulation",))["fit"], SIZE, False, 0)
    rows = backbone_data.balanced(crops)
    assert len(rows) == 64 and sum(crops.pictures[row].forged for row in rows) == 32
    assert np.array_equal(crops[5, 3][0], crops[5, 3][0])
    assert not np.array_equal(crops[5, 3][0], crops[6, 3][0])


def test_metric_terms() -> None:
    features = torch.nn.functional.normalize(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(64) % 2
    tight = torch.nn.functional.normalize(torch.stack([torch.eye(8)[label] for label in labels]) + 1e-3, dim=1)
    assert alignment(tight, labels) < 1e-6 < alignment(features, labels)
    assert alignment(features[:2], labels[:2]) == 0
    assert uniformity(features) < uniformity(tight)
    moved = slerp(features, labels)
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(64))
    assert not torch.allclose(moved, features)
    torch.testing.assert_close(slerp(features[:2], labels[:2]), features[:2], rtol=0, atol=1e-3)  # nobody to go to
