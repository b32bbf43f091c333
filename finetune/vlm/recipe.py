"""What a recipe says: which model, what of it is trained in which stage, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...errors import InvalidOption
from ..training import resolve

RECIPES = Path(__file__).parents[1] / "recipes"
PREFIX = "vlm-"
EMBEDDED = "embedded"
"""In place of a hub id: the model that ``embedded.build`` puts together."""

Part = Literal["projector", "language", "vision"]


class Model(BaseModel):
    """A base model, and what of it can be trained.

    Attributes:
        model: Hub id, a folder in the hub's layout, or ``embedded``.
        revision: Commit of the hub repository, 40 hex digits; needed for a hub id.
        licence: Of the base's weights, for the record.
        tower: Of the embedded model: folder of a trained ``SiglipVisionModel``; a random one if empty.
        projector: Of the embedded model: folder in which ``words`` taught a projector; a random one if empty.
        start: Of the embedded model: folder of the files that ship, whose tower, projector and LoRA are trained on.
        quantise: ``nf4`` keeps the language model's linear layers in 4 bits with double quantisation (QLoRA).
        precision: Of the computation and of frozen weights; ``no`` is float32. What is trained is float32.
        attention: Implementation in transformers.
        checkpointing: Compute activations twice to save memory.
        sequence: Longest sample in tokens, pictures included; longer ones are left out.
        rank, alpha, dropout: LoRA's.
        targets: Linear layers of the language model that LoRA updates.
        vision_layers: The last layers of the vision tower that can be trained, in full.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    revision: str = ""
    licence: str = ""
    tower: str = ""
    projector: str = ""
    start: str = ""
    quantise: Literal["no", "nf4"] = "no"
    precision: Literal["no", "bf16"] = "no"
    attention: Literal["sdpa", "eager"] = "sdpa"
    checkpointing: bool = False
    sequence: int = Field(default=1024, gt=0)
    rank: int = Field(default=16, gt=0)
    alpha: float = 32
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    vision_layers: int = Field(default=0, ge=0)


class Stage(BaseModel):
    """One stage of the training; an optimiser of its own.

    Attributes:
        name: In the log.
        train: Parts that change; the projector and the vision layers as they are, the language model by LoRA.
        epochs: Passes over the data.
        batch: Samples a step, over all processes.
        accumulate: Parts that a process splits its share of a batch into, to save memory.
        rate: Greatest learning rate, of LoRA.
        projector_rate, vision_rate: Of these parts; as ``rate`` if None.
        warmup: Share of the steps in which the rate rises.
        final_rate: Share of the rate that the cosine ends at.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    train: tuple[Part, ...] = Field(min_length=1)
    epochs: float = Field(default=1, gt=0)
    batch: int = Field(default=32, gt=0)
    accumulate: int = Field(default=1, gt=0)
    rate: float = Field(gt=0)
    projector_rate: float | None = None
    vision_rate: float | None = None
    warmup: float = Field(default=0.03, ge=0, lt=1)
    final_rate: float = 0.0

    def of(self, part: Part) -> float:
        """Greatest learning rate of a part."""
        rates = {"projector": self.projector_rate, "vision": self.vision_rate, "language": None}
        return rates[part] or self.rate


class Recipe(Model):
    """A whole recipe.

    Attributes:
        stages: One after the other, on the same model.
        memory: Estimated GPU memory in GiB, by ``memory.estimate``; 0 where it is meant for the CPU.
        weight_decay: Of matrices.
        clip: Greatest norm of the gradient; 0 for no limit.
        workers: Processes that read samples.
        validate_every, save_every: Steps.
        validate_on: Samples of the calibration split that the validation takes.
    """

    stages: tuple[Stage, ...] = Field(min_length=1)
    memory: float = 0
    weight_decay: float = 0.0
    clip: float = 1.0
    workers: int = 0
    validate_every: int = 200
    validate_on: int = 256
    save_every: int = 200
    seed: int = 0


def names() -> list[str]:
    """Recipes that ship."""
    return sorted(path.stem.removeprefix(PREFIX) for path in RECIPES.glob(f"{PREFIX}*.toml"))


def configure(recipe: str, changes: list[str]) -> Recipe:
    """The resolved configuration.

    Args:
        recipe: A name, or a TOML file.
        changes: ``key=value``; ``stages`` is changed as a whole.

    Raises:
        InvalidOption: There is no such recipe, or a value cannot be used.
    """
    place = RECIPES / f"{PREFIX}{recipe}.toml" if recipe in names() else Path(recipe)
    if not place.is_file():
        raise InvalidOption(f"There is no recipe {recipe!r}; known: {', '.join(names())}, or a TOML file.")
    return resolve(Recipe, place, changes)
