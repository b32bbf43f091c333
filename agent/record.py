"""The verdict record, schema ``facewitness.verdict/1``: what every client, report and log is made from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .verdict import Section

Probability = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageInfo(_Part):
    """The examined file; width and height after the EXIF orientation is applied."""

    sha256: Sha256
    width: int
    height: int
    format: Literal["JPEG", "PNG", "WEBP"]


class Box(_Part):
    """Pixels of the upright photo."""

    x: float
    y: float
    width: float
    height: float


class NamedBox(Box):
    """A box with the name of what it shows, such as ``mouth``."""

    name: str


class ReasonInfo(_Part):
    """A stable code and a sentence."""

    code: str
    text: str


class FaceInfo(_Part):
    """One detected face; ``assessable`` is null where it was not tried, ``refusal`` says why it is false."""

    id: str
    box: Box
    score: Probability
    assessable: bool | None
    refusal: ReasonInfo | None = None
    quality: dict[str, float] = {}


class VerdictInfo(_Part):
    """The decision that fusion computed."""

    label: Literal[
        "authentic",
        "manipulated",
        "synthetic",
        "the person",
        "a forgery of the person",
        "someone else",
        "inconclusive",
    ]
    probabilities: dict[str, Probability]
    abstained: bool
    assessable: bool
    reasons: list[ReasonInfo]
    deciding: list[str] = []

    @model_validator(mode="after")
    def _sums_to_one(self) -> VerdictInfo:
        if abs(sum(self.probabilities.values()) - 1) > 1e-6:
            raise ValueError("probabilities must sum to 1")
        if self.abstained != (self.label == "inconclusive"):
            raise ValueError("abstained must go with the label inconclusive")
        return self


class EvidenceInfo(_Part):
    """One measurement; ``model`` names an entry of the record's ``models``.

    ``usual``: least and greatest value that unaltered photos usually show, where that was measured.
    """

    id: str
    measure: str
    tool: str
    face: str | None = None
    finding: str
    value: float | int | str | bool | None = None
    unit: str | None = None
    probability: Probability | None = None
    usual: tuple[float, float] | None = None
    region: NamedBox | None = None
    status: Literal["ok", "not_measurable", "unavailable", "failed"]
    model: str | None = None


class ComparisonInfo(_Part):
    """What the face was compared with; the name of an enrolled person stays out of the record."""

    kind: Literal["photos", "enrolled person", "photos and enrolled person"]
    references: int
    images: list[ImageInfo] = []


class OptionsInfo(_Part):
    """What was asked for that bears on the measurements; ``commercial_only``: no weights without commercial terms."""

    commercial_only: bool = False


class ClaimInfo(_Part):
    """One sentence of the explanation and the evidence that it cites."""

    text: str
    evidence: list[str]
    supported: bool


class ReasoningInfo(_Part):
    """Key observations, overall interpretation, conclusion: the order of Exp-CoT (ExpLLM, 2024)."""

    observations: str
    interpretation: str
    conclusion: str


class GroundingInfo(_Part):
    """What the check did to a language model's sentences.

    Of those ``written``, ``refused`` were not supported by the evidence that they cite. Written anew once,
    ``regenerated`` of these were supported, and the other ``dropped`` are left out. The sections ``from_template``
    lost all their sentences that way and have the template's.
    """

    written: int
    refused: int
    regenerated: int
    dropped: int
    from_template: list[Section]


class ExplanationInfo(_Part):
    """The explanation; every sentence of ``summary`` and ``reasoning`` is one of the ``claims``.

    ``model`` names the language model that wrote it; ``grounding`` is null where none wrote any.
    """

    summary: str
    claims: list[ClaimInfo]
    reasoning: ReasoningInfo
    written_by: Literal["model", "template"]
    model: str | None = None
    why_template: str | None = None
    grounding: GroundingInfo | None = None


class ModelInfo(_Part):
    """Weights or algorithm that took part; ``sha256`` is null for an algorithm or a remote model."""

    name: str
    version: str
    sha256: Sha256 | None
    licence: str
    commercial_use: bool | None


class Record(_Part):
    """One examination of one face."""

    schema_version: Literal["facewitness.verdict/1"] = Field(default="facewitness.verdict/1", alias="schema")
    id: str
    created_at: datetime
    software: str
    image: ImageInfo
    comparison: ComparisonInfo | None = None
    question: str | None = None
    options: OptionsInfo = OptionsInfo()
    faces: list[FaceInfo]
    subject: str | None
    verdict: VerdictInfo
    evidence: list[EvidenceInfo]
    explanation: ExplanationInfo
    models: list[ModelInfo]
    timings_ms: dict[str, float]

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True)

    def to_json(self, indent: int | None = None) -> str:
        """The record as JSON text, keys as in the exported JSON Schema."""
        return self.model_dump_json(by_alias=True, indent=indent)


def json_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the record; ``docs/verdict.schema.json`` holds the exported copy."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema(by_alias=True)}
