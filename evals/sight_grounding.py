"""Are the written sentences true? Checked against what the labels and masks say is seen, not against a measurement."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..agent import grounding
from ..agent.sight import Look
from ..agent.verdict import Brief, Claim
from ..finetune.data.sample import Sample
from ..finetune.data.short import short
from . import metrics
from .sight_asked import LONGEST, Asked
from .sight_figures import LEAST, Figures, shown
from .sight_flip import LONGEST as WITH_EVIDENCE
from .sight_samples import Sets, can_be_seen, faces, look, of, told, with_evidence
from .sight_sentences import sentences

ENGINES = ("forgery", "reference", "expression", "attributes")
SUPPORTED, CONTRADICTED = "supported", "contradicted"
_KINDS = {
    "not said by the evidence cited": CONTRADICTED,
    "cites evidence that does not exist": "about what the truth leaves open",
}
"""By the beginning of what the check says."""
_ELSE = "cited wrongly"


def grounded(asked: Asked, sets: Sets, limit: int, told_limit: int) -> Figures:
    """Sentences by what the check says of them, before and after those that fail are dropped."""
    result: Figures = {}
    for engine in ENGINES:
        samples = can_be_seen(of(sets.test, engine))[:limit]
        if samples:
            result[engine] = _checked(asked, samples, look, _seen, LONGEST)
    for engine in ENGINES[:2]:
        samples = with_evidence(sets.test, engine, told_limit)
        if len(samples) >= LEAST:
            result[f"{engine}, with evidence"] = _checked(asked, samples, told, Sample.brief, WITH_EVIDENCE)
    return result


def kind(claim: Claim, brief: Brief) -> str:
    """Supported, or why not."""
    fault = grounding.why_unsupported(claim, brief)
    if fault is None:
        return SUPPORTED
    return next((name for words, name in _KINDS.items() if fault.startswith(words)), _ELSE)


def _seen(sample: Sample) -> Brief:
    made = short(sample)
    assert made is not None
    return made.brief()


def _checked(
    asked: Asked,
    samples: Sequence[Sample],
    ask: Callable[[Sample], Look],
    truth: Callable[[Sample], Brief],
    longest: int,
) -> Figures:
    kinds, who, left = [], [], []
    again = 0
    for sample in samples:
        brief, claims = truth(sample), sentences(asked.write(ask(sample), faces(sample), longest))
        found = [kind(claim, brief) for claim in claims]
        kept = [claim for claim, name in zip(claims, found, strict=True) if name == SUPPORTED]
        kinds += found
        who += [sample.people[0]] * len(found)
        left.append(len(kept))
        again += sum(kind(claim, brief) != SUPPORTED for claim in kept)
    weight, names = metrics.resamples(who), np.array(kinds)
    return {
        "answers": len(samples),
        "sentences": len(kinds),
        "before": {
            str(name): {
                "sentences": int((names == name).sum()),
                "share": shown(metrics.mean((names == name).astype(float), weight)),
            }
            for name in (SUPPORTED, *_KINDS.values(), _ELSE)
        },
        "after": {"sentences": sum(left), "not supported": again, "answers without a sentence": left.count(0)},
    }
