"""``/v1/verdicts``: hand in, list, follow, read, delete."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from ...errors import NotFinished
from . import problems, schemas, waiting
from .access import Client, Principal
from .bodies import VerdictRequest, parsed
from .jobs import FAILED
from .rates import LimitedClient
from .service import Service
from .signing import SignedRecord, canonical
from .work import REPORT, REPORT_PDF

LONGEST_WAIT = 60
PNG, PDF = "image/png", "application/pdf"
EXAMPLE = {"photo": "/9j/4AAQSkZJRg…", "question": "Is the head turned away?", "keep_pictures": 600}
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


async def hand_in(service: Service, principal: Principal, asked: VerdictRequest, key: str | None) -> tuple[str, bool]:
    """Check and accept a request; its id, and whether it is new."""
    comparison = service.people.comparison(principal, asked.person)
    submission = await run_in_threadpool(asked.submission)
    job, new = await run_in_threadpool(service.jobs.submit, principal.owner, submission, key, comparison)
    service.wake.set()
    return job, new


@router.post(
    "",
    openapi_extra={"requestBody": VerdictRequest.openapi_body(EXAMPLE)},
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
    asked = await parsed(request, client.owner, VerdictRequest)
    job, _ = await hand_in(service, client, asked, idempotency_key)
    wait = _wait(prefer)
    done = await waiting.ended(service.jobs, client.owner, job, wait or 0)
    view = await run_in_threadpool(service.jobs.get, client.owner, job)
    headers = {"Location": f"/v1/verdicts/{job}"}
    if wait is not None:
        headers["Preference-Applied"] = f"wait={wait}"
    if view.status == FAILED and view.end is not None:
        raise problems.Reported(view.end["problem"])
    return JSONResponse(schemas.verdict(view), 200 if done else 202, headers)


def _wait(prefer: str | None) -> int | None:
    found = _PREFER.search(prefer or "")
    return None if found is None else min(int(found[1]), LONGEST_WAIT)


@router.get("", response_model=schemas.Verdicts, responses=problems.responses())
def list_verdicts(
    request: Request,
    client: Client,
    status: Annotated[Literal["queued", "running", "done", "failed"] | None, Query(description="Only these.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many.")] = 20,
    cursor: Annotated[str | None, Query(max_length=200, description="From `next` of the page before.")] = None,
) -> schemas.Verdicts:
    """One's verdicts, the newest first, without their records; `next` is the path of those after them."""
    page = request.app.state.service.jobs.page(client.owner, limit, status, cursor)
    after = {"limit": limit, "cursor": page.cursor} | ({"status": status} if status else {})
    return schemas.Verdicts(
        verdicts=[schemas.summary(view) for view in page.views],
        next=f"/v1/verdicts?{urlencode(after)}" if page.cursor else None,
    )


@router.get("/{verdict_id}", response_model=schemas.Verdict, responses=problems.responses(404))
def read(request: Request, client: Client, verdict_id: VerdictId) -> Response:
    """An examination, and once it has ended its record or its problem."""
    return JSONResponse(schemas.verdict(request.app.state.service.jobs.get(client.owner, verdict_id)))


@router.delete("/{verdict_id}", status_code=204, responses=problems.responses(404))
def remove(request: Request, client: Client, verdict_id: VerdictId) -> None:
    """Delete an examination with all that is kept of it, also one that is not done."""
    request.app.state.service.jobs.delete(client.owner, verdict_id, client.id)


async def _known(request: Request, client: Client, verdict_id: VerdictId) -> None:
    """Refuse before a stream has begun."""
    await run_in_threadpool(request.app.state.service.jobs.status, client.owner, verdict_id)


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
    explanation, not yet checked), `sentence` (of the explanation, checked against the evidence), `restarted` (an
    earlier attempt did not end), and at the end `done` or `failed` with what `GET` answers.
    """
    jobs = request.app.state.service.jobs
    after = int(last_event_id) if last_event_id and re.fullmatch(r"\d{1,9}", last_event_id) else 0
    async for number, event in waiting.events(jobs, client.owner, verdict_id, after):
        yield ServerSentEvent(event=event["event"], data=event["data"], id=str(number))
    view = await run_in_threadpool(jobs.get, client.owner, verdict_id)
    yield ServerSentEvent(event=view.status, data=schemas.verdict(view))


@router.get(
    "/{verdict_id}/record.json",
    response_model=SignedRecord,
    responses=problems.responses(404, 409),
)
def signed_record(request: Request, client: Client, verdict_id: VerdictId) -> Response:
    """The signed record in canonical JSON, to pass on; `facewitness verify` checks it."""
    view = request.app.state.service.jobs.get(client.owner, verdict_id)
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
    return HTMLResponse(request.app.state.service.jobs.picture(client.owner, verdict_id, REPORT))


@router.get(
    "/{verdict_id}/" + REPORT_PDF,
    response_class=Response,
    responses={200: {"content": {PDF: {}}}, **problems.responses(404, 409, 410)},
)
def report_pdf(request: Request, client: Client, verdict_id: VerdictId) -> Response:
    """The same as a PDF."""
    return Response(request.app.state.service.jobs.picture(client.owner, verdict_id, REPORT_PDF), media_type=PDF)


@router.get(
    "/{verdict_id}/overlays/{evidence}",
    response_class=Response,
    responses={200: {"content": {PNG: {}}}, **problems.responses(404, 409, 410)},
)
def overlay(
    request: Request, client: Client, verdict_id: VerdictId, evidence: Annotated[str, Path(pattern=r"^e\d{1,4}$")]
) -> Response:
    """Where an item of evidence was measured, drawn over the photo, where `keep_pictures` asked for it."""
    data = request.app.state.service.jobs.picture(client.owner, verdict_id, f"{evidence}.png")
    return Response(data, media_type=PNG)
