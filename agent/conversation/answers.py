"""Answers in fixed wording: findings, reasons and the verdict, the direct answer first, every sentence citing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from ...tools.evidence import Evidence
from .. import grounding, relevance, template
from ..verdict import Brief, Claim, Section
from . import counterfactual, measuring
from .intents import Intent
from .standing import last_comparison, last_failed

MOST = 5
"""Sentences of an answer."""
MOST_LISTED = 7
"""The same where the question asks for a list."""

DECLINED = {
    "scope": "I answer questions about this face photo and its examination only: the verdict, its reasons, what would "
    "change it, what was not measured, a part of the face, another photo to compare with, or the file.",
    "sensitive": "I do not infer {attribute} from a face.",
    "not_measured": "Perceived {attribute} was not measured: no tool of this examination measures it.",
    "identification": "I do not say who somebody is; given a reference photo, I compare the face with it.",
    "no_reference": "No reference photo was given, so nothing was compared.",
    "consent": "Without consent the face was not compared with the enrolled person.",
    "policy": "The policy of this deployment allows no comparison with enrolled people.",
    "unknown_person": "Nobody of that name is enrolled, so nothing was compared.",
    "other_face": "Only one face of the photo was examined, so I say nothing of another one. Choose it and ask again: "
    "on the command line with --face 2 (or 3 …; 1 is the largest), in the chat under “Which face?”.",
    "unknown_evidence": "This examination has no evidence of that id.",
    "nothing_missing": "Nothing that was tried is without a measurement.",
}
"""Fixed sentences by code; they say nothing of the photo and cite nothing."""

_WHEN = ("taken", "times", "digitised", "future_time", "exif", "content_credentials")
_FILE_TOPICS = (
    (r"\bwhen\b|\bdate|\bday\b|\byear\b|how old|taken", _WHEN),
    (r"camera|phone|device", ("camera", "camera_fields", "exif", "content_credentials")),
    (
        r"software|program|photoshop|editor|generator|\bai\b",
        ("software", "claim_generator", "generator_text", "declared_source", "exif"),
    ),
    (r"sign|c2pa|credential|certif", ("content_credentials", "signer", "claim_generator", "digital_source")),
    (r"jpe?g|compress|saved|quality", ("jpeg_quality", "jpeg_tables", "jpeg_coding", "jpeg_subsampling")),
    (r"", ("exif", "content_credentials", "declared_source", "generator_text", "taken", "jpeg_quality")),
)

_NAMED = (
    (r"blur|sharp|focus", "quality.blur"),
    (r"bright|dark|light|expos", "quality.brightness"),
    (r"\bsize|small|\bbig|resolution|pixels", "quality.size"),
    (r"\bturn|facing|which way|sideways|profile|yaw|(?:left|right)\b(?! (?:eye|brow))", "head_pose.yaw"),
    (r"\btip|\bnod|\bup\b|\bdown\b|pitch", "head_pose.pitch"),
    (r"tilt|\broll", "head_pose.roll"),
)
"""Words that ask for one measure among several of a tool."""
_DETECTORS = (
    (r"\bai\b|generat|synth|midjourney|diffusion|dall-?e|computer|\bgan\b", "synthesis.face"),
    (r"edit|alter|manipul|photoshop|retouch|tamper|swap|doctor|paste", "manipulation.face"),
    (r"morph|blend", "morph."),
)
"""Words that ask for what one detector found."""


def declined(code: str, attribute: str | None = None) -> Claim:
    """The sentence that declines."""
    return Claim(DECLINED[code].format(attribute=attribute), (), "summary", supported=True)


def compose(intent: Intent, brief: Brief, new: Sequence[str]) -> tuple[Claim, ...]:
    """The answer in fixed wording.

    Args:
        intent: What the question is after; not one that is declined.
        brief: Evidence with what was measured for the question, the verdict, and the question.
        new: Ids of what was measured for it.
    """
    if not brief.decision.assessable and intent.kind not in ("provenance", "faces", "cited", "checked", "not_measured"):
        return tuple(template.write(brief)[:2])
    most = MOST_LISTED if intent.kind in ("not_measured", "checked", "would_change") else MOST
    claims = {claim.text: claim for claim in _written(intent, brief, new)}
    return tuple(claims.values())[:most]


def _written(intent: Intent, brief: Brief, new: Sequence[str]) -> Iterator[Claim]:
    if intent.kind in ("why", "verdict"):
        yield from _verdict(intent, brief)
    elif intent.kind == "part":
        yield from _part(intent, brief)
    elif intent.kind == "compare":
        yield from _compared(intent, brief, new)
    elif intent.kind == "would_change":
        yield from _told(_of(brief, f"{counterfactual.TOOL}."))
    elif intent.kind == "not_measured":
        yield from _missing(brief)
    elif intent.kind == "zoom":
        yield from _zoomed(intent, brief)
    elif intent.kind == "scale":
        yield from _told(_of(brief, measuring.SCALE, new or None))
        yield from _told(_of(brief, "manipulation.face"))
    elif intent.kind == "provenance":
        yield from _file(brief)
    elif intent.kind == "size":
        yield from _told(_of(brief, _sized(brief)))
    elif intent.kind == "faces":
        yield from _told(_of(brief, "detection."))
    elif intent.kind == "cited":
        yield from _told(item for item in brief.evidence if item.id in intent.cited)
    elif intent.kind == "sensitive":
        yield from _told(perceived(intent, brief))
    elif intent.kind == "checked":
        yield from _told(template.telling(brief, MOST_LISTED))
    else:
        yield from _topic(brief)


def perceived(intent: Intent, brief: Brief) -> list[Evidence]:
    """Measurements of an attribute whose finding calls it perceived; others are not told."""
    name = (intent.attribute or "").replace(" ", "_")
    found = [item for item in brief.evidence if item.measure.partition(".")[2] == name and item.status == "ok"]
    return [item for item in found if "perceived" in item.finding.lower()]


def _claim(text: str, ids: Sequence[str], section: Section = "observations") -> Claim:
    return Claim(text, tuple(ids), section)


def _told(items: Iterable[Evidence]) -> Iterator[Claim]:
    for item in items:
        yield _claim(item.finding if item.status == "ok" else template.absence(item), [item.id])


def _of(brief: Brief, prefix: str, ids: Sequence[str] | None = None) -> list[Evidence]:
    """Evidence whose measure begins so, of these ids only if any are given; the latest of each measure."""
    wanted = {item.measure: item for item in brief.evidence if item.measure.startswith(prefix)}
    return [item for item in wanted.values() if ids is None or item.id in ids]


def verdict(brief: Brief) -> Claim:
    """The verdict in one sentence."""
    return template.write(brief)[0]


def _reasons(brief: Brief) -> list[Claim]:
    return [_claim(text, template.verdict_ids(brief), "interpretation") for text in template.reasons(brief)]


def _deciding(brief: Brief) -> list[Claim]:
    held = {item.id: item for item in brief.evidence}
    return list(_told(held[id_] for id_ in brief.decision.deciding[:3] if id_ in held))


def _verdict(intent: Intent, brief: Brief) -> Iterator[Claim]:
    """Why: the reasons and what decided. What: the verdict itself, then the reasons."""
    if intent.kind == "verdict" or not brief.decision.abstained:
        yield verdict(brief)
    if intent.kind == "verdict":
        asked = [measure for words, measure in _DETECTORS if re.search(words, (brief.question or "").lower())]
        yield from _told(item for measure in asked for item in _of(brief, measure))
    yield from _reasons(brief)
    if intent.kind == "why":
        yield from _deciding(brief)


def _part(intent: Intent, brief: Brief) -> Iterator[Claim]:
    """What was read on the parts that are named, and what that came to."""
    if not intent.parts:
        return (yield from _standing_out(brief))
    presumed = re.search(r"\bwhy\b|you (?:claim|say|think)", (brief.question or "").lower())
    if presumed and brief.decision.label not in ("manipulated", "a forgery of the person"):
        yield verdict(brief)  # it does not say what the question takes for granted
    for tool in ("manipulation", "reference_comparison", "compression_traces"):
        for part in intent.parts:
            yield from _told(item for item in _of(brief, f"{tool}.{part}") if item.status == "ok")
    yield from _told(_of(brief, "manipulation.face") or _of(brief, "manipulation"))
    yield verdict(brief)
    yield from _reasons(brief)[:1]


def _standing_out(brief: Brief) -> Iterator[Claim]:
    """The parts over which the map of alterations is highest, and what that came to."""
    read = [item for item in _of(brief, "manipulation.") if item.measure != "manipulation.face" and item.status == "ok"]
    yield from _told(sorted(read, key=lambda item: -float(item.value or 0))[:3])
    yield from _told(_of(brief, "manipulation.face") or _of(brief, "manipulation"))
    yield verdict(brief)


def _compared(intent: Intent, brief: Brief, new: Sequence[str]) -> Iterator[Claim]:
    """The verdict and the likeness; where the comparison that was asked for failed, only why: the rest is of others."""
    if last_failed(brief.evidence):
        yield from _told(last_comparison(brief.evidence))
        if intent.name or new:
            return
    for part in intent.parts:
        yield from _told(_of(brief, f"reference_comparison.{part}"))
    yield verdict(brief)
    yield from _told(_of(brief, "identity.similarity") or _of(brief, "identity"))
    if len(each := _of(brief, "identity.reference.")) > 1:
        yield from _told(each[-1:])  # the latest photo by itself
    yield from _told(_of(brief, "reference_comparison.face") or _of(brief, "reference_comparison"))
    yield from _told(item for item in _of(brief, "reference_comparison.") if " differs from " in item.finding)
    yield from _reasons(brief)


def _missing(brief: Brief) -> Iterator[Claim]:
    items = [item for item in brief.evidence if item.status != "ok"]
    # What a closer look lacked is told where it was asked for.
    yield from _told(item for item in items if item.tool not in (measuring.ZOOM, measuring.SCALE))
    if not items:
        yield declined("nothing_missing")


def _zoomed(intent: Intent, brief: Brief) -> Iterator[Claim]:
    items = [item for region in intent.parts or ("face",) for item in _of(brief, f"{measuring.ZOOM}.{region}.")]
    failed = [item for item in _of(brief, measuring.ZOOM) if item.measure == measuring.ZOOM]
    yield from _told(sorted((*items, *failed), key=lambda item: item.status != "ok"))


def _sized(brief: Brief) -> str:
    """The measure that tells how many pixels what is asked about has: the file, else the face."""
    asked = (brief.question or "").lower()
    whole = re.search(r"\b(?:photo|picture|image)\b", asked) and not re.search(r"\b(?:face|head)\b", asked)
    return "provenance.format" if whole else "quality.size"


def _file(brief: Brief) -> Iterator[Claim]:
    question = (brief.question or "").lower()
    wanted = next(names for words, names in _FILE_TOPICS if re.search(words, question))
    held = {item.measure: item for item in brief.evidence}
    yield from _told(held[f"provenance.{name}"] for name in wanted if f"provenance.{name}" in held)
    if "jpeg_quality" in wanted:
        yield from _told(_of(brief, "compression_traces.earlier_saving"))


def _topic(brief: Brief) -> Iterator[Claim]:
    """The measures that the question's words name, if it names any; else what bears on its topics."""
    question = (brief.question or "").lower()
    named = [measure for words, measure in _NAMED if re.search(words, question)]
    bearing = [item for item in relevance.relevant(brief) if not named or item.measure in named]
    # The map over the eyes does not say whether they are closed.
    bearing = [item for item in bearing if item.tool not in relevance.FORENSIC] or bearing
    clear = [item for item in bearing if item.status == "ok"]
    yield from _told((clear or bearing)[: template.MOST_ANSWERS])


def checked(claims: Iterable[Claim], brief: Brief) -> tuple[Claim, ...]:
    """The claims that the cited evidence supports; the other ones are left out.

    What would change the verdict is no measurement, so it may be told in the finding's own words only.
    """
    assumed = {item.id: item.finding for item in brief.evidence if item.tool == counterfactual.TOOL}
    kept = []
    for claim in grounding.check(claims, brief):
        verbatim = all(claim.text == assumed[id_] for id_ in claim.evidence if id_ in assumed)
        if claim.supported and verbatim:
            kept.append(claim)
    return tuple(kept)
