"""An OpenAI-compatible chat: an image with a question in, the explained verdict out.

The text is the record's, sentence by sentence; nothing in a message can change a verdict.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, format_sse_event
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from ...agent.record import Record
from ...errors import FacewitnessError, MalformedRequest, NotFinished, NotFound
from ..wording import percent, sentences
from . import problems, waiting
from .access import Client
from .bodies import VerdictRequest, read
from .jobs import FAILED
from .rates import LimitedClient
from .service import Service
from .verdicts import IdempotencyKey, hand_in

MODEL = "facewitness"
WAIT = 120.0
_EXAMPLE = "data:image/jpeg;base64,/9j/4AAQ…"
router = APIRouter(prefix="/v1", tags=["chat"])


class ImageUrl(BaseModel):
    """An image as a data URI; addresses are refused."""

    url: Annotated[str, Field(pattern=r"^data:image/(jpe?g|png|webp);base64,", examples=[_EXAMPLE])]


class ImagePart(BaseModel):
    """An image in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


class TextPart(BaseModel):
    """Text in a message."""

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """A message of the user."""

    role: Literal["user"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None


class Unread(BaseModel):
    """A message of another, whose content is not read, whatever it is."""

    role: Literal["system", "developer", "assistant", "tool"]


class ChatRequest(BaseModel):
    """A chat; settings of sampling and the like are passed over, for no model is sampled from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": MODEL,
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": "Is the head turned away?"},
                                {"type": "image_url", "image_url": {"url": _EXAMPLE}},
                            ],
                        }
                    ],
                }
            ]
        }
    )

    model: Annotated[str, Field(max_length=100)] = MODEL
    messages: Annotated[
        list[Annotated[Message | Unread, Field(discriminator="role")]], Field(min_length=1, max_length=200)
    ]
    stream: bool = False

    def verdict_request(self) -> VerdictRequest:
        """The newest images: the first is examined, further ones are references. The newest text is the question.

        Raises:
            MalformedRequest: No image, too many, or one that is not base64.
        """
        said = [message for message in self.messages if isinstance(message, Message)]
        photos: list[bytes] = next((found for message in reversed(said) if (found := _images(message))), [])
        if not photos:
            raise MalformedRequest("No message of the user has an image: send one as a data URI.")
        question = _text(said[-1])[:1000] or None
        return VerdictRequest(photo=photos[0], references=photos[1:], question=question)


def _images(message: Message) -> list[bytes]:
    parts = message.content if isinstance(message.content, list) else []
    return [_decoded(part.image_url.url) for part in parts if isinstance(part, ImagePart)]


def _decoded(uri: str) -> bytes:
    try:
        return base64.b64decode(uri.partition(",")[2], validate=True)
    except ValueError:
        raise MalformedRequest("An image is not valid base64.") from None


def _text(message: Message) -> str:
    if not isinstance(message.content, list):
        return message.content or ""
    return "\n".join(part.text for part in message.content if isinstance(part, TextPart))


class Choice(BaseModel):
    """The one answer."""

    index: int
    message: dict[str, Any]
    finish_reason: Literal["stop"]


class ChatCompletion(BaseModel):
    """An answer; ``verdict`` is the path of the record behind it."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    verdict: str


class Model(BaseModel):
    """What a client can name as the model."""

    id: str = MODEL
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = MODEL


class Models(BaseModel):
    """The list of models: one."""

    object: Literal["list"] = "list"
    data: list[Model]


@router.get("/models", response_model=Models, responses=problems.responses())
def list_models(client: Client) -> Models:
    """Models that a client can name; there is one."""
    return Models(data=[Model()])


@router.get("/models/{model}", response_model=Model, responses=problems.responses(404))
def read_model(client: Client, model: Annotated[str, Path(max_length=100)]) -> Model:
    """The one model."""
    if model != MODEL:
        raise NotFound(f"There is no such model; there is {MODEL}.")
    return Model()


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses={
        200: {"content": {"text/event-stream": {}}},
        **problems.responses(408, 409, 413, 415, 429, 500),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChatRequest"}}},
        }
    },
)
async def complete(request: Request, client: LimitedClient, idempotency_key: IdempotencyKey = None) -> Response:
    """Examine the image of a chat, and answer with the explained verdict; with `stream`, sentence by sentence."""
    service: Service = request.app.state.service
    chat, asked = await _parsed(request, client.owner)
    job, _ = await hand_in(service, client, asked, idempotency_key)
    if chat.stream:
        return EventSourceResponse(_stream(service, client.owner, job))
    parts = await _answer(service, client.owner, job)
    message = {"role": "assistant", "content": "".join(parts)}
    body = _head(job, "chat.completion") | {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "verdict": f"/v1/verdicts/{job}",
    }
    return JSONResponse(body)


async def _parsed(request: Request, owner: str) -> tuple[ChatRequest, VerdictRequest]:
    async with request.app.state.service.uploads.turn(owner):
        body = await read(request)
        try:
            chat = ChatRequest.model_validate_json(body)
            return chat, chat.verdict_request()
        except ValidationError as error:
            raise problems.Malformed(problems.faults_of(error.errors(include_input=False))) from None


async def _answer(service: Service, owner: str, job: str) -> list[str]:
    """The text in pieces; raises what ended the examination."""
    if not await waiting.ended(service.jobs, owner, job, WAIT):
        raise NotFinished(f"The examination takes longer than {WAIT:g} seconds: see /v1/verdicts/{job}.")
    view = await run_in_threadpool(service.jobs.get, owner, job)
    end = view.end or {}
    if view.status == FAILED:
        raise problems.Reported(end["problem"])
    return pieces(Record.model_validate(end["record"]))


def pieces(record: Record) -> list[str]:
    """Verdict with probabilities, then the explanation with the evidence that each sentence cites."""
    chances = ", ".join(f"{label} {percent(chance)}" for label, chance in record.verdict.probabilities.items())
    found = [f"**{record.verdict.label.capitalize()}** ({chances})."]
    for claims in sentences(record.explanation).values():
        for number, claim in enumerate(claims):
            cited = f" [{', '.join(claim.evidence)}]" if claim.evidence else ""
            found.append(("" if number else "\n\n") + f"{' ' if number else ''}{claim.text}{cited}")
    return found


async def _stream(service: Service, owner: str, job: str) -> AsyncIterator[bytes]:
    yield _chunk(job, {"role": "assistant", "content": ""})
    try:
        for piece in await _answer(service, owner, job):
            yield _chunk(job, {"content": piece})
        yield _chunk(job, {}, "stop")
    except FacewitnessError as error:
        problem = problems.problem_of(error)
        yield format_sse_event(data_str=json.dumps({"error": problems.openai_error(problem)}))
    yield format_sse_event(data_str="[DONE]")


def _chunk(job: str, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return format_sse_event(data_str=json.dumps(_head(job, "chat.completion.chunk") | {"choices": [choice]}))


def _head(job: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{job}", "object": kind, "created": int(time.time()), "model": MODEL}
