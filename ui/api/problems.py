"""Errors as RFC 9457 problem details, with the codes of ``errors.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from ... import errors
from .database import disk_full

MEDIA_TYPE = "application/problem+json"
STATUSES: dict[type[errors.FacewitnessError], int] = {
    errors.FileTooLarge: 413,
    errors.TooManyPixels: 413,
    errors.NotAnImage: 415,
    errors.UnsupportedFormat: 415,
    errors.InputError: 422,
    errors.NotAssessable: 422,
    errors.MalformedRequest: 422,
    errors.RequestTooLarge: 413,
    errors.RequestTooSlow: 408,
    errors.NotAuthenticated: 401,
    errors.NotPermitted: 403,
    errors.NotFound: 404,
    errors.NotFinished: 409,
    errors.PicturesNotKept: 410,
    errors.IdempotencyKeyReused: 422,
    errors.TooManyRequests: 429,
    errors.NotInstalled: 501,
    errors.ServiceBusy: 503,
    errors.DatabaseUnusable: 503,
    errors.DiskFull: 503,
    errors.WeightsError: 503,
    errors.StoreError: 503,
}
_OPEN = (errors.InputError, errors.NotAssessable, errors.RequestError, errors.ServiceError)
"""Errors whose message is for the client; that of others may speak of this machine."""


class Fault(BaseModel):
    """One thing that is wrong in a request."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem, RFC 9457; ``code`` is stable."""

    type: Annotated[str, Field(examples=["urn:facewitness:error:input.not_an_image"])]
    title: str
    status: int
    detail: str
    code: str
    faults: list[Fault] | None = None
    error: dict[str, str | None] | None = Field(default=None, description="The same in OpenAI's form, for its clients.")


class Malformed(errors.MalformedRequest):
    """A request with several faults.

    Args:
        faults: Each with its field.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults[:3]) or "Not as described.")
        self.faults = faults


class Reported(errors.FacewitnessError):
    """A problem that ended an examination, told again.

    Args:
        problem: As ``problem_of`` made it.
    """

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem["detail"])
        self.problem = problem


def faults_of(found: Sequence[Any]) -> list[Fault]:
    """Pydantic's errors without the input, which may be a photo."""
    return [
        Fault(field=".".join(str(part)[:50] for part in item["loc"])[:100] or "body", message=str(item["msg"])[:200])
        for item in found[:20]
    ]


def status_of(error: errors.FacewitnessError) -> int:
    """HTTP status of an error."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def problem_of(error: errors.FacewitnessError) -> dict[str, Any]:
    """The problem as JSON types."""
    if isinstance(error, Reported):
        return error.problem
    status = status_of(error)
    detail = str(error) if isinstance(error, _OPEN) else "The service cannot do this now."
    problem: dict[str, Any] = {
        "type": f"urn:facewitness:error:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": error.code,
    }
    if isinstance(error, Malformed):
        problem["faults"] = [fault.model_dump() for fault in error.faults]
    return problem


def openai_error(problem: dict[str, Any]) -> dict[str, Any]:
    """The same in the form that OpenAI's clients read."""
    kind = "invalid_request_error" if problem["status"] < 500 else "server_error"
    return {"message": problem["detail"], "type": kind, "param": None, "code": problem["code"]}


def answer(
    problem: dict[str, Any],
    path: str = "",
    retry_after: float | None = None,
    framework: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response for a problem; on OpenAI's paths with ``error`` beside it."""
    headers = dict(framework or {})
    if path.startswith(("/v1/chat/", "/v1/models")):
        problem = {**problem, "error": openai_error(problem)}
        if problem["status"] == 409:
            headers["x-should-retry"] = "false"  # else OpenAI's clients begin another examination, and wait as long
    if problem["status"] in (429, 503):
        headers["Retry-After"] = str(max(1, round(retry_after or 1)))
    if problem["code"] in (errors.RequestTooLarge.code, errors.RequestTooSlow.code):
        headers["Connection"] = "close"  # else the rest of the body would still be taken in
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem, problem["status"], headers, MEDIA_TYPE)


def handle(request: Request, error: Exception) -> JSONResponse:
    """FastAPI's handler for every kind of error."""
    framework = error.headers if isinstance(error, HTTPException) else None
    if framework and "Allow" in framework:
        framework = {**framework, "Allow": _allowed(request, framework["Allow"])}
    return answer(problem_of(_ours(error)), request.url.path, getattr(request.state, "retry_after", None), framework)


def _allowed(request: Request, first: str) -> str:
    """Methods of the path that was asked for; the framework knows those of its first route alone."""
    path = getattr(request.scope.get("route"), "path", None)
    return ", ".join(sorted(request.app.state.methods.get(path, {first})))


def _ours(error: Exception) -> errors.FacewitnessError:
    if isinstance(error, errors.FacewitnessError):
        return error
    if isinstance(error, RequestValidationError):
        return Malformed(faults_of(error.errors()))
    if isinstance(error, SQLAlchemyError) and disk_full(error):
        return errors.DiskFull("The disk of the service is full; nothing was accepted or changed. Try again later.")
    if isinstance(error, SQLAlchemyError):
        return errors.DatabaseUnusable("The database does not answer.")
    if isinstance(error, HTTPException):  # the framework's own: no such path, or not with this method
        kind = errors.NotFound if error.status_code == 404 else errors.MalformedRequest
        problem = problem_of(kind(f"{HTTPStatus(error.status_code).phrase}."))
        return Reported(problem | {"status": error.status_code, "title": HTTPStatus(error.status_code).phrase})
    return errors.ServiceError("The service failed.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route documents: problems with these statuses, and those that any route may answer."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in sorted({*statuses, 401, 403, 422, 503})
    }
