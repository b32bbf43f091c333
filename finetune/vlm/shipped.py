"""What ships of the embedded model, put back into transformers: for comparison, for training on, for a server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import SiglipVisionConfig, SiglipVisionModel

from ...agent.sight_weights import PROJECTOR, TOWER, Tensors, low_rank, read
from ...errors import InvalidOption
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
        model, processor = embedded.assemble(*embedded.language_model(), tower(folder, Path(work)))
    model.model.multi_modal_projector.load_state_dict(_below(PROJECTOR, tensors))
    for module, (a, b) in low_rank(tensors).items():
        held = model.model.language_model.get_submodule(module)
        held.weight.data += torch.from_numpy(settings.lora_scale * (b @ a))
    return model, processor


def tower(folder: Path | None, out: Path) -> Path:
    """The tower alone, in a folder that transformers loads.

    Args:
        folder: As for ``load``.
        out: Where to.

    Raises:
        WeightsMissing, WeightsRefused: As for ``load``.
    """
    settings, tensors = read(folder)
    found = SiglipVisionModel(SiglipVisionConfig(**settings.vision.model_dump()))
    found.load_state_dict(_below(TOWER, tensors))
    found.save_pretrained(out)
    return out


def go_on(model: Any, folder: Path) -> None:
    """Put what ships into an untrained adapter, to be trained on.

    Args:
        model: A ``PeftModel`` of the embedded recipe.
        folder: As for ``load``.

    Raises:
        InvalidOption: The adapter has other shapes than what ships.
        WeightsMissing, WeightsRefused: As for ``load``.
    """
    settings, tensors = read(folder)
    base = model.get_base_model().model
    try:
        base.multi_modal_projector.modules_to_save["default"].load_state_dict(_below(PROJECTOR, tensors))
        for module, (a, b) in low_rank(tensors).items():
            held = base.language_model.get_submodule(module)
            b = b * (settings.lora_scale / held.scaling["default"])  # the sum is what must stay
            held.lora_A["default"].load_state_dict({"weight": torch.from_numpy(a)})
            held.lora_B["default"].load_state_dict({"weight": torch.from_numpy(b)})
    except RuntimeError:
        raise InvalidOption("The recipe's adapter has other shapes than the files to start from.") from None


def _below(prefix: str, tensors: Tensors) -> dict[str, torch.Tensor]:
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {name: torch.from_numpy(value) for name, value in found.items()}
