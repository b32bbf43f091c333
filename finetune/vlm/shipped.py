"""What ships of the embedded model, put back into transformers: for comparison, for training on, for a server."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import SiglipVisionConfig, SiglipVisionModel

from ...agent.sight_weights import PROJECTOR, TOWER, Settings, Tensors, low_rank, read
from ...errors import InvalidOption
from . import embedded


def load(folder: Path | None = None, *, merged: bool = True) -> tuple[Any, Any]:
    """Model in single precision, LoRA merged unless told otherwise, and processor.

    Args:
        folder: Of the two files; the registered ones if not given.
        merged: False leaves LoRA out.

    Raises:
        WeightsMissing, WeightsRefused: The files, or the language model, cannot be had.
    """
    settings, tensors = read(folder)
    with tempfile.TemporaryDirectory() as work:
        model, processor = embedded.assemble(*embedded.language_model(), tower(folder, Path(work)))
    model.half().float()  # as the runtime without PyTorch holds the language model
    model.model.multi_modal_projector.load_state_dict(_below(PROJECTOR, tensors))
    for module, (a, b) in low_rank(tensors).items() if merged else ():
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


def go_on(model: PeftModel, folder: Path) -> None:
    """Put what ships into an untrained adapter, to be trained on.

    Args:
        model: Of the embedded recipe.
        folder: As for ``load``.

    Raises:
        InvalidOption: The adapter has other shapes than what ships.
        WeightsMissing, WeightsRefused: As for ``load``.
    """
    settings, tensors = read(folder)
    try:
        projector = model.get_base_model().model.multi_modal_projector
        projector.modules_to_save["default"].load_state_dict(_below(PROJECTOR, tensors))
        _fill(model, settings, tensors)
    except RuntimeError:
        raise InvalidOption("The recipe's adapter has other shapes than the files to start from.") from None


def adapted(model: Any, folder: Path | None = None) -> PeftModel:
    """What ``load`` gave without LoRA, with LoRA beside it.

    Raises:
        WeightsMissing, WeightsRefused: As for ``load``.
    """
    settings, tensors = read(folder)
    matrices = low_rank(tensors)
    rank = len(next(iter(matrices.values()))[0])
    kinds = sorted({module.rpartition(".")[2] for module in matrices})
    config = LoraConfig(
        r=rank, lora_alpha=settings.lora_scale * rank, target_modules=rf".*language_model\..*\.({'|'.join(kinds)})"
    )
    with quiet():
        found = get_peft_model(model, config)
    _fill(found, settings, tensors)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """PEFT asks by a name that transformers has changed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield


def _fill(model: PeftModel, settings: Settings, tensors: Tensors) -> None:
    language = model.get_base_model().model.language_model
    for module, (a, b) in low_rank(tensors).items():
        held = language.get_submodule(module)
        b = b * (settings.lora_scale / held.scaling["default"])  # the sum is what must stay
        held.lora_A["default"].load_state_dict({"weight": torch.from_numpy(a)})
        held.lora_B["default"].load_state_dict({"weight": torch.from_numpy(b)})


def _below(prefix: str, tensors: Tensors) -> dict[str, torch.Tensor]:
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    return {name: torch.from_numpy(value) for name, value in found.items()}
