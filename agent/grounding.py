"""Does the cited evidence support the sentence? Decided by rules; nothing here is a model.

A sentence is cut into clauses. Every clause must be said by one source: one cited finding, or the decision. Said
means: no word of content, number, label or opposite that the source lacks; the same negations; numbers and
opposites in the source's order, beside the same words. It refuses good paraphrases rather than accept bad ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from . import matching, relevance, sources
from .sources import Source
from .verdict import Brief, Claim
from .wording import Segment, normalise, quotes, segments, unquoted

MAX_SENTENCE = 600  # characters

_ABSENCE = re.compile(
    r"\b(?:could not be|was not|were not|is not|not been|cannot be|can't be|wasn't|weren't) "
    r"(?:measured|assessed|examined|computed|estimated|available)"
    r"|\bnot (?:measurable|available|measured)|\bunavailable|\bno (?:measurement|value|result)"
)


def check(claims: Iterable[Claim], brief: Brief) -> tuple[Claim, ...]:
    """The claims with ``supported`` set by the evidence they cite."""
    return tuple(replace(claim, supported=why_unsupported(claim, brief) is None) for claim in claims)


def why_unsupported(claim: Claim, brief: Brief) -> str | None:
    """Why the cited evidence does not support the sentence; None if it does."""
    if fault := _form_fault(claim, brief):
        return fault
    known = {item.id: item for item in brief.evidence}
    cited = [known[id_] for id_ in claim.evidence]
    if claim.text == relevance.NOTHING_RELEVANT:
        return _nothing_relevant_fault(claim, brief)
    text = normalise(re.sub(r"\s*\[e\d+(?:,\s*e\d+)*\]", "", claim.text))
    if any(not any(normalise(said) in map(normalise, quotes(item.finding)) for item in cited) for said in quotes(text)):
        return "a quotation is not in the cited findings"
    cited = [item for item in cited if item.status == "ok" or _ABSENCE.search(text) or _same(text, item.finding)]
    said = [source for item in cited for source in sources.of_evidence(item)]
    return _clauses_fault(segments(unquoted(text)), said, sources.of_decision(brief.decision), claim, brief)


def _form_fault(claim: Claim, brief: Brief) -> str | None:
    known = {item.id for item in brief.evidence}
    inline = set(re.findall(r"\be\d+\b", " ".join(re.findall(r"\[([^\]]*)\]", claim.text))))
    if not claim.text.strip() or len(claim.text) > MAX_SENTENCE:
        return "empty or too long"
    if len(set(claim.evidence)) != len(claim.evidence) or not {*claim.evidence, *inline} <= known:
        return "cites evidence that does not exist"
    if not inline <= set(claim.evidence):
        return "cites other evidence in its text"
    if (
        re.search(r"[.!?]['\")\]]*\s+\S", re.sub(r"\s*\[[e\d, ]*\]", "", unquoted(claim.text)).strip())
        or "?" in claim.text
    ):
        return "not one statement"
    return None


def _nothing_relevant_fault(claim: Claim, brief: Brief) -> str | None:
    if relevance.clean(brief.question) is None or relevance.relevant(brief):
        return "evidence bears on the question, or none was asked"
    return (
        None if set(claim.evidence) == {item.id for item in brief.evidence} else "does not cite all that was measured"
    )


def _same(text: str, finding: str) -> bool:
    """Whether a sentence is a finding without a value, or a part of it that still denies something."""
    text, finding = text.rstrip("."), normalise(finding).rstrip(".")
    denies = any(part.dangling or any(token.negated for token in part.tokens) for part in segments(text))
    return finding in text or (text in finding and denies)


def _clauses_fault(
    parts: Sequence[Segment], evidence: list[Source], verdict: list[Source], claim: Claim, brief: Brief
) -> str | None:
    cited, deciding = set(claim.evidence), set(brief.decision.deciding)
    used: set[str | None] = set()
    on_decision = False
    for clause in matching.clauses_of(parts):
        if not any(part.tokens or part.silent for part in clause):
            continue
        saying, decided = matching.supporting(clause, evidence), bool(matching.supporting(clause, verdict))
        if not saying and not decided:
            return f"not said by the evidence cited: {' '.join(t.text for part in clause for t in part.tokens)}"
        used |= saying | (cited & deciding if decided else set())
        on_decision |= decided and not saying
    if on_decision and deciding and not cited & deciding:
        return "speaks of the verdict and cites none of what decided it"
    if not cited and (deciding or not on_decision):
        return "cites nothing"
    if cited - used and not (on_decision and not deciding):
        return f"cites without need: {', '.join(sorted(cited - used))}"
    return None
