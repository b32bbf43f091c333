"""Does a source say a clause? Same words, same numbers and opposites in the same places, same negations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .printed import equal, unprinted
from .sources import Source
from .wording import Segment, Token, stem

_ABSENCE_WORDS = frozenset(
    stem(word)
    for word in """can could measured measurable assessed examined computed estimated available unavailable
        measurement value result because""".split()
)

_LIMITING = frozenset(("left", "right", "order+", "order-"))
_HEDGES = frozenset(stem(word) for word in "probability probably likely perhaps possibly may might can could".split())


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
            tuple(replace(t, segment=0) for t in (*subject, *predicate)), len(subject), clause[end].dangling
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
    if source.bound and not any(token.kind == "label" and token.text == source.label for token in tokens):
        return False
    if source.bound and not (
        any(t.kind == "number" for t in tokens) and any(t.text == stem("probability") for t in tokens)
    ):
        return False
    return (
        all(_known(token, source) for token in tokens)
        and _labels_agree(clause, source)
        and _in_order([t for t in tokens if t.kind in ("number", "polar")], source)
        and all(_beside(part, source) for part in clause)
        and _with_its_condition(clause, source)
        and _with_what_limits_it(tokens, source)
    )


def _known(token: Token, source: Source) -> bool:
    if token.kind == "number":
        return any(equal(token, other, source) for other in source.tokens if other.kind == "number") or unprinted(
            token, source
        )
    if token.kind == "word" and source.missing and (token.text in _ABSENCE_WORDS or token.text in source.extra):
        return True
    if token.kind == "word" and token.text in source.extra and not token.negated:
        return all(not other.negated for other in source.tokens if other.text == token.text)
    signed = [other for other in source.tokens if other.text == token.text and other.kind == token.kind]
    return any(other.negated == token.negated for other in signed)


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
                if other == replace(tokens[place], segment=other.segment)
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
    ("no clear traces"), a hedge all that follows in its segment ("probability that …").
    """
    said = {(token.kind, token.text) for token in ours if token.kind != "number"}
    used = [any(_alike(token, other, source) for token in ours) for other in source.tokens]
    for place, other in enumerate(source.tokens):
        if not used[place] or any(_free(other, n, source) for n in range(len(source.tokens)) if n != place):
            continue
        if not all((t.kind, t.text) in said for t in _limits(place, source)):
            return False
    return True


def _free(token: Token, place: int, source: Source) -> bool:
    """Whether the same word stands at another place of the source, with nothing that limits it."""
    other = source.tokens[place]
    return (other.kind, other.text, other.negated) == (token.kind, token.text, token.negated) and not _limits(
        place, source
    )


def _limits(place: int, source: Source) -> list[Token]:
    token = source.tokens[place]
    before = [other for other in source.tokens[:place] if other.segment == token.segment]
    found = [] if source.label is not None else [other for other in before if other.text in _HEDGES]
    if token.kind == "word":
        found += [other for other in before[-1:] if other.kind == "polar" and other.text in _LIMITING]
    if token.negated:
        found += [other for other in before if other.negated and other.kind == "word"]
    return found


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
