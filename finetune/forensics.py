"""Train the compact forensic network; ``facewitness.finetune.trace_calibration`` makes the shipped file of it.

Run: ``python -m facewitness.finetune.forensics --data SET --out DIR [--resume] [--set variant=clean]``

``SET`` is a folder that ``facewitness.finetune.forgery_set`` wrote. Real and forged faces go through the same chains of
compression, and each forgery is shown beside the untouched photo it was made from, under the same chain: what differs
is the forgery, not the photo's source or quality. Sides grow during training, since small crops teach faster.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from queue import Queue
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from .calibration_views import TIGHT
from .faces import CLEAN_SOURCES, LIKE
from .forensic_model import FAMILIES, STRIDE, ForensicNetwork
from .forge import chains
from .forgery_set import ForgerySet, load, tight
from .training import Run, generator, parser, resolve

KINDS = {
    "selfblend": 0.3, "inside": 0.25, "swap": 0.2, "region": 0.13, "edit": 0.06, "splice": 0.03, "clone": 0.03,
    "stylegan2": 0.5, "redrawn": 0.4, "ict": 0.1,
}  # fmt: skip
"""How often a kind is drawn within its family; 1 where it is not named."""
UNALTERED = 0.35
"""Share of views without a chain."""
VISIBLE = 3.0
"""Least mean difference from the original, of 255, over what was altered; less teaches nothing."""
WEIGHTS = "forensics.safetensors"
LOSSES = ("loss_family", "loss_map", "loss_pair")
NO_TRACE = r"^redrawn\.resample"


class Config(BaseModel):
    """A run's configuration.

    Attributes:
        variant: ``all`` sources, or those whose terms allow commercial use.
        leave_out: Methods that match this expression are not shown in training; plain resampling never is, since the
            chains do the same to real faces.
        steps, batch: A batch holds as many real faces as forged ones.
        sides: Crop sides in pixels, each for an equal share of the steps; the last is the one that ships.
        shares: Of manipulation, synthesis and morph among the forged faces.
        stop: Steps after which to end, before the learning rate has fallen; 0 for the whole run.
        start: Folder of an ended run whose weights are the first; ImageNet's if empty.
        compile: Have PyTorch compile the network: a third faster on a CPU; needs a C++ compiler.
        paired: Share of the real faces that are the originals of the batch's forgeries.
        map_weight, pair_weight: Of the map's loss and of the order within pairs, beside the families' loss.
    """

    model_config = ConfigDict(extra="forbid")
    variant: Literal["all", "clean"] = "all"
    leave_out: str = NO_TRACE
    seed: int = 0
    steps: int = 1700
    batch: int = 32
    sides: tuple[int, ...] = (128, 160)
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    map_weight: float = 3.0
    pair_weight: float = 1.0
    shares: tuple[float, float, float] = (0.5, 0.38, 0.12)
    paired: float = 0.8
    checkpoint_every: int = 200
    stop: int = 0
    start: str = ""
    compile: bool = False


class Batch(NamedTuple):
    """What one step trains on.

    Attributes:
        crops: (n, 3, side, side) in -1..1.
        classes: (n,) places in ``FAMILIES``.
        masks: (n, side / 8, side / 8) share of each cell that was altered.
        mapped: (n,) 1 where the mask counts.
        pairs: (m,) places of forgeries that are followed by their own original.
    """

    crops: torch.Tensor
    classes: torch.Tensor
    masks: torch.Tensor
    mapped: torch.Tensor
    pairs: torch.Tensor


class Sampler:
    """Draws batches of the ``fit`` split; families by their shares, within them kinds, then sources."""

    def __init__(self, faces: ForgerySet, config: Config) -> None:
        self._faces, self._config = faces, config
        # family -> kind of forgery -> source -> rows
        self._rows: dict[str, dict[str, dict[str, list[int]]]] = {family: {} for family in FAMILIES}
        for row in faces.rows("fit"):
            entry = faces.entries[row]
            if config.variant == "clean" and entry.source not in CLEAN_SOURCES:
                continue
            if config.leave_out and re.search(config.leave_out, entry.method):
                continue
            kinds = self._rows[entry.family].setdefault(entry.method.partition(".")[0], {})
            kinds.setdefault(entry.source, []).append(int(row))

    def batch(self, step: int) -> Batch:
        """The batch of one step: the same in every run with the seed."""
        config, rng = self._config, generator(self._config.seed, step)
        side = config.sides[min(step * len(config.sides) // config.steps, len(config.sides) - 1)]
        forged = [self._draw(str(rng.choice(FAMILIES[1:], p=config.shares)), rng) for _ in range(config.batch // 2)]
        items: list[tuple[int, int]] = []  # row, and the seed of its chain
        pairs: list[int] = []
        for row in forged:
            chain, base = int(rng.integers(2**31)), self._original(row, rng)
            items.append((row, chain))
            paired = base is not None and rng.random() < config.paired
            items.append((base, chain) if paired and base is not None else self._real(rng))
            pairs += [len(items) - 2] if paired else []
        made = [self._view(row, chain, side, rng) for row, chain in items]
        crops, masks = (np.stack(column) for column in zip(*made, strict=True))
        families = [self._faces.entries[row].family for row, _ in items]
        return Batch(
            torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(127.5).sub_(1),
            torch.tensor([FAMILIES.index(family) for family in families]),
            torch.from_numpy(masks),
            torch.tensor([float(family in ("real", "manipulation")) for family in families]),
            torch.tensor(pairs, dtype=torch.long),
        )

    def _original(self, row: int, rng: np.random.Generator) -> int | None:
        """What a forged face is shown beside: the photo it was made from, or one that its generator was taught on."""
        entry = self._faces.entries[row]
        like = self._rows["real"]["real"].get(LIKE.get(entry.source, ""))
        return int(rng.choice(like)) if entry.base is None and like else entry.base

    def _real(self, rng: np.random.Generator) -> tuple[int, int]:
        return self._draw("real", rng), int(rng.integers(2**31))

    def _draw(self, family: str, rng: np.random.Generator) -> int:
        kinds = self._rows[family]
        shares = np.array([KINDS.get(kind, 1.0) for kind in kinds])
        for _ in range(10):
            sources = kinds[str(rng.choice(list(kinds), p=shares / shares.sum()))]
            sizes = np.array([len(rows) for rows in sources.values()]) ** 0.25
            row = int(rng.choice(sources[str(rng.choice(list(sources), p=sizes / sizes.sum()))]))
            if self._visible(row):
                break
        return row

    def _visible(self, row: int) -> bool:
        base = self._faces.entries[row].base
        if base is None:
            return True
        mask = cv2.resize(self._faces.masks[row], self._faces.rgb[row].shape[:2]) > 0
        difference = cv2.absdiff(self._faces.rgb[row], self._faces.rgb[base])
        return bool(mask.any()) and float(difference[mask].mean()) >= VISIBLE

    def _view(self, row: int, chain: int, side: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[Any]]:
        """A crop and its map: in other light, after a chain, shifted, turned, scaled and mirrored."""
        own = np.random.default_rng(chain)
        rgb, mask = np.array(self._faces.rgb[row]), np.array(self._faces.masks[row])
        name = "none" if own.random() < UNALTERED else chains.draw(own)
        if own.random() < TIGHT:
            rgb, mask = tight(rgb, cv2.BORDER_REPLICATE), tight(mask, cv2.BORDER_CONSTANT)
        rgb = chains.run(recolour(shrink(rgb, own), own), name, own)
        rgb, mask = jitter(rgb, mask, side, own, rng)
        return rgb, cv2.resize(mask, (side // STRIDE, side // STRIDE), interpolation=cv2.INTER_AREA) / np.float32(255)


def shrink(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As if the face had been photographed from farther away, three times in ten."""
    if rng.random() < 0.7:
        return rgb
    side = int(rng.integers(72, rgb.shape[0]))
    return cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def recolour(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As if by another light and camera, half of the time, so that the few real photos are not learned by heart."""
    if rng.random() < 0.5:
        return rgb
    gains, gamma = rng.uniform(0.85, 1.15, 3), rng.uniform(0.7, 1.4)
    tables = 255 * (np.arange(256)[:, None] / 255) ** gamma * gains
    lit = cv2.LUT(rgb, tables.clip(0, 255).astype(np.uint8)[:, None])
    grey = cv2.cvtColor(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = rng.uniform(0.4, 1.3)
    return cv2.addWeighted(lit, share, grey, 1 - share, 0).astype(np.uint8, copy=False)


def jitter(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], side: int, own: np.random.Generator, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Crop of ``side`` pixels and its mask under one similarity transform; pairs share all but the mirroring."""
    angle, scale = np.deg2rad(own.uniform(-10, 10)), own.uniform(0.85, 1.35)
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    turn = scale * np.array([[np.cos(angle) * mirror, -np.sin(angle)], [np.sin(angle) * mirror, np.cos(angle)]])
    shift = own.uniform(-0.06, 0.06, 2)
    views = []
    picture: NDArray[Any]
    for picture, size in ((rgb, side), (mask, 48)):
        old = picture.shape[0]
        linear = turn * size / old
        matrix = np.column_stack([linear, size * (0.5 + shift) - linear @ np.full(2, old / 2)])
        if old > 1.5 * size:
            matrix = np.column_stack([turn, size * (0.5 + shift) - turn @ np.full(2, size / 2)])
            picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
        border = cv2.BORDER_REPLICATE if picture.ndim == 3 else cv2.BORDER_CONSTANT
        views.append(cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border))
    return views[0].astype(np.uint8, copy=False), views[1].astype(np.uint8, copy=False)


def train(faces: ForgerySet, config: Config, run: Run) -> ForensicNetwork:
    """Train; returns the running average of the weights."""
    torch.manual_seed(config.seed)
    model = ForensicNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.start:
        model.load_state_dict(load_file(Path(config.start) / WEIGHTS))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimiser = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, config.steps, pct_start=0.1)
    run_model = torch.compile(model) if config.compile else model
    parts = {"model": model, "average": average, "optimiser": optimiser, "schedule": schedule}
    done, state = run.restore() or (0, None)
    if state:
        for name, part in parts.items():
            part.load_state_dict(state[name])
    sums, last = np.zeros(len(LOSSES)), config.stop or config.steps
    model.train()
    for step, batch in _ahead(Sampler(faces, config), done, last):
        losses = _losses(run_model, batch, config)
        optimiser.zero_grad()
        sum(losses).backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        sums += [loss.item() for loss in losses]
        if step % 50 == 0 or step == last:
            run.log(step, **{name: round(total / 50, 4) for name, total in zip(LOSSES, sums, strict=True)})
            sums[:] = 0
        if step % config.checkpoint_every == 0 or step == last:
            run.log(step, **validate(average.module, faces, config))
            run.save(step, {name: part.state_dict() for name, part in parts.items()})
            run.plot()
    result: ForensicNetwork = average.module.eval()
    return result


def _ahead(sampler: Sampler, done: int, steps: int) -> Any:
    """Batches, made in a second thread while the network computes."""
    queue: Queue[tuple[int, Batch]] = Queue(4)

    def fill() -> None:
        for step in range(done, steps):
            queue.put((step + 1, sampler.batch(step)))

    threading.Thread(target=fill, daemon=True).start()
    for _ in range(done, steps):
        yield queue.get()


def _losses(model: nn.Module, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:
    out = model(batch.crops.to(memory_format=torch.channels_last))
    cells = functional.binary_cross_entropy_with_logits(out.heat, batch.masks, reduction="none").mean((1, 2))
    mapped = (cells * batch.mapped).sum() / batch.mapped.sum().clamp(min=1)
    family = functional.cross_entropy(out.logits, batch.classes, label_smoothing=0.02)
    scores = out.logits - out.logits[:, :1]
    forged = scores.gather(1, batch.classes[:, None])[:, 0][batch.pairs]
    original = scores[batch.pairs + 1].gather(1, batch.classes[batch.pairs, None])[:, 0]
    order = functional.softplus(original - forged).sum() / max(1, len(batch.pairs))
    return family, config.map_weight * mapped, config.pair_weight * order


@torch.inference_mode()
def validate(model: ForensicNetwork, faces: ForgerySet, config: Config, each: int = 120) -> dict[str, float]:
    """AUC of each family on a fixed part of the calibration split, under drawn chains: the mean over sources.

    A source's forgeries meet its own photos, so that telling sources apart does not pass for detection.
    """
    rng = np.random.default_rng(0)
    model.eval()
    chosen = {family: rng.permutation(faces.rows("calibration", family))[:each] for family in FAMILIES[1:]}
    chosen["real"] = rng.permutation(faces.rows("calibration", "real"))[: 2 * each]
    scores = {family: _scores(model, faces, rows, config) for family, rows in chosen.items()}
    sources = {family: np.array([faces.entries[row].source for row in rows]) for family, rows in chosen.items()}
    result = {}
    for column, family in enumerate(FAMILIES[1:], 1):
        areas = []
        for source in np.unique(sources[family]):
            both = [sources[name] == of for name, of in (("real", LIKE.get(source, source)), (family, source))]
            if all(part.any() for part in both):
                pooled = np.concatenate([scores[name][part] for name, part in zip(("real", family), both, strict=True)])
                truth = np.repeat([0, 1], [part.sum() for part in both])
                areas.append(roc_auc_score(truth, pooled[:, column] - pooled[:, 0]))
        result[f"auc_{family}"] = round(float(np.mean(areas)), 4) if areas else float("nan")
    model.train()
    return result


def _scores(model: ForensicNetwork, faces: ForgerySet, rows: NDArray[np.intp], config: Config) -> NDArray[np.float64]:
    side, found = config.sides[-1], []
    for start in range(0, len(rows), 32):
        views = []
        for row in rows[start : start + 32]:
            own = np.random.default_rng(int(row))
            rgb = chains.run(np.array(faces.rgb[row]), chains.draw(own), own)
            views.append(cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA))
        crops = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 127.5 - 1
        found.append(model(crops.contiguous(memory_format=torch.channels_last)).logits.double().numpy())
    return np.concatenate(found)


def main() -> None:
    """Train and save."""
    options = parser(__doc__).parse_args()
    config = resolve(Config, None, options.set)
    run = Run(options.out, config, resume=options.resume)
    model = train(load(options.data), config, run)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, options.out / WEIGHTS)


if __name__ == "__main__":
    main()
