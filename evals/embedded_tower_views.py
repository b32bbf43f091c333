"""The test pictures as the tower, its heads and the floors see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from ..finetune.forge.chains import jpeg
from ..finetune.training import CONFIG
from ..finetune.vlm_tower.geometry import Placement
from ..finetune.vlm_tower.network import Teaching, pixels, tokens
from ..finetune.vlm_tower.train import TAUGHT, Config
from . import embedded_tower_probes as probes
from .forgery_material import QUALITY

Array = NDArray[np.float64]
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Views:
    """n pictures as everything here sees them.

    Attributes:
        crops: (n, side, side, 3) uint8 RGB at JPEG 75.
        tokens: (n, width) mean of the frozen tokens.
        thumbnails: (n, 768).
        said: (n, …) what the heads say, by name; ``heat`` (n, grid, grid) in 0..1.
    """

    crops: NDArray[np.uint8]
    tokens: Array
    thumbnails: Array
    said: Mapping[str, Array]


def load(run: Path) -> tuple[Teaching, Config]:
    """Tower and heads of a training."""
    config = Config.model_validate(json.loads((run / CONFIG).read_text(encoding="utf-8")))
    model = Teaching(config.shape)
    model.load_state_dict(load_file(run / TAUGHT))
    return model.eval(), config


@torch.inference_mode()
def views(model: Teaching, config: Config, rgb: NDArray[np.uint8]) -> Views:
    """Read (n, 192, 192, 3) crops."""
    side, grid = config.shape.image_size, config.shape.grid
    crops = np.stack([Placement().picture(jpeg(np.array(crop), QUALITY), side) for crop in rgb])
    means, said = [], []
    for start in range(0, len(crops), 32):
        batch = pixels(crops[start : start + 32])
        hidden = tokens(model.tower, batch)
        means.append(hidden.mean(1))
        seen = model.read(hidden)
        said.append({**seen.of, "heat": seen.heat.sigmoid().reshape(-1, grid, grid)})
    joined = {name: torch.cat([one[name] for one in said]).double().numpy() for name in said[0]}
    joined["blendshapes"] = np.concatenate([model.blendshapes(one["blendshapes"]).double().numpy() for one in said])
    return Views(crops, torch.cat(means).double().numpy(), probes.thumbnails(crops), joined)


def ways(
    seen: Mapping[str, Views], probe: Callable[[Array, Array], Array], head: Array | None = None
) -> dict[str, Array]:
    """The same said by the head, by a probe of the tokens and by one of the thumbnail."""
    fit, test = seen["fit"], seen["test"]
    found = {} if head is None else {"head": head}
    return {
        **found,
        "probe of the tokens": probe(fit.tokens, test.tokens),
        "probe of the thumbnail": probe(fit.thumbnails, test.thumbnails),
    }
