"""``/v1/people``: enrol, list, delete. Searching by face is apart, in ``search.py``, and takes a scope of its own."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from ...agent.people import Person, Template
from ...agent.people.person import clean_name
from ...errors import InputError, InvalidReference, NotAssessable
from ...tools import weights
from ...tools.identity import SAME_PERSON_MIN, similarity
from ...tools.portrait import only_face
from . import problems, schemas
from .access import Principal, Scope
from .bodies import PersonRequest, parsed
from .decoder import Decoder
from .rates import Limited
from .service import Service

EXAMPLE = {
    "name": "Ada Example",
    "photos": ["/9j/4AAQSkZJRg…"],
    "consent": "form-2026/117",
    "purpose": "Video calls of the finance team",
}
router = APIRouter(prefix="/v1/people", tags=["people"])

Keeper = Annotated[Principal, Depends(Scope("people"))]
LimitedKeeper = Annotated[Principal, Depends(Limited("people"))]
PersonId = Annotated[str, Path(pattern=r"^pn_[0-9a-f]{32}$", examples=[schemas.EXAMPLE_PERSON])]


@router.post(
    "",
    status_code=201,
    openapi_extra={"requestBody": PersonRequest.openapi_body(EXAMPLE)},
    response_model=schemas.Enrolled,
    responses=problems.responses(408, 413, 415, 429, 500),
)
async def enroll(request: Request, keeper: LimitedKeeper) -> Response:
    """Enrol a person, or add photos to one; the scope `people`, a consent and a purpose are needed.

    The photos are not kept, only sealed features of the face. The audit log keeps who enrolled, when, on which consent
    and what for; the line is written before the person is.
    """
    service: Service = request.app.state.service
    asked = await parsed(request, keeper.owner, PersonRequest)
    return await run_in_threadpool(_enroll, service, keeper, asked)


def _enroll(service: Service, keeper: Principal, asked: PersonRequest) -> Response:
    name = clean_name(asked.name)
    templates = [_template(service.decoder, number, photo) for number, photo in enumerate(asked.photos, start=1)]
    person_id = service.people.id(keeper.owner, name)
    service.audit.write(
        keeper.id, "person.enroll", person_id, photos=len(templates), consent=asked.consent, purpose=asked.purpose
    )
    _, person = service.people.enroll(keeper.owner, name, templates)
    lowest = _lowest(service.people.store(keeper.owner).templates(name))
    told = schemas.Enrolled(
        **_told(person_id, person).model_dump(),
        lowest_similarity=None if lowest is None else round(lowest, 3),
        consistent=lowest is None or lowest >= SAME_PERSON_MIN,
    )
    return JSONResponse(told.model_dump(mode="json"), 201, {"Location": f"/v1/people/{person_id}"})


def _template(decoder: Decoder, number: int, data: bytes) -> Template:
    try:
        photo = decoder.load(data)
        return Template(only_face(photo).feature, photo.sha256, weights.card("sface"))
    except NotAssessable as refusal:
        raise InvalidReference(f"Photo {number}: {refusal}") from refusal
    except InputError as refusal:
        raise type(refusal)(f"Photo {number}: {refusal}") from None


def _lowest(templates: list[Template]) -> float | None:
    """Cosine of the two that differ most, among those of the newest weights."""
    newest = [template.feature for template in templates if template.model == templates[-1].model]
    return min((similarity(one, other) for one, other in combinations(newest, 2)), default=None)


@router.get("", response_model=schemas.People, responses=problems.responses())
def list_people(request: Request, keeper: Keeper) -> schemas.People:
    """Everyone whom the key's owner enrolled; those of others do not exist for it."""
    found = request.app.state.service.people.list(keeper.owner)
    return schemas.People(people=[_told(person_id, person) for person_id, person in found])


def _told(person_id: str, person: Person) -> schemas.Person:
    return schemas.Person(id=person_id, name=person.name, photos=person.templates, created_at=person.created_at)


@router.delete("/{person_id}", status_code=204, responses=problems.responses(404))
def delete(request: Request, keeper: Keeper, person_id: PersonId) -> None:
    """Remove every trace of a person: features, name and key; the audit log keeps the id, and who did it."""
    service: Service = request.app.state.service
    person = service.people.find(keeper.owner, person_id)
    service.audit.write(keeper.id, "person.delete", person_id)
    service.people.store(keeper.owner).forget(person.name)
