"""Small autoencoders whose round trips leave a decoder's traces on real faces; they are training tools, not shipped.

Run: ``python -m facewitness.finetune.autoencoder --data PATH --out DIR [--resume] [--set kind=transposed]``

Three decoders as generators have them: nearest-neighbour upsampling, transposed convolution, pixel shuffle. Faces of
the ``fit`` split only. About four minutes each on two cores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from ..tools.image import RGBImage
from . import faces
from .training import Run, generator, parser, resolve

Kind = Literal["nearest", "transposed", "shuffle"]
WEIGHTS = "autoencoder.safetensors"


class Config(BaseModel):
    """A run's configuration; ``sources`` decides on whose faces the weights depend."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind = "nearest"
    width: int = 24
    channels: int = 6
    seed: int = 0
    steps: int = 700
    batch: int = 16
    crop: int = 64
    learning_rate: float = 2e-3
    sources: tuple[faces.Source, ...] = ("frll", "ffhq")


def autoencoder(kind: Kind, width: int, channels: int) -> nn.Sequential:
    """Encoder to a quarter of the side and ``channels`` values a place, and a decoder of the kind; RGB in -1..1."""
    encoder = (
        nn.Conv2d(3, width, 3, 2, 1), nn.SiLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1), nn.SiLU(),
        nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.SiLU(),
        nn.Conv2d(2 * width, channels, 1), nn.Tanh(),
    )  # fmt: skip
    decoder = (
        nn.Conv2d(channels, 2 * width, 3, 1, 1), nn.SiLU(),
        *_double(kind, 2 * width, width), nn.SiLU(),
        nn.Conv2d(width, width, 3, 1, 1), nn.SiLU(),
        *_double(kind, width, width), nn.SiLU(),
        nn.Conv2d(width, 3, 3, 1, 1),
    )  # fmt: skip
    return nn.Sequential(*encoder, *decoder)


def _double(kind: Kind, inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    if kind == "transposed":
        return (nn.ConvTranspose2d(inputs, outputs, 4, 2, 1),)
    if kind == "shuffle":
        return nn.Conv2d(inputs, 4 * outputs, 3, 1, 1), nn.PixelShuffle(2)
    return nn.Upsample(scale_factor=2.0), nn.Conv2d(inputs, outputs, 3, 1, 1)


def train(images: Sequence[RGBImage], config: Config, run: Run) -> nn.Sequential:
    """Reconstruct random crops at random scales; L1 on pixels and on their gradients, so that edges stay."""
    torch.manual_seed(config.seed)
    model = autoencoder(config.kind, config.width, config.channels)
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps)
    done, state = run.restore() or (0, None)
    if state:
        for part, name in ((model, "model"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
    for step in range(done + 1, config.steps + 1):
        batch = _crops(images, config, generator(config.seed, step))
        loss = _loss(model(batch), batch)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 100 == 0 or step == config.steps:
            run.log(step, loss=round(loss.item(), 5))
            held = {"model": model, "optimiser": optimiser, "schedule": schedule}
            run.save(step, {name: part.state_dict() for name, part in held.items()})
    return model.eval()


def _crops(images: Sequence[RGBImage], config: Config, rng: np.random.Generator) -> torch.Tensor:
    crops = []
    for number in rng.integers(len(images), size=config.batch):
        image = images[number]
        y, x = (int(rng.integers(side - config.crop + 1)) for side in image.shape[:2])
        crops.append(image[y : y + config.crop, x : x + config.crop])
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _loss(made: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    loss = functional.l1_loss(made, given)
    for axis in (2, 3):
        loss = loss + functional.l1_loss(made.diff(dim=axis), given.diff(dim=axis))
    return loss


@cache
def load(folder: Path) -> nn.Sequential:
    """A trained autoencoder from the folder of its run."""
    config = Config.model_validate_json((folder / "config.json").read_text(encoding="utf-8"))
    model = autoencoder(config.kind, config.width, config.channels)
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval()


@torch.inference_mode()
def round_trip(model: nn.Module, rgb: RGBImage) -> RGBImage:
    """Encode and decode; (height, width, 3) uint8 RGB, sides divisible by 4."""
    given = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1
    made = ((model(given)[0].permute(1, 2, 0) + 1) * 127.5).round().clamp(0, 255)
    return made.to(torch.uint8).numpy()


def main() -> None:
    """Train one and save it."""
    options = parser(__doc__).parse_args()
    config = resolve(Config, None, options.set)
    run = Run(options.out, config, resume=options.resume)
    real = [face.rgb for face in faces.portraits(options.data, config.sources) if face.split == "fit"]
    model = train(real, config, run)
    save_file(model.state_dict(), options.out / WEIGHTS)
    run.plot()


if __name__ == "__main__":
    main()
