"""Does the cited evidence support the sentence? Decided by rules; nothing here is a model.

A sentence is cut into clauses. Every clause must be said by one source: one cited finding, or the decision. Said
by means: no word of content, number, label or opposite that the source lacks; the same negations; numbers and
opposites in the source's order, beside the same words. It refuses good paraphrases rather than accept bad ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..tools.evidence import Evidence
from . import relevance
from .verdict import Brief, Claim, Decision
from .wording import Segment, Token, normalise, quotes, segments, stem, unquoted

MAX_SENTENCE = 600  # characters

_ABSENCE = re.compile(
    r"\b(?:could not be|was not|were not|is not|not been|cannot be|can't be|wasn't|weren't) (?:measured|assessed|examined"
    r"|computed|estimated|available)|\bnot (?:measurable|available|measured)|\bunavailable|\bno (?:measurement|value|result)"
)
_ABSENCE_WORDS = frozenset(stem(word) for word in (
    "can could measured measurable assessed examined computed estimated available unavailable measurement value result because"
).split())
_VERDICT = (
    "the verdict conclusion decision label is {label}",
    "the verdict conclusion decision label is {label} with a probability of {p}",
    "the probability of the verdict {label} is {p}",
    "the verdict decision conclusion rests most mostly mainly chiefly based supported decided on this",
)
_NO_VERDICT = (
    "the verdict conclusion decision label is inconclusive",
    "no verdict conclusion decision can could be given reached possible",
    "the evidence does not suffice decide enough allow support for a verdict conclusion decision",
    "the verdict decision conclusion rests most mostly mainly chiefly based on this",
)


@dataclass(frozen=True, slots=True)
class _Source:
    """One thing a clause may repeat: a sentence of a finding, or of the decision.

    Attributes:
        id: Evidence id; None for the decision.
        extra: Further words that name the measurement.
        values: Exact numbers that the text prints rounded, or leaves out.
        label: For the decision: the only label that may be asserted on it, and that must be if ``bound``.
    """

    id: str | None
    parts: tuple[Segment, ...]
    extra: frozenset[str] = frozenset()
    values: tuple[float, ...] = ()
    probability: float | None = None
    missing: bool = False
    label: str | None = None
    bound: bool = False

    @property
    def tokens(self) -> tuple[Token, ...]:
        return tuple(token for part in self.parts for token in part.tokens)


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
    sources = [source for item in cited for source in _sources(item)]
    return _clauses_fault(segments(unquoted(text)), sources, _verdict_sources(brief.decision), claim, brief)


def _form_fault(claim: Claim, brief: Brief) -> str | None:
    known = {item.id for item in brief.evidence}
    inline = set(re.findall(r"\be\d+\b", " ".join(re.findall(r"\[([^\]]*)\]", claim.text))))
    if not claim.text.strip() or len(claim.text) > MAX_SENTENCE:
        return "empty or too long"
    if len(set(claim.evidence)) != len(claim.evidence) or not {*claim.evidence, *inline} <= known:
        return "cites evidence that does not exist"
    if not inline <= set(claim.evidence):
        return "cites other evidence in its text"
    if re.search(r"[.!?]['\")\]]*\s+\S", re.sub(r"\s*\[[e\d, ]*\]", "", unquoted(claim.text)).strip()) or "?" in claim.text:
        return "not one statement"
    return None


def _nothing_relevant_fault(claim: Claim, brief: Brief) -> str | None:
    if relevance.clean(brief.question) is None or relevance.relevant(brief):
        return "evidence bears on the question, or none was asked"
    return None if set(claim.evidence) == {item.id for item in brief.evidence} else "does not cite all that was measured"


def _same(text: str, finding: str) -> bool:
    text, finding = text.rstrip("."), normalise(finding).rstrip(".")
    return finding in text or text in finding


def _sources(item: Evidence) -> list[_Source]:
    extra = frozenset(stem(word) for word in re.findall(r"[a-z]+\d*", normalise(f"{item.measure} {item.tool}").replace("_", " ")))
    exact = [] if item.value is None or isinstance(item.value, bool | str) else [float(item.value)]
    if isinstance(item.value, str):
        extra |= {stem(word) for word in re.findall(r"[a-z]+\d*", normalise(unquoted(item.value)))} if '"' not in item.finding else frozenset()
    missing = item.status != "ok"
    values = (*exact, *item.numbers)
    sentences = re.split(r"(?<=[.!?])\s+(?=\S)", normalise(unquoted(item.finding)))
    return [
        _Source(item.id, tuple(segments(sentence)), extra, values, item.probability, missing) for sentence in sentences
    ]


def _verdict_sources(decision: Decision) -> list[_Source]:
    found = []
    for label, p in decision.probabilities.items():
        said = segments(f"the probability of {label} is {p:.4f}")
        found.append(_Source(None, tuple(said), values=(p,), probability=p, label=label, bound=True))
    if decision.abstained:
        found += [_Source(None, tuple(segments(text)), label="inconclusive") for text in _NO_VERDICT]
    else:
        p = decision.probabilities[decision.label]
        for text in _VERDICT:
            said = segments(text.format(label=decision.label, p=f"{p:.4f}"))
            found.append(_Source(None, tuple(said), values=(p,), probability=p, label=decision.label))
    for reason in decision.reasons:
        found += [_Source(None, tuple(segments(text))) for text in re.split(r"(?<=[.!?])\s+(?=\S)", normalise(unquoted(reason.text)))]
    return found


def _clauses_fault(
    parts: Sequence[Segment], evidence: list[_Source], verdict: list[_Source], claim: Claim, brief: Brief
) -> str | None:
    deciding, used, on_decision = set(brief.decision.deciding), set(), False
    for clause in _clauses(parts):
        if not any(part.tokens or part.dangling for part in clause):
            continue
        supporting = _supporting(clause, evidence)
        if supporting:
            used |= supporting
        elif _supporting(clause, verdict):
            on_decision = True
        else:
            return f"not said by the evidence cited: {' '.join(t.text for part in clause for t in part.tokens)}"
    cited = set(claim.evidence)
    if on_decision and deciding:
        if not cited & deciding:
            return "speaks of the verdict and cites none of what decided it"
        used |= cited & deciding
    if not cited and (deciding or not on_decision):
        return "cites nothing"
    if cited - used and not (on_decision and not deciding):
        return f"cites without need: {', '.join(sorted(cited - used))}"
    return None


def _clauses(parts: Sequence[Segment]) -> list[list[Segment]]:
    """Segments that must share one source: a subject, its verb, and what follows without a subject of its own."""
    found: list[list[Segment]] = []
    complete = True
    for part in parts:
        new_subject = part.verb is not None and part.verb > 0
        if found and (not complete or not new_subject):
            found[-1].append(part)
        else:
            found.append([part])
        complete = any(segment.verb is not None for segment in found[-1])
    return found


def _supporting(clause: list[Segment], sources: list[_Source]) -> set[str | None]:
    """Ids of the sources that say the whole clause; for a list of subjects, of those that say each one's part."""
    whole = {source.id for source in sources if _says(source, clause)}
    if whole or len(clause) < 2 or clause[0].verb is not None:
        return whole
    end = next((n for n, part in enumerate(clause) if part.verb is not None), None)
    if end is None:
        return set()
    predicate = clause[end].tokens[clause[end].verb:]
    subjects = [part.tokens for part in clause[:end]] + [clause[end].tokens[: clause[end].verb]]
    found: set[str | None] = set()
    for subject in subjects:
        joined = Segment(tuple(replace(t, segment=0) for t in (*subject, *predicate)), len(subject), clause[end].dangling)
        one = {source.id for source in sources if _says(source, [joined, *clause[end + 1:]])}
        if not one or not subject:
            return set()
        found |= one
    return found


def _says(source: _Source, clause: list[Segment]) -> bool:
    tokens = [token for part in clause for token in part.tokens]
    if any(part.dangling for part in clause) and not (source.missing or any(part.dangling for part in source.parts)):
        return False
    if source.bound and not any(token.kind == "label" and token.text == source.label for token in tokens):
        return False
    if source.bound and not (any(t.kind == "number" for t in tokens) and any(t.text == stem("probability") for t in tokens)):
        return False
    return (
        all(_known(token, source) for token in tokens)
        and _labels_agree(tokens, source)
        and _in_order([t for t in tokens if t.kind in ("number", "polar")], source)
        and all(_beside(part, source) for part in clause)
    )


def _known(token: Token, source: _Source) -> bool:
    if token.kind == "number":
        return any(_equal(token, other, source) for other in source.tokens if other.kind == "number") or _exact(token, source)
    if token.kind == "word" and source.missing and (token.text in _ABSENCE_WORDS or token.text in source.extra):
        return True
    if token.kind == "word" and token.text in source.extra and not token.negated:
        return True
    signed = [other for other in source.tokens if other.text == token.text and other.kind == token.kind]
    return any(other.negated == token.negated for other in signed)


def _labels_agree(tokens: list[Token], source: _Source) -> bool:
    """A label is the decision's own, or stands between the same neighbours as in the finding."""
    for place, token in enumerate(tokens):
        if token.kind != "label":
            continue
        if source.label is not None:
            if token.text != source.label or token.negated:
                return False
            continue
        said = [(_at(source.tokens, n - 1), _at(source.tokens, n + 1)) for n, other in enumerate(source.tokens)
                if other == replace(token, segment=other.segment)]
        if (_at(tokens, place - 1), _at(tokens, place + 1)) not in said:
            return False
    return True


def _at(tokens: Sequence[Token], place: int) -> tuple[str, str] | None:
    return (tokens[place].kind, tokens[place].text) if 0 <= place < len(tokens) else None


def _in_order(critical: list[Token], source: _Source) -> bool:
    """Numbers and opposites follow the source's order; none of the same kind is left out between two of them.

    Within one segment of the source a number and an opposite may change places.
    """
    theirs = [token for token in source.tokens if token.kind in ("number", "polar")]
    ours = [t for t in critical if any(_alike(t, other, source) for other in theirs)]
    if _follows(ours, theirs, source):
        return True
    one = [[t for t in theirs if t.segment == part] for part in {t.segment for t in theirs}]
    return any(
        all(_follows([t for t in ours if t.kind == kind], [t for t in here if t.kind == kind], source)
            for kind in ("number", "polar"))
        for here in one
    )


def _follows(ours: list[Token], theirs: list[Token], source: _Source) -> bool:
    return not ours or any(_matches(ours, theirs[start:], source) for start in range(len(theirs)))


def _matches(ours: list[Token], theirs: list[Token], source: _Source) -> bool:
    place = 0
    for number, token in enumerate(ours):
        while place < len(theirs) and not _alike(token, theirs[place], source):
            if number == 0 or theirs[place].kind == token.kind:
                return False
            place += 1
        if place == len(theirs):
            return False
        place += 1
    return True


def _beside(part: Segment, source: _Source) -> bool:
    """The word next to a number or an opposite stands in the same segment as that number or opposite in the source."""
    for place, token in enumerate(part.tokens):
        homes = _homes(token, source)
        if not homes:
            continue
        unit = _at(part.tokens, place + 1)
        if token.kind == "number" and unit and unit[0] == "unit" and not _has_unit(token, unit, source):
            return False
        before = [t for t in part.tokens[:place] if t.kind == "word"]
        neighbour = before[-1] if before else next((t for t in part.tokens[place:] if t.kind == "word"), None)
        where = {other.segment for other in source.tokens if neighbour and other.text == neighbour.text}
        if where and not where & homes:
            return False
    return True


def _homes(token: Token, source: _Source) -> set[int]:
    """Segments of the source in which the number or opposite stands; the subject may be in those before."""
    found: set[int] = set()
    for clause in _clauses(source.parts) if token.kind in ("number", "polar") else ():
        for part in clause:
            for place, other in enumerate(part.tokens):
                if not _alike(token, other, source):
                    continue
                found.add(other.segment)
                if not any(t.kind in ("word", "polar") for t in part.tokens[:place]):
                    found |= {t.segment for earlier in clause for t in earlier.tokens if t.segment < other.segment}
    return found


def _has_unit(token: Token, unit: tuple[str, str], source: _Source) -> bool:
    return any(
        _at(source.tokens, n + 1) == unit
        for n, other in enumerate(source.tokens)
        if other.kind == "number" and _equal(token, other, source)
    )


def _alike(token: Token, other: Token, source: _Source) -> bool:
    if token.kind == "number" and other.kind == "number":
        return _equal(token, other, source)
    return token.kind == other.kind and token.text == other.text and token.negated == other.negated


def _equal(token: Token, other: Token, source: _Source) -> bool:
    """The sentence's number is the source's, or the exact value behind it, at the precision the sentence prints."""
    printed = float(other.text)
    exact = [v for v in (*source.values, source.probability) if v is not None and _rounds(v, other.text)]
    chance = source.probability is not None and _rounds(source.probability, other.text)
    if token.percent and not other.percent:
        return chance and _prints(token.text, 100 * (source.probability or 0))
    if other.percent and not token.percent:
        return any(_prints(token.text, v) for v in exact if 0 <= v <= 1) or _prints(token.text, printed / 100)
    return any(_prints(token.text, value) for value in (printed, *exact))


def _exact(token: Token, source: _Source) -> bool:
    """A value that the finding does not print."""
    if token.percent:
        return source.probability is not None and _prints(token.text, 100 * source.probability)
    unprinted = [v for v in source.values if not any(_rounds(v, t.text) for t in source.tokens if t.kind == "number")]
    return any(_prints(token.text, v) for v in (*unprinted, source.probability) if v is not None)


def _rounds(value: float, printed: str) -> bool:
    return abs(value - float(printed)) <= 0.5000001 * 10.0 ** -_decimals(printed)


def _prints(text: str, value: float) -> bool:
    """Equal at the printed precision, and the rounding hides no more than a twentieth, nor makes a certainty."""
    shown = float(text)
    if shown == value:
        return True
    return _rounds(value, text) and abs(shown - value) <= 0.05 * abs(value) and shown not in (0, 1, 100)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2])
