"""``/v1/batches``: several photos at once, each an examination of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from ...errors import InputError, NotFound
from . import problems, schemas
from .access import Client
from .batch import BatchView, Entry
from .bodies import BatchRequest, parsed
from .rates import LimitedClient
from .service import Service
from .submission import Submission
from .verdicts import IdempotencyKey

NDJSON = "application/x-ndjson"
EXAMPLE = {
    "photos": [{"id": "door-1", "photo": "/9j/4AAQSkZJRg…"}, {"id": "door-2", "photo": "/9j/4AAQSkZJRg…"}],
    "question": "Is the head turned away?",
}
router = APIRouter(prefix="/v1/batches", tags=["batches"])

BatchId = Annotated[str, Path(pattern=r"^bt_[0-9a-f]{32}$", examples=[schemas.EXAMPLE_BATCH])]


@router.post(
    "",
    status_code=202,
    openapi_extra={"requestBody": BatchRequest.openapi_body(EXAMPLE)},
    response_model=schemas.Batch,
    responses=problems.responses(408, 413, 429, 500),
)
async def create(request: Request, client: LimitedClient, idempotency_key: IdempotencyKey = None) -> Response:
    """Examine one face of each of up to 50 photos, with the same question and options; all are accepted, or none.

    A photo that cannot be used is a line of the results with its problem, and keeps the others from nothing.
    """
    service: Service = request.app.state.service
    asked = await parsed(request, client.owner, BatchRequest)
    comparison = service.people.comparison(client, asked.person)
    entries = await run_in_threadpool(_entries, asked)
    batch = await run_in_threadpool(service.batches.submit, client.owner, entries, idempotency_key, comparison)
    service.wake.set()
    view = await run_in_threadpool(service.batches.get, client.owner, batch)
    return JSONResponse(schemas.batch(view), 202, {"Location": f"/v1/batches/{batch}"})


def _entries(asked: BatchRequest) -> list[Entry]:
    options = asked.options()
    return [_entry(photo.id, Submission(photo.photo, (), options)) for photo in asked.photos]


def _entry(name: str, submission: Submission) -> Entry:
    try:
        submission.check()
    except InputError as error:
        return Entry(name, submission, problems.problem_of(error))
    return Entry(name, submission)


@router.get("/{batch_id}", response_model=schemas.Batch, responses=problems.responses(404))
def read(request: Request, client: Client, batch_id: BatchId) -> Response:
    """How many of the photos wait, run and have ended."""
    return JSONResponse(schemas.batch(request.app.state.service.batches.get(client.owner, batch_id)))


@router.get(
    "/{batch_id}/results",
    response_class=StreamingResponse,
    responses={200: {"content": {NDJSON: {}}}, **problems.responses(404)},
)
def results(request: Request, client: Client, batch_id: BatchId) -> Response:
    """A line of JSON for each photo, in the order they were sent: `{"number", "id", "verdict"}`.

    Before the batch has ended, some verdicts are `queued` or `running`.
    """
    service: Service = request.app.state.service
    view = service.batches.get(client.owner, batch_id)
    return StreamingResponse(_lines(service, client.owner, view), media_type=NDJSON)


def _lines(service: Service, owner: str, view: BatchView) -> Iterator[bytes]:
    for number, (name, job) in enumerate(view.photos, start=1):
        try:
            verdict = None if job is None else schemas.verdict(service.jobs.get(owner, job[0]))
        except NotFound:  # deleted meanwhile
            verdict = None
        yield json.dumps({"number": number, "id": name, "verdict": verdict}, ensure_ascii=False).encode() + b"\n"


@router.delete("/{batch_id}", status_code=204, responses=problems.responses(404))
def delete(request: Request, client: Client, batch_id: BatchId) -> None:
    """Remove the batch and all its verdicts, also those that have not ended."""
    request.app.state.service.batches.delete(client.owner, batch_id, client.id)
