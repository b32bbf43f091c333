"""The trained tower in the two forms it leaves as: one half-precision file to ship, and a folder for transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import SiglipVisionModel

from .network import Shape

WEIGHTS, CARD = "tower.safetensors", "tower.json"
FEATURE_LAYER = -2
"""``vision_feature_layer`` of LLaVA."""


def ship(tower: SiglipVisionModel, shape: Shape, folder: Path, **notes: Any) -> None:
    """Write ``tower.safetensors``, half precision, and ``tower.json``, its shape and how pixels go in.

    Args:
        tower: The trained tower.
        shape: Its shape.
        folder: Made if need be.
        notes: More for the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in tower.state_dict().items()}, folder / WEIGHTS)
    card = {
        "shape": shape.model_dump(),
        "vision_config": shape.config().to_diff_dict(),
        "vision_feature_layer": FEATURE_LAYER,
        "vision_feature_select_strategy": "full",
        "image_tokens": shape.grid**2,
        "pixels": {"colour": "RGB", "image_mean": [0.5] * 3, "image_std": [0.5] * 3},
        **notes,
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def load(folder: Path) -> SiglipVisionModel:
    """The tower of ``ship``, in single precision, ready to use."""
    shape = Shape.model_validate(json.loads((folder / CARD).read_text(encoding="utf-8"))["shape"])
    tower = SiglipVisionModel(shape.config())
    tower.load_state_dict({name: value.float() for name, value in load_file(folder / WEIGHTS).items()})
    return tower.eval()


def unpack(folder: Path, out: Path) -> None:
    """Make a folder for ``SiglipVisionModel.from_pretrained`` from what ``ship`` wrote."""
    load(folder).to(torch.float16).save_pretrained(out)
