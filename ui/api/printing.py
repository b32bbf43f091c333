"""Text of clients that an operator's terminal or page shows: what does not print could hide or turn the rest."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # part of the spelling in Persian and several Indic scripts
_MARK = "\N{REPLACEMENT CHARACTER}"


def check(text: str) -> str:
    """The text; raises ValueError where a character does not print, as ``clean_name`` does of people."""
    for character in text:
        if _hidden(character):
            raise ValueError(f"U+{ord(character):04X} does not print")
    return text


def shown(text: str) -> str:
    """The text with a mark for each character that does not print."""
    return "".join(_MARK if _hidden(character) else character for character in text)


def _hidden(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character).startswith(("C", "Zl", "Zp"))
