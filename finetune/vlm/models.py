"""The base model of a recipe, and what is trained in it, as one PEFT adapter.

LoRA matrices on the language model, full copies of the projector and of the tower's last layers: so one adapter folder
holds all that was trained, for every stage, and the base stays as it was published. QLoRA: Dettmers et al. 2023, arXiv
2305.14314.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    Qwen2_5_VLProcessor,
)
from transformers.utils import logging

from ...errors import InvalidOption, WeightsMissing, WeightsRefused
from . import embedded, shipped
from .recipe import EMBEDDED, Model, Part

ADAPTER, BASE, TOWER = "adapter", "base", "tower"


class Family(NamedTuple):
    """Names of an architecture's parts, as ``named_modules`` gives them; ``layers`` is below ``vision``."""

    language: str
    vision: str
    projector: str
    layers: str


_LLAVA = Family("model.language_model", "model.vision_tower", "model.multi_modal_projector", "encoder.layers")
FAMILIES = {
    "llava": _LLAVA,
    "paligemma": _LLAVA,
    "qwen2_5_vl": Family("model.language_model", "model.visual", "model.visual.merger", "blocks"),
}


class PictureProcessor(Qwen2_5_VLProcessor):
    """Qwen's processor without its part for videos, which would need torchvision."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **options: Any
    ) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)


PictureProcessor.__name__ = Qwen2_5_VLProcessor.__name__  # it goes into what is saved


def family(config: Any) -> Family:
    """Names of the parts of a model with this configuration.

    Raises:
        InvalidOption: The architecture is not known here.
    """
    kind = config.model_type
    if kind not in FAMILIES:
        raise InvalidOption(f"The architecture {kind} is not known here; known: {', '.join(FAMILIES)}.")
    return FAMILIES[kind]


def source(recipe: Model, run: Path) -> str:
    """Where the base is: a hub id or a folder; the embedded model is put together in the run's folder.

    Raises:
        InvalidOption: A hub id without its commit.
        WeightsMissing: The embedded model's language model cannot be had.
    """
    if recipe.model == EMBEDDED:
        return str(_built(recipe, run))
    if not Path(recipe.model).is_dir() and not re.fullmatch(r"[0-9a-f]{40}", recipe.revision):
        raise InvalidOption(f"{recipe.model} is on the hub: name its commit with --set revision=<40 hex digits>.")
    return recipe.model


def _built(recipe: Model, run: Path) -> Path:
    tower = Path(recipe.tower) if recipe.tower else None
    if recipe.start and not (run / BASE).is_dir():
        tower = shipped.tower(Path(recipe.start), run / TOWER)
    projector = Path(recipe.projector) if recipe.projector else None
    return embedded.build(run / BASE, tower, projector=projector)


def processor(recipe: Model, run: Path) -> Any:
    """The processor of the base."""
    place = source(recipe, run)
    kind = PictureProcessor if _config(recipe, place).model_type == "qwen2_5_vl" else AutoProcessor
    return _opened(place, lambda: kind.from_pretrained(place, **_revision(recipe, place)))


def base(recipe: Model, run: Path, device: torch.device | str = "cpu") -> nn.Module:
    """The model before training; in 4 bits where the recipe says so.

    Raises:
        InvalidOption: A hub id without its commit, or an architecture that is not known.
        WeightsMissing: The weights are not to be had.
        WeightsRefused: They are there, but not as safetensors.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    place = source(recipe, run)
    names = family(_config(recipe, place))
    dtype = torch.bfloat16 if recipe.precision == "bf16" else torch.float32
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": recipe.attention}
    if recipe.quantise == "nf4":
        options["device_map"] = {"": device}
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            # Full names: "vision_tower" alone matches nothing, and "model.…" only from the name's beginning.
            llm_int8_skip_modules=[names.vision, names.projector, "lm_head"],
        )
    # Pickles run code when they are opened.
    load = AutoModelForImageTextToText.from_pretrained
    return _opened(place, lambda: load(place, use_safetensors=True, **_revision(recipe, place), **options))


def adapted(recipe: Model, model: nn.Module) -> PeftModel:
    """The base with an adapter in single precision: untrained, which changes nothing yet, or what ``start`` holds."""
    names = family(model.config)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=rf"{re.escape(names.language)}\..*\.({'|'.join(recipe.targets)})",
        modules_to_save=[names.projector, *vision_layers(model, recipe.vision_layers)],
        revision=recipe.revision or None,
    )
    if recipe.checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    with shipped.quiet():
        found = get_peft_model(model, config)
    for value in tuned(found).values():
        value.data = value.data.float()
    if recipe.start:
        shipped.go_on(found, Path(recipe.start))
    return found


def trained(recipe: Model, run: Path, device: torch.device | str = "cpu") -> PeftModel:
    """The base with the adapter of a finished run, ready to answer."""
    adapter = run / ADAPTER
    if not adapter.is_dir():
        raise InvalidOption(f"{run} holds no finished training.")
    with shipped.quiet():
        return PeftModel.from_pretrained(base(recipe, run, device), str(adapter)).eval()


def tuned(model: nn.Module) -> dict[str, nn.Parameter]:
    """What training may change, by name, right after ``adapted``."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def part(name: str, names: Family) -> Part:
    """Which part a tuned parameter belongs to."""
    if f"{names.projector}." in name:
        return "projector"
    return "vision" if f"{names.vision}." in name else "language"


def vision_layers(model: nn.Module, count: int) -> list[str]:
    """Names of the tower's last layers that the language model gets to see.

    Raises:
        InvalidOption: There are not so many.
    """
    names = family(model.config)
    layers = model.get_submodule(f"{names.vision}.{names.layers}")
    # LLaVA reads a hidden state before the last; the layers after it do nothing.
    used = len(layers) + 1 + getattr(model.config, "vision_feature_layer", -1)
    if count > used:
        raise InvalidOption(f"The vision tower has {used} layers in use: --set vision_layers={used} at most.")
    return [f"{names.vision}.{names.layers}.{number}" for number in range(used - count, used)]


def _config(recipe: Model, place: str) -> Any:
    return _opened(place, lambda: AutoConfig.from_pretrained(place, **_revision(recipe, place)))


def _revision(recipe: Model, place: str) -> dict[str, str]:
    return {} if Path(place).is_dir() else {"revision": recipe.revision}


def _opened(place: str, load: Any) -> Any:
    try:
        return load()
    except OSError as error:
        if "safetensors" in str(error):
            raise WeightsRefused(f"{place} has no safetensors file.") from None
        raise WeightsMissing(f"{place} is neither a folder nor to be had from the hub.") from None
