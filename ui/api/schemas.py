"""What the service answers, for its OpenAPI description; the record is that of ``facewitness examine --json``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...agent.record import ModelInfo, Record
from .batch import BatchView
from .jobs import DONE, View
from .problems import Problem
from .signing import Signature
from .work import REPORT, REPORT_PDF

EXAMPLE_ID = "vd_5f0c6f1f3a5e4f0f9f0f1c2d3e4f5a6b"
EXAMPLE_BATCH = "bt_0a1b2c3d4e5f60718293a4b5c6d7e8f9"
EXAMPLE_PERSON = "pn_9f8e7d6c5b4a39281706f5e4d3c2b1a0"
EXAMPLE_SEARCH = "sr_1f2e3d4c5b6a79880716253443526170"


class Links(BaseModel):
    """Paths of what belongs to a verdict; of pictures only those that are kept."""

    self: str
    events: str
    record: str | None = None
    report: str | None = None
    report_pdf: str | None = None
    overlays: dict[str, str] = {}


class Verdict(BaseModel):
    """An examination and, once it has ended, its record or its problem."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "status": "queued",
                    "created_at": "2026-11-25T17:03:21.400000Z",
                    "finished_at": None,
                    "record": None,
                    "signature": None,
                    "problem": None,
                    "links": {
                        "self": f"/v1/verdicts/{EXAMPLE_ID}",
                        "events": f"/v1/verdicts/{EXAMPLE_ID}/events",
                        "record": None,
                        "report": None,
                        "report_pdf": None,
                        "overlays": {},
                    },
                }
            ]
        }
    )

    id: Annotated[str, Field(pattern=r"^vd_[0-9a-f]{32}$")]
    status: Literal["queued", "running", "done", "failed"]
    created_at: datetime
    finished_at: datetime | None
    record: Record | None
    signature: Signature | None
    problem: Problem | None
    links: Links


def verdict(view: View) -> dict[str, Any]:
    """A view as the JSON types of ``Verdict``."""
    end = view.end or {}
    path = f"/v1/verdicts/{view.id}"
    drawn = [name.removesuffix(".png") for name in view.pictures if name.endswith(".png")]
    links = Links(
        self=path,
        events=f"{path}/events",
        record=f"{path}/record.json" if view.status == DONE else None,
        report=f"{path}/{REPORT}" if REPORT in view.pictures else None,
        report_pdf=f"{path}/{REPORT_PDF}" if REPORT_PDF in view.pictures else None,
        overlays={name: f"{path}/overlays/{name}" for name in drawn},
    )
    return {
        "id": view.id,
        "status": view.status,
        "created_at": _moment(view.created_at),
        "finished_at": None if view.finished_at is None else _moment(view.finished_at),
        "record": end.get("record"),
        "signature": end.get("signature"),
        "problem": end.get("problem"),
        "links": links.model_dump(),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


class Summary(BaseModel):
    """A verdict in a list: the record is behind `path`."""

    id: Annotated[str, Field(pattern=r"^vd_[0-9a-f]{32}$")]
    status: Literal["queued", "running", "done", "failed"]
    created_at: datetime
    finished_at: datetime | None
    batch: str | None
    path: str


class Verdicts(BaseModel):
    """A page of verdicts; `next` is the path of the following one, null on the last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "verdicts": [
                        {
                            "id": EXAMPLE_ID,
                            "status": "done",
                            "created_at": "2026-11-25T17:03:21.400000Z",
                            "finished_at": "2026-11-25T17:03:22.100000Z",
                            "batch": None,
                            "path": f"/v1/verdicts/{EXAMPLE_ID}",
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    verdicts: list[Summary]
    next: str | None


def summary(view: View) -> Summary:
    """A view in a list."""
    return Summary(
        id=view.id,
        status=view.status,
        created_at=datetime.fromtimestamp(view.created_at, UTC),
        finished_at=None if view.finished_at is None else datetime.fromtimestamp(view.finished_at, UTC),
        batch=view.batch,
        path=f"/v1/verdicts/{view.id}",
    )


class Batch(BaseModel):
    """A batch and how far it is; `deleted` counts verdicts that were deleted by themselves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_BATCH,
                    "status": "running",
                    "created_at": "2026-11-25T17:03:21.400000Z",
                    "finished_at": None,
                    "photos": 3,
                    "counts": {"queued": 1, "running": 1, "done": 0, "failed": 1, "deleted": 0},
                    "links": {
                        "self": f"/v1/batches/{EXAMPLE_BATCH}",
                        "results": f"/v1/batches/{EXAMPLE_BATCH}/results",
                    },
                }
            ]
        }
    )

    id: Annotated[str, Field(pattern=r"^bt_[0-9a-f]{32}$")]
    status: Literal["running", "done"]
    created_at: datetime
    finished_at: datetime | None
    photos: int
    counts: dict[Literal["queued", "running", "done", "failed", "deleted"], int]
    links: dict[Literal["self", "results"], str]


def batch(view: BatchView) -> dict[str, Any]:
    """A view as the JSON types of ``Batch``."""
    counts = dict.fromkeys(("queued", "running", "done", "failed", "deleted"), 0)
    for _, job in view.photos:
        counts["deleted" if job is None else job[1]] += 1
    path = f"/v1/batches/{view.id}"
    return {
        "id": view.id,
        "status": "running" if counts["queued"] + counts["running"] else "done",
        "created_at": _moment(view.created_at),
        "finished_at": None if view.finished_at is None else _moment(view.finished_at),
        "photos": len(view.photos),
        "counts": counts,
        "links": {"self": path, "results": f"{path}/results"},
    }


class BatchLine(BaseModel):
    """A photo of a batch, one line of NDJSON; `verdict` is null where it was deleted by itself."""

    number: int
    id: str
    verdict: Verdict | None


class Person(BaseModel):
    """An enrolled person; `id` is made from owner and name under a secret key."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": EXAMPLE_PERSON, "name": "Ada Example", "photos": 2, "created_at": "2026-11-25T17:03:21.400000Z"}
            ]
        }
    )

    id: Annotated[str, Field(pattern=r"^pn_[0-9a-f]{32}$")]
    name: str
    photos: int
    created_at: datetime


class Enrolled(Person):
    """A person just enrolled."""

    lowest_similarity: Annotated[
        float | None, Field(description="Cosine of the two photos that differ most; null for a single photo.")
    ]
    consistent: Annotated[bool, Field(description="Whether no two photos look like different people.")]


class People(BaseModel):
    """Everyone whom the key's owner enrolled, by name."""

    people: list[Person]


class Candidate(BaseModel):
    """An enrolled person who looks like the face."""

    id: Annotated[str, Field(pattern=r"^pn_[0-9a-f]{32}$")]
    name: str
    similarity: Annotated[float, Field(description="Cosine to the photo of the person that is most like it.")]
    probability: Annotated[
        float,
        Field(
            description="That the face is this person's, altered or not, and not someone else's: of the cosine to the "
            "mean of the photos, by the verdict's calibration, as if this one person had been claimed."
        ),
    ]
    match: Annotated[bool, Field(description="Whether the verdict would call the likeness the person's.")]
    reason: Annotated[str, Field(description="Code of the verdict's reason.", examples=["identity.matches"])]


class Calibrated(ModelInfo):
    """What made the probabilities, and the least one at which there is a match."""

    threshold: float


class Search(BaseModel):
    """Where to look, never who it is; `id` names the line of the audit log, which was written before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_SEARCH,
                    "recognised": True,
                    "statement": "By likeness alone, 1 of 2 people searched may be who it is. "
                    "A stranger to all of them is expected to match 0.0004 of them.",
                    "candidates": [
                        {
                            "id": EXAMPLE_PERSON,
                            "name": "Ada Example",
                            "similarity": 0.7124,
                            "probability": 1.0,
                            "match": True,
                            "reason": "identity.matches",
                        }
                    ],
                    "people": 2,
                    "expected_false_matches": 0.0004,
                    "features": {
                        "name": "sface",
                        "version": "2021dec",
                        "sha256": "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
                        "licence": "Apache-2.0",
                        "commercial_use": True,
                    },
                    "calibration": {
                        "name": "fusion",
                        "version": "1",
                        "sha256": "734ca0e095d034a0c10eeaebae3ffcebcc01d8b54b82abb0c8ff391d22354420",
                        "licence": "Apache-2.0",
                        "commercial_use": True,
                        "threshold": 0.98,
                    },
                }
            ]
        }
    )

    id: Annotated[str, Field(pattern=r"^sr_[0-9a-f]{32}$")]
    recognised: Annotated[bool, Field(description="Whether there is a match; if not, the search abstains.")]
    statement: str
    candidates: Annotated[list[Candidate], Field(description="The most like first; none below the cosine 0.363.")]
    people: Annotated[int, Field(description="How many were searched.")]
    expected_false_matches: Annotated[
        float, Field(description="How many people a stranger matches on average; more where they look alike.")
    ]
    features: Annotated[ModelInfo, Field(description="The weights whose features are compared.")]
    calibration: Calibrated


class Weights(BaseModel):
    """Weights or parameters; ``sha256`` is that of the file in use, ``present`` whether it is here."""

    name: str
    version: str
    sha256: str | None
    licence: str
    commercial_use: bool | None
    present: bool


class Tool(BaseModel):
    """A measurement."""

    name: str
    title: str
    of: Literal["photo", "face"]


class Tools(BaseModel):
    """What takes part in an examination."""

    software: str
    tools: list[Tool]
    models: list[Weights]


class PublicKey(BaseModel):
    """A key that records are signed with."""

    key_id: str
    algorithm: Literal["Ed25519"]
    public_key: Annotated[str, Field(description="32 bytes, hexadecimal.")]


class PublicKeys(BaseModel):
    """All keys that this service ever signed with, the newest last."""

    keys: list[PublicKey]


class Verification(BaseModel):
    """Whether a signed record is as it was signed; ``reason`` says why not."""

    valid: bool
    key_id: str | None = None
    signed_at: str | None = None
    reason: str | None = None


class Health(BaseModel):
    """Whether the service can work, and what is wrong where it cannot."""

    status: Literal["ok", "not ready"]
    problems: list[str] = []
