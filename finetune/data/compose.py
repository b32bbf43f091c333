"""From evidence to sentences in an order: what the engines share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...agent.verdict import Brief, Claim, Section
from ...tools.evidence import Evidence
from . import phrasing, sight
from .sample import Form, Mode, Sample, decision, numbered, png


class Draft:
    """Evidence with ids, and a brief to check sentences against, while an answer is being written.

    Attributes:
        given: Evidence in the prompt.
        ids: Id by name of what the model is to look at.
        seen: What it sees, by name; without what the truth leaves open.
        brief: All of it, with the truth as the decision.
    """

    def __init__(
        self,
        given: Sequence[Evidence],
        shown: Mapping[str, Evidence | None],
        label: str,
        deciding: Sequence[str],
        rng: np.random.Generator,
        question: str | None = None,
    ) -> None:
        self.given, self.ids, looked = numbered(given, shown, rng)
        self.seen = {item.measure.partition(".")[2]: item for item in looked}
        stated = {item.measure: item for item in self.given}
        self.decides = [(self.seen | stated)[name] for name in deciding]
        evidence = (*self.given, *looked)
        self.brief = Brief(evidence, decision(label, [item.id for item in self.decides]), question)
        self.rng = rng

    def restate(self, items: Sequence[Evidence], section: Section = "observations") -> list[Claim]:
        """One sentence each."""
        return [phrasing.restate(item, section, self.brief, self.rng) for item in items]

    def looked(self) -> list[Claim]:
        """What is seen, regions of one kind at times in one sentence."""
        claims = []
        regions = ("altered", "untouched")
        for value in regions:
            alike = [item for item in self.seen.values() if item.value == value]
            self.rng.shuffle(alike)  # type: ignore[arg-type]
            joint = _joint(alike, self.brief) if len(alike) > 1 and self.rng.random() < 0.6 else None
            claims += [joint] if joint else self.restate(alike)
        others = [item for item in self.seen.values() if item.value not in regions]
        return claims + self.restate(others)

    def told(self, most: int) -> list[Claim]:
        """What tools measured: the detectors' probabilities, and a drawn choice of the rest."""
        measured = [item for item in self.given if item.status == "ok"]
        first = [item for item in measured if item.probability is not None]
        rest = [item for item in measured if item.probability is None]
        room = max(0, min(most - len(first), len(rest)))
        chosen = set(self.rng.choice(len(rest), room, replace=False).tolist()) if room else set()
        return self.restate([*first, *(item for place, item in enumerate(rest) if place in chosen)])

    def missing(self, most: int = 2) -> list[Claim]:
        """What has no value, and why; one item a tool."""
        items = {item.tool: item for item in self.given if item.status != "ok"}
        return self.restate(list(items.values())[:most], "interpretation")

    def observations(self, most: int) -> list[Claim]:
        """What is seen and what was measured, in a drawn order."""
        seen, told = self.looked(), self.told(most)
        order = self.rng.integers(3)
        if order == 0:
            return seen + told
        if order == 1:
            return told + seen
        mixed = seen + told
        return [mixed[place] for place in self.rng.permutation(len(mixed))]

    def sample(self, claims: Sequence[Claim], mode: Mode, form: Form, **fields: object) -> Sample:
        """The finished sample; ``fields`` are those of ``Sample`` that only the engine knows, and ``pictures``, RGB."""
        pictures = fields.pop("pictures")
        what = str(fields.pop("what", "verdict"))
        assert isinstance(pictures, tuple)
        prompt = phrasing.prompt(
            str(fields["question"]), self.given, self.ids, mode, form, self.rng, len(pictures), what
        )
        made = {
            "images": tuple(png(rgb) for rgb in pictures),
            "prompt": prompt,
            "answer": phrasing.answer(claims, form, self.rng),
            "claims": tuple(claims),
            "evidence": self.brief.evidence,
            "given": tuple(item.id for item in self.given),
            "deciding": self.brief.decision.deciding,
        }
        return Sample(mode=mode, form=form, **made, **fields)  # type: ignore[arg-type]


def arranged(
    mode: Mode, opening: Claim, observations: Sequence[Claim], interpretation: Sequence[Claim], closing: Claim
) -> list[Claim]:
    """The sentences in the mode's order; none is said twice."""
    if mode == "answer":
        return [opening]
    ends = (opening, None) if mode == "answer_first" else (None, closing)
    claims = [*([ends[0]] if ends[0] else []), *observations, *interpretation, *([ends[1]] if ends[1] else [])]
    return list({claim.text: claim for claim in reversed(claims)}.values())[::-1]


def together(items: Sequence[Evidence]) -> str:
    """Several regions that show the same, as one sentence."""
    names = [sight.WORDS[item.measure.partition(".")[2]] for item in items]
    text = f"{', '.join(names[:-1])} and {names[-1]} show {'an' if items[0].value == 'altered' else 'no'} alteration."
    return text[0].upper() + text[1:]


def _joint(items: Sequence[Evidence], brief: Brief) -> Claim | None:
    """The same as a claim; None where that fails the check."""
    try:
        return phrasing.say((together(items),), items, "observations", brief)
    except ValueError:
        return None
