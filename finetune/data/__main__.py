"""Make a data set: ``python -m facewitness.finetune.data --data PATH --out DIR [--engine NAME …] [--limit N]``.

One Parquet file a split and a card. The same seed, photos and weights give the same files.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2

from ...errors import FacewitnessError, InvalidOption
from ..faces import Split
from . import attributes, card, expression, forgery, reference, store, teacher
from .catalogue import Shot, shots
from .sample import Sample

ENGINES = ("expression", "forgery", "reference", "attributes", "features")
_SPLITS: tuple[Split, ...] = ("fit", "fit", "fit", "calibration", "test")


def plan(limit: int) -> list[Split]:
    """The split of each of so many samples: three in five fit, one calibrates, one tests."""
    return list(islice(cycle(_SPLITS), limit))


def made(engines: Sequence[str], photos: Sequence[Shot], limit: int, seed: int, cues: Path | None) -> Iterator[Sample]:
    """Samples of all engines, one engine after the other.

    Raises:
        InvalidOption: The engine ``features`` without the cues that ``assess`` found.
    """
    if "features" in engines and cues is None:
        raise InvalidOption("The engine features needs --cues, the file that finetune.data.assess writes.")
    splits = plan(limit)
    for engine in engines:
        if engine == "expression":
            yield from expression.samples(photos, splits, seed)
        elif engine == "reference":
            yield from reference.samples(photos, splits, seed)
        elif engine == "attributes":
            yield from attributes.samples(photos, splits, seed)
        else:
            strong = None if cues is None or engine == "forgery" else frozenset(json.loads(cues.read_text())["strong"])
            yield from forgery.samples(photos, splits, seed, strong)


def main() -> None:
    """Make and store."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data")
    parser.add_argument("--data", type=Path, required=True, help="folder of the labelled photos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the data set")
    parser.add_argument("--engine", choices=ENGINES, nargs="+", default=list(ENGINES[:4]))
    parser.add_argument("--limit", type=int, default=2000, help="samples an engine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cues", type=Path, help="what finetune.data.assess found, for the engine features")
    parser.add_argument("--teacher", help="URL#name of an OpenAI-compatible server that rewords sentences")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        samples = made(options.engine, shots(options.data), options.limit, options.seed, options.cues)
        if options.teacher:
            samples = teacher.reworded(samples, options.teacher)
        kept = store.write(options.out, samples)
    except FacewitnessError as error:
        sys.exit(f"{error.code}: {error}")
    card.write(options.out, kept, options.seed, options.teacher)
    print(f"{len(kept)} samples")


if __name__ == "__main__":
    main()
