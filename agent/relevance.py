"""Which evidence bears on the user's question. The question is data: it is matched, never obeyed."""

from __future__ import annotations

import re
import unicodedata

from ..tools.evidence import Evidence
from .verdict import Brief

MAX_QUESTION = 256  # characters
NOTHING_RELEVANT = "None of the measurements bears on the question that was asked."

FORENSIC = ("manipulation", "synthesis", "morph", "reference_comparison", "compression_traces", "provenance")
_FACE = ("action_units", "expression")
# Beginnings of words of a question, the tools that measure what it is about, and the measurements that answer it.
_TOPICS = (
    (r"au ?\d+|action unit|muscle|facs", ("action_units",), r"^action_units"),
    (r"smil|grin|happy|happi|joy|laugh", _FACE, r"AU0?12|AU0?6\b|smile"),
    (r"\beyes?\b|eyelid|blink|squint|gaze", _FACE, r"AU0?6\b|AU0?5\b|AU0?7\b|AU4[3-6]|eye|gaze"),
    (r"mouth|lip|teeth", _FACE, r"AU(?:10|12|14|15|17|18|20|2[2-8])|mouth|lip"),
    (r"(?:eye)?brow|frown|forehead", _FACE, r"AU0?[124]\b|brow"),
    (r"nose", _FACE, r"AU0?9|nose"),
    (r"express|emotion|feel|mood", _FACE, r"^expression|^action_units|^sight\.expression"),
    (
        r"pose|turn|head\b|tilt|look(?:ing|s)? (?:up|down|left|right|away)|facing|which way|profile|yaw|pitch|roll",
        ("head_pose",),
        r"^head_pose",
    ),
    (
        r"same person|who |is (?:this|that|it|he|she) |identit|match|imperson|someone|reference",
        ("identity",),
        r"^identity|^sight\.reference",
    ),
    (
        r"fake|forg|manipul|alter|tamper|edit|swap|deep ?fake|synth|generat|(?:un)?real|authentic|genuine|photoshop"
        r"|ai\b",
        FORENSIC,
        r"^manipulation|^synthesis|^morph|^reference_comparison|^provenance|^compression|^sight\.(?:face|reference)",
    ),
    (
        r"metadata|exif|camera|software|c2pa|provenance|sign(?:ed|ature)|compress|jpeg|saved|file|taken|date",
        ("compression_traces", "provenance"),
        r"^compression|^provenance",
    ),
    (r"quality|blur|sharp|resolution|small|bright|dark|light|expos", ("quality",), r"^quality"),
)


def tools_for(question: str | None) -> frozenset[str]:
    """Tools that measure what the question is about; empty if it is about nothing that is measured."""
    asked = (clean(question) or "").lower()
    return frozenset(name for words, names, _ in _TOPICS for name in names if re.search(rf"\b(?:{words})", asked))


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
    """Evidence that bears on the question: on most of its topics first, measured first; empty without a question."""
    question = (clean(brief.question) or "").lower()
    wanted = [measures for words, _, measures in _TOPICS if re.search(rf"\b(?:{words})", question)]
    topics = {item.id: sum(bool(re.search(w, item.measure, re.IGNORECASE)) for w in wanted) for item in brief.evidence}
    bearing = [item for item in brief.evidence if topics[item.id]]
    return tuple(sorted(bearing, key=lambda item: (-topics[item.id], item.status != "ok", item.tool != "expression")))
