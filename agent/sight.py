"""What a vision-language model is asked about a face alone, and in which words it answers: for training and for use.

No text but these fixed questions goes in: no measurement, file name, metadata or question of a user. The answer opens
in fixed words, so that the probability of each verdict can be read from the tokens that may follow them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..tools.evidence import ModelCard
from ..tools.face import Floats
from ..tools.image import RGBImage
from .verdict import INCONCLUSIVE, REFERENCE_LABELS, SINGLE_LABELS

TOOL = "sight"

REGIONS: Mapping[str, str] = {
    "eyes": "the eyes",
    "nose": "the nose",
    "mouth": "the mouth",
    "skin": "the skin",
    "outline": "the outline of the face",
}
"""Regions that the model looks at, and how they are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Look:
    """One question about one or two aligned faces.

    Attributes:
        question: As asked.
        seen: What the answer may cite, in the order of the ids e1, e2 …
        opening: Words that every answer begins with.
        answers: What may follow; the first tokens differ.
        pictures: How many faces: the one in question, then a reference.
    """

    question: str
    seen: tuple[str, ...]
    opening: str
    answers: tuple[str, ...]
    pictures: int = 1

    @property
    def judges(self) -> bool:
        """Whether it asks for a verdict."""
        return INCONCLUSIVE in self.answers

    @property
    def text(self) -> str:
        """The user's turn without its pictures."""
        listed = ", ".join(f"e{number} {name}" for number, name in enumerate(self.seen, 1))
        return f"{self.question}\nSee {listed}."

    @property
    def prompt(self) -> str:
        """The user's turn, with a mark for each picture."""
        return "<image>" * self.pictures + self.text


FORGERY = Look(
    "Is this face authentic, manipulated or synthetic?",
    (*REGIONS, "generator"),
    "The verdict is",
    (*SINGLE_LABELS, INCONCLUSIVE),
)
REFERENCE = Look(
    "Is the first face the person of the second, a forgery of the person, or someone else?",
    (*REGIONS, "eyes shape", "nose shape", "mouth shape", "outline shape"),
    "The verdict is",
    (*REFERENCE_LABELS, INCONCLUSIVE),
    pictures=2,
)
EXPRESSION = Look(
    "What does this face display?",
    ("expression", "brows", "eyes", "nose", "mouth", "jaw"),
    "The face displays",
    (
        "a neutral expression",
        "happiness",
        "surprise",
        "sadness",
        "anger",
        "fear",
        "disgust",
        "none of the named expressions",
    ),
)
PERCEIVED: Mapping[str, Look] = {
    "age": Look(
        "How old is the person?",
        ("age of the person",),
        "The person is between",
        tuple(f"{low} and {low + 9} years old" for low in range(0, 100, 10)),
    ),
    "gender": Look("Is the person a man or a woman?", ("gender of the person",), "The person is a", ("man", "woman")),
    "ethnicity": Look(
        "Which ethnicity is given for the person?",
        ("ethnicity of the person",),
        "The person is labelled",
        ("black", "east asian", "west asian", "white"),
    ),
}
"""By attribute; asked only where a deployment's policy allows it."""


@dataclass(frozen=True, slots=True)
class Line:
    """Platt's calibration (1999): a line on the logit."""

    slope: float
    intercept: float

    def __call__(self, probability: float) -> float:
        """Calibrated probability at even odds; four digits, and never a certainty."""
        clipped = min(max(probability, 1e-6), 1 - 1e-6)
        logit = self.slope * math.log(clipped / (1 - clipped)) + self.intercept
        return round(min(max(0.5 * (1 + math.tanh(logit / 2)), 0.0001), 0.9999), 4)


class Looker(Protocol):
    """A model that looks at faces; methods raise ``ModelError`` or ``WeightsError`` where it cannot."""

    def prepare(self) -> None:
        """Load it, which may take long the first time."""

    def card(self, look: Look = FORGERY) -> ModelCard:
        """Identity and terms of what answers this question."""

    def calibration(self, look: Look) -> Line | None:
        """How what ``stated`` gives is calibrated; None where that was not fitted."""

    def probabilities(self, look: Look, faces: Sequence[RGBImage], soft: Floats | None = None) -> dict[str, float]:
        """Probability of each of the look's answers; they sum to 1. ``soft`` stands in the place of the last face."""


def stated(look: Look, answers: Mapping[str, float]) -> float | None:
    """What the answers come to, not calibrated: that a face is forged, or that two faces are the person, unaltered.

    None where the model rather says that nothing can be said.
    """
    said = {answer: p for answer, p in answers.items() if answer != INCONCLUSIVE}
    if answers[INCONCLUSIVE] >= max(said.values()):
        return None
    first = answers[look.answers[0]] / sum(said.values())
    return 1 - first if look is FORGERY else first
