"""Is a number in a sentence the one that was measured, at the precision at which it is printed?"""

from __future__ import annotations

from .sources import Source
from .wording import Token


def equal(token: Token, other: Token, source: Source) -> bool:
    """The sentence's number is the source's, or the exact value behind it, at the precision the sentence prints."""
    printed = float(other.text)
    exact = [v for v in (*source.values, source.probability) if v is not None and _prints(other.text, v)]
    chance = source.probability is not None and _prints(other.text, source.probability)
    if token.percent and not other.percent:
        return chance and _prints(token.text, 100 * (source.probability or 0))
    if other.percent and not token.percent:
        return any(_prints(token.text, v) for v in exact if 0 <= v <= 1) or _prints(token.text, printed / 100)
    return any(_prints(token.text, value) for value in (printed, *exact))


def unprinted(token: Token, source: Source) -> bool:
    """A value that the finding does not print."""
    if token.percent:
        return source.probability is not None and _prints(token.text, 100 * source.probability)
    shown = [other.text for other in source.tokens if other.kind == "number"]
    hidden = [value for value in source.values if not any(_rounds(value, text) for text in shown)]
    return any(_prints(token.text, value) for value in (*hidden, source.probability) if value is not None)


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
