"""The training itself: stage after stage on one model, with a log, checkpoints and a plot.

A step's loss is the sum over the answers' tokens divided by their number in the whole batch, so that it is the same
however the batch is split over parts and processes. All chance is drawn from the seed, the step and the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.progress import track
from torch import nn
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from ...errors import InvalidOption
from ..training import Run, decay, generator
from . import models, samples
from .layouts import IGNORED, Inputs, Layout
from .recipe import Recipe, Stage

CACHE = "cache"


def train(recipe: Recipe, data: Path, out: Path, *, resume: bool = False) -> nn.Module:
    """Train; the adapter, log, plot and configuration are in ``out``, the model is returned.

    Args:
        recipe: What to train, and how.
        data: Folder of a data set that ``finetune.data`` wrote.
        out: Folder of the run.
        resume: Go on with the run in the folder.

    Raises:
        InvalidOption: The data or the configuration cannot be used.
        WeightsMissing, WeightsRefused: The base model cannot be had.
    """
    accelerator = Accelerator(mixed_precision=recipe.precision)
    with accelerator.main_process_first():  # the others find the run, the cache and the embedded model made
        run = Run(out, recipe, resume=resume or not accelerator.is_main_process)
        layout = Layout(models.processor(recipe, out))
        splits = samples.opened(data, layout, out / CACHE)
    return Training(recipe, splits, run, accelerator).run()


class Training:
    """One training: the model, and where it stands."""

    def __init__(self, recipe: Recipe, splits: dict[str, samples.Samples], run: Run, accelerator: Accelerator) -> None:
        self.recipe, self.log, self.accelerator = recipe, run, accelerator
        self.data, self.held = splits["fit"], splits["calibration"]
        self.left_out = [part.fit(recipe.sequence, recipe.workers) for part in (self.data, self.held)]
        self.steps = [self._length(stage) for stage in recipe.stages]
        torch.manual_seed(recipe.seed)
        base = models.base(recipe, run.out, accelerator.device)
        self.names = models.family(base.config)
        self.model: nn.Module = models.adapted(recipe, base)
        self.tuned = models.tuned(self.model)

    def run(self) -> nn.Module:
        """Train from the last checkpoint, or from the start, to the end."""
        done, state = self._restore()
        first = 0
        for stage, steps in zip(self.recipe.stages, self.steps, strict=True):
            if done < first + steps:
                self._stage(stage, first, done, state if done > first else None)
                done = first + steps
            first += steps
        if self.accelerator.is_main_process:
            # "auto" would ask the hub about the vocabulary, which does not change.
            self.model.save_pretrained(str(self.log.out / models.ADAPTER), save_embedding_layers=False)
            self.log.plot()
        self.accelerator.wait_for_everyone()
        return self.model.eval()

    def _stage(self, stage: Stage, first: int, done: int, state: dict[str, Any] | None) -> None:
        """One stage, whose first step is the one after ``first``."""
        last = first + self._length(stage)
        optimiser = torch.optim.AdamW(self._groups(stage))
        schedule = LambdaLR(optimiser, lambda n: decay(n, last - first, stage.warmup, stage.final_rate))
        if state:
            optimiser.load_state_dict(state["optimiser"])
            schedule.load_state_dict(state["schedule"])
        model = self.accelerator.prepare(self.model)
        parts = iter(samples.loader(self.data, self._parts(stage, done - first, last - first), self.recipe.workers))
        for step in track(range(done + 1, last + 1), stage.name, disable=not self.accelerator.is_main_process):
            values = self._step(model, optimiser, [next(parts) for _ in range(stage.accumulate)], step)
            rate = schedule.get_last_lr()[-1]  # LoRA's, where it is trained: the language model comes last
            self._write(step, stage=stage.name, rate=rate, **values)
            schedule.step()
            if step % self.recipe.validate_every == 0 or step == last:
                self._write(step, loss_validation=self._validate(model, stage))
            if step % self.recipe.save_every == 0 or step == last:
                self._save(step, optimiser, schedule)
        self.model = self.accelerator.unwrap_model(model, keep_fp32_wrapper=False)

    def _step(
        self, model: nn.Module, optimiser: torch.optim.Optimizer, parts: list[Inputs], step: int
    ) -> dict[str, float]:
        """One change of the weights; the answers' mean loss a token, and how many tokens they had."""
        # Dropout needs no memory, and differs between processes.
        place = (step, self.accelerator.process_index)
        torch.manual_seed(int(generator(self.recipe.seed, *place).integers(2**31)))
        model.train()
        tokens = self._sum(sum(int((part["labels"] != IGNORED).sum()) for part in parts))
        total = 0.0
        for number, part in enumerate(parts, 1):
            together = number == len(parts)
            with nullcontext() if together else self.accelerator.no_sync(model):
                loss = self._loss(model, part)
                # Gradients are averaged over processes, and shall be summed.
                self.accelerator.backward(loss * (self.accelerator.num_processes / tokens))
            total += loss.item()
        if self.recipe.clip:
            self.accelerator.clip_grad_norm_(self.tuned.values(), self.recipe.clip)
        optimiser.step()
        optimiser.zero_grad()
        return {"loss": self._sum(total) / tokens, "tokens": int(tokens)}

    def _loss(self, model: nn.Module, part: Inputs) -> torch.Tensor:
        """Summed over the answers' tokens; only their logits are computed."""
        inputs = {name: value.to(self.accelerator.device) for name, value in part.items()}
        following = functional.pad(inputs.pop("labels")[:, 1:], (0, 1), value=IGNORED)
        taught = following != IGNORED
        with self.accelerator.autocast():
            logits = model(**inputs, logits_to_keep=taught, use_cache=False).logits
        return functional.cross_entropy(logits.float(), following[taught], reduction="sum")

    def _validate(self, model: nn.Module, stage: Stage) -> float:
        """Mean loss a token over answers of the calibration split."""
        model.eval()
        places = list(range(min(self.recipe.validate_on, len(self.held))))
        mine = places[self.accelerator.process_index :: self.accelerator.num_processes]
        size = max(1, stage.batch // (stage.accumulate * self.accelerator.num_processes))
        chunks = [mine[start : start + size] for start in range(0, len(mine), size)]
        loss, tokens = 0.0, 0
        with torch.no_grad():
            for part in samples.loader(self.held, chunks, self.recipe.workers):
                tokens += int((part["labels"] != IGNORED).sum())
                loss += self._loss(model, part).item()
        return self._sum(loss) / self._sum(tokens)

    def _length(self, stage: Stage) -> int:
        """Steps of a stage."""
        parts = stage.accumulate * self.accelerator.num_processes
        if stage.batch % parts:
            raise InvalidOption(f"The batch of stage {stage.name!r}, {stage.batch}, does not split into {parts} parts.")
        if len(self.data) < stage.batch:
            raise InvalidOption(f"Stage {stage.name!r} needs {stage.batch} samples, there are {len(self.data)}.")
        return max(1, round(stage.epochs * len(self.data) / stage.batch))

    def _parts(self, stage: Stage, start: int, stop: int) -> Iterator[list[int]]:
        """Places of this process's samples, part by part."""
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        seed = self.recipe.seed + self.recipe.stages.index(stage)
        for places in samples.order(self.data.lengths, stage.batch, seed, start, stop):
            share = places[mine]
            size = len(share) // stage.accumulate
            yield from (share[place : place + size] for place in range(0, len(share), size))

    def _groups(self, stage: Stage) -> list[dict[str, Any]]:
        """Parameters of the stage by learning rate and weight decay; all others are frozen."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, value in self.tuned.items():
            part = models.part(name, self.names)
            value.requires_grad_(part in stage.train)
            if value.requires_grad:
                fade = self.recipe.weight_decay if value.ndim > 1 else 0.0
                groups.setdefault((stage.of(part), fade), []).append(value)
        if not groups:
            raise InvalidOption(f"Stage {stage.name!r} trains nothing: vision needs --set vision_layers=1 or more.")
        return [{"params": values, "lr": rate, "weight_decay": fade} for (rate, fade), values in groups.items()]

    def _sum(self, value: float) -> float:
        """Over all processes."""
        held = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(held, "sum"))

    def _write(self, step: int, **values: float | str) -> None:
        if self.accelerator.is_main_process:
            self.log.log(step, **values)

    def _save(self, step: int, optimiser: torch.optim.Optimizer, schedule: LambdaLR) -> None:
        if self.accelerator.is_main_process:
            state = {"tuned": self.tuned, "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
            self.log.save(step, {**state, "data": self.data.digest()})

    def _restore(self) -> tuple[int, dict[str, Any]]:
        with self.accelerator.main_process_first():
            held = self.log.restore()
        self.accelerator.wait_for_everyone()  # before the log is written to
        if held is None:
            self._write(0, samples=len(self.data), left_out=self.left_out[0], left_out_validation=self.left_out[1])
            return 0, {}
        step, state = held
        if state["data"] != self.data.digest():
            raise InvalidOption("The training data are not those that the run began with.")
        with torch.no_grad():
            for name, value in self.tuned.items():
                value.copy_(state["tuned"][name])
        return step, state
