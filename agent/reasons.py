"""Why a verdict is as it is: the sentences of fusion, each with its code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..tools.evidence import Evidence
from ..tools.identity import SAME_PERSON_MIN
from .traces import Traced
from .verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS, Reason

AUTHENTIC = SINGLE_LABELS[0]
PERSON, FORGERY, OTHER = REFERENCE_LABELS

RARE = Reason("forgery.assumed_rare", "Before looking, one claim in ten is taken to be a forgery.")


def likeness(label: str, like_person: bool, cosine: str) -> tuple[Reason, ...]:
    """What the ``cosine``, a phrase with its number, says."""
    if label == OTHER:
        return (Reason("identity.differs", f"{cosine} is in the range of other people."),)
    if label == PERSON:
        return (Reason("identity.matches", f"{cosine} is in the range of the person's own photos."), RARE)
    if like_person:
        text = f"{cosine} is in the range of the person's own photos, and of forgeries of the person too."
        return (Reason("identity.matches", text),)
    text = f"{cosine} lies where the person, forgeries of the person and other people overlap."
    return (Reason("identity.ambiguous", text),)


def forensic(label: str, traces: Traced, said: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """What speaks of a forgery, after what the comparison with the references ``said``."""
    if label not in (FORGERY, INCONCLUSIVE):
        return (traces.reason,) if traces.reason else ()
    if traces.reason:
        return (*said, traces.reason)
    if traces.detectors.noticed or (not said and (traces.noticed or label == FORGERY)):
        return (*said, seen(INCONCLUSIVE if said else label, traces))
    return said or (nothing(),)


def differing(found: Mapping[str, Evidence]) -> Reason:
    """Names the parts that are less like the references than is usual, with the words of their findings."""
    names = [f"the {item.measure.partition('.')[2].replace('_', ' ')}" for item in below_usual(found.values())]
    listed = " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
    subject = listed or "taken together, the parts of the face"
    verb = "is below its" if len(names) == 1 else "are below their"
    return Reason("parts.differ", f"{subject[0].upper()}{subject[1:]} {verb} usual likeness to the references.")


def below_usual(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Parts that are less like the references than a person's own photos usually are."""
    parts = [item for item in evidence if item.tool == "reference_comparison" and item.usual is not None]
    return tuple(
        item
        for item in parts
        if isinstance(item.value, float) and item.usual is not None and item.value < item.usual[0]
    )


def unlike() -> Reason:
    """The look at both faces speaks against the person."""
    text = "The vision-language model, which looked at both faces alone, does not find the same person unaltered."
    return Reason("sight.differs", text)


def others(found: Mapping[str, Evidence]) -> tuple[Reason, ...]:
    """That the photo's other faces had no part in the comparison: one of them may be the person."""
    faces = found.get("detection.faces")
    count = faces.value - 1 if faces is not None and isinstance(faces.value, int) else 0
    if count < 1:
        return ()
    # "No" and "none" reach what follows, so the check lets nobody say of the other faces that they were compared.
    subject = "No other face" if count == 1 else f"None of the other {count} faces"
    return (Reason("faces.not_compared", f"{subject} in the photo was compared for this verdict."),)


def seen(label: str, traces: Traced) -> Reason:
    """What the detectors found, and whether the look agrees."""
    detectors = traces.detectors
    if label == INCONCLUSIVE:
        if not detectors.noticed:
            text = "Only the vision-language model sees signs of a forgery, and alone it cannot give a verdict."
            return Reason("sight.alone", text)
        if detectors.label != INCONCLUSIVE and traces.forged < detectors.forged:
            text = "The detectors found traces of a forgery that the vision-language model does not see."
            return Reason("sight.disagrees", text)
        text = "The detectors found signs that both authentic and forged photos show."
        return Reason("forgery.ambiguous", text)
    if label == AUTHENTIC:
        return Reason("forgery.none", "The detectors found none of the traces that forgeries leave.")
    if detectors.label == INCONCLUSIVE and traces.forged > detectors.forged:
        text = "The detectors found signs of a forgery, and the vision-language model sees them too."
        return Reason("sight.agrees", text)
    text = "The detectors found traces that forged photos leave and authentic photos hardly ever show."
    return Reason("forgery.found", text)


def nothing() -> Reason:
    """The detectors noticed nothing, which proves nothing."""
    text = (
        "The detectors found no clear traces of a forgery. They also miss forgeries, those of unknown kinds above all, "
        "so this does not make the photo authentic."
    )
    return Reason("forgery.nothing_found", text)


def not_measured(evidence: tuple[Evidence, ...]) -> Reason:
    """The similarity is missing, and why."""
    why = next((item.finding for item in evidence if item.tool == "identity" and item.status != "ok"), "")
    return Reason("identity.not_measured", f"The similarity to the references was not measured. {why}".strip())


def disagreement(item: Evidence) -> Reason:
    """The references do not show one person."""
    text = (
        f"The references disagree with one another: their least cosine similarity is {item.value:.3f}, "
        f"below {SAME_PERSON_MIN}, so they may show different people."
    )
    return Reason("identity.references_disagree", text)
