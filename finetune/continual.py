"""Teach the compact forensic network a new forgery without forgetting the old ones.

Run: ``python -m facewitness.finetune.continual --data SET --out DIR --set start=WEIGHTS --set memory=OLD``

``SET`` is a folder in the form of ``forgery_set`` with the new forgery and real faces, ``WEIGHTS`` what ``forensics``
or an earlier run of this recipe saved, ``OLD`` the set that it was trained on, or the ``memory`` folder of that earlier
run. Writes the weights, a ``memory`` folder for the next time, log, plot and configuration. See
docs/design/continual.md for the method, its measured forgetting, and where it differs from SUR-LID's.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import track
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch.nn import functional

from ..errors import InvalidOption
from . import forgery_set
from .continual_features import Material, Split
from .continual_lesson import Lesson, Weights
from .continual_replay import sparse_uniform
from .forensic_model import ForensicNetwork
from .forgery_set import ForgerySet
from .training import Run, command, decay, generator, parser, resolve

WEIGHTS, MEMORY, DOMAINS = "forensics.safetensors", "memory", "domains.json"


class Teaching(BaseModel):
    """How a new forgery is taught.

    Attributes:
        start: Weights to go on from; ImageNet's if empty.
        memory: Folder of the old faces; nothing is replayed if empty.
        known: Which forgeries of that folder the network was taught: an expression that their method begins with.
        methods: Which forgeries of the set are new: an expression that their method begins with.
        sources: Whose real faces are shown with them; all sources if empty. Best those of the forgeries.
        strategy: ``naive`` shows the new faces only, ``replay`` old ones besides, ``isolate`` also keeps them apart.
        choice: Which old faces are kept: ``uniform`` (sparse uniform replay) or ``random``.
        each: New faces of a class at most, and old ones that are looked through for each domain.
        keep: Faces kept of each domain.
        side, first: See ``continual_features.Split``.
        steps, batch, rate: Half of a batch is old, if old faces are shown.
        isolation, distillation, detection, map_kept, pull: Of ``isolate``, see ``continual_lesson.Weights``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: str = ""
    memory: str = ""
    known: str = "."
    methods: str = "."
    sources: tuple[str, ...] = ()
    strategy: Literal["naive", "replay", "isolate"] = "isolate"
    choice: Literal["uniform", "random"] = "uniform"
    each: int = Field(default=600, gt=0)
    keep: int = Field(default=100, gt=1)
    side: int = Field(default=160, multiple_of=32)
    first: int = Field(default=11, ge=11, le=15)
    steps: int = 400
    batch: int = 32
    rate: float = 5e-4
    isolation: float = 1.0
    distillation: float = 1.0
    detection: float = 1.0
    map_kept: float = 1.0
    pull: float = 0.001
    validate_every: int = 100
    save_every: int = 100
    seed: int = 0


def main() -> None:
    """Teach, and write weights and memory."""
    given = parser(__doc__).parse_args()
    command(lambda: run(resolve(Teaching, None, given.set), given.data, given.out, resume=given.resume))


def run(config: Teaching, data: Path, out: Path, *, resume: bool = False) -> None:
    """The whole recipe, from folders to a folder."""
    log = Run(out, config, resume=resume)
    torch.manual_seed(config.seed)
    network = ForensicNetwork(pretrained=not config.start)
    if config.start:
        network.load_state_dict(load_file(config.start))
    split = Split(network, config.first, config.side)
    new_set, old_set = forgery_set.load(data), forgery_set.load(Path(config.memory)) if config.memory else None
    old = None if old_set is None else _memory(split, old_set, Path(config.memory), config)
    new, held = (split.material(new_set, new_rows(new_set, config, part)) for part in ("fit", "calibration"))
    teach(split, new, old, config, log, held)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / WEIGHTS)
    kept = worth_keeping(split, new, _moved(split, new_set, new, config), config).named(f"{config.methods}:")
    _remember(out / MEMORY, [(s, m) for s, m in ((old_set, old), (new_set, kept)) if s is not None and m is not None])
    log.plot()


def new_rows(faces: ForgerySet, config: Teaching, part: str) -> NDArray[np.intp]:
    """Rows of a split that show the new forgery, and of as many real faces at most.

    Raises:
        InvalidOption: There is no such forgery, or no real face.
    """
    forged, real = [], []
    for row in faces.rows(part):
        entry = faces.entries[row]
        if entry.family != "real":
            forged += [row] * bool(re.match(config.methods, entry.method))
        elif not config.sources or entry.source in config.sources:
            real.append(row)
    if not forged or not real:
        raise InvalidOption(f"The split {part} has no real faces, or no forgery that {config.methods!r} matches.")
    rng = np.random.default_rng(config.seed)
    return np.sort(np.concatenate([rng.permutation(rows)[: config.each] for rows in (forged, real)]))


def known_rows(faces: ForgerySet, config: Teaching) -> NDArray[np.intp]:
    """Rows of each family of forgeries that the network knows, and of real faces, to choose from what to keep."""
    rng, by_family = np.random.default_rng(config.seed), defaultdict(list)
    for row in faces.rows("fit"):
        entry = faces.entries[row]
        if entry.family == "real" or re.match(config.known, entry.method):
            by_family[entry.family].append(row)
    return np.sort(np.concatenate([rng.permutation(rows)[: config.each] for rows in by_family.values()]))


def _memory(split: Split, faces: ForgerySet, folder: Path, config: Teaching) -> Material:
    """An earlier run's memory as it is, or what is worth keeping of a whole set."""
    if (folder / DOMAINS).is_file():
        domains = json.loads((folder / DOMAINS).read_text(encoding="utf-8"))
        return replace(split.material(faces, np.arange(len(domains))), domains=tuple(domains))
    material = split.material(faces, known_rows(faces, config))
    return worth_keeping(split, material, _moved(split, faces, material, config), config)


def _moved(split: Split, faces: ForgerySet, material: Material, config: Teaching) -> Material:
    return split.material(faces, material.rows, shuffle=True) if config.choice == "uniform" else material


def worth_keeping(split: Split, material: Material, moved: Material, config: Teaching) -> Material:
    """What to keep of each domain.

    Args:
        split: The network that was taught them.
        material: The faces to choose from.
        moved: The same, their quarters in another order; for the random choice of no account.
        config: How many, and how they are chosen.
    """
    names, chosen = np.array(material.domains), []
    features, others = split.read(material).features, split.read(moved).features
    stability = functional.cosine_similarity(features, others)
    for number, name in enumerate(sorted(set(material.domains))):
        rows = torch.from_numpy(np.flatnonzero(names == name))
        if config.choice == "uniform":
            chosen.append(rows[sparse_uniform(features[rows], stability[rows], config.keep)])
        else:
            chosen.append(rows[generator(config.seed, number).permutation(len(rows))[: config.keep]])
    return material.of(torch.cat(chosen))


def _remember(folder: Path, parts: Sequence[tuple[ForgerySet, Material]]) -> None:
    """Write kept faces of several sets as one set; the untouched photos that they were made from are not kept."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "rgb.npy", np.concatenate([faces.rgb[kept.rows] for faces, kept in parts]))
    np.save(folder / "masks.npy", np.concatenate([faces.masks[kept.rows] for faces, kept in parts]))
    entries = [asdict(replace(faces.entries[row], base=None)) for faces, kept in parts for row in kept.rows]
    (folder / "entries.json").write_text(json.dumps(entries), encoding="utf-8")
    domains = [name for _, kept in parts for name in kept.domains]
    (folder / DOMAINS).write_text(json.dumps(domains), encoding="utf-8")


def teach(
    split: Split, new: Material, old: Material | None, config: Teaching, log: Run, held: Material | None = None
) -> None:
    """Train the learning part of the network, in place.

    Args:
        split: The network.
        new: Real and forged faces of the new task.
        old: Kept faces of earlier tasks.
        config: How.
        log: Where to; a run that was interrupted goes on from its checkpoint.
        held: Faces of the new task that are not trained on: their AUC is logged.
    """
    apart = None
    if config.strategy == "isolate":
        apart = Weights(config.isolation, config.distillation, config.detection, config.map_kept, config.pull)
    shown = None if config.strategy == "naive" else old
    lesson = Lesson(split, new.named("new"), shown, apart, config.batch)
    learning = split.learning()
    optimiser = torch.optim.AdamW(learning.values(), lr=config.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: decay(step, config.steps, 0.05))
    done, state = log.restore() or (0, {})
    if state:
        split.network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
    for step in track(range(done + 1, config.steps + 1), "Teaching"):
        losses = lesson.losses(generator(config.seed, step))
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimiser.step()
        schedule.step()
        lesson.settle()
        log.log(step, **{f"loss_{name}": round(value.item(), 5) for name, value in losses.items()})
        if held is not None and (step % config.validate_every == 0 or step == config.steps):
            log.log(step, auc_new=auc(split, held), **({} if old is None else {"auc_kept": auc(split, old)}))
        if step % config.save_every == 0 or step == config.steps:
            parts = {"network": split.network, "optimiser": optimiser, "schedule": schedule}
            log.save(step, {name: part.state_dict() for name, part in parts.items()})


def auc(split: Split, material: Material) -> float:
    """Of the log odds that a face is forged."""
    return round(float(roc_auc_score(material.classes.numpy() > 0, split.read(material).odds.numpy())), 4)


if __name__ == "__main__":
    main()
