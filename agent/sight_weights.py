"""The files in which the model that looks is shipped: ``sight.safetensors``, half precision, and ``sight.json``.

Tensors by name::

    vision_tower.*                                    a SigLIP tower, named as by transformers' ``SiglipVisionModel``
    multi_modal_projector.linear_1|linear_2.*         LLaVA's projector
    language_model.layers.N.MODULE.lora_A|lora_B      (rank, in) and (out, rank); what is added is scale * B @ A

The language model itself is the registered SmolLM2. Written by ``facewitness.finetune.vlm.ship``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file

from ..errors import WeightsMissing, WeightsRefused
from ..tools import weights
from ..tools.face import Floats

WEIGHTS, SETTINGS = "sight.safetensors", "sight.json"
TOWER, PROJECTOR, LANGUAGE = "vision_tower.", "multi_modal_projector.", "language_model."
REGISTERED = ("sight", "sight_settings")
"""Names of the two files among the registered weights."""

Tensors = dict[str, Floats]


class Vision(BaseModel):
    """Shape of the tower, in the words of transformers' ``SiglipVisionConfig``; sizes in pixels.

    The projector reads what comes out of the last layer but one; the last layer is never run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: int
    patch_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    layer_norm_eps: float = 1e-6
    vision_use_head: bool = False


class Settings(BaseModel):
    """What ``sight.json`` holds.

    Attributes:
        vision: Shape of the tower.
        lora_scale: What ``lora_B @ lora_A`` is multiplied by.
        recipe: Settings of the training.
        notes: Anything else that is worth knowing.
        calibration: How the probabilities are read; empty until it was fitted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vision: Vision
    lora_scale: float
    recipe: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    calibration: dict[str, Any] = {}


def read(folder: Path | None = None) -> tuple[Settings, Tensors]:
    """Settings, and tensors in single precision.

    Args:
        folder: Of the two files; the registered ones if not given.

    Raises:
        WeightsMissing: A file is not there.
        WeightsMismatch: A registered file is not the one that was registered.
        WeightsRefused: A file is damaged.
    """
    files = [folder / WEIGHTS, folder / SETTINGS] if folder else [weights.path(name) for name in REGISTERED]
    try:
        settings = Settings.model_validate_json(files[1].read_text(encoding="utf-8"))
        tensors = load_file(files[0])
    except OSError:
        raise WeightsMissing(f"{WEIGHTS} or {SETTINGS} is missing.") from None
    except ValidationError:
        raise WeightsRefused(f"{SETTINGS} is damaged.") from None
    except SafetensorError:
        raise WeightsRefused(f"{WEIGHTS} is damaged.") from None
    return settings, {name: value.astype(np.float32) for name, value in tensors.items()}


def low_rank(tensors: Tensors) -> dict[str, tuple[Floats, Floats]]:
    """LoRA's matrices A and B by the linear layer they change, ``layers.N.MODULE``."""
    modules = [name.removesuffix(".lora_A") for name in tensors if name.endswith(".lora_A")]
    return {
        module.removeprefix(LANGUAGE): (tensors[f"{module}.lora_A"], tensors[f"{module}.lora_B"]) for module in modules
    }
