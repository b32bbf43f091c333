"""Does a source say a clause? Same words, same numbers and opposites in the same places, same negations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from .printed import equal, unprinted
from .sources import Source
from .wording import Segment, Token, stem

_ABSENCE_WORDS = frozenset(
    stem(word)
    for word in """can could measured measurable assessed examined computed estimated available unavailable
        measurement value result because""".split()
)

_LIMITING = frozenset(("left", "right", "order+", "order-"))
_HEDGES = frozenset(
    stem(word) for word in "probability probably likely perhaps possibly may might can could if whether nothing".split()
)
_REPORTS = frozenset(stem(word) for word in "claim declare name".split())
_THAT = Token("word", "that", False, 0)


def clauses_of(parts: Sequence[Segment]) -> list[list[Segment]]:
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


def supporting(clause: list[Segment], sources: list[Source]) -> set[str | None]:
    """Ids of the sources that say the whole clause; for a list of subjects, of those that say each one's part."""
    whole = {source.id for source in sources if _says(source, clause)}
    if whole or len(clause) < 2 or clause[0].verb is not None:
        return whole
    end = next((n for n, part in enumerate(clause) if part.verb is not None), None)
    if end is None:
        return set()
    predicate = clause[end].tokens[clause[end].verb :]
    subjects = [part.tokens for part in clause[:end]] + [clause[end].tokens[: clause[end].verb]]
    found: set[str | None] = set()
    for subject in subjects:
        joined = Segment(
            tuple(replace(t, segment=0, denied=clause[end].dangling) for t in (*subject, *predicate)),
            len(subject),
            clause[end].dangling,
        )
        one = {source.id for source in sources if _says(source, [joined, *clause[end + 1 :]])}
        if not one or not subject:
            return set()
        found |= one
    return found


def _says(source: Source, clause: list[Segment]) -> bool:
    tokens = [token for part in clause for token in part.tokens]
    if any(part.dangling for part in clause) and not (source.missing or any(part.dangling for part in source.parts)):
        return False
    if any(part.silent and all(part.text != other.text for other in source.parts) for part in clause):
        return False
    if source.bound and not _is_probability(tokens):
        return False
    return (
        all(_known(token, source) for token in tokens)
        and _is_measured(clause, source)
        and _labels_agree(clause, source)
        and _in_order([t for t in tokens if t.kind in ("number", "polar")], source)
        and all(_beside(part, source) for part in clause)
        and _with_its_condition(clause, source)
        and _with_what_limits_it(tokens, source)
    )


def _is_probability(tokens: Sequence[Token]) -> bool:
    """A number is given, and every label stands right after "probability": of it, or that it is so."""
    labels = [place for place, token in enumerate(tokens) if token.kind == "label"]
    before = [tokens[place - 1] for place in labels if place and tokens[place - 1].segment == tokens[place].segment]
    named = [token for token in before if token.text == stem("probability")]
    return any(token.kind == "number" for token in tokens) and 0 < len(labels) == len(named)


def _is_measured(clause: Sequence[Segment], source: Source) -> bool:
    """A number is the value, is said with all the others of its segment, or counts the same things ("3 references").

    "92 of 100" does not say that it is 100.
    """
    if not source.values:
        return True
    ours = [token for part in clause for token in part.tokens if token.kind == "number"]
    printed = [[token for token in part.tokens if token.kind == "number"] for part in source.parts]
    whole = [n for part in printed if all(any(equal(one, n, source) for one in ours) for n in part) for n in part]
    partly = [n for part in printed for n in part if n not in whole]
    values = [Token("number", str(sign * source.values[0]), False, 0) for sign in (1, -1)]
    for part in clause:
        for token, things in zip_longest(part.tokens, part.tokens[1:]):
            if not any(_alike(token, n, source) for n in partly):
                continue
            counts = things is not None and things.kind == "word" and _has_unit(token, ("word", things.text), source)
            if not counts and not any(_alike(token, n, source) for n in (*whole, *values)):
                return False
    return True


def _known(token: Token, source: Source) -> bool:
    if token.kind == "number":
        return any(equal(token, other, source) for other in source.tokens if other.kind == "number") or unprinted(
            token, source
        )
    if token.kind == "word" and source.missing and (token.text in _ABSENCE_WORDS or token.text in source.extra):
        return True
    if token.kind == "word" and token.text in source.extra and not (token.negated or token.denied):
        return not any(other.negated or other.denied for other in source.tokens if other.text == token.text)
    signed = [other for other in source.tokens if other.text == token.text and other.kind == token.kind]
    return any(other.negated == token.negated and (source.missing or other.denied == token.denied) for other in signed)


def _labels_agree(clause: list[Segment], source: Source) -> bool:
    """A label is the decision's own, or stands between the same neighbours as in the finding."""
    tokens = [token for part in clause for token in part.tokens]
    for place, token in enumerate(tokens):
        if token.kind != "label":
            continue
        if source.label is not None and (token.text != source.label or token.negated):
            return False
        if source.label is None and not _between_same(tokens, place, source):
            return False
    return True


def _between_same(tokens: Sequence[Token], place: int, source: Source) -> bool:
    """Neighbours in the segment, or, for a label that is alone in its segment, in the clause."""
    for inside in (True, False):
        ours = _neighbours(tokens, place, inside)
        if ours != (None, None):
            return any(
                ours == _neighbours(source.tokens, n, inside)
                for n, other in enumerate(source.tokens)
                if _alike(tokens[place], other, source)
            )
    return False


def _neighbours(tokens: Sequence[Token], place: int, inside: bool) -> tuple[tuple[str, str] | None, ...]:
    near = (place - 1, place + 1)
    segment = tokens[place].segment
    return tuple(
        None if inside and 0 <= n < len(tokens) and tokens[n].segment != segment else _at(tokens, n) for n in near
    )


def _with_what_limits_it(ours: Sequence[Token], source: Source) -> bool:
    """Nothing is said without the word before it that limits it in the source.

    A side or a comparative limits the next word ("left eye", "less like"), a negated word the negated ones after it
    ("no clear traces"), a hedge all that follows in its segment ("probability that …"), and so does a share at its
    beginning ("0 % of …"). Without a hedge, the last word before a "that" limits what follows it ("EXIF says that …").
    What is declared or named, or a measured mean, limits the segments without a verb that follow too ("declare the
    source X (made by …)").
    """
    words = [*ours, _THAT] if any(token.relative for token in ours) else ours
    said = {(token.kind, token.text) for token in words if token.kind != "number"}

    def free(place: int) -> bool:
        return all(
            (limit.kind, limit.text) in said or any(_alike(token, limit, source) for token in ours)
            for limit in _limits(place, source)
        )

    theirs = [[n for n, other in enumerate(source.tokens) if _alike(token, other, source)] for token in ours]
    return all(any(map(free, places)) for places in theirs if places)


def _limits(place: int, source: Source) -> list[Token]:
    token = source.tokens[place]
    before = [other for other in source.tokens[:place] if other.segment == token.segment]
    found = _hedges(before, token, source)
    if token.kind == "word":
        found += [other for other in before[-1:] if other.kind == "polar" and other.text in _LIMITING]
    if token.negated:
        found += [other for other in before if other.negated and other.kind == "word"]
    if token.text not in _REPORTS:
        found += [other for n, other in enumerate(source.tokens[:place]) if _reports(n, place, source)][-1:]
    return found


def _hedges(before: list[Token], token: Token, source: Source) -> list[Token]:
    found = [] if source.label is not None else [other for other in before if other.text in _HEDGES]
    found += [other for other in before[:1] if other.percent]
    if token.relative and not found:
        found = [other for other in before if other.kind == "word" and not other.relative][-1:] or [_THAT]
    return found


def _reports(place: int, other: int, source: Source) -> bool:
    """Whether what stands at the other place is only declared, named, or a mean: of what was measured, not of photos.

    The mean of so many photos is followed by a whole number.
    """
    token, after = source.tokens[place : place + 2]
    between = source.parts[token.segment + 1 : source.tokens[other].segment + 1]
    mean = token.text == "mean" and after.kind == "number" and "." in after.text
    return (mean or token.text in _REPORTS) and all(part.verb is None for part in between)


def _at(tokens: Sequence[Token], place: int) -> tuple[str, str] | None:
    """Kind and text; of a number only the kind, since 0.87 may be printed as 87 %."""
    if not 0 <= place < len(tokens):
        return None
    return tokens[place].kind, "" if tokens[place].kind == "number" else tokens[place].text


def _in_order(critical: list[Token], source: Source) -> bool:
    """Numbers and opposites follow the source's order; none of the same kind is left out between two of them.

    Within one segment of the source a number and an opposite may change places.
    """
    theirs = [token for token in source.tokens if token.kind in ("number", "polar")]
    ours = [t for t in critical if any(_alike(t, other, source) for other in theirs)]
    if _follows(ours, theirs, source):
        return True
    one = [[t for t in theirs if t.segment == part] for part in {t.segment for t in theirs}]
    return any(
        all(
            _follows([t for t in ours if t.kind == kind], [t for t in here if t.kind == kind], source)
            for kind in ("number", "polar")
        )
        for here in one
    )


def _follows(ours: list[Token], theirs: list[Token], source: Source) -> bool:
    return not ours or any(_matches(ours, theirs[start:], source) for start in range(len(theirs)))


def _matches(ours: list[Token], theirs: list[Token], source: Source) -> bool:
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


def _beside(part: Segment, source: Source) -> bool:
    """The word before a number, and the words before an opposite, stand in its segment in the source too."""
    for place, token in enumerate(part.tokens):
        homes = _homes(token, source)
        if not homes:
            continue
        unit = _at(part.tokens, place + 1)
        if token.kind == "number" and unit and unit[0] == "unit" and not _has_unit(token, unit, source):
            return False
        before = [t for t in part.tokens[:place] if t.kind == "word"]
        after = [t for t in part.tokens[place:] if t.kind == "word"]
        neighbours = before[-1:] if before and token.kind == "number" else before or after[:1]
        for neighbour in neighbours:
            where = {other.segment for other in source.tokens if other.text == neighbour.text}
            if where and not where & homes:
                return False
    return True


def _with_its_condition(clause: list[Segment], source: Source) -> bool:
    """What the source says only under a condition is not said without the condition's numbers and opposites."""
    ours = [token for part in clause for token in part.tokens]
    plain = [token.text for part in source.parts if not part.conditional for token in part.tokens]
    dangling = any(part.dangling for part in clause)
    for part in source.parts:
        only = {token.text for token in part.tokens if token.kind in ("word", "label")} - set(plain)
        leans = any(token.text in only for token in ours) or (dangling and part.dangling)
        bounds = [token for token in part.tokens if token.kind in ("number", "polar")]
        if part.conditional and leans and not all(any(_alike(t, b, source) for t in ours) for b in bounds):
            return False
    return True


def _homes(token: Token, source: Source) -> set[int]:
    """Segments of the source in which the number or opposite stands; the subject may be in those before."""
    found: set[int] = set()
    for clause in clauses_of(source.parts) if token.kind in ("number", "polar") else ():
        for part in clause:
            for place, other in enumerate(part.tokens):
                if not _alike(token, other, source):
                    continue
                found.add(other.segment)
                if not any(t.kind in ("word", "polar") for t in part.tokens[:place]):
                    found |= {t.segment for earlier in clause for t in earlier.tokens if t.segment < other.segment}
    return found


def _has_unit(token: Token, unit: tuple[str, str], source: Source) -> bool:
    return any(
        _at(source.tokens, n + 1) == unit
        for n, other in enumerate(source.tokens)
        if other.kind == "number" and equal(token, other, source)
    )


def _alike(token: Token, other: Token, source: Source) -> bool:
    if token.kind == "number" and other.kind == "number":
        return equal(token, other, source)
    return token.kind == other.kind and token.text == other.text and token.negated == other.negated
