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
from collections.abc import Iterator, Mapping
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
from ..finetune.forgery_set import ForgerySet, load
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
_REAL = {"stylegan2": "ffhq"}  # whose real faces a generator's faces are measured against

ARMS: Mapping[str, Mapping[str, str]] = {
    "naive": {"strategy": "naive"},
    "replay, random": {"strategy": "replay", "choice": "random"},
    "replay, sparse uniform": {"strategy": "replay", "choice": "uniform"},
    "replay and isolation": {"strategy": "isolate", "choice": "uniform"},
}

Odds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything the trunk has to see, once for all arms.

    Attributes:
        known: What the network was trained on, to choose from, and the same with quarters moved.
        taught: The new forgeries by name, likewise.
        tested: Faces of the test split.
    """

    faces: ForgerySet
    start: Path
    known: tuple[Material, Material]
    taught: dict[str, tuple[Material, Material]]
    tested: Material


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--known", required=True, help="which methods the start was trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test", type=int, default=200, help="test faces of a kind and of a real source, at most")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    given = parser.parse_args()
    config = resolve(Teaching, None, [f"known='{given.known}'", *given.set])
    bench = prepare(load(given.data), given.start, config, given.test)
    started = time.perf_counter()
    odds = {arm: [list(stages(bench, arm, config, seed)) for seed in range(given.seeds)] for arm in ARMS}
    result = {
        "arms": {arm: summary(bench, found) for arm, found in odds.items()},
        "config": config.model_dump(mode="json", exclude={"start", "memory", "seed", "strategy", "choice"}),
        "seeds": given.seeds,
        "faces": {"known": len(bench.known[0].rows), "tested": len(bench.tested.rows)}
        | {name: len(new.rows) for name, (new, _) in bench.taught.items()},
        "seconds": round(time.perf_counter() - started),
    }
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def prepare(faces: ForgerySet, start: Path, config: Teaching, each: int) -> Bench:
    """Run the trunk over all faces that any arm needs."""
    split = _network(start, config)

    def both(rows: NDArray[np.intp]) -> tuple[Material, Material]:
        return split.material(faces, rows), split.material(faces, rows, shuffle=True)

    taught = {}
    for name, (methods, sources) in TAUGHT.items():
        lesson = config.model_copy(update={"methods": methods, "sources": sources})
        taught[name] = both(new_rows(faces, lesson, "fit"))
    tested = split.material(faces, _test_rows(faces, each))
    return Bench(faces, start, both(known_rows(faces, config)), taught, tested)


def _network(start: Path, config: Teaching) -> Split:
    network = ForensicNetwork(pretrained=False)
    network.load_state_dict(load_file(start))
    return Split(network, config.first, config.side)


def _test_rows(faces: ForgerySet, each: int) -> NDArray[np.intp]:
    """At most so many of each kind of forgery, and of each source's real faces."""
    rng = np.random.default_rng(0)
    groups: dict[str, list[int]] = {}
    for row in faces.rows("test"):
        entry = faces.entries[row]
        kind = next((name for name, methods in TESTED.items() if re.match(methods, entry.method)), "")
        if kind or entry.family == "real":
            groups.setdefault(kind or entry.source, []).append(int(row))
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
        {kind: auc(bench, kind, [seed[stage] for seed in found]).rounded() for kind in TESTED}
        for stage in range(len(found[0]))
    ]


def auc(bench: Bench, kind: str, odds: list[Odds]) -> metrics.Figure:
    """Mean AUC of several networks for one kind of forgery against real faces of its sources."""
    entries = [bench.faces.entries[row] for row in bench.tested.rows]
    forged = np.array([e.family != "real" and bool(re.match(TESTED[kind], e.method)) for e in entries])
    sources = {_REAL.get(e.source, e.source) for e, chosen in zip(entries, forged, strict=True) if chosen}
    chosen = forged | np.array([e.family == "real" and e.source in sources for e in entries])
    people = [e.person for e, shown in zip(entries, chosen, strict=True) if shown]
    weight = metrics.resamples(people)
    return metrics.figure(np.mean([metrics.auc(forged[chosen], one[chosen], weight) for one in odds], axis=0))


if __name__ == "__main__":
    main()
