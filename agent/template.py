"""The explanation in fixed wording: what is shown without a language model, or when its text is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..tools.evidence import Evidence
from . import relevance
from .reasons import below_usual
from .traces import DETECTORS
from .verdict import Brief, Claim, Section

MOST_OBSERVATIONS = 12
MOST_ANSWERS = 3
AGAINST = "morph.against_references"


def write(brief: Brief) -> tuple[Claim, ...]:
    """Summary, observations, interpretation and conclusion, every sentence citing what it rests on."""
    return (*_summary(brief), *_observations(brief), *_interpretation(brief), *_conclusion(brief))


def telling(brief: Brief, most: int = MOST_OBSERVATIONS) -> tuple[Evidence, ...]:
    """The measured evidence worth telling: what decided, then what bears on the question, then one of each tool."""
    measured = {item.id: item for item in brief.evidence if item.status == "ok"}
    chosen = [measured[id_] for id_ in brief.decision.deciding if id_ in measured]
    chosen += [item for item in relevance.relevant(brief) if item.status == "ok"]
    told = {item.tool for item in chosen}
    # The detectors of traces first: whether they noticed anything is what a reader looks for.
    for item in sorted(measured.values(), key=lambda item: item.measure not in DETECTORS):
        if item.tool not in told:
            chosen.append(item)
            told.add(item.tool)
    return tuple({item.id: item for item in chosen}.values())[:most]


def beside(item: Evidence, brief: Brief) -> list[Evidence]:
    """What is to be told next to an item, since either alone misleads.

    With the comparison of the whole face the parts that lie below what is usual; with a morph seen, or not seen, in
    this photo alone what the comparison with the references says of it.
    """
    if item.measure == "morph.face":
        return [other for other in brief.evidence if other.measure == AGAINST and other.status == "ok"]
    if item.measure == "reference_comparison.face" and item.id in brief.decision.deciding:
        return list(below_usual(brief.evidence))
    return []


def missing(brief: Brief) -> tuple[Evidence, ...]:
    """Evidence without a value, one item for each tool."""
    return tuple({item.tool: item for item in reversed(brief.evidence) if item.status != "ok"}.values())[::-1]


def verdict_ids(brief: Brief) -> tuple[str, ...]:
    """What a sentence on the verdict cites: what decided, at most three; without that, the first of the evidence."""
    return brief.decision.deciding[:3] or tuple(item.id for item in telling(brief, 1))


def _claim(text: str, items: Sequence[Evidence], section: Section) -> Claim:
    return Claim(text, tuple(item.id for item in items), section)


def _verdict(brief: Brief) -> str:
    decision = brief.decision
    if decision.abstained:
        return "The verdict is inconclusive."
    return f"The verdict is {decision.label}, with a probability of {percent(decision.probabilities[decision.label])}."


def percent(probability: float) -> str:
    """As printed in a sentence; never a certainty that was not computed."""
    for decimals in range(6):
        printed = f"{100 * probability:.{decimals}f}"
        if float(printed) == 100 * probability or (
            float(printed) not in (0, 100) and abs(float(printed) - 100 * probability) <= 5 * probability
        ):
            return f"{printed} %"
    return f"{100 * probability:.6f} %"


def _summary(brief: Brief) -> list[Claim]:
    claims = [Claim(_verdict(brief), verdict_ids(brief), "summary")]
    if brief.decision.abstained:
        return claims + [_reason(text, brief, "summary") for text in reasons(brief)[:1]]
    return claims + [_claim(item.finding, [item], "summary") for item in telling(brief, 1)]


def _observations(brief: Brief) -> list[Claim]:
    told = [one for item in telling(brief) for one in (item, *beside(item, brief))]
    return [_claim(item.finding, [item], "observations") for item in {item.id: item for item in told}.values()]


def _interpretation(brief: Brief) -> list[Claim]:
    claims = _answer(brief)
    if not brief.decision.abstained:
        claims += [_reason(text, brief, "interpretation") for text in reasons(brief)]
    told = {id_ for claim in claims for id_ in claim.evidence}
    claims += _once([(absence(item), item) for item in missing(brief) if item.id not in told])
    if not claims and brief.decision.deciding and not brief.decision.abstained:
        claims.append(Claim("The verdict rests most on this.", brief.decision.deciding[:3], "interpretation"))
    return claims


def reasons(brief: Brief) -> list[str]:
    """The decision's reasons, one sentence each."""
    return [text for reason in brief.decision.reasons for text in re.split(r"(?<=[.!?])\s+(?=[A-Z])", reason.text)]


def _reason(text: str, brief: Brief, section: Section) -> Claim:
    return Claim(text, verdict_ids(brief), section)


def absence(item: Evidence) -> str:
    """Says that there is no value, and why."""
    if re.search(r"\b(?:not|cannot) (?:be )?(?:measured|compared|assessed)", item.finding, re.IGNORECASE):
        return item.finding
    return f"A measurement is not available: {lower(item.finding)}"


def lower(sentence: str) -> str:
    """The sentence as it stands after a colon; an abbreviation keeps its capitals."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]


def _answer(brief: Brief) -> list[Claim]:
    if relevance.clean(brief.question) is None or not brief.evidence:
        return []
    bearing = relevance.relevant(brief)
    if not bearing:
        return [Claim(relevance.NOTHING_RELEVANT, tuple(item.id for item in brief.evidence), "interpretation")]
    claims = _once([(item.finding if item.status == "ok" else absence(item), item) for item in bearing])
    first = replace(claims[0], text=f"On the question asked: {lower(claims[0].text)}")
    return [first, *claims[1:MOST_ANSWERS]]


def _once(said: Sequence[tuple[str, Evidence]]) -> list[Claim]:
    """A sentence for each text, which cites all that it was said of: several tools may lack the same."""
    citing: dict[str, list[Evidence]] = {}
    for text, item in said:
        citing.setdefault(text, []).append(item)
    return [_claim(text, items, "interpretation") for text, items in citing.items()]


def _conclusion(brief: Brief) -> list[Claim]:
    ids = verdict_ids(brief)
    if brief.decision.abstained:
        return [
            Claim("No verdict can be given.", ids, "conclusion"),
            *(_reason(text, brief, "conclusion") for text in reasons(brief)),
        ]
    return [Claim(f"In conclusion, {lower(_verdict(brief))}", ids, "conclusion")]
