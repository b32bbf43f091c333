"""Which evidence bears on the user's question. The question is data: it is matched, never obeyed."""

from __future__ import annotations

import re
import unicodedata

from ..tools.evidence import Evidence
from .verdict import Brief

MAX_QUESTION = 256  # characters
NOTHING_RELEVANT = "None of the measurements bears on the question that was asked."

# Words of a question (left) and the measurements that answer it (right), as regular expressions.
_TOPICS = (
    (r"\bau ?\d+|action unit|muscle|facs", r"^action_units"),
    (r"smil|grin|happy|happi|joy", r"AU0?12|AU0?6|smile"),
    (r"eyes? |eyes?$|eyelid|blink|squint|gaze", r"AU0?6\b|AU0?5\b|AU0?7\b|AU4[3-6]|eye|gaze"),
    (r"mouth|lip|teeth", r"AU(?:10|12|14|15|17|18|20|2[2-8])|mouth|lip"),
    (r"brow|frown|forehead", r"AU0?[124]\b|brow"),
    (r"nose", r"AU0?9|nose"),
    (r"express|emotion|feel|mood", r"^expression|^action_units"),
    (r"pose|turn|head|tilt|look(?:ing|s)? (?:up|down|left|right|away)|profile|yaw|pitch|roll", r"^head_pose"),
    (r"same person|who |is (?:this|that|it|he|she) |identit|match|imperson|someone|reference", r"^identity"),
    (r"fake|forg|manipul|edit|swap|deepfake|synth|generat|real|authentic|genuine|photoshop|\bai\b", r"^forgery|^provenance"),
    (r"metadata|exif|camera|software|c2pa|provenance|sign(?:ed|ature)|compress|jpeg|saved|file", r"^provenance"),
    (r"quality|blur|sharp|resolution|small|bright|dark|light|expos", r"^quality"),
)


def clean(question: str | None) -> str | None:
    """The question as data: ``clean_text`` of at most ``MAX_QUESTION`` characters; None if nothing is left."""
    return None if question is None else clean_text(question)[:MAX_QUESTION].strip() or None


def clean_text(text: str) -> str:
    """Text from outside without control characters, line breaks and the special tokens of chat formats."""
    text = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in unicodedata.normalize("NFKC", text))
    while (stripped := re.sub(r"<\|[^|>]*\|?>?|\|>", " ", text)) != text:
        text = stripped
    return " ".join(text.split())


def relevant(brief: Brief) -> tuple[Evidence, ...]:
    """Evidence that bears on the question, in the brief's order; empty without a question."""
    question = (clean(brief.question) or "").lower()
    wanted = [measures for words, measures in _TOPICS if re.search(words, question)]
    return tuple(item for item in brief.evidence if any(re.search(w, item.measure, re.IGNORECASE) for w in wanted))
