"""What takes part, whose signature it is, and how the service is."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from ...agent import fusion
from ...errors import SignatureInvalid
from ...tools import weights
from ...tools.evidence import ModelCard
from ...tools.registry import PhotoTool, tools
from ...tools.weights_manifest import Weight
from . import problems, schemas
from .access import Client, Principal, Scope
from .bodies import read
from .rates import LimitedClient
from .service import Service
from .signing import public_keys, verify

MAX_RECORD = 2_000_000
"""Bytes of a signed record; one of a photo with many faces has some 100,000."""
router = APIRouter()


@router.get("/v1/tools", tags=["about"], response_model=schemas.Tools, responses=problems.responses())
def list_tools(client: Client) -> schemas.Tools:
    """Measurements, and the weights behind them with version, SHA-256 and licence."""
    models = [_weights(weight, weights.present(weight.name)) for weight in weights.entries()]
    models.append(_weights(fusion.card(), True))
    found = [
        schemas.Tool(name=tool.name, title=tool.title, of="photo" if isinstance(tool, PhotoTool) else "face")
        for tool in tools().values()
    ]
    return schemas.Tools(software=f"facewitness {version('facewitness')}", tools=found, models=models)


def _weights(held: Weight | ModelCard, present: bool) -> schemas.Weights:
    return schemas.Weights(
        name=held.name,
        version=held.version,
        sha256=held.sha256,
        licence=held.licence,
        commercial_use=held.commercial_use,
        present=present,
    )


@router.get("/v1/signing-keys", tags=["records"], response_model=schemas.PublicKeys, responses=problems.responses())
def list_signing_keys(request: Request, client: Client) -> schemas.PublicKeys:
    """Public keys to verify records with, elsewhere and later."""
    keys = public_keys(request.app.state.service.database)
    return schemas.PublicKeys(
        keys=[
            schemas.PublicKey(key_id=key_id, algorithm="Ed25519", public_key=public.hex())
            for key_id, public in keys.items()
        ]
    )


@router.post(
    "/v1/reports/verify",
    tags=["records"],
    response_model=schemas.Verification,
    responses=problems.responses(408, 413, 429),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SignedRecord"}}},
        }
    },
)
async def verify_record(request: Request, client: LimitedClient) -> schemas.Verification:
    """Whether a signed record is as this service signed it; anything else than such a record is not valid."""
    body = await read(request, MAX_RECORD)
    try:
        keys = await run_in_threadpool(public_keys, request.app.state.service.database)
        signed = await run_in_threadpool(verify, body, keys)
    except SignatureInvalid as refusal:
        return schemas.Verification(valid=False, reason=str(refusal))
    return schemas.Verification(valid=True, key_id=signed.signature.key_id, signed_at=signed.signature.signed_at)


@router.get("/healthz", tags=["health"], response_model=schemas.Health)
async def alive() -> schemas.Health:
    """The process answers, also while every thread waits for the database."""
    return schemas.Health(status="ok")


@router.get("/readyz", tags=["health"], response_model=schemas.Health, responses={503: {"model": schemas.Health}})
def ready(request: Request) -> Response:
    """Whether verdicts can be made: database, workers, and the weights without which no face is found."""
    service: Service = request.app.state.service
    found = [] if service.working() else ["No worker is running."]
    try:
        service.jobs.counts()
    except SQLAlchemyError:
        found.append("The database does not answer.")
    if not weights.present("yunet"):
        found.append("Weights are missing: facewitness models pull.")
    health = schemas.Health(status="not ready" if found else "ok", problems=found)
    return JSONResponse(health.model_dump(), 503 if found else 200)


@router.get("/metrics", tags=["health"], response_class=PlainTextResponse, responses=problems.responses())
def metrics(request: Request, principal: Annotated[Principal, Depends(Scope("metrics"))]) -> Response:
    """Prometheus metrics: requests, verdicts, abstentions, failures, times by stage, the queue."""
    return Response(request.app.state.service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
