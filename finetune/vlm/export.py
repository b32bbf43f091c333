"""A finished run as one checkpoint: the adapter merged, in the layout that both transformers and vLLM load.

Run: ``python -m facewitness.finetune.vlm.export --run DIR --out DIR``; ``--shipped DIR`` in place of ``--run``
takes the embedded model as it ships. With ``--adapter DIR`` LoRA is not merged but written there, so that one served
base can take several.
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

from peft import PeftModel, get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import save_file

from ...errors import InvalidOption
from ..training import CONFIG, command
from . import models, shipped
from .recipe import Recipe

_TOWER, _INNER = "vision_tower.", "vision_tower.vision_model."


def main() -> None:
    """Merge and write."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.vlm.export")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--run", type=Path, help="folder of a finished run")
    given.add_argument("--shipped", type=Path, help="folder of sight.safetensors and sight.json")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--adapter", type=Path, help="folder for LoRA, which is merged if this is not given")
    options = parser.parse_args()
    write, source = (export, options.run) if options.run else (unpack, options.shipped)
    command(lambda: write(source, options.out, options.adapter))


def export(run: Path, out: Path, adapter: Path | None = None) -> Path:
    """Write the model and its processor.

    Args:
        run: Folder of a finished run.
        out: Folder for the checkpoint.
        adapter: Folder for LoRA, which is merged if this is None.

    Raises:
        InvalidOption: The run is not finished, or there is none.
        WeightsMissing, WeightsRefused: Its base cannot be had.
    """
    recipe = configuration(run)
    model = _trained(recipe, run)
    if adapter:
        _write_adapter(model, adapter)
    base = model.unload() if adapter else model.merge_and_unload()
    return _write(base.eval(), models.processor(recipe, run), out)


def unpack(folder: Path | None, out: Path, adapter: Path | None = None) -> Path:
    """Write the embedded model as it ships, and its processor.

    Args:
        folder: Of ``sight.safetensors`` and ``sight.json``; the registered ones if None.
        out: Folder for the checkpoint.
        adapter: As for ``export``.

    Raises:
        WeightsMissing, WeightsRefused: The files, or the language model, cannot be had.
    """
    model, processor = shipped.load(folder, merged=adapter is None)
    if adapter:
        with_lora = shipped.adapted(model, folder)
        _write_adapter(with_lora, adapter)
        model = with_lora.unload()
    return _write(model, processor, out)


def _write_adapter(model: PeftModel, out: Path) -> None:
    """LoRA alone: servers take no whole modules in an adapter, so those go into the base."""
    tensors = {name: value for name, value in get_peft_model_state_dict(model).items() if ".lora_" in name}
    config = copy.copy(model.peft_config["default"])
    config.modules_to_save, config.base_model_name_or_path, config.inference_mode = None, None, True
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, out / "adapter_model.safetensors")
    config.save_pretrained(str(out))


def _write(model: Any, processor: Any, out: Path) -> Path:
    model.save_pretrained(out)
    rename(out)
    processor.save_pretrained(out)
    if isinstance(processor, models.PictureProcessor):
        _add_video_settings(processor.image_processor.to_dict(), out)
    return out


def _add_video_settings(pictures: dict[str, Any], out: Path) -> None:
    """Without it vLLM cannot open Qwen's processor, whose part for videos the one used here lacks."""
    held = {name: pictures[name] for name in ("patch_size", "temporal_patch_size", "merge_size")}
    settings = {"video_processor_type": "Qwen2VLVideoProcessor", **held}
    (out / "video_preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def configuration(run: Path) -> Recipe:
    """The recipe that a run was made with.

    Raises:
        InvalidOption: There is no run.
    """
    place = run / CONFIG
    if not place.is_file():
        raise InvalidOption(f"{run} holds no run.")
    return Recipe.model_validate_json(place.read_text(encoding="utf-8"))


def merged(recipe: Recipe, run: Path) -> Any:
    """The base with what was trained."""
    return _trained(recipe, run).merge_and_unload().eval()


def _trained(recipe: Recipe, run: Path) -> PeftModel:
    """QLoRA's matrices go with the base as it was before it was quantised."""
    return models.trained(recipe.model_copy(update={"quantise": "no"}), run)


def rename(folder: Path) -> None:
    """Give the tower's tensors the names that the hub's files have: vLLM knows no others."""
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as stored:
            tensors = {_hub_name(name): stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        save_file(tensors, file, {"format": "pt"})
    for index in folder.glob("*.safetensors.index.json"):
        content = json.loads(index.read_text(encoding="utf-8"))
        content["weight_map"] = {_hub_name(name): file for name, file in content["weight_map"].items()}
        index.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _hub_name(name: str) -> str:
    if name.startswith(_TOWER) and not name.startswith(_INNER):
        return _INNER + name.removeprefix(_TOWER)
    return name


if __name__ == "__main__":
    main()
