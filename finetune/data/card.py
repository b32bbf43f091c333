"""The data set's card, written beside it: what it holds, where it is from, under which terms, how it was split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from .catalogue import FOLDERS, SPLITS, TERMS
from .sample import Sample

_HEAD = """---
configs:
- config_name: default
  data_files:
{files}
---

# Instruction data for faces

Made by `python -m facewitness.finetune.data` of facewitness {version}, seed {seed}{teacher}. It shows real people: keep
it on the machine that made it, and within the terms below.

"""
_TAIL = """
Nobody is in two splits; the splits are those of `facewitness.finetune.faces`. What is *given* stands in the prompt; the
other evidence the model has to see for itself, and its truth is from masks and labels, not from a detector. Every
sentence passed the grounding check of facewitness when it was made.

Conditions: *twin*, the readings are those of another picture (in `forgery`, of the same photo with the other truth);
*withheld* and *absent*, there are none, with or without a reason; *contradicting*, the readings speak against the
truth; *unreadable*, too blurred for any answer. They are drawn whatever the label.
"""


def write(folder: Path, samples: Sequence[Sample], seed: int, teacher: str | None = None) -> None:
    """Write ``README.md``."""
    files = "\n".join(f"  - split: {split}\n    path: {split}.parquet" for split in SPLITS)
    reworded = f", sentences reworded by {teacher}" if teacher else ""
    text = _HEAD.format(files=files, version=version("facewitness"), seed=seed, teacher=reworded)
    text += _sources(samples) + _counts(samples) + _conditions(samples) + _TAIL
    (folder / "README.md").write_text(text, encoding="utf-8")


def _sources(samples: Sequence[Sample]) -> str:
    rows = [
        f"| {source} | {FOLDERS[source]} | {count} | {TERMS[source]} |"  # type: ignore[index]
        for source, count in sorted(Counter(sample.source for sample in samples).items())
    ]
    return "\n".join(["| source | folder | samples | terms |", "|---|---|---|---|", *rows]) + "\n\n"


def _counts(samples: Sequence[Sample]) -> str:
    lines = [f"| engine | label | {' | '.join(SPLITS)} |", "|---|---|" + "---|" * len(SPLITS)]
    found = Counter((sample.engine, sample.label, sample.split) for sample in samples)
    for engine, label in sorted({(engine, label) for engine, label, _ in found}):
        lines.append(f"| {engine} | {label} | {' | '.join(str(found[engine, label, s]) for s in SPLITS)} |")
    people = {split: {name for s in samples if s.split == split for name in s.people} for split in SPLITS}
    lines.append(f"| people | | {' | '.join(str(len(people[split])) for split in SPLITS)} |")
    return "\n".join(lines) + "\n\n"


def _conditions(samples: Sequence[Sample]) -> str:
    found = Counter((sample.engine, name) for sample in samples for name in sample.conditions)
    total = Counter(sample.engine for sample in samples)
    rows = [f"| {e} | {name} | {n} | {100 * n / total[e]:.0f} % |" for (e, name), n in sorted(found.items())]
    return "\n".join(["| engine | condition | samples | share |", "|---|---|---|---|", *rows]) + "\n"
