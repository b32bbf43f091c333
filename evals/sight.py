"""The embedded model that looks, on people left out of its training: what it sees, says, and adds to the tools.

Run: ``python -m facewitness.evals.sight --samples DIR … --cache DIR --out evals/results/sight.json [--limit N]``

The sets are those that ``finetune.data`` wrote; of each engine the first so many samples of the test split are taken.
Answers are kept by the weights' sha256, so that a second run asks nothing anew but the timings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..agent import fusion, sight_weights
from ..agent.sight import Line
from ..agent.sight_model import EmbeddedSight
from ..tools import weights
from .sight_asked import Asked, Kept
from .sight_blind import blind
from .sight_expression import attributes, expression
from .sight_flip import flip
from .sight_forgery import forgery
from .sight_grounding import grounded
from .sight_reference import reference
from .sight_regions import regions
from .sight_report import markdown
from .sight_samples import Sets, load
from .sight_scores import Counted
from .sight_speed import speed

LIMIT = 400
"""Samples of each engine that are asked about."""
WRITTEN, TOLD = 0.4, 0.1
"""Shares of the limit of which whole answers are written: about the picture alone, and with the tools' evidence."""


def main() -> None:
    """Measure, write, print as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=Path, nargs="+", required=True, help="folders that finetune.data wrote")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the answers")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--limit", type=int, default=LIMIT, help="samples of each engine")
    parser.add_argument(
        "--model", type=Path, help="folder of sight.safetensors and sight.json, else what is registered"
    )
    options = parser.parse_args()
    model = EmbeddedSight(options.model)
    file = options.model / sight_weights.WEIGHTS if options.model else weights.path(sight_weights.REGISTERED[0])
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    asked = Asked(model, Kept(options.cache / f"{sha256[:16]}.jsonl"))
    sets = load(options.samples, options.limit)
    about = {"sha256": sha256, "recipe": model.settings.recipe, "limit": options.limit}
    tools = Kept(options.cache / "tools.jsonl")
    counted = _counted(sha256, model.settings.calibration)
    result = {"model": about, **measured(asked, sets, tools, options.limit, counted)}
    result["speed"] = speed(model, sets)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(markdown(result))


def _counted(sha256: str, calibration: Mapping[str, Any]) -> Counted | None:
    """How the verdict counts these weights; None where it does not know them."""
    held = fusion.calibration().look
    if held is None or held.sha256 != sha256 or "forged" not in calibration:
        return None
    return Counted(Line(**calibration["forged"]), held)


def measured(asked: Asked, sets: Sets, tools: Kept, limit: int, counted: Counted | None = None) -> dict[str, Any]:
    """All figures but those of time; sections whose engine has no samples are left out.

    Args:
        asked: The model.
        sets: What it is asked about.
        tools: What the tools measured on the same pictures.
        limit: As for ``load``.
        counted: How the verdict counts the model, if it does.
    """
    some, few = round(limit * WRITTEN), round(limit * TOLD)
    sections: Mapping[str, tuple[str, Callable[[], dict[str, Any]]]] = {
        "forgery": ("forgery", lambda: forgery(asked, sets, tools, counted)),
        "reference": ("reference", lambda: reference(asked, sets, tools)),
        "regions": ("forgery", lambda: regions(asked, sets, some)),
        "expression": ("expression", lambda: expression(asked, sets, some)),
        "attributes": ("attributes", lambda: attributes(asked, sets, some)),
        "blind": ("forgery", lambda: blind(asked, sets, some)),
        "flip": ("forgery", lambda: flip(asked, sets, some, few)),
        "grounding": ("forgery", lambda: grounded(asked, sets, some, few)),
    }
    engines = {sample.engine for sample in sets.test}
    result: dict[str, Any] = {"people": len({name for sample in sets.test for name in sample.people})}
    for name, (engine, measure) in sections.items():
        if engine in engines:
            start = time.perf_counter()
            result[name] = measure()
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return result | {"different questions": dict(asked.questions)}


if __name__ == "__main__":
    main()
