"""Forgery detectors on people that no training saw, cheap baselines beside them.

Run: ``python -m facewitness.finetune.forgery_set --data PATH --out SET``, then
``python -m facewitness.evals.forgery_baselines --set SET``, then
``python -m facewitness.evals.forgery --set SET --out evals/results/forgery.json``.

A network that was trained without some methods: ``--weights FILE.onnx --name without-swaps --left-out '^swap' --out
FILE.json``; it is tested on those alone. The shipped network's run takes such files with ``--variants`` into its
report, and measures calibration where half of the forgeries are of methods that the scoring network had never seen.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..finetune.forgery_set import ForgerySet, load
from . import forgery_baselines, forgery_maps, forgery_report, forgery_tables
from .forgery_conditions import CONDITIONS, degrade
from .forgery_detectors import Detector, Reading, from_file, same_in_any_order, shipped
from .forgery_material import ANY, FAMILIES, LIMIT, SIDES, TASKS, Material, select
from .forgery_mixture import half_unseen, keep, kept
from .forgery_tables import Array, Scored

CONDITION_LIMIT = 6

_console = Console(stderr=True)


def main() -> None:
    """Measure, print, write."""
    options = _parser().parse_args()
    weights = options.weights
    detector = from_file(weights, options.name or weights.stem) if weights else shipped()
    pictures = load(options.set)
    material, baselines = _tested(options, pictures)
    named = {"name": detector.name, "sha256": detector.sha256, "left out": options.left_out or None}
    result: dict[str, Any] = {"detector": named}
    found, scored = matched(detector, material, baselines, options.left_out, options.sides)
    result |= found
    keep(options.set, detector.name, scored)
    if not weights:
        result |= further(detector, pictures, options.limit)
    result["variants"] = [_variant(path) for path in options.variants]
    unseen = [kept(options.set, pictures, variant["detector"]["name"]) for variant in result["variants"]]
    if unseen:
        result["half unseen"] = half_unseen(scored, unseen)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(forgery_report.markdown(result))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--set", type=Path, required=True, help="folder made by finetune.forgery_set")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--limit", type=int, default=LIMIT, help="pictures of a source and method; reals twenty times")
    parser.add_argument("--sides", type=int, nargs="*", default=SIDES, choices=SIDES, help="pixels of a crop")
    parser.add_argument("--weights", type=Path, help="ONNX file of a training run instead of the shipped one")
    parser.add_argument("--name", help="what to call that network")
    parser.add_argument("--left-out", default="", help="expression of the methods that it was trained without")
    parser.add_argument("--variants", type=Path, nargs="*", default=[], help="result files of such networks")
    return parser


def _tested(options: argparse.Namespace, pictures: ForgerySet) -> tuple[Material, dict[str, Array]]:
    """Pictures of the test split and the baselines' scores; of a network without some methods, only those and reals."""
    material = select(pictures, "test", options.limit)
    baselines = forgery_baselines.read(options.set, material, options.left_out)
    if not options.left_out:
        return material, baselines
    used = material.real | material.matching(options.left_out)
    return material.of(used), {name: scores[used] for name, scores in baselines.items()}


def _variant(path: Path) -> dict[str, Any]:
    """Of another network's results, what it makes of the methods that it was trained without."""
    result = json.loads(path.read_text(encoding="utf-8"))
    unseen = {task: rows.get("left out of training", {}) for task, rows in result["matched"][str(SIDES[0])].items()}
    return {"detector": result["detector"], "left out of training": unseen}


def matched(
    detector: Detector,
    material: Material,
    baselines: Mapping[str, Array],
    left_out: str = "",
    sides: Sequence[int] = SIDES,
) -> tuple[dict[str, Any], Scored]:
    """The tables under matched size and compression, by task and real against real; and the first side's scores."""
    result: dict[str, Any] = {"pictures": material.counts(), "matched": {}, "real against real": {}}
    for side in sides:
        reading = _timed(detector, f"matched, {side} px", material.matched(side))
        scored = _scored(reading, material, _beside(baselines, side))
        result["matched"][str(side)] = forgery_tables.by_task(scored, left_out)
        result["real against real"][str(side)] = forgery_tables.real_against_real(scored)
        if side == sides[0]:
            first = scored
            result["two photos of one person"] = forgery_tables.of_one_person(scored)
            result |= _at_operating_point(reading, scored)
            result |= _maps(material, reading)
    return result, first


def _scored(reading: Reading, material: Material, baselines: dict[str, dict[str, Array]] | None = None) -> Scored:
    scores = reading.probabilities or reading.raw
    return Scored(material, scores, reading.raw, reading.probabilities is not None, baselines or {})


def _beside(baselines: Mapping[str, Array], side: int) -> dict[str, dict[str, Array]]:
    """Scores by baseline and task; for any forgery the greatest of the families' probabilities."""
    found = {}
    for name in sorted({key.split("/")[0] for key in baselines if f"/{side}/" in key}):
        of = {family: baselines[f"{name}/{side}/{family}"] for family in FAMILIES}
        found[name] = of | {ANY: np.max(list(of.values()), axis=0)}
    return found


def _at_operating_point(reading: Reading, scored: Scored) -> dict[str, Any]:
    if reading.called is None or reading.believed is None:
        return {}
    return {
        "real called forged": forgery_tables.false_alarms(scored, reading.called),
        "real not believed": forgery_tables.false_alarms(scored, ~reading.believed),
        "forged called forged": forgery_tables.found_at(scored, reading.called),
        "forged not believed": forgery_tables.found_at(scored, ~reading.believed),
        "coverage": forgery_tables.coverage(scored),
    }


def _maps(material: Material, reading: Reading) -> dict[str, Any]:
    fitted_on = select(material.pictures, "fit", LIMIT)
    place = forgery_maps.usual(fitted_on.of(fitted_on.words("family") == "manipulation"))
    return {
        "map": forgery_maps.evaluate(material, reading.heat, place),
        "parts": forgery_maps.parts(material, reading.heat),
    }


def further(detector: Detector, pictures: ForgerySet, limit: int) -> dict[str, Any]:
    """What photos go through on their way, and whether order or batch size change a score."""
    material = select(pictures, "test", min(limit, CONDITION_LIMIT))
    full, table = material.full(), {}
    for condition in CONDITIONS:
        reading = _timed(detector, condition, degrade(full, condition))
        scored = _scored(reading, material)
        table[condition] = {task: forgery_tables.row(scored, task, material.forged(task)) for task in TASKS}
        if reading.called is not None:
            table[condition]["real called forged"] = forgery_tables.false_alarms(scored, reading.called)
    return {"conditions": table, "order": same_in_any_order(detector, material.matched(SIDES[0]))}


def _timed(detector: Detector, title: str, crops: Any) -> Reading:
    started = time.monotonic()
    reading = detector.read(crops)
    seconds = time.monotonic() - started
    _console.print(f"{title}: {len(crops)} crops, {len(crops) / seconds:.0f} a second")
    return reading


if __name__ == "__main__":
    main()
