"""Text of clients that an operator's terminal or page shows: what does not print could hide or turn the rest."""

from __future__ import annotations

from ...agent.people.person import hidden

_MARK = "\N{REPLACEMENT CHARACTER}"


def check(text: str) -> str:
    """The text; raises ValueError where a character does not print."""
    if found := hidden(text):
        raise ValueError(f"U+{ord(found[0]):04X} does not print")
    return text


def shown(text: str) -> str:
    """The text with a mark for each character that does not print."""
    return text.translate(dict.fromkeys(map(ord, hidden(text)), _MARK))
