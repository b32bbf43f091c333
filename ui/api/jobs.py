"""What clients do with examinations: hand in, list, read, delete. ``leases.py`` has the workers' side."""

from __future__ import annotations

import base64
import json
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault, seal, unseal
from ...errors import (
    IdempotencyKeyReused,
    MalformedRequest,
    NotFinished,
    NotFound,
    PicturesNotKept,
    ServiceBusy,
    TooManyRequests,
)
from . import ending
from .audit import Audit, Comparison
from .database import Database, now
from .submission import Submission
from .tables import Batch, Event, Job, Picture, Spool

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
UNFINISHED = (QUEUED, RUNNING)
_ID = re.compile(r"vd_[0-9a-f]{32}")
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """An examination as its owner sees it.

    Attributes:
        id: ``vd_`` and 32 hex digits.
        status: ``queued``, ``running``, ``done`` or ``failed``.
        created_at: Seconds since 1970.
        finished_at: The same; None before the end.
        end: Record and signature, or the problem; None before the end.
        pictures: Names of kept pictures.
        batch: The batch that it came in with.
    """

    id: str
    status: str
    created_at: float
    finished_at: float | None
    end: Json | None
    pictures: tuple[str, ...]
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of an owner's examinations, without their ends, and the cursor of those after them."""

    views: Sequence[View]
    cursor: str | None


class Jobs:
    """Examinations of all owners; each sees its own only.

    Args:
        database: Where they are.
        vault: Keys that seal what tells of a photo or a person.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault, self._audit = database, vault, Audit(database, vault)

    def submit(
        self,
        owner: str,
        submission: Submission,
        idempotency: str | None = None,
        comparison: Comparison | None = None,
    ) -> tuple[str, bool]:
        """Accept an examination: when this returns, it will be done, whatever happens to the process.

        Args:
            owner: Whose.
            submission: What to examine.
            idempotency: Makes it safe to repeat.
            comparison: With whom, for the audit log, where the submission names a person.

        Returns:
            Its id, and whether it is new: the same ``idempotency`` key names the same examination.

        Raises:
            IdempotencyKeyReused: The key came with another submission.
            TooManyRequests, ServiceBusy: Too many of this owner, or of all, are unfinished.
        """
        try:
            return self._submit(owner, submission, idempotency, comparison)
        except IntegrityError:  # the same request came in twice at once, and the other was first
            return self._submit(owner, submission, idempotency, comparison)

    def _submit(
        self, owner: str, submission: Submission, idempotency: str | None, comparison: Comparison | None
    ) -> tuple[str, bool]:
        fingerprint = self._vault.index("request", owner, *submission.digests())
        repeated = None if idempotency is None else self._vault.index("idempotency", owner, idempotency)
        with self._database.writing() as session:
            if repeated is not None:
                earlier = session.scalar(select(Job).where(Job.owner == owner, Job.idempotency == repeated))
                if earlier is not None and earlier.fingerprint != fingerprint:
                    raise IdempotencyKeyReused("This Idempotency-Key came before, with another request.")
                if earlier is not None:
                    return earlier.id, False
            limit = self._database.settings.unfinished
            if unfinished(session, Job.owner == owner, Job.batch.is_(None)) >= limit:
                raise TooManyRequests(f"{limit} examinations of this API key are unfinished; wait for one.")
            check_queue(session, 1, self._database.settings.queue)
            job = new_job(self._vault, owner, fingerprint, repeated)
            queue_job(session, self._vault, job, submission)
            self._audit.compared(session, comparison, [job.id])
            return job.id, True

    def page(self, owner: str, limit: int, status: str | None = None, cursor: str | None = None) -> Page:
        """The newest first.

        Args:
            owner: Whose.
            limit: At most so many.
            status: Only these.
            cursor: ``Page.cursor`` of the page before.

        Raises:
            MalformedRequest: A cursor that no page had.
        """
        chosen = select(Job).where(Job.owner == owner).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit + 1)
        if status is not None:
            chosen = chosen.where(Job.status == status)
        if cursor is not None:
            chosen = chosen.where(tuple_(Job.created_at, Job.id) < tuple_(*_place(cursor)))
        with self._database.reading() as session:
            jobs = session.scalars(chosen).all()
            views = [View(job.id, job.status, job.created_at, job.finished_at, None, (), job.batch) for job in jobs]
        last = views[limit - 1] if len(views) > limit else None
        return Page(views[:limit], None if last is None else _cursor(last))

    def get(self, owner: str, job_id: str) -> View:
        """Read one; raises NotFound."""
        with self._database.reading() as session:
            job = _owned(session, owner, job_id)
            names = select(Picture.name).where(Picture.job == job_id, Picture.expires_at > now()).order_by(Picture.name)
            pictures = tuple(session.scalars(names))
            end = None if job.sealed is None else json.loads(self._open(job, job.sealed, "end"))
            return View(job.id, job.status, job.created_at, job.finished_at, end, pictures, job.batch)

    def status(self, owner: str, job_id: str) -> str:
        """``View.status`` alone; raises NotFound."""
        with self._database.reading() as session:
            return _owned(session, owner, job_id).status

    def events(self, owner: str, job_id: str, after: int) -> tuple[str, list[tuple[int, Json]]]:
        """Status, and what has happened since event number ``after``; raises NotFound."""
        with self._database.reading() as session:
            job = _owned(session, owner, job_id)
            later = select(Event).where(Event.job == job_id, Event.number > after).order_by(Event.number)
            found = [
                (event.number, json.loads(self._open(job, event.sealed, "event", str(event.number))))
                for event in session.scalars(later)
            ]
            return job.status, found

    def picture(self, owner: str, job_id: str, name: str) -> bytes:
        """One kept picture.

        Raises:
            NotFound: No such examination.
            NotFinished: It has not ended.
            PicturesNotKept: Not asked for, not drawn, or not kept any longer.
        """
        with self._database.reading() as session:
            job = _owned(session, owner, job_id)
            if job.status in UNFINISHED:
                raise NotFinished("The examination has not ended.")
            picture = session.scalar(select(Picture).where(Picture.job == job_id, Picture.name == name))
            if picture is None or picture.expires_at <= now():
                raise PicturesNotKept("Not kept: ask with keep_pictures for how many seconds pictures are to be kept.")
            return self._open(job, picture.sealed, "picture", name)

    def delete(self, owner: str, job_id: str, actor: str | None = None) -> None:
        """Remove every trace of one, also of one that waits or runs, but for who did it; raises NotFound."""
        with self._database.writing() as session:
            job = _owned(session, owner, job_id)
            ending.hold(session, job.batch)
            session.delete(job)
            ending.note(session, job.batch)
            self._audit.append(session, actor or owner, "verdict.delete", job_id)
        self._database.scrub()

    def sweep(self) -> int:
        """Delete what is older than it may be kept: pictures and finished verdicts; how many."""
        ended = now() - self._database.settings.retention
        with self._database.writing() as session:
            removed = [
                session.execute(statement).rowcount  # type: ignore[attr-defined]
                for statement in (
                    delete(Picture).where(Picture.expires_at <= now()),
                    delete(Job).where(Job.finished_at <= ended),
                    delete(Batch).where(~exists().where(Job.batch == Batch.id)),
                )
            ]
        if any(removed):
            self._database.scrub()
        return sum(removed)

    def counts(self) -> dict[str, int]:
        """How many examinations of all owners wait and run."""
        with self._database.reading() as session:
            rows = session.execute(
                select(Job.status, func.count()).where(Job.status.in_(UNFINISHED)).group_by(Job.status)
            )
            return dict.fromkeys(UNFINISHED, 0) | {row.status: row[1] for row in rows}

    def _open(self, job: Job, sealed: bytes, *context: str) -> bytes:
        return unseal(self._vault.unwrap(job.wrapped_key, job.id), sealed, context[0], job.id, *context[1:])


def new_job(
    vault: Vault, owner: str, fingerprint: bytes, idempotency: bytes | None, batch: str | None = None, place: int = 0
) -> Job:
    """A row that waits, with a key of its own."""
    job_id = f"vd_{secrets.token_hex(16)}"
    return Job(
        id=job_id,
        owner=owner,
        status=QUEUED,
        created_at=now(),
        attempts=0,
        wrapped_key=vault.new_key(job_id)[1],
        idempotency=idempotency,
        fingerprint=fingerprint,
        batch=batch,
        place=place if batch else None,
    )


def queue_job(session: Session, vault: Vault, job: Job, submission: Submission) -> None:
    """Add a row and what it needs to be done."""
    session.add(job)
    session.flush()
    key = vault.unwrap(job.wrapped_key, job.id)
    for part, data in submission.parts().items():
        session.add(Spool(job=job.id, part=part, sealed=seal(key, data, "spool", job.id, part)))


def unfinished(session: Session, *where: ColumnElement[bool]) -> int:
    """How many wait or run."""
    return session.scalars(select(func.count()).select_from(Job).where(Job.status.in_(UNFINISHED), *where)).one()


def check_queue(session: Session, more: int, limit: int) -> None:
    """Refuse what the queue has no room for; raises ServiceBusy."""
    if unfinished(session) + more > limit:
        raise ServiceBusy("The queue is full; try again later.")


def _cursor(view: View) -> str:
    """A place in a list: time and id, in base64 so that nobody builds on its form."""
    return base64.urlsafe_b64encode(json.dumps([view.created_at, view.id]).encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    try:
        created_at, job_id = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        if isinstance(created_at, float) and math.isfinite(created_at) and _ID.fullmatch(job_id):
            return created_at, job_id
    except (ValueError, TypeError, RecursionError):
        pass
    raise MalformedRequest("This is no cursor of an earlier page.")


def _owned(session: Session, owner: str, job_id: str) -> Job:
    job = session.get(Job, job_id)
    if job is None or job.owner != owner:
        raise NotFound("There is no such verdict.")
    return job
