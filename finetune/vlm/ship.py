"""The embedded model's trained parts as the two files that ship.

Run: ``python -m facewitness.finetune.vlm.ship --run DIR --out DIR``

What they hold: ``agent/sight_weights.py``. Back into transformers: ``shipped.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file

from ...agent.sight_weights import LANGUAGE, PROJECTOR, SETTINGS, TOWER, WEIGHTS, Settings, Vision
from ...errors import InvalidOption
from ..training import command
from . import models
from .export import configuration

LARGEST = 30_000_000
"""Bytes of ``sight.safetensors``, which the repository holds."""


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.vlm.ship")
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run of the embedded recipe")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    options = parser.parse_args()
    command(lambda: ship(options.run, options.out))


def ship(run: Path, out: Path, **notes: Any) -> Path:
    """Write ``sight.safetensors`` and ``sight.json``.

    Args:
        run: Folder of a finished run.
        out: Folder for the files.
        notes: For the JSON.

    Raises:
        InvalidOption: The run is not finished or not of the embedded recipe, or its parts are too large.
    """
    recipe = configuration(run)
    model = models.trained(recipe, run)
    tensors, scale = _adapter(model)
    whole = model.merge_and_unload().model
    vision = whole.vision_tower.config
    if vision.model_type != "siglip_vision_model":
        raise InvalidOption(f"{run} is not a run of the embedded recipe: its tower is a {vision.model_type}.")
    for prefix, part in ((TOWER, whole.vision_tower), (PROJECTOR, whole.multi_modal_projector)):
        tensors |= {prefix + name: value for name, value in part.state_dict().items()}
    size = sum(2 * value.numel() for value in tensors.values())
    if size > LARGEST:
        raise InvalidOption(f"What was trained takes {size} bytes; {LARGEST} may be shipped.")
    settings = Settings(
        vision=Vision(**{name: getattr(vision, name) for name in Vision.model_fields}),
        lora_scale=scale,
        # What is left out may name folders.
        recipe=recipe.model_dump(mode="json", exclude={"model", "tower", "projector", "start"}),
        notes=notes,
    )
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().half().contiguous() for name, value in tensors.items()}, out / WEIGHTS)
    (out / SETTINGS).write_text(settings.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return out


def _adapter(model: Any) -> tuple[dict[str, torch.Tensor], float]:
    """LoRA's matrices under the names they ship with, and its scale."""
    found: dict[str, torch.Tensor] = {}
    for path, module in model.named_modules():
        if isinstance(module, LoraLayer):
            place = LANGUAGE + path.partition(f".{LANGUAGE}")[2]
            found[f"{place}.lora_A"] = module.lora_A["default"].weight
            found[f"{place}.lora_B"] = module.lora_B["default"].weight
            scale = module.scaling["default"]
    return found, scale


if __name__ == "__main__":
    main()
