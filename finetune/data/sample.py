"""One sample of instruction data: pictures, prompt, answer, and all that the answer may be checked against."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import cv2
import numpy as np

from ...agent.verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS, Brief, Claim, Decision
from ...tools.evidence import Evidence
from ...tools.image import RGBImage

Mode = Literal["answer", "answer_first", "reason_first"]
"""Where the conclusion stands (VIPGuard 2025): alone, before the reasons, or after them."""
Form = Literal["headed", "plain", "json"]
MODES: tuple[Mode, ...] = ("answer", "answer_first", "reason_first")
FORMS: tuple[Form, ...] = ("headed", "plain", "json")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample.

    Attributes:
        engine: Which engine made it.
        split: ``fit``, ``calibration`` or ``test``.
        source: Where the first picture is from.
        people: Who is shown, altered or put in; nobody is in two splits.
        images: PNG files, in the order of the ``<image>`` marks in the prompt.
        question: What is asked, as it stands in the prompt.
        prompt, answer: The user's and the assistant's turn.
        mode, form: How the answer is laid out.
        label: The truth: a verdict's label, or the answer of an engine that gives no verdict.
        claims: The answer's sentences in its order.
        evidence: What they may cite; what is not ``given`` the model has to see for itself.
        given: Ids of the evidence that stands in the prompt.
        deciding: Ids on which the conclusion rests.
        conditions: What is special: ``contradicting``, ``withheld``, ``unreadable`` …
        truth: What the labels and masks say, for evaluations.
    """

    engine: str
    split: str
    source: str
    people: tuple[str, ...]
    images: tuple[bytes, ...]
    question: str
    prompt: str
    answer: str
    mode: Mode
    form: Form
    label: str
    claims: tuple[Claim, ...]
    evidence: tuple[Evidence, ...]
    given: tuple[str, ...]
    deciding: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    truth: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Hash of what a model sees and is taught."""
        parts = (*self.images, self.prompt.encode(), self.answer.encode())
        return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]

    def brief(self) -> Brief:
        """What ``agent.grounding`` checks the claims against."""
        return Brief(self.evidence, decision(self.label, self.deciding), self.question)


def layout(rng: np.random.Generator) -> tuple[Mode, Form]:
    """A mode and a form: mostly with reasons, before or after the conclusion."""
    return MODES[int(rng.choice(3, p=(0.2, 0.4, 0.4)))], FORMS[int(rng.choice(3, p=(0.4, 0.4, 0.2)))]


def decision(label: str, deciding: Sequence[str] = ()) -> Decision:
    """The truth as a decision; one that gives no verdict where the label is not a verdict's."""
    labels = next((named for named in (SINGLE_LABELS, REFERENCE_LABELS) if label in named), ())
    if not labels:
        return Decision(INCONCLUSIVE, {}, True, deciding=tuple(deciding))
    return Decision(label, {one: float(one == label) for one in labels}, False, deciding=tuple(deciding))


def png(rgb: RGBImage) -> bytes:
    """A (height, width, 3) uint8 RGB picture without loss: traces of forgery would not survive another format."""
    return bytes(cv2.imencode(".png", rgb[..., ::-1])[1].tobytes())


def numbered(
    given: Sequence[Evidence], seen: Mapping[str, Evidence | None], rng: np.random.Generator
) -> tuple[tuple[Evidence, ...], dict[str, str], tuple[Evidence, ...]]:
    """Give ids: first to what the prompt states, tool by tool in a drawn order, then to what the model is to look at.

    Args:
        given: Evidence of the tools.
        seen: What the picture shows by name; None where the truth says nothing, so that nothing is said either.
        rng: Draws both orders, so that no place stands for a label.

    Returns:
        The evidence in the prompt, the id of each thing to look at, and what is seen of it.
    """
    tools = list(dict.fromkeys(item.tool for item in given))
    rng.shuffle(tools)
    stated = [item for tool in tools for item in given if item.tool == tool]
    names = list(seen)
    rng.shuffle(names)
    ids = {name: f"e{number}" for number, name in enumerate(names, len(stated) + 1)}
    looked = tuple(replace(item, id=ids[name]) for name, item in seen.items() if item is not None)
    return tuple(replace(item, id=f"e{n}") for n, item in enumerate(stated, 1)), ids, looked
