"""How a record's sentences and probabilities are put before a person, on the page and on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..agent.record import ClaimInfo, ExplanationInfo


def sentences(explanation: ExplanationInfo) -> dict[str, list[ClaimInfo]]:
    """Each section's text split into the claims it is made of; text that is no claim comes out uncited.

    Two sentences may read alike and cite different evidence, so a claim is used once before it is used again.
    """
    texts = {"summary": explanation.summary, **explanation.reasoning.model_dump()}
    unused = list(explanation.claims)
    found: dict[str, list[ClaimInfo]] = {section: [] for section in texts}
    for section, text in texts.items():
        while text := text.strip():
            claim = _first(text, unused) or _first(text, explanation.claims)
            if claim in unused:
                unused.remove(claim)
            found[section].append(claim or ClaimInfo(text=text, evidence=[], supported=False))
            text = text[len(found[section][-1].text) :]
    return found


def _first(text: str, claims: Sequence[ClaimInfo]) -> ClaimInfo | None:
    """The longest claim that the text begins with; of several alike, the first."""
    return max((claim for claim in claims if claim.text and text.startswith(claim.text)), key=_length, default=None)


def _length(claim: ClaimInfo) -> int:
    return len(claim.text)


def checked(explanation: ExplanationInfo) -> str:
    """What the check did to a language model's sentences; empty where none wrote any."""
    counts = explanation.grounding
    if counts is None:
        return ""
    if not counts.refused:
        return f"The check passed all {counts.written} sentences at once."
    text = (
        f"The check refused {counts.refused} of {counts.written} sentences at first: {counts.regenerated} passed when "
        f"written anew, {counts.dropped} left out."
    )
    return f"{text} From the template instead: {', '.join(counts.from_template)}." if counts.from_template else text


def percent(probability: float) -> str:
    """Whole percent; what is not certain is never printed as 0 % or 100 %."""
    if 0 < probability < 0.005:
        return "<1 %"
    if 0.995 <= probability < 1:
        return ">99 %"
    return f"{probability:.0%}".replace("%", " %")
