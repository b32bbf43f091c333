"""What teaching new forgeries one after another costs the old ones: naive, with replay, with replay and isolation.

Run: ``python -m facewitness.evals.continual --data SET --start WEIGHTS --known EXPRESSION --out FILE``

``SET`` as ``finetune.forgery_set`` wrote it, ``WEIGHTS`` a network that was trained without StyleGAN2 and without
swaps; these it is taught, in this order. AUC on people that no step has seen, against real faces of the same sources.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from ..finetune.continual import Teaching, known_rows, new_rows, teach, worth_keeping
from ..finetune.continual_features import Material, Split, joined
from ..finetune.forensic_model import ForensicNetwork
from ..finetune.forgery_set import Entry, ForgerySet, load
from ..finetune.training import Run, resolve
from . import metrics

TAUGHT = {"StyleGAN2": ("stylegan2", ("ffhq",)), "swaps": ("swap", ("frll",))}
"""In this order: the forgeries' methods, and whose real faces are shown with them."""

TESTED = {
    "self-blends": "selfblend|inside",
    "regions, edits, patches": "region|edit|splice|clone",
    "redrawn": "redrawn(?!.resample)",
    "morphs": "morph",
    "StyleGAN2": "stylegan2",
    "swaps": "swap",
}
"""Of these kinds, but for the two that are taught, only methods that the start was trained on are tested."""
KNOWN = "all that it knew"
_REAL = {"stylegan2": "ffhq"}  # whose real faces a generator's faces are measured against

ARMS: Mapping[str, Mapping[str, str]] = {
    "naive": {"strategy": "naive"},
    "replay and isolation": {"strategy": "isolate", "choice": "uniform"},
    "replay, sparse uniform": {"strategy": "replay", "choice": "uniform"},
    "replay, random": {"strategy": "replay", "choice": "random"},
}

Odds = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything the trunk has to see, once for all arms.

    Attributes:
        known: What the network was trained on, to choose from, and the same with quarters moved.
        taught: The new forgeries by name, likewise.
        tested: Faces of the test split.
        shown: Which of those are forgeries of a kind, (tested,) by kind.
    """

    faces: ForgerySet
    start: Path
    known: tuple[Material, Material]
    taught: dict[str, tuple[Material, Material]]
    tested: Material
    shown: dict[str, Bools]


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--known", required=True, help="which methods the start was trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lessons", nargs="+", default=list(TAUGHT), choices=TAUGHT, help="which are taught, in order")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--test", type=int, default=200, help="test faces of a kind and of a real source, at most")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    config = resolve(Teaching, None, [f"known='{given.known}'", *given.set])
    bench = prepare(load(given.data), given.start, config, given.test, given.lessons)
    started = time.process_time()
    result: dict[str, Any] = {"arms": {}, "changes": {}} | {
        "config": config.model_dump(mode="json", exclude={"start", "memory", "seed", "strategy", "choice"}),
        "seeds": given.seeds,
        "faces": {"known": len(bench.known[0].rows), "tested": len(bench.tested.rows)}
        | {name: len(new.rows) for name, (new, _) in bench.taught.items()},
        "tested": {kind: int(shown.sum()) for kind, shown in bench.shown.items()},
    }
    for arm in given.arms:  # each is written when it is done
        found = [list(stages(bench, arm, config, seed)) for seed in range(given.seeds)]
        result["arms"][arm], result["changes"][arm] = summary(bench, found), changes(bench, found)
        result["cpu seconds"] = round(time.process_time() - started)
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def prepare(faces: ForgerySet, start: Path, config: Teaching, each: int, lessons: Sequence[str]) -> Bench:
    """Run the trunk over all faces that any arm needs.

    Args:
        faces: The set.
        start: Weights that do not know what is taught.
        config: How it is taught.
        each: Test faces of a kind and of a real source, at most.
        lessons: Names in ``TAUGHT``.
    """
    split = _network(start, config)

    def both(rows: NDArray[np.intp]) -> tuple[Material, Material]:
        return split.material(faces, rows), split.material(faces, rows, shuffle=True)

    taught = {}
    for name in lessons:
        methods, sources = TAUGHT[name]
        lesson = config.model_copy(update={"methods": methods, "sources": sources})
        taught[name] = both(new_rows(faces, lesson, "fit"))
    rows = _test_rows(faces, config.known, each)
    tested = [kind for kind in TESTED if kind in lessons or kind not in TAUGHT]
    shown = {kind: np.array([kind in kinds(faces.entries[row], config.known) for row in rows]) for kind in tested}
    shown[KNOWN] = np.any([shown[kind] for kind in tested if kind not in TAUGHT], axis=0)
    return Bench(faces, start, both(known_rows(faces, config)), taught, split.material(faces, rows), shown)


def _network(start: Path, config: Teaching) -> Split:
    network = ForensicNetwork(pretrained=False)
    network.load_state_dict(load_file(start))
    return Split(network, config.first, config.side)


def kinds(entry: Entry, known: str) -> list[str]:
    """The kinds of forgery that a face is tested as: none for a real one, or for a method that was never taught."""
    return [
        kind
        for kind, methods in TESTED.items()
        if entry.family != "real" and re.match(methods, entry.method)
        if kind in TAUGHT or re.match(known, entry.method)
    ]


def _test_rows(faces: ForgerySet, known: str, each: int) -> NDArray[np.intp]:
    """At most so many of each kind of forgery, and of each source's real faces."""
    rng = np.random.default_rng(0)
    groups: dict[str, list[int]] = {}
    for row in faces.rows("test"):
        entry = faces.entries[row]
        for group in [entry.source] if entry.family == "real" else kinds(entry, known):
            groups.setdefault(group, []).append(int(row))
    return np.sort(np.concatenate([rng.permutation(rows)[:each] for rows in groups.values()]))


def stages(bench: Bench, arm: str, config: Teaching, seed: int) -> Iterator[Odds]:
    """(tested,) log odds of being forged before the first teaching and after each."""
    config = config.model_copy(update={"seed": seed, **ARMS[arm]})
    split = _network(bench.start, config)
    torch.manual_seed(seed)
    yield split.read(bench.tested).odds.double().numpy()
    kept = worth_keeping(split, *bench.known, config)
    for name, (new, moved) in bench.taught.items():
        with tempfile.TemporaryDirectory() as folder:
            teach(split, new, kept, config, Run(Path(folder), config))
        yield split.read(bench.tested).odds.double().numpy()
        kept = joined([kept, worth_keeping(split, new, moved, config).named(f"{name}:")])


def summary(bench: Bench, found: list[list[Odds]]) -> list[dict[str, Any]]:
    """After each stage, AUC by kind of forgery: the mean over seeds, its interval over people."""
    return [
        {kind: metrics.figure(auc(bench, kind, found, stage)).rounded() for kind in bench.shown}
        for stage in range(len(found[0]))
    ]


def changes(bench: Bench, found: list[list[Odds]]) -> dict[str, dict[str, Any]]:
    """AUC gained by a kind's own lesson, and AUC changed from when it was known to the end; paired over people."""
    last, lessons = len(found[0]) - 1, {kind: stage for stage, kind in enumerate(bench.taught, 1)}

    def between(kind: str, before: int, after: int) -> dict[str, Any]:
        return metrics.figure(auc(bench, kind, found, after) - auc(bench, kind, found, before)).rounded()

    return {
        "learned": {kind: between(kind, stage - 1, stage) for kind, stage in lessons.items()},
        "kept": {kind: between(kind, lessons.get(kind, 0), last) for kind in bench.shown if lessons.get(kind) != last},
    }


def auc(bench: Bench, kind: str, found: list[list[Odds]], stage: int) -> Odds:
    """Mean AUC of several networks for one kind of forgery against real faces of its sources, in each resample."""
    entries, forged = [bench.faces.entries[row] for row in bench.tested.rows], bench.shown[kind]
    sources = {_REAL.get(e.source, e.source) for e, chosen in zip(entries, forged, strict=True) if chosen}
    chosen = forged | np.array([e.family == "real" and e.source in sources for e in entries])
    weight = metrics.resamples([e.person for e, shown in zip(entries, chosen, strict=True) if shown])
    aucs = [metrics.auc(forged[chosen], seed[stage][chosen], weight) for seed in found]
    return np.asarray(np.mean(aucs, axis=0))


if __name__ == "__main__":
    main()
