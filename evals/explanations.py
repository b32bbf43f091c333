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
from ..agent.record import Record
from ..errors import InputError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SEED = 20261123


def draw(folder: Path, limit: int) -> list[Path]:
    """Up to ``limit`` photos below a folder, the same ones for the same folder."""
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(random.Random(SEED).sample(photos, min(limit, len(photos))))  # noqa: S311 - not for security


def outcome(record: Record) -> str:
    """What became of the explanation of one photo."""
    if not record.verdict.assessable:
        return "not assessable"
    counts = record.explanation.grounding
    if counts is None or record.explanation.written_by == "template":
        return "template"
    if counts.refused == 0:
        return "as written"
    return "sentences dropped" if counts.dropped else "sentences written anew"


def measure(folder: Path, limit: int, model: str) -> dict[str, Any]:
    """Photos by outcome, sentences by what the check did, and seconds of the reasoning stage.

    The first photo is a warm-up and left out.
    """
    counts: Counter[str] = Counter()
    sentences: Counter[str] = Counter()
    seconds: list[float] = []
    for number, photo in enumerate(draw(folder, limit + 1)):
        try:
            record = examine_all(photo, model=model, all_faces=False).records[0]
        except InputError as error:
            counts[error.code] += 1
            continue
        if number == 0:
            continue
        counts[outcome(record)] += 1
        if record.verdict.assessable:
            seconds.append(record.timings_ms["reason"] / 1000)
        if record.explanation.grounding is not None:
            sentences.update(record.explanation.grounding.model_dump(exclude={"from_template"}))
    return {
        "command": "python -m facewitness.evals.explanations",
        "model": model,
        "seed": SEED,
        "outcomes": dict(sorted(counts.items())),
        "sentences": dict(sentences),
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
