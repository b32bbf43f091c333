"""Bodies: read with a limit and in memory, then parsed; only bytes are taken, never an address or a path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ...errors import MalformedRequest, RequestTooLarge, RequestTooSlow
from ...tools.limits import MAX_BYTES
from .settings import DAY
from .submission import MAX_REFERENCES, Options, Submission

MAX_BODY = (1 + MAX_REFERENCES) * MAX_BYTES * 4 // 3 + 100_000
"""All photos at their limit, as base64."""
MAX_SECONDS = 60.0
UPLOADS = 8
"""Bodies that are read at a time; others wait, so that memory stays bounded."""

Base64 = Annotated[
    bytes,
    Field(json_schema_extra={"type": "string", "format": "base64", "contentEncoding": "base64"}),
]


class VerdictRequest(BaseModel):
    """A photo and what is asked about it; photos are base64, at most 10,000,000 bytes each."""

    model_config = ConfigDict(extra="forbid", val_json_bytes="base64", title="VerdictRequest")

    photo: Base64
    references: Annotated[list[Base64], Field(max_length=MAX_REFERENCES)] = []
    question: Annotated[str | None, Field(max_length=1000)] = None
    person: Annotated[str | None, Field(max_length=200, description="Takes the scope `people`.")] = None
    face: Annotated[int | None, Field(ge=1, le=1000)] = None
    commercial_only: bool = False
    keep_pictures: Annotated[
        int, Field(ge=0, le=DAY, description="Seconds for which page and overlays, which show the photo, are kept.")
    ] = 0

    def submission(self) -> Submission:
        """The same, checked by size and header; raises InputError."""
        options = Options(self.question, self.person, self.face, self.commercial_only, self.keep_pictures)
        submission = Submission(self.photo, tuple(self.references), options)
        submission.check()
        return submission


class _InMemory(MultiPartParser):
    """Starlette's parser writes large parts to a temporary file; a photo must not reach the disk in the clear."""

    spool_max_size = MAX_BODY + 1


async def read(request: Request, limit: int = MAX_BODY) -> bytes:
    """The whole body.

    Raises:
        RequestTooLarge: As soon as it is over the limit.
        RequestTooSlow: Not all there after ``MAX_SECONDS``.
    """
    too_large = RequestTooLarge(f"The body has more than {limit:,} bytes.")
    if int(request.headers.get("content-length") or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(MAX_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise RequestTooSlow(f"The body did not arrive within {MAX_SECONDS:g} seconds.") from None
    return bytes(body)


async def verdict_request(request: Request) -> VerdictRequest:
    """A request for a verdict, as JSON or as multipart.

    Raises:
        MalformedRequest: Neither, or not as described.
        RequestTooLarge, RequestTooSlow: See ``read``.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "multipart/form-data"):
        raise MalformedRequest("The body must be application/json or multipart/form-data.")
    async with request.app.state.service.uploads:
        body = await read(request)
        if kind == "application/json":
            return VerdictRequest.model_validate_json(body, strict=True)
        return VerdictRequest.model_validate(await _fields(request.headers, body))


async def _fields(headers: Headers, body: bytes) -> dict[str, Any]:
    """Fields of a multipart body; ``references`` may come several times, file names are dropped."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _InMemory(headers, stream(), max_files=1 + MAX_REFERENCES, max_fields=20).parse()
    except MultiPartException as error:
        raise MalformedRequest("The multipart body cannot be read.") from error
    try:
        return await _collect(form)
    finally:
        await form.close()


async def _collect(form: FormData) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        photos = name in ("photo", "references")
        if any(isinstance(value, UploadFile) != photos for value in values):
            raise MalformedRequest("photo and references are uploaded as files, other fields as text.")
        if len(values) > 1 and name != "references":
            raise MalformedRequest(f"The field {name[:50]!r} comes more than once.")
        taken = [await value.read() if isinstance(value, UploadFile) else value for value in values]
        found[name] = taken if name == "references" else taken[0]
    return found
