"""The tower's training loop: resumable, the same under a seed, with a running average of the weights."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..forgery_set import ForgerySet
from ..training import Run, decay, generator
from .forgeries import Known
from .losses import WEIGHTS, losses
from .network import Shape, Teaching, begin, pixels
from .photos import Photos
from .sampler import Batch
from .validation import validate
from .views import Views

TAUGHT = "teaching.safetensors"
LOGGED = 20
_BEGUN_WITH = 500
"""Photos that the first weights are taken from."""


class Config(BaseModel):
    """A run's configuration.

    Attributes:
        views: Batches of ``batch`` crops that are made once and gone through again and again.
        kept: Patches that a crop shows in the first share ``sparse`` of the steps, drawn anew each time (as in MAE, He
            et al. 2022, and FLIP, Li et al. 2023): half the patches, nearly twice the crops a second.
        average: Decay of the running average of the weights; that average is what ships.
        compile: Have PyTorch compile the network; needs a C++ compiler.
        start: Folder of an ended run whose weights are the first; principal components of patches if empty.
        stop: Steps after which to end, before the learning rate has fallen; 0 for the whole run.
    """

    model_config = ConfigDict(extra="forbid")
    shape: Shape = Shape()
    seed: int = 0
    steps: int = 3400
    batch: int = 32
    views: int = 576
    kept: int = 32
    sparse: float = 0.75
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.06
    average: float = 0.996
    checkpoint_every: int = 340
    compile: bool = False
    start: str = ""
    stop: int = 0


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained on."""

    faces: ForgerySet
    photos: Photos
    known: Known
    views: Views


def train(material: Material, config: Config, run: Run) -> Teaching:
    """Train; returns tower and heads with the running average of the weights."""
    torch.manual_seed(config.seed)
    model = Teaching(config.shape)
    if config.start:
        model.load_state_dict(load_file(Path(config.start) / TAUGHT))
    else:
        _begin(model, material.photos, config)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average), use_buffers=True)
    optimiser = torch.optim.AdamW(_grouped(model, config), config.learning_rate, betas=(0.9, 0.98), fused=True)
    parts = {"model": model, "average": average, "optimiser": optimiser}
    done, state = run.restore() or (0, {})
    for name, values in state.items():
        parts[name].load_state_dict(values)
    forward = torch.compile(model) if config.compile else model
    last, sums, since, count = config.stop or config.steps, dict.fromkeys(WEIGHTS, 0.0), time.monotonic(), 0
    for step in range(done, last):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * decay(step, config.steps, config.warmup)
        kept = config.kept if step < config.sparse * config.steps else 0
        found = _step(model, forward, material.views.batch(step, config.seed, kept), optimiser)
        average.update_parameters(model)
        sums, count = {name: total + found[name] for name, total in sums.items()}, count + 1
        if (step + 1) % LOGGED == 0 or step + 1 == last:
            rate = config.batch * count / (time.monotonic() - since)
            means = {f"loss_{name}": round(total / count, 4) for name, total in sums.items()}
            run.log(step + 1, **means, crops_per_second=round(rate, 1))
            sums, since, count = dict.fromkeys(WEIGHTS, 0.0), time.monotonic(), 0
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == last:
            run.log(step + 1, **validate(average.module, material.faces, material.photos, material.known, config.shape))
            run.save(step + 1, {name: part.state_dict() for name, part in parts.items()})
            since = time.monotonic()
    result: Teaching = average.module.eval()
    return result


def _begin(model: Teaching, photos: Photos, config: Config) -> None:
    """First weights and scales from the training photos."""
    fit = photos.of(photos.split == "fit")
    model.scale(torch.from_numpy(fit.mesh), torch.from_numpy(fit.blendshapes))
    chosen = generator(config.seed, 0).permutation(len(fit))[:_BEGUN_WITH]
    crops = torch.nn.functional.interpolate(
        pixels(fit.rgb[chosen]), size=config.shape.image_size, mode="bilinear", antialias=True
    )
    begin(model.tower, crops)


def _grouped(model: Teaching, config: Config) -> list[dict[str, object]]:
    """Matrices decay, vectors do not; the layer that passes its input on is left as it is."""
    last = f"tower.encoder.layers.{config.shape.layers - 1}."
    named = {
        name: part for name, part in model.named_parameters() if not name.startswith((last, "tower.post_layernorm"))
    }
    matrices = [part for name, part in named.items() if part.ndim > 1 and "position" not in name]
    vectors = [part for name, part in named.items() if part.ndim < 2 or "position" in name]
    return [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def _step(
    model: Teaching, forward: torch.nn.Module, batch: Batch, optimiser: torch.optim.Optimizer
) -> dict[str, float]:
    found = losses(model, forward(batch.crops, batch.kept), batch)
    optimiser.zero_grad()
    sum(WEIGHTS[name] * loss for name, loss in found.items()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
    optimiser.step()
    return {name: float(loss.detach()) for name, loss in found.items()}
