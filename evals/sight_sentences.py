"""Written answers as sentences: what they cite, which regions they name, what they say of each."""

from __future__ import annotations

import re

from ..agent.sight import REGIONS
from ..agent.verdict import Claim

_SENTENCE = re.compile(r"\s*([^\[\]]*?)\s*\[((?:e\d+(?:, )?)+)\]\.?")
_ALTERED, _UNTOUCHED = re.compile(r"\ban alteration\b"), re.compile(r"\bno alteration\b")


def sentences(answer: str) -> list[Claim]:
    """Sentences in their order; what follows the last citation is one without."""
    found, end = [], 0
    for match in _SENTENCE.finditer(answer):
        found.append(Claim(f"{match[1].removesuffix('.')}.", tuple(match[2].split(", ")), "observations"))
        end = match.end()
    rest = answer[end:].strip()
    return [*found, Claim(rest, (), "observations")] if rest else found


def altered(answer: str) -> list[str]:
    """Regions that are said to be altered, in the order in which they are named."""
    return [name for claim in sentences(answer) if _ALTERED.search(claim.text) for name in _named(claim.text)]


def untouched(answer: str) -> list[str]:
    """Regions that are said to show no alteration."""
    return [name for claim in sentences(answer) if _UNTOUCHED.search(claim.text) for name in _named(claim.text)]


def _named(text: str) -> list[str]:
    places = {name: text.lower().find(words) for name, words in REGIONS.items()}
    return sorted((name for name, place in places.items() if place >= 0), key=lambda name: places[name])
