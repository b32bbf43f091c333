"""``/v1/verdicts``: hand in, follow, read, delete."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from ...errors import NotFinished
from . import problems, schemas, waiting
from .access import Client, Principal, check_scope
from .bodies import VerdictRequest, verdict_request
from .jobs import FAILED
from .rates import LimitedClient
from .service import Service
from .signing import SignedRecord, canonical
from .work import REPORT

LONGEST_WAIT = 60
PNG = "image/png"
_PREFER = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})")
router = APIRouter(prefix="/v1/verdicts", tags=["verdicts"])

VerdictId = Annotated[str, Path(pattern=r"^vd_[0-9a-f]{32}$", examples=[schemas.EXAMPLE_ID])]
Prefer = Annotated[
    str | None,
    Header(description=f"`wait=N`: answer when done, after at most N seconds (up to {LONGEST_WAIT}); RFC 7240."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same key with the same request names the same verdict."),
]


def _body() -> dict[str, Any]:
    """The body in OpenAPI; the route reads it itself, in memory and with a limit."""
    schema = VerdictRequest.model_json_schema()
    files = {"type": "string", "format": "binary"}
    form = {
        **schema,
        "properties": {**schema["properties"], "photo": files, "references": {"type": "array", "items": files}},
    }
    example = {"photo": "/9j/4AAQSkZJRg…", "question": "Is the head turned away?", "keep_pictures": 600}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/VerdictRequest"}, "example": example},
            "multipart/form-data": {"schema": form},
        },
    }


async def parsed(request: Request) -> VerdictRequest:
    """The body of a request for a verdict; raises as ``bodies.verdict_request``, and Malformed with all faults."""
    try:
        return await verdict_request(request)
    except ValidationError as error:
        raise problems.Malformed(problems.faults_of(error.errors(include_input=False))) from None


async def hand_in(service: Service, principal: Principal, asked: VerdictRequest, key: str | None) -> tuple[str, bool]:
    """Check and accept a request; its id, and whether it is new."""
    if asked.person is not None:
        check_scope(principal, "people")
    submission = await run_in_threadpool(asked.submission)
    job, new = await run_in_threadpool(service.jobs.submit, principal.id, submission, key)
    service.wake.set()
    return job, new


@router.post(
    "",
    openapi_extra={"requestBody": _body()},
    response_model=schemas.Verdict,
    responses={
        202: {"model": schemas.Verdict, "description": "Accepted; it will be done. Location says where to look."},
        **problems.responses(408, 413, 415, 429, 500),
    },
)
async def create(
    request: Request, client: LimitedClient, prefer: Prefer = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """Examine one face of a photo.

    200 with the record if it is done within the wait that `Prefer` asks for; 202 otherwise. A photo that cannot be
    examined is a problem, at once where size and header show it.
    """
    service: Service = request.app.state.service
    asked = await parsed(request)
    job, _ = await hand_in(service, client, asked, idempotency_key)
    wait = _wait(prefer)
    done = await waiting.ended(service.jobs, client.id, job, wait or 0)
    view = await run_in_threadpool(service.jobs.get, client.id, job)
    headers = {"Location": f"/v1/verdicts/{job}"}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if view.status == FAILED and view.end is not None:
        raise problems.Reported(view.end["problem"])
    return JSONResponse(schemas.verdict(view), 200 if done else 202, headers)


def _wait(prefer: str | None) -> int | None:
    found = _PREFER.search(prefer or "")
    return None if found is None else min(int(found[1]), LONGEST_WAIT)


@router.get("/{verdict_id}", response_model=schemas.Verdict, responses=problems.responses(404))
def read(request: Request, client: Client, verdict_id: VerdictId) -> Response:
    """An examination, and once it has ended its record or its problem."""
    return JSONResponse(schemas.verdict(request.app.state.service.jobs.get(client.id, verdict_id)))


@router.delete("/{verdict_id}", status_code=204, responses=problems.responses(404))
def remove(request: Request, client: Client, verdict_id: VerdictId) -> None:
    """Delete an examination with all that is kept of it, also one that is not done."""
    request.app.state.service.jobs.delete(client.id, verdict_id)


async def _known(request: Request, client: Client, verdict_id: VerdictId) -> None:
    """Refuse before a stream has begun."""
    await run_in_threadpool(request.app.state.service.jobs.status, client.id, verdict_id)


@router.get(
    "/{verdict_id}/events",
    response_class=EventSourceResponse,
    dependencies=[Depends(_known)],
    responses=problems.responses(404),
)
async def events(
    request: Request,
    client: Client,
    verdict_id: VerdictId,
    last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events, from the first or after `Last-Event-ID`.

    `stage` (a step began or ended), `evidence` (what a tool found), `draft` (what the model adds to a sentence of the
    explanation, not yet checked), `sentence` (of the explanation, checked against the evidence), `restarted` (an earlier attempt did not end), and at the end `done` or `failed` with
    what `GET` answers.
    """
    jobs = request.app.state.service.jobs
    after = int(last_event_id) if last_event_id and re.fullmatch(r"\d{1,9}", last_event_id) else 0
    async for number, event in waiting.events(jobs, client.id, verdict_id, after):
        yield ServerSentEvent(event=event["event"], data=event["data"], id=str(number))
    view = await run_in_threadpool(jobs.get, client.id, verdict_id)
    yield ServerSentEvent(event=view.status, data=schemas.verdict(view))


@router.get(
    "/{verdict_id}/record.json",
    response_model=SignedRecord,
    responses=problems.responses(404, 409),
)
def signed_record(request: Request, client: Client, verdict_id: VerdictId) -> Response:
    """The signed record in canonical JSON, to pass on; `facewitness verify` checks it."""
    view = request.app.state.service.jobs.get(client.id, verdict_id)
    if view.end is None or "record" not in view.end:
        raise NotFinished("There is no record: the examination has not ended, or failed.")
    return Response(canonical({"schema": "facewitness.signed/1", **view.end}), media_type="application/json")


@router.get(
    "/{verdict_id}/" + REPORT,
    response_class=HTMLResponse,
    responses=problems.responses(404, 409, 410),
)
def report(request: Request, client: Client, verdict_id: VerdictId) -> Response:
    """The verdict as a page that shows the photo, where `keep_pictures` asked for it."""
    return HTMLResponse(request.app.state.service.jobs.picture(client.id, verdict_id, REPORT))


@router.get(
    "/{verdict_id}/overlays/{evidence}",
    response_class=Response,
    responses={200: {"content": {PNG: {}}}, **problems.responses(404, 409, 410)},
)
def overlay(
    request: Request, client: Client, verdict_id: VerdictId, evidence: Annotated[str, Path(pattern=r"^e\d{1,4}$")]
) -> Response:
    """Where an item of evidence was measured, drawn over the photo, where `keep_pictures` asked for it."""
    data = request.app.state.service.jobs.picture(client.id, verdict_id, f"{evidence}.png")
    return Response(data, media_type=PNG)
