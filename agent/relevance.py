"""Which evidence bears on the user's question. The question is data: it is matched, never obeyed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from ..tools.evidence import Evidence
from .verdict import Brief

MAX_QUESTION = 256  # characters
NOTHING_RELEVANT = "None of the measurements bears on the question that was asked."

FORENSIC = ("manipulation", "synthesis", "morph", "reference_comparison", "compression_traces", "provenance")
_FACE = ("action_units", "expression")
# Beginnings of words of a question, the tools that measure what it is about, and the measurements that answer it: whole
# words of a measure's name, so that the lip is not found in "clipped".
_TOPICS = (
    (r"au ?\d+|action unit|muscle|facs", ("action_units",), r"^action_units"),
    (r"smil|grin|happy|happi|joy|laugh", _FACE, r"AU0?6|AU12|smile"),
    (r"\beyes?\b|eyelid|blink|squint|gaze", _FACE, r"AU0?[567]|AU4[3-6]|eyes?|gaze"),
    (r"mouth|lip|teeth", _FACE, r"AU(?:10|12|14|15|17|18|20|2[2-8])|mouth|lips?"),
    (r"(?:eye)?brow|frown|forehead", _FACE, r"AU0?[124]|brows?"),
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
    (r"morph|blend", ("morph",), r"^morph"),
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
    """Evidence that bears on the question: on most of its topics first, measured first; empty without a question.

    Then each tool comes with one measurement before any comes with its second, the left and the right counting as
    one, so that a tool that measures much does not silence the others; traces of a forgery come last.
    """
    question = (clean(brief.question) or "").lower()
    wanted = [measures for words, _, measures in _TOPICS if re.search(rf"\b(?:{words})", question)]
    topics = {item.id: sum(names(measures, item.measure) for measures in wanted) for item in brief.evidence}
    bearing = [item for item in brief.evidence if topics[item.id]]
    turn = _turns(bearing)

    def place(item: Evidence) -> tuple[int, bool, bool, int, bool]:
        return -topics[item.id], item.status != "ok", item.tool != "expression", turn[item.id], item.tool in FORENSIC

    return tuple(sorted(bearing, key=place))


def _turns(items: Sequence[Evidence]) -> dict[str, int]:
    """By id, how many other things the item's tool measured before."""
    before: dict[str, list[str]] = {}
    found = {}
    for item in items:
        what, earlier = re.sub(r"(?:left|right)_", "", item.measure), before.setdefault(item.tool, [])
        if what not in earlier:
            earlier.append(what)
        found[item.id] = earlier.index(what)
    return found


def names(measures: str, measure: str) -> bool:
    """Whether a pattern of ``_TOPICS`` matches whole words of a measure's name, which ends at ``.`` and ``_``."""
    return re.search(rf"(?<![a-z0-9])(?:{measures})(?![a-z0-9])", measure, re.IGNORECASE) is not None
