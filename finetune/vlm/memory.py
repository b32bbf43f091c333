"""How much GPU memory a recipe takes, estimated from the model's shape; nobody has measured it.

Run: ``python -m facewitness.finetune.vlm.memory --recipe llava-1.5-7b [--gpus N] [--set key=value]``

Counted on each GPU, for the stage that takes most:

- frozen weights: in 4 bits half a byte and, for 64 of them, one byte and a 64th of a byte (double quantisation); else
  as the precision says;
- trained weights: 16 bytes (weight, gradient, two moments of Adam), 4 where the stage leaves them alone;
- activations of one part of a batch of longest samples: the input of each layer of the language model and the inner
  values of one (with checkpointing; else of all), and the logits of half a sample, once in the precision and twice in
  float32. Those of a trained vision tower are left out;
- 1 GiB for the driver and the allocator.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText

from ..training import command
from .models import adapted, family, part, source, tuned
from .recipe import Recipe, Stage, configure

GIB = 2**30
_DRIVER = GIB
_NF4 = 0.5 + (1 + 1 / 64) / 64
_STATES, _MLP = 8, 4  # values that a layer keeps for each token: of the hidden size, of the MLP's


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.vlm.memory")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()

    def told() -> None:
        recipe = configure(options.recipe, options.set)
        place = source(recipe, Path())
        config = AutoConfig.from_pretrained(place, **({"revision": recipe.revision} if recipe.revision else {}))
        print(f"{estimate(recipe, config, options.gpus):.1f} GiB")

    command(told)


def estimate(recipe: Recipe, config: Any, gpus: int = 1) -> float:
    """GiB on each GPU.

    Args:
        recipe: The recipe.
        config: Configuration of its base, as ``AutoConfig`` gives it.
        gpus: Processes.
    """
    with torch.device("meta"):
        model = adapted(recipe, AutoModelForImageTextToText.from_config(config))
    width = 2 if recipe.precision == "bf16" else 4
    stages = (_trained(model, stage) + _activations(recipe, stage, config, gpus, width) for stage in recipe.stages)
    return (_frozen(model, recipe, width) + max(stages) + _DRIVER) / GIB


def _frozen(model: nn.Module, recipe: Recipe, width: int) -> float:
    small = 0
    if recipe.quantise == "nf4":
        language = family(model.config).language
        inside = [module for name, module in model.named_modules() if language in name]
        linears = [module.weight for module in inside if isinstance(module, nn.Linear)]
        small = sum(weight.numel() for weight in linears if not weight.requires_grad)
    everything = sum(value.numel() for value in model.parameters() if not value.requires_grad)
    return small * _NF4 + (everything - small) * width


def _trained(model: nn.Module, stage: Stage) -> int:
    names = family(model.config)
    return sum(value.numel() * (16 if part(n, names) in stage.train else 4) for n, value in tuned(model).items())


def _activations(recipe: Recipe, stage: Stage, config: Any, gpus: int, width: int) -> float:
    text = config.get_text_config()
    tokens = recipe.sequence * stage.batch / (stage.accumulate * gpus)
    layer = (_STATES * text.hidden_size + _MLP * text.intermediate_size) * width
    inputs = text.hidden_size * width
    kept = text.num_hidden_layers * inputs + layer if recipe.checkpointing else text.num_hidden_layers * layer
    return tokens * (kept + text.vocab_size * (width + 8) / 2)


if __name__ == "__main__":
    main()
