"""What somebody who was asked replies, by rules: yes, no, and consent to a comparison with a person."""

from __future__ import annotations

import re

_YES = re.compile(
    r"^\W*(?:y|yes|yeah|yep|yup|ok|okay|sure|go ahead|please do|agreed|i (?:do )?(?:consent|agree)|do it)\b", re.I
)
_NO = re.compile(
    r"^\W*(?:n|no|nope|nah|don'?t|do not|i (?:do not|don'?t|refuse|have none)|skip|decline|without|none|not now)\b",
    re.I,
)
_AGREED = (
    r"y|ye[ps]|yeah|yup|ok(?:ay)?|sure|certainly|of course|absolutely|definitely|agreed|go ahead|proceed|by all means"
    r"|please do|do (?:it|so|that)|you (?:may|can)|i (?:do )?(?:consent|agree)(?: to (?:it|this|that))?"
)
_POLITE = r"please|thanks|thank you|very much|oh|well|then|now|and|that(?:'s| is) (?:fine|ok|okay|all right)"


def consents(text: str, name: str) -> bool:
    """Whether a reply is a plain yes to a comparison with a person: words of agreement and politeness, nothing else."""
    compare = rf"compare (?:it|them|the faces?)(?: (?:with|to) {re.escape(name.lower())})?"
    more = rf"(?:{_AGREED}|{_POLITE}|{compare})"
    gap = r"[\s.,;:!()\"'-]"  # a question mark, or a picture of a thumb, is not plain
    plain = rf"{gap}*(?:(?:{_POLITE}){gap}+)*(?:{_AGREED})(?:{gap}+{more})*{gap}*"
    return re.fullmatch(plain, text.lower().replace("’", "'")) is not None


def reply(text: str) -> bool | None:
    """Whether somebody who was asked says yes or no; None for anything else."""
    return True if _YES.search(text) else False if _NO.search(text) else None
