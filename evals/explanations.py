"""How often a model's explanation passes the grounding check, and how long it takes.

Run: ``python -m facewitness.evals.explanations --photos DIR [--limit N] [--model SPEC] [--out FILE]``

Every photo below DIR may be drawn; the draw is seeded. Photos without an assessable face are counted apart.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from ..agent.examine import examine_all
from ..errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SEED = 20261123


def draw(folder: Path, limit: int) -> list[Path]:
    """Up to ``limit`` photos below a folder, the same ones for the same folder."""
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(random.Random(SEED).sample(photos, min(limit, len(photos))))  # noqa: S311 - not for security


def outcome(photo: Path, model: str) -> tuple[str, dict[str, float]]:
    """Who wrote the explanation of one photo, after how many attempts, and the record's timings."""
    attempts = 0

    def count(event: dict[str, Any]) -> None:
        nonlocal attempts
        attempts += event["stage"] == "reason" and event["status"] == "done"

    record = examine_all(photo, model=model, all_faces=False, on_progress=count).records[0]
    if not record.verdict.assessable:
        return "not assessable", record.timings_ms
    if record.explanation.written_by == "template":
        return "template", record.timings_ms
    return ("first try" if attempts == 1 else "after one revision"), record.timings_ms


def measure(folder: Path, limit: int, model: str) -> dict[str, Any]:
    """Counts by outcome, and seconds of the reasoning stage, the first photo left out as warm-up."""
    counts: Counter[str] = Counter()
    seconds: list[float] = []
    photos = draw(folder, limit + 1)
    for number, photo in enumerate(photos):
        try:
            result, timings = outcome(photo, model)
        except InputError as error:
            counts[error.code] += 1
            continue
        if number and result != "not assessable":
            seconds.append(timings["reason"] / 1000)
        counts[result] += number > 0
    return {
        "command": "python -m facewitness.evals.explanations",
        "model": model,
        "seed": SEED,
        "outcomes": dict(sorted(counts.items())),
        "seconds": {
            "median": round(statistics.median(seconds), 2),
            "p90": round(sorted(seconds)[int(0.9 * (len(seconds) - 1))], 2),
            "max": round(max(seconds), 2),
        },
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=40)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(options.photos, options.limit, options.model), indent=2)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
