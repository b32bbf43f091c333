"""Training crops made once with all that teaches them, so that many passes cost neither tools nor compression.

A step's batch stays together: forgeries are beside their own originals. The crops show faces, so the folder stays on
the machine that made it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from ..training import generator
from .network import Shape, pixels
from .sampler import Batch, Sampler
from .teachers import DENSE, Traces

_CROPS, _PAIRS, _SCALE = "crops", "pairs", "scale.npz"
_NO_PAIR = -1
_held: dict[str, Any] = {}
"""What a worker draws from."""


@dataclass(frozen=True, slots=True)
class Views:
    """Batches on disk.

    Attributes:
        arrays: By name, (batches, n, …) memory-mapped: crops uint8 RGB, and each target, half precision.
        scale: (2, 112) mean and spread of the dense target's channels.
        grid: Patches along a side.
    """

    arrays: dict[str, NDArray[Any]]
    scale: NDArray[np.float32]
    grid: int

    def __len__(self) -> int:
        return len(self.arrays[_CROPS])

    def batch(self, step: int, seed: int, kept: int = 0) -> Batch:
        """The batch of one step, every one once an epoch in a drawn order; ``kept`` patches of each crop, 0 for all."""
        epoch, place = divmod(step, len(self))
        row = int(generator(seed, 1, epoch).permutation(len(self))[place])
        held = {name: np.array(values[row]) for name, values in self.arrays.items()}
        crops, pairs = held.pop(_CROPS), held.pop(_PAIRS)
        targets = {name: torch.from_numpy(values.astype(np.float32)) for name, values in held.items()}
        targets["dense"] = (targets["dense"] - torch.from_numpy(self.scale[0])) / torch.from_numpy(self.scale[1])
        forged = pairs[pairs != _NO_PAIR].astype(np.int64)
        rng = generator(seed, 2, step)
        patches = np.stack([rng.permutation(self.grid**2) for _ in crops])
        patches[forged + 1] = patches[forged]  # a forgery and its original show the same
        shown = torch.from_numpy(patches[:, :kept]) if kept else None
        return Batch(pixels(crops), targets, shown, torch.from_numpy(forged))


def views(sampler: Sampler, shape: Shape, count: int, size: int, folder: Path, workers: int) -> Views:
    """Open the views in a folder, or make them: some 40 ms of one core a crop.

    Args:
        sampler: Draws each batch.
        shape: Of the tower.
        count: Batches.
        size: Crops in each.
        folder: Complete or absent, never half-written; 3 MB a batch of 32.
        workers: Processes that make them.
    """
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        try:
            _make(sampler, shape, count, size, work, workers)
            os.replace(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    names = json.loads((folder / "arrays.json").read_text())
    with np.load(folder / _SCALE) as stored:
        scale = stored["dense"]
    return Views({name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}, scale, shape.grid)


def _make(sampler: Sampler, shape: Shape, count: int, size: int, folder: Path, workers: int) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    # Forked workers share the set's memory; sent to them, it would be copied for every task.
    with ProcessPoolExecutor(workers, get_context("fork"), _begin, (sampler, size, shape.grid)) as pool:
        drawn = pool.map(_drawn, range(count), chunksize=4)
        for step, batch in enumerate(track(drawn, "views", count)):
            for name, values in batch.items():
                if step == 0:
                    arrays[name] = np.lib.format.open_memmap(
                        folder / f"{name}.npy", "w+", values.dtype, (count, *values.shape)
                    )
                arrays[name][step] = values
    dense = np.array(arrays["dense"][:: max(1, count // 64)], np.float32).reshape(-1, DENSE)
    np.savez(folder / _SCALE, dense=np.stack([dense.mean(0), dense.std(0).clip(1e-3)]))
    (folder / "arrays.json").write_text(json.dumps(sorted(arrays)))


def _begin(sampler: Sampler, size: int, grid: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    _held.update(sampler=sampler, size=size, grid=grid)


def _drawn(step: int) -> dict[str, NDArray[Any]]:
    """One batch as it is stored."""
    size, grid = _held["size"], _held["grid"]
    batch = _held["sampler"].batch(step, size)
    crops = ((batch.crops.permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
    traces = Traces.shared()
    found = [traces.read(crop, grid) for crop in crops]
    pairs = np.full(size, _NO_PAIR, np.int16)
    pairs[: len(batch.pairs)] = batch.pairs.numpy()
    return {
        **{name: values.numpy().astype(np.float16) for name, values in batch.targets.items()},
        "dense": np.stack([dense for dense, _ in found]).astype(np.float16),
        "traces": np.stack([logits for _, logits in found]).astype(np.float16),
        _CROPS: crops,
        _PAIRS: pairs,
    }
