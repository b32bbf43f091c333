"""``/v1/people/search``: which enrolled people look like a face. It takes a scope of its own and a stated purpose.

Whoever may search can learn who a stranger is, so no other scope contains this one, and every search is in the audit
log before it is answered.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool

from ...agent import fusion
from ...agent.people import PeopleStore
from ...agent.people.gallery import Match
from ...agent.record import ModelInfo
from ...agent.verdict import REFERENCE_LABELS
from ...errors import InvalidOption, NotAssessable, UnknownPerson
from ...tools import identity, weights
from ...tools.detection import detect
from ...tools.face import FaceView, Reference
from ...tools.image import Photo
from ...tools.quality import assess
from . import problems, schemas
from .access import Principal
from .bodies import SearchRequest, parsed
from .rates import Limited
from .service import Service

FALSE_MATCHES = 4 / 20_604
"""Share of strangers whose likeness is called the person's, 102 people enrolled from one photo each; measured in
``evals/results/reference_verdict.json``."""
SOMEONE_ELSE = REFERENCE_LABELS[-1]
EXAMPLE = {"photo": "/9j/4AAQSkZJRg…", "purpose": "Case 2026/31: who is on the photo at the gate", "limit": 5}
router = APIRouter(prefix="/v1/people/search", tags=["people"])

MOST = 20
"""Candidates that are judged, whatever is asked for: so many at most are shown."""

Searcher = Annotated[Principal, Depends(Limited("search"))]


@router.post(
    "",
    openapi_extra={"requestBody": SearchRequest.openapi_body(EXAMPLE)},
    responses=problems.responses(408, 413, 415, 429, 500, 501),
)
async def search(request: Request, searcher: Searcher) -> schemas.Search:
    """Search by face among the people of the key's owner; the scope `search` and a purpose are needed.

    The answer says where to look, never who it is: the more people are searched, the more strangers match. The photo
    is not kept. The audit log keeps who searched, when, what for, and how many were searched and found.
    """
    service: Service = request.app.state.service
    asked = await parsed(request, searcher.owner, SearchRequest)
    async with service.searches:
        return await run_in_threadpool(_search, service, searcher, asked)


def _search(service: Service, searcher: Principal, asked: SearchRequest) -> schemas.Search:
    gallery = service.people.gallery(searcher.owner)
    view = _face(service.decoder.load(asked.photo), asked.face)
    candidates = list(_candidates(service, searcher.owner, view, gallery.search(view.feature, MOST)))
    people, matches = gallery.people(), sum(candidate.match for candidate in candidates)
    search_id, hits = f"sr_{secrets.token_hex(16)}", len(candidates)
    service.audit.write(
        searcher.id, "person.search", search_id, purpose=asked.purpose, people=people, candidates=hits, matches=matches
    )
    return _answer(search_id, candidates[: asked.limit], people, matches)


def _face(photo: Photo, number: int | None) -> FaceView:
    """The only face, or the one that the caller names; raises NotAssessable and InvalidOption."""
    faces = detect(photo.rgb)
    if not faces:
        raise NotAssessable("none", "No face was found.")
    if number is None and len(faces) > 1:
        raise NotAssessable("several", f"There are {len(faces)} faces: say with `face` which one, 1 for the largest.")
    if number is not None and number > len(faces):
        raise InvalidOption(f"There is no face {number}: {len(faces)} found in this photo.")
    view = FaceView(photo, faces[(number or 1) - 1])
    assess(view)
    return view


def _candidates(service: Service, owner: str, view: FaceView, found: Sequence[Match]) -> Iterator[schemas.Candidate]:
    """Those found, judged as the verdict judges the likeness to a person who is named."""
    store = service.people.store(owner)
    for match in found:
        references = _references(store, match.name)
        if not references:  # forgotten since
            continue
        decision = fusion.decide(tuple(identity.TOOL.measure(view, references)), with_references=True)
        reason = decision.reasons[0].code
        yield schemas.Candidate(
            id=service.people.id(owner, match.name),
            name=match.name,
            similarity=round(match.similarity, 4),
            probability=round(1 - decision.probabilities[SOMEONE_ELSE], 4),
            match=reason == "identity.matches",
            reason=reason,
        )


def _references(store: PeopleStore, name: str) -> list[Reference]:
    current = weights.card("sface").sha256
    try:
        return [Reference(template.feature) for template in store.templates(name) if template.model.sha256 == current]
    except UnknownPerson:
        return []


def _answer(search_id: str, candidates: list[schemas.Candidate], people: int, matches: int) -> schemas.Search:
    expected = float(f"{people * FALSE_MATCHES:.1g}")
    many = "1 person" if people == 1 else f"{people:,} people"
    least = "at least " if matches == MOST else ""
    said = f"By likeness alone, {least}{matches} of {many} searched may be who it is."
    said = said if matches else "Nobody is recognised."
    return schemas.Search(
        id=search_id,
        recognised=matches > 0,
        statement=f"{said} A stranger to all of them is expected to match {expected:g} of them.",
        candidates=candidates,
        people=people,
        expected_false_matches=expected,
        features=ModelInfo(**asdict(weights.card("sface"))),
        calibration=schemas.Calibrated(**asdict(fusion.card()), threshold=1 - fusion.calibration().other_max),
    )
