"""Bodies: read with a limit and in memory, then parsed; only bytes are taken, never an address or a path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, ClassVar, Self, TypeVar
from weakref import WeakValueDictionary

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ...errors import MalformedRequest, RequestTooLarge, RequestTooSlow
from ...tools.limits import MAX_BYTES
from . import printing
from .batch import MAX_PHOTOS
from .problems import Malformed, faults_of
from .settings import DAY
from .submission import MAX_REFERENCES, Options, Submission

MAX_BODY = (1 + MAX_REFERENCES) * MAX_BYTES * 4 // 3 + 100_000
"""All photos at their limit, as base64."""
MAX_SECONDS = 60.0
UPLOADS, OF_OWNER = 8, 2
"""Bodies that are read at a time, of all and of one owner; others wait, so that memory stays bounded."""

Base64 = Annotated[
    bytes,
    Field(json_schema_extra={"type": "string", "format": "base64", "contentEncoding": "base64"}),
]
Face = Annotated[int | None, Field(ge=1, le=1000, description="1 for the largest, 2 for the next …")]


class Body(BaseModel):
    """A body with photos, as JSON with base64 or as a form; file names are dropped."""

    model_config = ConfigDict(extra="forbid", val_json_bytes="base64")

    files: ClassVar[frozenset[str]]
    """Fields of a form that are uploaded."""
    lists: ClassVar[frozenset[str]]
    """Fields of a form that may come several times."""
    most: ClassVar[int]
    """Files of a form."""

    @classmethod
    def from_form(cls, fields: dict[str, Any]) -> Self:
        """Of a form's fields; raises ValidationError."""
        return cls.model_validate(fields)

    @classmethod
    def openapi_body(cls, example: dict[str, Any]) -> dict[str, Any]:
        """Both forms in OpenAPI; the route reads the body itself, in memory and with a limit."""
        reference = {"$ref": f"#/components/schemas/{cls.__name__}"}
        return {
            "required": True,
            "content": {
                "application/json": {"schema": reference, "example": example},
                "multipart/form-data": {"schema": cls.openapi_form()},
            },
        }

    @classmethod
    def openapi_form(cls) -> dict[str, Any]:
        """The form's schema."""
        schema, one = cls.model_json_schema(), {"type": "string", "format": "binary"}
        uploads = {name: {"type": "array", "items": one} if name in cls.lists else one for name in cls.files}
        return {**schema, "properties": {**schema["properties"], **uploads}}


class _Asked(Body):
    question: Annotated[str | None, Field(max_length=1000)] = None
    person: Annotated[str | None, Field(max_length=200, description="Takes the scope `identity`.")] = None
    face: Face = None
    commercial_only: bool = False
    keep_pictures: Annotated[
        int, Field(ge=0, le=DAY, description="Seconds for which page and overlays, which show the photo, are kept.")
    ] = 0

    def options(self) -> Options:
        """What is asked."""
        return Options(self.question, self.person, self.face, self.commercial_only, self.keep_pictures)


class VerdictRequest(_Asked):
    """A photo and what is asked about it; photos are base64, at most 10,000,000 bytes each."""

    files = frozenset({"photo", "references"})
    lists = frozenset({"references"})
    most = 1 + MAX_REFERENCES

    photo: Base64
    references: Annotated[list[Base64], Field(max_length=MAX_REFERENCES)] = []

    def submission(self) -> Submission:
        """The same, checked by size and header; raises InputError."""
        submission = Submission(self.photo, tuple(self.references), self.options())
        submission.check()
        return submission


Label = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(printing.check)
]


class BatchPhoto(BaseModel):
    """A photo of a batch, and the client's name for it."""

    model_config = ConfigDict(extra="forbid", val_json_bytes="base64")

    id: Label
    photo: Base64


class BatchRequest(_Asked):
    """Photos and what is asked about each of them; all photos together have at most 53,000,000 bytes as base64."""

    files = frozenset({"photos"})
    lists = frozenset({"photos", "ids"})
    most = MAX_PHOTOS

    photos: Annotated[list[BatchPhoto], Field(min_length=1, max_length=MAX_PHOTOS)]

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        if len({photo.id for photo in self.photos}) < len(self.photos):
            raise ValueError("two photos have the same id")
        return self

    @classmethod
    def from_form(cls, fields: dict[str, Any]) -> Self:
        """Of files and, in the same order, their ``ids``; 1, 2 … where there are none."""
        photos = fields.get("photos", [])
        ids = fields.pop("ids", [str(number) for number in range(1, len(photos) + 1)])
        if len(ids) != len(photos):
            raise MalformedRequest(f"There are {len(photos)} photos and {len(ids)} ids.")
        pairs = [{"id": name, "photo": photo} for name, photo in zip(ids, photos, strict=True)]
        return cls.model_validate({**fields, "photos": pairs})

    @classmethod
    def openapi_form(cls) -> dict[str, Any]:
        """The form's schema."""
        schema = super().openapi_form()
        schema.pop("$defs")
        schema["properties"]["ids"] = {"type": "array", "items": {"type": "string", "maxLength": 100}}
        return schema


class PersonRequest(Body):
    """Photos of one person, with what they are enrolled on and for; photos are not kept, only sealed features."""

    files = frozenset({"photos"})
    lists = frozenset({"photos"})
    most = 10

    name: Annotated[str, Field(min_length=1, max_length=100)]
    photos: Annotated[list[Base64], Field(min_length=1, max_length=10)]
    consent: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9._:/#-]{1,100}$",
            description="Where the consent is filed, such as the number of a form.",
        ),
    ]
    purpose: Annotated[Label, Field(description="What for, in plain words; no name, for the audit log keeps it.")]


Purpose = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=10, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(printing.check),
    Field(description="What for, in plain words, spaces around it not counted; no name, for the audit log keeps it."),
]


class SearchRequest(Body):
    """A photo with a face to search for, and what for; the photo is not kept."""

    files = frozenset({"photo"})
    lists = frozenset()
    most = 1

    photo: Base64
    purpose: Purpose
    face: Face = None
    limit: Annotated[int, Field(ge=1, le=20, description="At most so many people.")] = 5


Asked = TypeVar("Asked", bound=Body)


class _InMemory(MultiPartParser):
    """Starlette's parser writes large parts to a temporary file; a photo must not reach the disk in the clear."""

    spool_max_size = MAX_BODY + 1


class Uploads:
    """Turns to read a body: however slowly an owner sends, others have theirs."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(UPLOADS)
        self._owners: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it while the block runs."""
        own = self._owners.setdefault(owner, asyncio.Semaphore(OF_OWNER))
        async with own, self._all:
            yield


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


async def parsed(request: Request, owner: str, model: type[Asked]) -> Asked:
    """The body of an owner's request, as JSON or as multipart.

    Raises:
        MalformedRequest: Neither, or not as described; it names all faults.
        RequestTooLarge, RequestTooSlow: See ``read``.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "multipart/form-data"):
        raise MalformedRequest("The body must be application/json or multipart/form-data.")
    async with request.app.state.service.uploads.turn(owner):
        body = await read(request)
        try:
            if kind == "application/json":
                return model.model_validate_json(body, strict=True)
            return model.from_form(await _fields(request.headers, body, model))
        except ValidationError as error:
            raise Malformed(faults_of(error.errors(include_input=False))) from None


async def _fields(headers: Headers, body: bytes, model: type[Body]) -> dict[str, Any]:
    """Fields of a multipart body; file names are dropped."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _InMemory(headers, stream(), max_files=model.most, max_fields=20 + model.most).parse()
    except (MultiPartException, UnicodeError) as error:  # UnicodeError: of the charset that the header names
        raise MalformedRequest("The multipart body cannot be read.") from error
    try:
        return await _collect(form, model)
    finally:
        await form.close()


async def _collect(form: FormData, model: type[Body]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        uploaded = name in model.files
        if any(isinstance(value, UploadFile) != uploaded for value in values):
            raise MalformedRequest(f"{' and '.join(sorted(model.files))}: uploaded as files; other fields as text.")
        if len(values) > 1 and name not in model.lists:
            raise MalformedRequest(f"The field {name[:50]!r} comes more than once.")
        taken = [await value.read() if isinstance(value, UploadFile) else value for value in values]
        found[name] = taken if name in model.lists else taken[0]
    return found
