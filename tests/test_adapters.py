"""The shipped adapters load small random-weight networks of the published architectures by their real loading code.

Needs torch and the rest of ``pip install -e ".[dev,plugins]"``, except for ONNX, which runs on OpenVINO.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facewitness.errors import FacewitnessError, ToolUnavailable, WeightsMismatch, WeightsMissing, WeightsRefused
from facewitness.tools import conformance
from facewitness.tools.adapters import entries
from facewitness.tools.adapters.build import adapter, obtain
from facewitness.tools.detectors import ActionUnitModel, Crops, Detector, Matcher

COMMIT = "c" * 40
SIZE = 28
TERMS = {"licence": "MIT", "commercial_use": True}
TINY = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIZE,
    "patch_size": 14,
}


def crops(size: int = SIZE, count: int = 5) -> Crops:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), np.uint8)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entry(adapter: str, path: Path, **fields: Any) -> entries.Entry:
    """An entry for a file in a local folder."""
    folder = {"folder": str(path.parent), "file": path.name, "sha256": sha256(path), **TERMS}
    return entries.parse("tiny", {"adapter": adapter, **folder, **fields})


def detector(adapter_name: str, path: Path, **fields: Any) -> Detector:
    made = adapter(entry(adapter_name, path, **{"target": "manipulation", "size": SIZE} | fields))
    assert isinstance(made, Detector)
    return made


def pixels(images: Crops, mean: Any, std: Any) -> Any:
    """Preprocessing as torchvision has it: to 0..1, then normalised by channel."""
    import torch

    scaled = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
    return (scaled - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


# Vision transformers with tuned LayerNorms


@pytest.fixture(scope="module")
def transformers() -> Any:
    pytest.importorskip("torch")
    module = pytest.importorskip("transformers")
    module.utils.logging.set_verbosity_error()
    module.utils.logging.disable_progress_bar()
    return module


def backbone(transformers: Any, kind: str, **more: Any) -> Any:
    import torch

    torch.manual_seed(7)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **TINY, **more)).eval()
    for name, value in model.named_parameters():  # so that no LayerNorm is still at its start
        if "norm" in name:
            value.data += 0.3 * torch.randn_like(value)
    return model


def published(model: Any, folder: Path) -> dict[str, Any]:
    """Its tensors, named as repositories of the hub name them."""
    from safetensors.torch import load_file

    model.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def head(classes: int = 2) -> dict[str, Any]:
    import torch

    torch.manual_seed(8)
    return {"weight": torch.randn(classes, 32), "bias": torch.randn(classes)}


def saved(path: Path, tensors: dict[str, Any]) -> Path:
    from safetensors.torch import save_file

    save_file({name: value.clone().contiguous() for name, value in tensors.items()}, path)
    return path


def log_odds(model: Any, top: dict[str, Any], inputs: Any, normalise: bool = True) -> np.ndarray:
    """What the paper's code computes: pooled feature, unit length, linear layer; softmax turned into log odds."""
    import torch

    with torch.no_grad():
        feature = model(inputs).pooler_output
        if normalise:
            feature = feature / feature.norm(dim=1, keepdim=True)
        p = (feature @ top["weight"].T + top["bias"]).softmax(1)[:, 1]
    return np.asarray((p / (1 - p)).log())


GEND = {
    "clip_vision_model": "feature_extractor.vision_model.",
    "dinov2": "feature_extractor.backbone.",
    "dinov2_with_registers": "feature_extractor.backbone.",
    "dinov3_vit": "feature_extractor.backbone.",
    "siglip_vision_model": "backbone.",
}


@pytest.mark.parametrize("kind", GEND)
def test_gend_layout(transformers: Any, tmp_path: Path, kind: str) -> None:
    import torch

    model, top = backbone(transformers, kind), head()
    names = published(model, tmp_path / "original")
    tensors = {GEND[kind] + name.removeprefix("vision_model."): value for name, value in names.items()}
    tensors |= {f"model.linear.{name}": value for name, value in top.items()}
    if kind == "clip_vision_model":
        tensors["feature_extractor.visual_projection.weight"] = torch.randn(16, 32)
    path = saved(tmp_path / "model.safetensors", tensors)
    made = detector("vit_layernorm", path, backbone={"model_type": kind, **TINY})
    scores = made.score(crops())
    assert np.allclose(
        scores.logits, log_odds(model, top, pixels(crops(), entries.CLIP_MEAN, entries.CLIP_STD)), atol=1e-4
    )
    conformance.require(made, swap=True)


def test_gend_clip_has_the_published_number_of_tensors(transformers: Any) -> None:
    """The published file holds 394: the vision model of CLIP ViT-L/14, the projection and the head."""
    import torch

    table = dict(entries.catalogue()["gend_clip_l_14"]["backbone"])
    config = transformers.AutoConfig.for_model(table.pop("model_type"), **table)
    with torch.device("meta"):
        model = transformers.AutoModel.from_config(config)
    state = model.state_dict()
    assert len(state) + 1 + 2 == 394
    count = sum(value.numel() for value in state.values()) + 768 * 1024 + 2 * 1024 + 2
    assert 0 < 1_215_928_160 - 4 * count < 100_000, "float32 and a header"
    assert config.hidden_act == "quick_gelu"


def test_only_what_was_tuned_over_a_base_from_the_hub(
    transformers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base lies in the hub's cache, laid out as the hub's client does; the network is not asked."""
    import huggingface_hub
    import torch

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    snapshot = tmp_path / "cache" / "models--owner--clip" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    torch.manual_seed(1)
    whole = transformers.CLIPModel(
        transformers.CLIPConfig(
            vision_config=TINY, text_config={**TINY, "vocab_size": 50, "max_position_embeddings": 8}, projection_dim=16
        )
    )
    whole.save_pretrained(snapshot)
    tuned = backbone(transformers, "clip_vision_model")
    own = whole.vision_model.state_dict()
    norms = {name: value for name, value in tuned.state_dict().items() if "norm" in name or "layrnorm" in name}
    tuned.load_state_dict(own | norms)
    top = head(1)
    tensors = {f"backbone.{name}": value for name, value in norms.items()}
    path = saved(tmp_path / "tuned.safetensors", tensors | {f"head.{name}": value for name, value in top.items()})
    base = {"repo": "owner/clip", "revision": COMMIT, "file": "model.safetensors"}
    base["sha256"] = sha256(snapshot / "model.safetensors")
    model = {"model_type": "clip_vision_model", **TINY}
    made = detector("vit_layernorm", path, backbone=model, base=base, normalise=False, mean=(0, 0, 0), std=(1, 1, 1))
    with torch.no_grad():
        feature = tuned(pixels(crops(), (0.0,) * 3, (1.0,) * 3)).pooler_output
        expected = (feature @ top["weight"].T + top["bias"])[:, 0]
    assert np.allclose(made.score(crops()).logits, expected, atol=1e-4)
    base["revision"] = "d" * 40
    missing = detector("vit_layernorm", path, backbone=model, base=base)
    with pytest.raises(WeightsMissing, match="models pull"):
        missing.score(crops())


@pytest.fixture(scope="module")
def gend(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Tensors in GenD's layout."""
    names = published(backbone(transformers, "clip_vision_model"), tmp_path_factory.mktemp("gend"))
    tensors = {GEND["clip_vision_model"] + name.removeprefix("vision_model."): value for name, value in names.items()}
    return tensors | {f"model.linear.{name}": value for name, value in head().items()}


def drop(tensors: dict[str, Any], word: str) -> dict[str, Any]:
    return {name: value for name, value in tensors.items() if word not in name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: drop(t, "layer_norm1"), "does not fit the backbone: 4 tensors"),
        (lambda t: drop(t, "linear.bias"), "other tensors"),
        (lambda t: t | {"feature_extractor.vision_model.more.weight": t["model.linear.bias"]}, "does not fit"),
        (lambda t: t | {"optimizer.state": t["model.linear.bias"]}, "other tensors"),
        (lambda t: t | {n: v[:-1] for n, v in t.items() if "patch_embedding" in n}, "does not fit"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    gend: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], words: str
) -> None:
    path = saved(tmp_path / "model.safetensors", change(gend))
    made = detector("vit_layernorm", path, backbone={"model_type": "clip_vision_model", **TINY})
    with pytest.raises(WeightsMismatch, match=words):
        made.score(crops())


def test_other_bytes_are_refused(gend: dict[str, Any], tmp_path: Path) -> None:
    path = saved(tmp_path / "model.safetensors", gend)
    stated = entry("vit_layernorm", path, target="morph", backbone={"model_type": "clip_vision_model", **TINY})
    body = path.read_bytes()
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(WeightsMismatch, match="sha256") as caught:
        adapter(stated).score(crops())  # type: ignore[union-attr]
    assert caught.value.code == "weights.mismatch"
    assert str(tmp_path) not in str(caught.value)


def test_a_pickle_is_refused_whatever_its_name(transformers: Any, tmp_path: Path) -> None:
    import torch

    torch.save({"model.linear.bias": torch.zeros(2)}, tmp_path / "model.safetensors")
    made = detector("vit_layernorm", tmp_path / "model.safetensors", backbone={"model_type": "dinov2", **TINY})
    with pytest.raises(WeightsRefused):
        made.score(crops())


# Image classifiers


@pytest.fixture(scope="module")
def vit(transformers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a transformers classifier."""
    import torch

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("vit")
    config = transformers.ViTConfig(**TINY, id2label={0: "Realism", 1: "Deepfake", 2: "Cartoon"})
    transformers.ViTForImageClassification(config).save_pretrained(folder)
    preprocessing = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.25, 0.3], "size": {"height": 28, "width": 28}}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
    return folder


@pytest.mark.parametrize("forged", [1, "deepfake"])
def test_a_transformers_classifier(transformers: Any, vit: Path, forged: int | str) -> None:
    import torch

    made = detector("image_classifier", vit / "model.safetensors", forged=forged)
    model = transformers.ViTForImageClassification.from_pretrained(vit).eval()
    with torch.no_grad():
        p = model(pixels(crops(), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))).logits.softmax(1)[:, 1]
    assert np.allclose(made.score(crops()).logits, (p / (1 - p)).log(), atol=1e-4)
    conformance.require(made, swap=True)


@pytest.mark.parametrize(("forged", "words"), [("fake", "has no label fake; its labels: Realism"), (3, "no output 3")])
def test_a_label_that_is_not_there(vit: Path, forged: int | str, words: str) -> None:
    made = detector("image_classifier", vit / "model.safetensors", forged=forged)
    with pytest.raises(ToolUnavailable, match=words):
        made.score(crops())


def test_a_classifier_without_its_configuration(vit: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((vit / "model.safetensors").read_bytes())
    stated = entry("image_classifier", tmp_path / "model.safetensors", target="synthesis", forged=1)
    with pytest.raises(WeightsMissing, match=r"config\.json"):
        adapter(stated).score(crops())  # type: ignore[union-attr]
    with pytest.raises(WeightsMissing, match=r"config\.json"):
        obtain(stated)


def test_a_timm_classifier(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    timm = pytest.importorskip("timm")
    torch.manual_seed(4)
    settings = {"img_size": 32}
    model = timm.create_model("test_vit", pretrained=False, num_classes=2, **settings).eval()
    path = saved(tmp_path / "model.safetensors", model.state_dict())
    own = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7], "label_names": ["real", "fake"]}
    config = {"architecture": "test_vit", "num_classes": 2, "model_args": settings, "pretrained_cfg": own}
    (tmp_path / "config.json").write_text(json.dumps(config))
    made = detector("image_classifier", path, forged="fake", size=32)
    with torch.no_grad():
        logits = model(pixels(crops(32), own["mean"], own["std"]))
    assert np.allclose(made.score(crops(32)).logits, logits[:, 1] - logits[:, 0], atol=1e-4)
    conformance.require(made, swap=True)
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_classes": 3}))
    with pytest.raises(WeightsMismatch, match="does not fit test_vit"):
        detector("image_classifier", path, forged="fake", size=32).score(crops(32))


# TorchScript


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A traced network in half precision, which keeps the batch of one it was traced with."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    flat = torch.nn.Sequential(torch.nn.AvgPool2d(7), torch.nn.Flatten(), torch.nn.Linear(48, 2)).eval()
    path = tmp_path_factory.mktemp("script") / "model.torchscript"
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(flat, torch.zeros(1, 3, SIZE, SIZE)).bfloat16(), str(path))
    return path


@pytest.mark.parametrize("word", [None, "", "0", "yes"])
def test_torchscript_needs_the_users_word(program: Path, monkeypatch: pytest.MonkeyPatch, word: str | None) -> None:
    monkeypatch.delenv("FACEWITNESS_ALLOW_TORCHSCRIPT", raising=False)
    if word is not None:
        monkeypatch.setenv("FACEWITNESS_ALLOW_TORCHSCRIPT", word)
    with pytest.raises(WeightsRefused, match="FACEWITNESS_ALLOW_TORCHSCRIPT=1") as caught:
        detector("torchscript", program).score(crops())
    assert caught.value.code == "weights.refused"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torchscript_with_the_users_word(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setenv("FACEWITNESS_ALLOW_TORCHSCRIPT", "1")
    made = detector("torchscript", program)
    conformance.require(made, swap=True)
    plain = torch.jit.load(str(program)).float()
    with torch.no_grad():
        logits = torch.cat([plain(one[None]) for one in pixels(crops(), entries.CLIP_MEAN, entries.CLIP_STD)])
    assert np.allclose(made.score(crops()).logits, logits[:, 1] - logits[:, 0], atol=1e-4)


def test_torchscript_of_other_bytes_never_runs(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEWITNESS_ALLOW_TORCHSCRIPT", "1")
    path = tmp_path / "model.torchscript"
    path.write_bytes(program.read_bytes())
    made = detector("torchscript", path, sha256="0" * 64)
    with pytest.raises(WeightsMismatch):
        made.score(crops())


# ArcFace matchers


def varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(high) if high else bytes([low])


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A protobuf message from (field, value) pairs."""
    found = b""
    for field, value in fields:
        if isinstance(value, int):
            found += varint(field << 3) + varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            found += varint(field << 3 | 2) + varint(len(data)) + data
    return found


def onnx_matcher(kernel: np.ndarray, inputs: int = 1) -> bytes:
    """A graph as published ones are: any number of faces in, by its header one feature out."""

    def port(name: str, *shape: int | str) -> bytes:
        dims = message(*((1, message((1 if isinstance(size, int) else 2, size))) for size in shape))
        return message((1, name), (2, message((1, message((1, 1), (2, dims))))))

    def node(kind: str, *names: str, attribute: bytes = b"") -> bytes:
        *sources, target = names
        more = ((5, attribute),) if attribute else ()
        return message(*((1, source) for source in sources), (2, target), (4, kind), *more)

    strides = message((1, "strides"), (20, 7), *((8, size) for size in kernel.shape[2:]))
    weight = message(*((1, size) for size in kernel.shape), (2, 1), (8, "w"), (9, kernel.astype("<f4").tobytes()))
    graph = message(
        (1, node("Conv", "x", "w", "c", attribute=strides)),
        (1, node("Relu", "c", "r")),
        (1, node("GlobalAveragePool", "r", "p")),
        (1, node("Flatten", "p", "y")),
        (2, "matcher"),
        (5, weight),
        *((11, port("x" if k == 0 else f"x{k}", "n", 3, 112, 112)) for k in range(inputs)),
        (12, port("y", 1, len(kernel))),
    )
    return message((1, 8), (7, graph), (8, message((1, ""), (2, 13))))


KERNEL = np.random.default_rng(6).normal(size=(16, 3, 16, 16)).astype(np.float32) / 16


def matcher(path: Path, **fields: Any) -> Matcher:
    made = adapter(entry("arcface_onnx", path, **fields))
    assert isinstance(made, Matcher)
    return made


def test_an_onnx_matcher(tmp_path: Path) -> None:
    (tmp_path / "glintr100.onnx").write_bytes(onnx_matcher(KERNEL))
    made = matcher(tmp_path / "glintr100.onnx", threshold=0.4)
    faces = crops(112)
    blocks = ((faces - np.float32(127.5)) / np.float32(127.5)).reshape(5, 7, 16, 7, 16, 3)
    expected = np.maximum(np.einsum("nyaxbc,kcab->nkyx", blocks, KERNEL), 0).mean((2, 3))
    assert np.allclose(made.embed(faces), expected, atol=1e-4)
    assert made.threshold == 0.4
    conformance.require(made, swap=True)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_an_onnx_matcher_exported_by_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    torch.manual_seed(9)
    unit = [torch.nn.Conv2d(3, 8, 3, 4), torch.nn.BatchNorm2d(8), torch.nn.PReLU(8), torch.nn.AdaptiveAvgPool2d(4)]
    model = torch.nn.Sequential(*unit, torch.nn.Flatten(), torch.nn.Linear(128, 32)).eval()
    torch.onnx.export(
        model, (torch.zeros(1, 3, 112, 112),), tmp_path / "net.onnx", dynamo=True, external_data=False, verbose=False
    )
    made = matcher(tmp_path / "net.onnx")
    with torch.no_grad():
        expected = model(pixels(crops(112), (0.5,) * 3, (0.5,) * 3))
    assert np.allclose(made.embed(crops(112)), expected, atol=1e-4)
    conformance.require(made)


def test_a_graph_that_is_no_matcher(tmp_path: Path) -> None:
    (tmp_path / "two.onnx").write_bytes(onnx_matcher(KERNEL, inputs=2))
    with pytest.raises(ToolUnavailable, match="2 inputs"):
        matcher(tmp_path / "two.onnx").embed(crops(112))
    (tmp_path / "no.onnx").write_bytes(struct.pack("<I", 0x04034B50))
    with pytest.raises(WeightsRefused):
        matcher(tmp_path / "no.onnx").embed(crops(112))


# Action units


@pytest.mark.parametrize(("name", "module"), [("pyfeat_au", "feat"), ("libreface_au", "libreface")])
def test_a_missing_library_is_named(tmp_path: Path, name: str, module: str) -> None:
    if find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    made = adapter(entry(name, tmp_path / "weights.safetensors"))
    assert isinstance(made, ActionUnitModel)
    with pytest.raises(ToolUnavailable, match=f"needs {module}, which cannot be imported: pip install") as caught:
        made.intensities(crops(made.size, 1))
    assert caught.value.code == "tool.unavailable"


def test_pyfeats_network(tmp_path: Path) -> None:
    inference = pytest.importorskip("feat.multitask.inference")
    import dataclasses

    import torch

    torch.manual_seed(10)
    config = inference.ModelV2Config(
        n_au=20, n_emotion=7, n_blendshape=52, mesh_normalized=True, use_head_v3=True, drop_mefl=True, pretrained=False
    )
    from safetensors.torch import save_file

    model = inference.MEGraphAUv2(config)
    path = tmp_path / "face_multitask_v28.safetensors"
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()},
        path,
        {"config": json.dumps(dataclasses.asdict(config))},
    )
    made = adapter(entry("pyfeat_au", path))
    assert isinstance(made, ActionUnitModel)
    found = made.intensities(crops(made.size, 2))
    assert set(found) == {f"AU{int(name[2:])}" for name in inference.AU_NAMES_V24}
    assert all(values.shape == (2,) and (values >= 0).all() and (values <= 1).all() for values in found.values())
    conformance.require(made)


@pytest.mark.filterwarnings("ignore")
def test_librefaces_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    solver = pytest.importorskip("libreface.AU_Recognition.solver_inference_combine")
    import torch
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.manual_seed(11)
    start = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    start.parent.mkdir(parents=True)
    path = tmp_path / "combined_resnet.pt"
    path.write_bytes(b"later")
    unstarted = adapter(entry("libreface_au", path))
    with pytest.raises(ToolUnavailable, match="would download resnet18"):
        unstarted.intensities(crops(256, 1))  # type: ignore[union-attr]
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), start)
    options = type("Options", (), {"au_recognition_num_labels": 12, "au_detection_num_labels": 12, "dropout": 0.1})
    options.fm_distillation = False  # type: ignore[attr-defined]
    model = solver.ResNet18(options)
    torch.save({"model": model.state_dict()}, path)
    made = adapter(entry("libreface_au", path))
    assert isinstance(made, ActionUnitModel)
    found = made.intensities(crops(made.size, 2))
    assert list(found) == [f"AU{number}" for number in (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)]
    conformance.require(made)


@pytest.mark.parametrize("adapter_name", ["arcface_onnx", "pyfeat_au", "torchscript"])
def test_creating_an_adapter_needs_no_file(tmp_path: Path, adapter_name: str) -> None:
    (tmp_path / "x.onnx").write_bytes(b"x")
    fields = {"target": "synthesis"} if adapter_name == "torchscript" else {}
    stated = entry(adapter_name, tmp_path / "x.onnx", **fields)
    (tmp_path / "x.onnx").unlink()
    assert adapter(stated).card.sha256 == stated.sha256
    with pytest.raises(FacewitnessError):
        obtain(stated)
