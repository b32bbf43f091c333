"""What workers do with examinations: take one under a lease, give signs of life, write its end exactly once.

A lease that ran out (the process was killed, or hangs) may be taken by another worker. Every write names the lease, so
that of two workers on one examination only the later one can write: nothing is lost, and nothing is ended twice.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault, seal, unseal
from ...errors import StoreCorrupt
from . import ending
from .database import Database, now
from .deliveries import announce
from .jobs import DONE, FAILED, QUEUED, RUNNING, Json
from .logs import LOG
from .submission import Options, Submission
from .tables import Event, Job, Picture, Spool

MAX_ATTEMPTS = 3
UNREADABLE = (StoreCorrupt, KeyError, TypeError, ValueError)
"""What opening the parts of a request raises where they are damaged, or of another release."""


@dataclass(slots=True)
class Claim:
    """An examination in the hands of one worker.

    Attributes:
        job: Its id.
        owner: Whose it is.
        lease: Names this attempt.
        attempt: 1 for the first; ``MAX_ATTEMPTS + 1`` where it may not be tried again.
        batch: What it came in with.
        submission: What to examine.
        key: Seals what belongs to the job.
        events: Number of the last event.
        damaged: What was handed in cannot be opened: the submission is empty, and all that is left is to end it.
    """

    job: str
    owner: str
    lease: str
    attempt: int
    batch: str | None
    submission: Submission = field(repr=False)
    key: bytes = field(repr=False)
    events: int
    damaged: bool = False


_NOTHING = Submission(b"", (), Options())


class Leases:
    """The queue as workers see it; several processes may share one.

    Args:
        database: Where the examinations are.
        vault: Keys that seal them.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._seconds = database.settings.lease

    def claim(self) -> Claim | None:
        """Take the oldest examination that waits or whose lease ran out, batches last; None if there is none."""
        with self._database.reading() as session:
            if session.scalar(select(Job.id).where(_free()).limit(1)) is None:
                return None
        taken = self._take()
        if taken is None:
            return None
        claim, wrapped, sealed = taken
        try:  # after the commit: one that cannot be opened would otherwise be the oldest again, for ever
            claim.key = self._vault.unwrap(wrapped, claim.job)
            parts = {part: unseal(claim.key, blob, "spool", claim.job, part) for part, blob in sealed.items()}
            claim.submission = Submission.from_parts(parts)
        except UNREADABLE as error:
            LOG.error("request unreadable", error=type(error).__name__)
            self._damage(claim)
        return claim

    def _take(self) -> tuple[Claim, bytes, dict[str, bytes]] | None:
        """A claim that is not opened yet, with its wrapped key and the sealed parts of what was handed in."""
        lease = secrets.token_hex(16)
        with self._database.writing() as session:
            first = select(Job.id).where(_free()).order_by(Job.batch.is_not(None), Job.created_at, Job.place)
            oldest = first.limit(1).scalar_subquery()
            taken = (
                update(Job)
                .where(Job.id == oldest, _free())
                .values(status=RUNNING, lease=lease, lease_until=now() + self._seconds, attempts=Job.attempts + 1)
                .returning(Job.id, Job.owner, Job.attempts, Job.batch, Job.wrapped_key)
            )
            row = session.execute(taken, execution_options={"synchronize_session": False}).one_or_none()
            if row is None:
                return None
            job, owner, attempt, batch, wrapped = row
            sealed = {spool.part: spool.sealed for spool in session.scalars(select(Spool).where(Spool.job == job))}
            last = session.scalar(select(func.max(Event.number)).where(Event.job == job)) or 0
            return Claim(job, owner, lease, attempt, batch, _NOTHING, b"", last), wrapped, sealed

    def _damage(self, claim: Claim) -> None:
        """Give it a new key, for the old one may be what is damaged; what that has sealed goes, but for the spool."""
        claim.damaged, claim.submission, claim.events = True, _NOTHING, 0
        claim.key, wrapped = self._vault.new_key(claim.job)
        with self._database.writing() as session:
            if _write(session, claim, wrapped_key=wrapped):
                session.execute(delete(Event).where(Event.job == claim.job))

    def beat(self, claim: Claim, events: Iterable[Json] = ()) -> bool:
        """Extend the lease and add events; False where the lease is lost, and nothing was written."""
        with self._database.writing() as session:
            held = _write(session, claim, lease_until=now() + self._seconds)
            if held:
                _add_events(session, claim, events)
        return held

    def finish(
        self,
        claim: Claim,
        end: Json,
        *,
        failed: bool = False,
        events: Iterable[Json] = (),
        pictures: Mapping[str, bytes] | None = None,
    ) -> bool:
        """Write the end and delete the photos, in one transaction; False where the lease is lost."""
        sealed = seal(claim.key, json.dumps(end).encode(), "end", claim.job)
        with self._database.writing() as session:
            ending.hold(session, claim.batch)
            held = _write(
                session,
                claim,
                **_freed(end),
                status=FAILED if failed else DONE,
                finished_at=now(),
                lease=None,
                lease_until=None,
                sealed=sealed,
            )
            if held:
                session.execute(delete(Spool).where(Spool.job == claim.job))
                _add_events(session, claim, events)
                _add_pictures(session, claim, pictures or {})
                announce(session, claim.owner, job=claim.job)
                ending.note(session, claim.batch)
        self._database.scrub()
        return held

    def give_back(self, claim: Claim) -> None:
        """Let another attempt be made at once."""
        with self._database.writing() as session:
            _write(session, claim, status=QUEUED, lease=None, lease_until=None)


def _freed(end: Json) -> Json:
    """After a fault of the service the client is told to try again: so the idempotency key is free for it."""
    return {"idempotency": None} if end.get("problem", {}).get("status", 0) >= 500 else {}


def _free() -> ColumnElement[bool]:
    return or_(Job.status == QUEUED, and_(Job.status == RUNNING, Job.lease_until < now()))


def _write(session: Session, claim: Claim, **values: object) -> bool:
    statement = update(Job).where(Job.id == claim.job, Job.lease == claim.lease).values(**values)
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return bool(result.rowcount)  # type: ignore[attr-defined]


def _add_events(session: Session, claim: Claim, events: Iterable[Json]) -> None:
    for event in events:
        claim.events += 1
        sealed = seal(claim.key, json.dumps(event).encode(), "event", claim.job, str(claim.events))
        session.add(Event(job=claim.job, number=claim.events, sealed=sealed))


def _add_pictures(session: Session, claim: Claim, pictures: Mapping[str, bytes]) -> None:
    until = now() + claim.submission.options.keep_pictures
    for name, data in pictures.items():
        sealed = seal(claim.key, data, "picture", claim.job, name)
        session.add(Picture(job=claim.job, name=name, expires_at=until, sealed=sealed))
