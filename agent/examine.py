"""The main job in one call: a photo in, an explained verdict out."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langsmith import tracing_context

from ..errors import InvalidOption, InvalidReference, NotAssessable, WeightsError
from ..tools import identity, weights
from ..tools.copies import is_copy
from ..tools.evidence import Picture
from ..tools.face import Reference
from ..tools.image import Photo, load
from ..tools.portrait import only_face
from ..tools.registry import tools
from . import chat_models, lookers, relevance
from .graph import RECURSION_LIMIT, build_graph
from .nodes import face_views
from .people import PeopleStore
from .record import Record
from .state import Context, Request

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver

FACE_WEIGHTS = ("face_landmarker", "sface")
Source = bytes | str | Path | Photo
Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Examination:
    """Records of an examination, and what a page needs to draw them.

    Attributes:
        records: One per subject; one unless all faces were asked for.
        photo: The photo under examination.
        pictures: Vector overlays by evidence id, in pixels of the upright photo.
    """

    records: tuple[Record, ...]
    photo: Photo
    pictures: dict[str, Picture] = field(default_factory=dict)


def examine(
    source: Source,
    references: Sequence[Source] | Source = (),
    *,
    person: str | None = None,
    question: str | None = None,
    face: int | None = None,
    model: str | BaseChatModel = "embedded",
    commercial_only: bool = False,
) -> Record:
    """Examine one face of a photo.

    Args:
        source: Path or bytes of a JPEG, PNG or WEBP file.
        references: Photos of the person that the face is claimed to be; the largest face in each counts.
        person: Name of an enrolled person to compare with, instead of or beside ``references``.
        question: A question about the face in plain words.
        face: 1 for the largest face, 2 for the next …; by default the largest that can be assessed.
        model: ``embedded``, ``none``, ``http://host:port/v1#name``, or a LangChain chat model. It writes the reasoning,
            and looks at the face, if it can: the embedded one does.
        commercial_only: Take no weights whose terms do not allow commercial use. What has no others is reported as
            unavailable, and a language model of unknown terms is refused.

    Returns:
        The verdict record. A photo without an assessable face gives a record that says so
        (``record.verdict.assessable`` is False).

    Raises:
        InputError: The photo, a reference or an option cannot be used.
        WeightsError: Weights of a face model are missing and cannot be fetched.
    """
    return examine_all(
        source,
        references,
        person=person,
        question=question,
        face=face,
        model=model,
        commercial_only=commercial_only,
        all_faces=False,
    ).records[0]


def examine_all(
    source: Source,
    references: Sequence[Source] | Source = (),
    *,
    person: str | None = None,
    question: str | None = None,
    face: int | None = None,
    model: str | BaseChatModel = "embedded",
    commercial_only: bool = False,
    all_faces: bool = True,
    on_progress: Progress | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    thread: str | None = None,
    tool_seconds: float = 10.0,
    people: PeopleStore | None = None,
) -> Examination:
    """Like :func:`examine`, with a record for each face, overlays and progress.

    Args:
        source: See :func:`examine`; a decoded ``Photo`` is taken as it is.
        references: See :func:`examine`.
        person: See :func:`examine`.
        question: See :func:`examine`.
        face: See :func:`examine`.
        model: See :func:`examine`.
        commercial_only: See :func:`examine`.
        all_faces: A record for each face, also one that cannot be assessed; else for the subject only.
        on_progress: Called with ``{"stage", "status", "ms"?, "face"?, "finding"?}`` as stages start and end.
        checkpointer: Where LangGraph keeps the state of the run (one with asynchronous methods); pixels never
            reach it, the question does.
        thread: Name of the run there. One that was interrupted, by the end of its process too, goes on where it
            stopped, and one that has ended gives its records again; photo, references and options are given as they
            were. No tool whose evidence is kept runs again, and overlays of those that ran before are not drawn.
        tool_seconds: After this long a tool, or a look, is given up, which the evidence says. It may go on in a thread,
            for which a program that ends waits five seconds, as native code aborts at the interpreter's end.
        people: Where the person is enrolled; the store of this machine's user by default.
    """
    started = time.perf_counter()
    if all_faces and face is not None:
        raise InvalidOption("Either one face or all faces can be asked for, not both.")
    photo = _photo(source)
    writer = _writer(model, commercial_only)
    for name in FACE_WEIGHTS:  # fetched before any tool's time is counted
        with suppress(WeightsError):
            weights.path(name)
    sources = [references] if isinstance(references, bytes | str | Path | Photo) else references
    store = people or PeopleStore()
    compared = references_for(photo, sources, person, store)
    for reference in compared:
        if reference.view is not None:
            reference.view.commercial_only = commercial_only
    context = Context(
        photo,
        compared,
        writer,
        looker=lookers.opened(writer),
        person=person is not None,
        adapter=None if person is None else store.person(person).adapter,
        commercial_only=commercial_only,
        tool_seconds=tool_seconds,
        started=started,
    )
    request: Request = {
        "image": image_info(photo),
        "references": [image_info(item.view.photo) for item in context.references if item.view],
        "question": relevance.clean(question),
        "face": face,
        "all_faces": all_faces,
        "options": {
            "commercial_only": commercial_only,
            "templates": _templates(compared),
            "model": None if writer is None else chat_models.describe(writer).name,
            "tools": [*tools()],
        },
    }
    state = _run(_drive(request, context, on_progress, checkpointer, thread))
    records = tuple(Record.model_validate(record) for record in state["records"])
    return Examination(records, photo, context.pictures)


def _writer(model: str | BaseChatModel, commercial_only: bool) -> BaseChatModel | None:
    writer = chat_models.open_model(model) if isinstance(model, str) else model
    if commercial_only and writer is not None and chat_models.describe(writer).commercial_use is not True:
        raise InvalidOption(
            "The terms of this language model are not known; with commercial terms only, use embedded or none."
        )
    return writer


async def _drive(
    request: Request,
    context: Context,
    on_progress: Progress | None,
    checkpointer: BaseCheckpointSaver[Any] | None,
    thread: str | None = None,
) -> dict[str, Any]:
    graph = _compiled() if checkpointer is None else build_graph().compile(checkpointer=checkpointer)
    config: Any = {
        "recursion_limit": RECURSION_LIMIT,
        "configurable": {"thread_id": thread or context.photo.sha256},
    }
    begun: Any = request
    durability: Any = None if checkpointer is None else "sync"  # what a step gave is kept before the next one begins
    state: dict[str, Any] = {}
    if checkpointer is not None and thread is not None:
        kept = await graph.aget_state(config)
        state = _checked(kept.values, request)
        if state and not kept.next:
            return state
        begun = None if state else request
        if "faces" in state:
            context.views = face_views(context)
    # Nothing about a face leaves the machine because a tracing variable happens to be set.
    with tracing_context(enabled=False):
        parts: AsyncIterator[Any] = graph.astream(
            begun, config, context=context, stream_mode=["custom", "values"], durability=durability
        )
        async for mode, part in parts:
            if mode == "values":
                state = part
            elif on_progress is not None:
                on_progress(part)
    return state


def _checked(kept: dict[str, Any], request: Request) -> dict[str, Any]:
    """The state of an earlier run, if it was asked for the same."""
    if kept and kept["image"]["sha256"] != request["image"]["sha256"]:
        raise InvalidOption("This thread is the examination of another photo.")
    if kept and any(kept.get(key) != value for key, value in request.items()):
        raise InvalidOption("This thread is an examination with other references, another question or other options.")
    return kept


def _templates(references: Sequence[Reference]) -> str | None:
    """Digest of the references that are stored templates, which have no photo to be named by."""
    stored = [reference.feature.tobytes() for reference in references if reference.view is None]
    return hashlib.sha256(b"".join(stored)).hexdigest() if stored else None


@cache
def _compiled() -> Any:
    return build_graph().compile()


def _run(coroutine: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run to the end, also where the caller already has an event loop (a notebook, a server)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def references_for(
    photo: Photo, sources: Sequence[Source], person: str | None, people: PeopleStore | None = None
) -> tuple[Reference, ...]:
    """Faces to compare with: of photos, and of an enrolled person.

    Raises:
        InputError: A photo cannot be used, is the examined one, or nobody of that name is enrolled.
    """
    found = known_faces(sources)
    for number, view in enumerate([reference.view for reference in found if reference.view], start=1):
        if view.photo.sha256 == photo.sha256 or is_copy(view.photo.rgb, photo.rgb):
            raise InvalidReference(f"Reference photo {number} is the examined photo itself, which proves nothing.")
    if person is not None:
        seen = {reference.view.photo.sha256 for reference in found if reference.view}
        found += _enrolled(photo, person, people or PeopleStore(), seen)
    return tuple(found)


def known_faces(sources: Sequence[Source]) -> list[Reference]:
    """The face in each reference photo.

    Raises:
        InputError: A photo cannot be used, shows no single clear face, or was given twice.
    """
    seen: set[str] = set()
    return [_reference(source, number, seen) for number, source in enumerate(sources, start=1)]


def _enrolled(photo: Photo, person: str, people: PeopleStore, seen: set[str]) -> list[Reference]:
    """Templates of an enrolled person, made with the weights in use and from other files than the photo."""
    current = weights.card("sface").sha256
    same_weights = [template for template in people.templates(person) if template.model.sha256 == current]
    if not same_weights:
        raise InvalidReference("This person was enrolled with other weights: enroll the photos again.")
    usable = [template for template in same_weights if template.photo_sha256 != photo.sha256]
    if not usable:
        raise InvalidReference("This person was enrolled from the examined photo only: enroll another photo.")
    others = identity.reference_mean([template.feature for template in usable])
    itself = [template.feature for template in same_weights if template.photo_sha256 == photo.sha256]
    if any(identity.similarity(feature, others) < identity.SAME_PERSON_MIN for feature in itself):
        raise InvalidReference("This person was enrolled from the examined photo, and the other photos are unlike it.")
    return [Reference(template.feature) for template in usable if template.photo_sha256 not in seen]


def _reference(source: Source, number: int, earlier: set[str]) -> Reference:
    photo = _photo(source)
    if photo.sha256 in earlier:
        raise InvalidReference(f"Reference photo {number} was given twice.")
    earlier.add(photo.sha256)
    try:
        view = only_face(photo)
    except (NotAssessable, InvalidReference) as refusal:
        raise InvalidReference(f"Reference photo {number} cannot be used: {refusal}") from refusal
    return Reference(view.feature, view)


def _photo(source: Source) -> Photo:
    return source if isinstance(source, Photo) else load(source)


def image_info(photo: Photo) -> dict[str, Any]:
    """What a record says of a file."""
    height, width = photo.rgb.shape[:2]
    return {"sha256": photo.sha256, "width": width, "height": height, "format": photo.format}
