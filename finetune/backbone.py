"""Tune a CLIP, SigLIP or DINO backbone to tell forged faces, or morphs, from real ones.

Run: ``python -m facewitness.finetune.backbone --recipe layernorm-clip-l14 --data PATH --out DIR``

``--data`` is a folder with ``labels.csv`` (see ``backbone_data``), ``--recipe`` a name in ``finetune/recipes`` or a
TOML file. Writes the adapter in PEFT's layout, the head, log, plot and configuration; see docs/design/recipes.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from pydantic import Field
from rich.progress import track
from sklearn.metrics import roc_auc_score
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from ..errors import InvalidOption
from .backbone_data import Crops, loader, ordered_keys, pictures, training_keys
from .backbone_model import Detector, Network, Output, alignment, build, save, slerp, uniformity
from .training import Run, command, decay, parser, resolve

RECIPES = Path(__file__).parent / "recipes"


class Recipe(Network):
    """A whole recipe.

    Attributes:
        forged: Families that count as forged; pictures of other families are left out.
        sources: Which sources' pictures are taken, all if empty. Real and forged should share theirs.
        align: Find and align the face in each picture; else they are crops already.
        epochs: Passes over the data.
        batch: Pictures a step.
        accumulate: Parts a batch is split into, to save memory; the metric terms see one part at a time.
        rate: Greatest learning rate, of the adapter.
        head_rate: Of the head; as ``rate`` if None.
        final_rate: Share of the rate that the cosine ends at.
        warmup: Share of the steps in which the rate rises.
        weight_decay: Of matrices, not of biases and norms.
        clip: Greatest norm of the gradient; 0 for no limit.
        alignment, uniformity: Weights of the two metric terms.
        slerp: Move features along the sphere within their class before the losses.
        precision: ``no`` is float32.
        augment: Mirror, and pass pictures through the forge's chains.
        workers: Processes that read pictures.
        validate_every, save_every: Steps.
    """

    forged: tuple[str, ...]
    sources: tuple[str, ...] = ()
    align: bool = True
    epochs: float = Field(default=10, gt=0)
    batch: int = Field(default=128, gt=1)
    accumulate: int = Field(default=1, gt=0)
    rate: float = Field(gt=0)
    head_rate: float | None = None
    final_rate: float = 0.0
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip: float = 0.0
    alignment: float = 0.0
    uniformity: float = 0.0
    slerp: bool = False
    precision: Literal["no", "bf16"] = "no"
    augment: bool = True
    workers: int = 0
    validate_every: int = 200
    save_every: int = 200
    seed: int = 0


def main() -> None:
    """Train, and write the adapter."""
    options = parser(__doc__)
    options.add_argument("--recipe", required=True, help=f"one of {', '.join(names())}, or a TOML file")
    given = options.parse_args()
    command(lambda: train(configure(given.recipe, given.set), given.data, given.out, resume=given.resume))


def names() -> list[str]:
    """Recipes that ship."""
    return sorted(path.stem for path in RECIPES.glob("*.toml") if not path.stem.startswith("vlm-"))


def configure(recipe: str, changes: list[str]) -> Recipe:
    """The resolved configuration.

    Raises:
        InvalidOption: There is no such recipe, or a value cannot be used.
    """
    place = RECIPES / f"{recipe}.toml" if recipe in names() else Path(recipe)
    if not place.is_file():
        raise InvalidOption(f"There is no recipe {recipe!r}; known: {', '.join(names())}, or a TOML file.")
    return resolve(Recipe, place, changes)


def train(recipe: Recipe, data: Path, out: Path, *, resume: bool = False) -> Detector:
    """Tune the backbone; the result is in ``out`` and returned.

    Raises:
        InvalidOption: The data or the configuration cannot be used.
        WeightsMissing, WeightsRefused: The backbone cannot be had.
    """
    found = pictures(data, recipe.forged, recipe.sources)
    fit = Crops(found["fit"], recipe.size, recipe.align, recipe.seed if recipe.augment else None)
    held = Crops(found["calibration"], recipe.size, recipe.align, None)
    torch.manual_seed(recipe.seed)
    return Training(recipe, fit, held, Run(out, recipe, resume=resume)).run()


class Training:
    """One training: the detector, its optimiser, and where it stands."""

    def __init__(self, recipe: Recipe, fit: Crops, held: Crops, run: Run) -> None:
        self.recipe, self.fit, self.held, self.log = recipe, fit, held, run
        self.accelerator = Accelerator(mixed_precision=recipe.precision)
        self.detector = build(recipe).to(self.accelerator.device)
        self.optimiser = torch.optim.AdamW(self._groups(), lr=recipe.rate)
        self.total = max(1, round(recipe.epochs * 2 * max(self._counts()) / recipe.batch))
        self.schedule = LambdaLR(self.optimiser, lambda step: decay(step, self.total, recipe.warmup, recipe.final_rate))

    def run(self) -> Detector:
        """Train from the last checkpoint, or from the start, to the end."""
        start = self._restore()
        keys = training_keys(self.fit, self.recipe.batch, self.recipe.seed, start, self.total)
        steps = enumerate(loader(self.fit, keys, self.recipe.workers), start + 1)
        for step, (crops, labels) in track(steps, "Training", total=self.total - start):
            self.log.log(step, **self._step(crops, labels))
            if step % self.recipe.validate_every == 0 or step == self.total:
                self.log.log(step, **self._validate())
            if step % self.recipe.save_every == 0 or step == self.total:
                self.log.save(step, self._state())
        save(self.detector, self.log.out)
        self.log.plot()
        return self.detector.eval()

    def _step(self, crops: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        self.detector.train()
        values: dict[str, float] = {"rate": self.schedule.get_last_lr()[0]}
        for part, truth in self._parts(crops, labels):
            with self.accelerator.autocast():
                output = self.detector(part)
            losses = self._losses(output, truth)
            total = torch.stack(list(losses.values())).sum() * (len(part) / len(crops))
            self.accelerator.backward(total)
            for name, value in losses.items():
                values[name] = values.get(name, 0.0) + value.item() * len(part) / len(crops)
        if self.recipe.clip:
            self.accelerator.clip_grad_norm_(self.detector.tuned().values(), self.recipe.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.schedule.step()
        return values

    def _parts(self, crops: torch.Tensor, labels: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        size = -(-len(crops) // self.recipe.accumulate)
        device = self.accelerator.device
        for part, truth in zip(crops.split(size), labels.split(size), strict=True):
            yield part.to(device), truth.to(device)

    def _losses(self, output: Output, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        recipe, features, logits = self.recipe, output.features, output.logits
        if recipe.slerp:
            features = slerp(features, labels)
            logits = self.detector.head(features)[:, 0]
        losses = {"loss_class": functional.binary_cross_entropy_with_logits(logits, labels)}
        if recipe.alignment:
            losses["loss_alignment"] = recipe.alignment * alignment(features, labels)
        if recipe.uniformity:
            losses["loss_uniformity"] = recipe.uniformity * uniformity(features)
        return losses

    def _validate(self) -> dict[str, float]:
        self.detector.eval()
        logits, labels = [], []
        with torch.inference_mode():
            for crops, truth in loader(self.held, ordered_keys(self.held, self.recipe.batch), self.recipe.workers):
                logits.append(self.detector(crops.to(self.accelerator.device)).logits.float().cpu())
                labels.append(truth)
        score, truth = torch.cat(logits), torch.cat(labels)
        loss = functional.binary_cross_entropy_with_logits(score, truth)
        return {"loss_validation": loss.item(), "auc_validation": float(roc_auc_score(truth.numpy(), score.numpy()))}

    def _counts(self) -> tuple[int, int]:
        forged = sum(picture.forged for picture in self.fit.pictures)
        return forged, len(self.fit) - forged

    def _groups(self) -> list[dict[str, object]]:
        """Parameters by learning rate and weight decay."""
        recipe = self.recipe
        groups: dict[tuple[float, float], list[Any]] = {}
        for name, value in self.detector.tuned().items():
            rate = recipe.head_rate or recipe.rate if name.startswith("head.") else recipe.rate
            fade = recipe.weight_decay if value.ndim > 1 else 0.0
            groups.setdefault((rate, fade), []).append(value)
        return [{"params": values, "lr": rate, "weight_decay": fade} for (rate, fade), values in groups.items()]

    def _state(self) -> dict[str, object]:
        return {
            "tuned": {name: value.detach() for name, value in self.detector.tuned().items()},
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "pictures": list(self._counts()),
        }

    def _restore(self) -> int:
        held = self.log.restore()
        if held is None:
            return 0
        step, state = held
        if state["pictures"] != list(self._counts()):
            raise InvalidOption("The training data are not those that the run began with.")
        with torch.no_grad():
            for name, value in self.detector.tuned().items():
                value.copy_(state["tuned"][name])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        return step


if __name__ == "__main__":
    main()
