"""What the service answers, for its OpenAPI description; the record is that of ``facewitness examine --json``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...agent.record import Record
from .jobs import DONE, View
from .problems import Problem
from .signing import Signature
from .work import REPORT

EXAMPLE_ID = "vd_5f0c6f1f3a5e4f0f9f0f1c2d3e4f5a6b"


class Links(BaseModel):
    """Paths of what belongs to a verdict; of pictures only those that are kept."""

    self: str
    events: str
    record: str | None = None
    report: str | None = None
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
    overlays = {name.removesuffix(".png"): f"{path}/overlays/{name[:-4]}" for name in view.pictures if name != REPORT}
    links = Links(
        self=path,
        events=f"{path}/events",
        record=f"{path}/record.json" if view.status == DONE else None,
        report=f"{path}/{REPORT}" if REPORT in view.pictures else None,
        overlays=overlays,
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
