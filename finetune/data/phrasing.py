"""How prompts and answers are worded: drawn wordings, each sentence accepted only if the grounding check accepts it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ...agent import grounding, template
from ...agent.verdict import INCONCLUSIVE, Brief, Claim, Section
from ...tools.evidence import Evidence
from .sample import Form, Mode
from .sight import TOOL

_TOLD = (
    "{F}",
    "{F}",
    "As measured, {f}",
    "The evidence shows that {f}",
    "The tool reports that {f}",
    "It is found that {f}",
)
_SEEN = (
    "{F}",
    "{F}",
    "In the picture, {f}",
    "Looking at the picture, {f}",
    "It is seen that {f}",
    "In this photo, {f}",
)
_MISSING = ("{F}", "A measurement is not available: {f}", "No value is available: {f}")
_RESTS = ("The verdict rests mostly on this.", "The decision rests mainly on this.", "The verdict is based on this.")
_OPENED = "The verdict is {label}."
_CONCLUDED = (
    "The verdict is {label}.",
    "In conclusion, the verdict is {label}.",
    "Taken together, the verdict is {label}.",
    "The conclusion is {label}.",
    "Therefore the verdict is {label}.",
)
_BECAUSE = (
    "{F}, so the verdict is {label}.",
    "The verdict is {label} because {f}.",
    "{F}; therefore the verdict is {label}.",
)
_UNDECIDED = (
    "No verdict can be given.",
    "The verdict is inconclusive.",
    "The conclusion is inconclusive.",
)
_HEADS: Mapping[Section, Sequence[str]] = {
    "summary": ("Verdict", "Conclusion", "Answer"),
    "observations": ("Key observations", "Observations", "What is seen and measured"),
    "interpretation": ("Overall interpretation", "Interpretation", "What it means"),
    "conclusion": ("Conclusion", "Verdict", "Result"),
}
_FORM_ASKED: Mapping[Form, Sequence[str]] = {
    "headed": ("Use headings.", "Write under headings.", "Put each part under its heading."),
    "plain": ("Write plain sentences.", "Answer in prose, without headings.", "Use plain text."),
    "json": (
        'Answer with one JSON array of objects {"section", "text", "evidence"}.',
        'Give JSON: a list of {"section", "text", "evidence"}.',
    ),
}
_MODE_ASKED: Mapping[Mode, Sequence[str]] = {
    "answer": (
        "Give the {what} only.",
        "Answer with the {what} alone.",
        "State the {what}, no reasons.",
    ),
    "answer_first": ("Give the {what} first, then the reasons.", "Begin with the {what} and explain it."),
    "reason_first": (
        "Give key observations, then an overall interpretation, then the {what}.",
        "Reason step by step and end with the {what}.",
        "First say what is seen and measured and what it means, then give the {what}.",
    ),
}
_CITE = (
    "Cite evidence ids after each sentence.",
    "Each sentence cites its evidence.",
    "Name the evidence for each sentence.",
)
_LOOK = ("Look for yourself: {}.", "You see for yourself: {}.", "Yours to look at: {}.")
_NO_TOOLS = ("No tool was run.", "There are no measurements.", "Evidence of tools: none.")


def say(texts: Sequence[str], items: Sequence[Evidence], section: Section, brief: Brief) -> Claim:
    """The first wording that the check accepts.

    Raises:
        ValueError: None of them is; a mistake in an engine.
    """
    ids = tuple(item.id for item in items)
    faults = []
    for text in texts:
        claim = Claim(text, ids, section, supported=True)
        if (fault := grounding.why_unsupported(claim, brief)) is None:
            return claim
        faults.append(f"{text} ({fault})")
    raise ValueError(f"No wording is supported: {'; '.join(faults)}")


def restate(item: Evidence, section: Section, brief: Brief, rng: np.random.Generator) -> Claim:
    """A finding in a drawn wording, or as it stands where that fails the check."""
    patterns = _MISSING if item.status != "ok" else _SEEN if item.tool == TOOL else _TOLD
    drawn = _fill(str(rng.choice(patterns)), item.finding)
    return say((drawn, item.finding, template.absence(item)), [item], section, brief)


def joined(
    first: Evidence, second: Evidence, contrary: bool, section: Section, brief: Brief, rng: np.random.Generator
) -> Claim | None:
    """Two findings in one sentence, against each other or side by side; None where that fails the check."""
    a, b = (first, second) if rng.random() < 0.5 else (second, first)
    words = (", but ", ", whereas ", "although") if contrary else (", and ", ", and also ")
    word = str(rng.choice(words))
    if word == "although":
        text = f"Although {template.lower(_bare(a))}, {template.lower(b.finding)}"
    else:
        text = f"{_bare(a)}{word}{template.lower(b.finding)}"
    try:
        return say((text,), [a, b], section, brief)
    except ValueError:
        return None


def rests(items: Sequence[Evidence], brief: Brief, rng: np.random.Generator) -> Claim:
    """What decided."""
    return say((str(rng.choice(_RESTS)),), items, "interpretation", brief)


def verdict(label: str, items: Sequence[Evidence], section: Section, brief: Brief, rng: np.random.Generator) -> Claim:
    """The verdict; where it opens an answer always in the same words, so that a probability can be read there."""
    if section == "summary":
        return say((_OPENED.format(label=label),), items, section, brief)
    if label == INCONCLUSIVE:
        return say((str(rng.choice(_UNDECIDED)),), items, section, brief)
    if rng.random() < 0.4:
        because = _fill(str(rng.choice(_BECAUSE)), _bare(items[0])).format(label=label)
        try:
            return say((because,), items[:1], section, brief)
        except ValueError:
            pass
    return say((str(rng.choice(_CONCLUDED)).format(label=label),), items, section, brief)


def answer(claims: Sequence[Claim], form: Form, rng: np.random.Generator) -> str:
    """The claims as text; each sentence ends with its ids in brackets, or names them in JSON."""
    if form == "json":
        rows = [{"section": c.section, "text": c.text, "evidence": list(c.evidence)} for c in claims]
        return json.dumps(rows, ensure_ascii=False)
    sections = list(dict.fromkeys(claim.section for claim in claims))
    blocks = []
    for section in sections:
        text = " ".join(_cited(claim) for claim in claims if claim.section == section)
        blocks.append(f"{rng.choice(_HEADS[section])}: {text}" if form == "headed" else text)
    return "\n".join(blocks)


def prompt(
    question: str,
    given: Sequence[Evidence],
    look: Mapping[str, str],
    mode: Mode,
    form: Form,
    rng: np.random.Generator,
    images: int = 1,
    what: str = "verdict",
) -> str:
    """The user's turn: pictures, question, evidence, what to look at, and how to answer.

    Args:
        question: What is asked.
        given: Evidence of the tools, with ids.
        look: Id by name of what the model is to see for itself.
        mode: Where the conclusion stands.
        form: How the answer is laid out.
        rng: Draws the wording; nothing here depends on the label.
        images: How many pictures there are.
        what: What the answer concludes with.
    """
    lines = ["<image>" * images + question]
    mark = str(rng.choice(("{}: {}", "[{}] {}", "- {}: {}")))
    lines += [mark.format(item.id, item.finding) for item in given] or [str(rng.choice(_NO_TOOLS))]
    if look:
        listed = ", ".join(f"{id_} {name}" for name, id_ in sorted(look.items(), key=lambda pair: int(pair[1][1:])))
        lines.append(str(rng.choice(_LOOK)).format(listed))
    asked = [str(rng.choice(_MODE_ASKED[mode])).format(what=what), str(rng.choice(_FORM_ASKED[form]))]
    if form != "json":
        asked.append(str(rng.choice(_CITE)))
    return "\n".join([*lines, " ".join(asked)])


def _cited(claim: Claim) -> str:
    return f"{claim.text.removesuffix('.')} [{', '.join(claim.evidence)}]."


def _fill(pattern: str, finding: str) -> str:
    """A pattern with the finding at its start or after other words."""
    return pattern.replace("{F}", finding).replace("{f}", template.lower(finding))


def _bare(item: Evidence) -> str:
    return re.sub(r"\.$", "", item.finding)
