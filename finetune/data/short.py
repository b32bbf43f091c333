"""Samples in the short form that a small model is taught: what it sees itself, in the fixed words of ``agent.sight``.

Run: ``python -m facewitness.finetune.data.short --sets DIR … --out DIR [--whole 0.1]``

A CPU trains some two hundred tokens a second, so the prompt loses the tools' evidence and the drawn wordings, and the
answer all but the verdict and what carries it. A share of the samples is kept as it was, readings included, for the
model to learn to weigh them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...agent import sight as asked
from ...agent.sight import Look
from ...agent.verdict import INCONCLUSIVE, REFERENCE_LABELS, Brief, Claim, Section
from ...errors import FacewitnessError
from ...tools.evidence import Evidence
from . import card, phrasing, store
from .catalogue import SPLITS
from .compose import together
from .sample import Sample, decision

LOOKS: Mapping[str, Look] = {
    "forgery": asked.FORGERY,
    "reference": asked.REFERENCE,
    "expression": asked.EXPRESSION,
}
"""By engine."""
_DECIDING = 3
_LONGEST = 1100
"""Characters of prompt and answer up to which a sample is kept whole."""


def main() -> None:
    """Shorten and store."""
    parser = argparse.ArgumentParser(prog="python -m facewitness.finetune.data.short")
    parser.add_argument("--sets", type=Path, nargs="+", required=True, help="folders that finetune.data wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for the data set")
    parser.add_argument("--whole", type=float, default=0.1, help="share of samples that keep the tools' evidence")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        make(given.sets, given.out, given.whole, given.seed)
    except FacewitnessError as error:
        sys.exit(f"{error.code}: {error}")


def make(sets: Sequence[Path], out: Path, whole: float, seed: int) -> None:
    """Write the short set and its card.

    Raises:
        InvalidOption: A folder holds no set.
    """
    rng = np.random.default_rng(seed)
    kept = store.write(out, _samples(sets, whole, rng))
    card.write(out, kept, seed)
    print(f"{len(kept)} samples")


def _samples(sets: Sequence[Path], whole: float, rng: np.random.Generator) -> Iterator[Sample]:
    for folder in sets:
        for split in SPLITS:
            for sample in store.read(folder / f"{split}.parquet"):
                made = short(sample)
                if made is not None:
                    yield made
                if rng.random() < whole and _fits(sample):
                    yield sample


def _fits(sample: Sample) -> bool:
    """Whether a sample may stay whole: short, and without several people in one picture."""
    several = sample.engine == "attributes" and len(sample.people) > 1
    return not several and len(sample.prompt) + len(sample.answer) < _LONGEST


def short(sample: Sample) -> Sample | None:
    """The sample in the short form; None where nothing that carries its answer is seen in the picture."""
    look = LOOKS.get(sample.engine) or _attribute(sample)
    if look is None:
        return None
    seen = _renumbered(sample, look)
    deciding = [item for item in seen if _carries(sample.label, item)][:_DECIDING]
    if not deciding:
        return None
    brief = Brief(seen, decision(sample.label, [item.id for item in deciding]), look.question)
    claims = _claims(sample.label, seen, deciding, brief) if look.judges else _findings(look, seen, brief)
    answer = " ".join(f"{claim.text.removesuffix('.')} [{', '.join(claim.evidence)}]." for claim in claims)
    return replace(
        sample,
        question=look.question,
        prompt=look.prompt,
        answer=answer,
        mode="answer_first",
        form="plain",
        claims=tuple(claims),
        evidence=seen,
        given=(),
        deciding=tuple(item.id for item in deciding),
        conditions=tuple(name for name in sample.conditions if name == "unreadable"),
    )


def _attribute(sample: Sample) -> Look | None:
    """The question of an attribute sample that shows one person and can be answered."""
    names = [item.measure.partition(".")[2] for item in sample.evidence if item.id not in sample.given]
    if sample.engine != "attributes" or len(sample.people) > 1 or not names:
        return None
    return Look(sample.question, tuple(names), "The person is", ())


def _renumbered(sample: Sample, look: Look) -> tuple[Evidence, ...]:
    """What is seen, with the ids that the question gives."""
    held = {item.measure.partition(".")[2]: item for item in sample.evidence if item.id not in sample.given}
    return tuple(replace(held[name], id=f"e{number}") for number, name in enumerate(look.seen, 1) if name in held)


def _carries(label: str, item: Evidence) -> bool:
    if label == INCONCLUSIVE:
        return item.status != "ok"
    carried: Mapping[str, object] = {
        "authentic": "untouched",
        "manipulated": "altered",
        "synthetic": True,
        **dict(zip(REFERENCE_LABELS, ("alike", "altered", "differs"), strict=True)),
    }
    return item.value == carried.get(label, item.value)


def _claims(label: str, seen: Sequence[Evidence], deciding: Sequence[Evidence], brief: Brief) -> list[Claim]:
    """The verdict, then regions by what they show, then what else carries the verdict."""
    claims = [_say(f"The verdict is {label}.", deciding, "summary", brief)]
    for value in ("altered", "untouched"):
        alike = [item for item in seen if item.value == value]
        if label not in REFERENCE_LABELS and alike:
            text = together(alike) if len(alike) > 1 else alike[0].finding
            claims.append(_say(text, alike, "observations", brief))
    others = [
        item for item in deciding if item.value != "untouched" and (label in REFERENCE_LABELS or item.value is True)
    ]
    if label == INCONCLUSIVE:
        others = list(deciding[:1])
    return claims + [_say(item.finding, [item], "observations", brief) for item in others]


def _findings(look: Look, seen: Sequence[Evidence], brief: Brief) -> list[Claim]:
    """What is seen, the answer first."""
    order = sorted(seen, key=lambda item: look.seen.index(item.measure.partition(".")[2]))
    return [_say(item.finding, [item], "observations", brief) for item in order]


def _say(text: str, items: Sequence[Evidence], section: Section, brief: Brief) -> Claim:
    return phrasing.say((text,), items, section, brief)


if __name__ == "__main__":
    main()
