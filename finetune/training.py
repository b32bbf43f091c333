"""What every training recipe shares: its resolved configuration, its log, its checkpoints and its plot.

A run is a folder::

    config.json              the resolved configuration
    log.jsonl                one line for each logged step
    checkpoint.safetensors   everything an interrupted run needs to go on; one file, replaced in one move
    curves.png               losses and validation AUC over the steps

A run that was interrupted and resumed ends with the same weights as one that was not, provided the recipe takes all
chance from torch's generators, which a checkpoint holds, or from ``generator(seed, step)``, which needs no memory.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from safetensors import safe_open
from safetensors.torch import save_file

from ..errors import FacewitnessError, InvalidOption

Config = TypeVar("Config", bound=BaseModel)
CONFIG, LOG, CHECKPOINT, CURVES = "config.json", "log.jsonl", "checkpoint.safetensors", "curves.png"
_TENSOR, _PAIRS = "$tensor", "$pairs"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every recipe takes: ``--data --out --resume --set``."""
    result = argparse.ArgumentParser(description=description.splitlines()[0] if description else None)
    result.add_argument("--data", type=Path, required=True, help="folder with the training data")
    result.add_argument("--out", type=Path, required=True, help="folder of the run: weights, log, plot, configuration")
    result.add_argument("--resume", action="store_true", help="go on from the last checkpoint in --out")
    result.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    return result


def command(work: Callable[[], object]) -> None:
    """Run a recipe; an expected error becomes one line and its exit code."""
    try:
        work()
    except FacewitnessError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def resolve(kind: type[Config], recipe: Path | None = None, changes: Sequence[str] = ()) -> Config:
    """The configuration: defaults, then the recipe's TOML file, then ``key=value`` changes.

    Args:
        kind: A Pydantic model that forbids unknown keys; dots in a key reach into nested ones.
        recipe: TOML file.
        changes: The value is TOML where it parses, else text.

    Raises:
        InvalidOption: Names every key that is unknown or has a value that cannot be used.
    """
    values: dict[str, Any] = tomllib.loads(recipe.read_text(encoding="utf-8")) if recipe else {}
    for change in changes:
        key, separator, text = change.partition("=")
        if not separator:
            raise InvalidOption(f"--set takes KEY=VALUE, not {change!r}.")
        *parents, last = key.strip().split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(text.strip())
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors())
        raise InvalidOption(f"The configuration cannot be used: {faults}.") from None


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def generator(seed: int, *place: int) -> np.random.Generator:
    """Chance of one place in a run (a step, a row), the same whether or not the run was interrupted before it."""
    return np.random.default_rng((seed, *place))


def decay(step: int, total: int, warmup: float = 0.0, final: float = 0.0) -> float:
    """Share of the greatest learning rate: a linear rise, then half a cosine down to ``final``."""
    rise = warmup * total
    if step < rise:
        return (step + 1) / (rise + 1)
    way = min(1.0, (step - rise) / max(1.0, total - rise))
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * way))


class Run:
    """One training run in a folder.

    Args:
        out: Folder, made if need be.
        config: The resolved configuration.
        resume: Go on with the run in the folder, or begin if there is none.

    Raises:
        InvalidOption: The folder holds a run and ``resume`` is false, or its configuration is another.
    """

    def __init__(self, out: Path, config: BaseModel, *, resume: bool = False) -> None:
        self.out = out
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config.model_dump(mode="json"), indent=1) + "\n"
        place = out / CONFIG
        if place.exists():
            if not resume:
                raise InvalidOption(f"{out} holds a run already: add --resume or name another folder.")
            if place.read_text(encoding="utf-8") != text:
                raise InvalidOption(f"The run in {out} has another configuration: see its {CONFIG}.")
        place.write_text(text, encoding="utf-8")

    def log(self, step: int, **values: float | str) -> None:
        """Append one line to the log."""
        with (self.out / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        """The log."""
        place = self.out / LOG
        return [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.exists() else []

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the checkpoint after ``step``.

        Args:
            step: Steps done.
            state: Nested dicts and lists of tensors, numbers, text and None, as ``state_dict()`` gives them. The
                state of torch's generators is added.
        """
        tensors: dict[str, torch.Tensor] = {}
        plan = _flatten({"state": dict(state), "random": _random()}, "", tensors)
        fresh = self.out / f"{CHECKPOINT}.new"
        save_file(tensors, fresh, {"step": str(step), "plan": json.dumps(plan)})
        os.replace(fresh, self.out / CHECKPOINT)

    def restore(self) -> tuple[int, dict[str, Any]] | None:
        """Steps done and the state at the last checkpoint, or None if there is none.

        Torch's generators are set back and log lines of later steps are dropped.
        """
        place = self.out / CHECKPOINT
        if not place.exists():
            (self.out / LOG).unlink(missing_ok=True)
            return None
        with safe_open(place, "pt") as file:
            notes = file.metadata()
            held = _unflatten(json.loads(notes["plan"]), {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
        step = int(notes["step"])
        torch.set_rng_state(held["random"]["cpu"])
        if torch.cuda.is_available() and held["random"]["cuda"]:
            torch.cuda.set_rng_state_all(held["random"]["cuda"])
        kept = [json.dumps(line) + "\n" for line in self.lines() if line["step"] <= step]
        (self.out / LOG).write_text("".join(kept), encoding="utf-8")
        return step, held["state"]

    def plot(self) -> Path:
        """Draw what was logged: keys with "loss" in the name on the left, with "auc" on the right."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.5), layout="constrained")
        lines = self.lines()
        for axes, word, title in zip(figure.subplots(1, 2), ("loss", "auc"), ("Loss", "Validation AUC"), strict=True):
            for key in sorted({key for line in lines for key in line if word in key}):
                points = [(line["step"], line[key]) for line in lines if key in line]
                axes.plot(*zip(*points, strict=True), label=key, marker="." if len(points) < 30 else "")
            axes.set(title=title, xlabel="step")
            if axes.lines:
                axes.legend()
        figure.savefig(self.out / CURVES, dpi=120)
        return self.out / CURVES


def batches(n: int, size: int, seed: int, start: int, stop: int) -> Iterator[tuple[int, np.ndarray[Any, Any]]]:
    """Step numbers and the rows of each batch, every row once an epoch, from any step on.

    Args:
        n: Rows.
        size: Rows of a batch; an epoch leaves out the rest that does not fill one.
        seed: Decides the order.
        start: Steps done already.
        stop: Steps in all.

    Yields:
        Step number, from ``start + 1`` to ``stop``, and (size,) row numbers.
    """
    size = min(size, n)
    each = n // size
    for step in range(start, stop):
        epoch, place = divmod(step, each)
        yield step + 1, generator(seed, epoch).permutation(n)[place * size : (place + 1) * size]


def _random() -> dict[str, Any]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def _flatten(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON with a reference in the place of each tensor; the tensors go into ``tensors``."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {_TENSOR: name}
    if isinstance(value, Mapping):
        return {_PAIRS: [[key, _flatten(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_flatten(item, f"{name}/{number}", tensors) for number, item in enumerate(value)]
    return value


def _unflatten(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unflatten(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if _TENSOR in value:
        return tensors[value[_TENSOR]]
    return {key: _unflatten(item, tensors) for key, item in value[_PAIRS]}
