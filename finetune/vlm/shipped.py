"""What ships of the embedded model, put back into transformers: for comparison, for training on, for a server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import SiglipVisionConfig, SiglipVisionModel

from ...agent.sight_weights import PROJECTOR, TOWER, Tensors, low_rank, read
from . import embedded


def load(folder: Path | None = None) -> tuple[Any, Any]:
    """Model in single precision, LoRA merged, and processor.

    Args:
        folder: Of the two files; the registered ones if not given.

    Raises:
        WeightsMissing, WeightsRefused: The files, or the language model, cannot be had.
    """
    settings, tensors = read(folder)
    with tempfile.TemporaryDirectory() as work:
        tower = SiglipVisionModel(SiglipVisionConfig(**settings.vision.model_dump()))
        tower.load_state_dict(_below(TOWER, tensors))
        tower.save_pretrained(work)
        model, processor = embedded.assemble(*embedded.language_model(), Path(work))
    model.model.multi_modal_projector.load_state_dict(_below(PROJECTOR, tensors))
    for module, (a, b) in low_rank(tensors).items():
        held = model.model.language_model.get_submodule(module)
        held.weight.data += torch.from_numpy(settings.lora_scale * (b @ a))
    return model, processor


def _below(prefix: str, tensors: Tensors) -> dict[str, torch.Tensor]:
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {name: torch.from_numpy(value) for name, value in found.items()}
