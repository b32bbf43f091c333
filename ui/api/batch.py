"""Photos that came in together: each is an examination of the queue, and keeps its place."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault, seal, unseal
from ...errors import IdempotencyKeyReused, NotFound, TooManyRequests
from . import ending
from .audit import Audit, Comparison
from .database import Database, now
from .deliveries import announce
from .jobs import FAILED, Json, check_queue, new_job, queue_job, unfinished
from .submission import Submission
from .tables import Batch, Job

MAX_PHOTOS = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """A photo of a batch.

    Attributes:
        id: The client's name for it.
        submission: What to examine.
        problem: Why it cannot be; None where it can.
    """

    id: str
    submission: Submission
    problem: Json | None = None


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch as its owner sees it.

    Attributes:
        id: ``bt_`` and 32 hex digits.
        created_at: Seconds since 1970.
        finished_at: The same; None before the end of the last.
        photos: In order, the client's id, with id and status of the examination; None once that was deleted.
    """

    id: str
    created_at: float
    finished_at: float | None
    photos: tuple[tuple[str, tuple[str, str] | None], ...]


class Batches:
    """Batches of all owners; each sees its own only.

    Args:
        database: Where they are.
        vault: Keys that seal them.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault, self._audit = database, vault, Audit(database, vault)

    def submit(
        self,
        owner: str,
        entries: Sequence[Entry],
        idempotency: str | None = None,
        comparison: Comparison | None = None,
    ) -> str:
        """Accept a batch, all of it or nothing; its id. What cannot be examined has ended at once.

        Args:
            owner: Whose.
            entries: The photos, in order.
            idempotency: Makes it safe to repeat.
            comparison: With whom, for the audit log, where the submissions name a person.

        Raises:
            IdempotencyKeyReused: The key came with another batch.
            TooManyRequests, ServiceBusy: Too many photos of this owner, or of all, are unfinished.
        """
        try:
            return self._submit(owner, entries, idempotency, comparison)
        except IntegrityError:  # the same request came in twice at once, and the other was first
            return self._submit(owner, entries, idempotency, comparison)

    def _submit(
        self, owner: str, entries: Sequence[Entry], idempotency: str | None, comparison: Comparison | None
    ) -> str:
        digests = [digest for entry in entries for digest in (f"id {entry.id}", *entry.submission.digests())]
        fingerprint = self._vault.index("batch", owner, *digests)
        repeated = None if idempotency is None else self._vault.index("idempotency", owner, idempotency)
        with self._database.writing() as session:
            if repeated is not None:
                earlier = session.scalar(select(Batch).where(Batch.owner == owner, Batch.idempotency == repeated))
                if earlier is not None and earlier.fingerprint != fingerprint:
                    raise IdempotencyKeyReused("This Idempotency-Key came before, with another batch.")
                if earlier is not None:
                    return earlier.id
            self._check_room(session, owner, sum(entry.problem is None for entry in entries))
            batch = self._new(owner, entries, repeated, fingerprint)
            session.add(batch)
            session.flush()
            jobs = [self._add(session, batch, place, entry) for place, entry in enumerate(entries, start=1)]
            compared = [job for job, entry in zip(jobs, entries, strict=True) if entry.problem is None]
            self._audit.compared(session, comparison, compared)
            ending.note(session, batch.id)
            return batch.id

    def _check_room(self, session: Session, owner: str, more: int) -> None:
        settings = self._database.settings
        waiting = unfinished(session, Job.owner == owner, Job.batch.is_not(None))
        if waiting + more > settings.batch:
            raise TooManyRequests(
                f"{waiting} photos of this API key's batches are unfinished; {settings.batch} may be, these included."
            )
        check_queue(session, more, settings.queue)

    def _new(self, owner: str, entries: Sequence[Entry], idempotency: bytes | None, fingerprint: bytes) -> Batch:
        batch_id = f"bt_{secrets.token_hex(16)}"
        key, wrapped = self._vault.new_key(batch_id)
        names = json.dumps([entry.id for entry in entries]).encode()
        return Batch(
            id=batch_id,
            owner=owner,
            created_at=now(),
            wrapped_key=wrapped,
            idempotency=idempotency,
            fingerprint=fingerprint,
            sealed=seal(key, names, "batch", batch_id),
        )

    def _add(self, session: Session, batch: Batch, place: int, entry: Entry) -> str:
        fingerprint = self._vault.index("request", batch.owner, *entry.submission.digests())
        job = new_job(self._vault, batch.owner, fingerprint, None, batch.id, place)
        if entry.problem is None:
            queue_job(session, self._vault, job, entry.submission)
            return job.id
        end = json.dumps({"problem": entry.problem}).encode()
        job.status, job.finished_at = FAILED, now()
        job.sealed = seal(self._vault.unwrap(job.wrapped_key, job.id), end, "end", job.id)
        session.add(job)
        session.flush()
        announce(session, batch.owner, job=job.id)
        return job.id

    def get(self, owner: str, batch_id: str) -> BatchView:
        """Read one; raises NotFound."""
        with self._database.reading() as session:
            batch = _owned(session, owner, batch_id)
            rows = session.execute(select(Job.place, Job.id, Job.status).where(Job.batch == batch_id))
            jobs = {place: (job, status) for place, job, status in rows}
            key = self._vault.unwrap(batch.wrapped_key, batch.id)
            names = json.loads(unseal(key, batch.sealed, "batch", batch.id))
            photos = tuple((name, jobs.get(place)) for place, name in enumerate(names, start=1))
            return BatchView(batch.id, batch.created_at, batch.finished_at, photos)

    def delete(self, owner: str, batch_id: str, actor: str) -> None:
        """Remove every trace of a batch and of its verdicts, but for who did it; raises NotFound."""
        with self._database.writing() as session:
            session.delete(_owned(session, owner, batch_id))
            self._audit.append(session, actor, "batch.delete", batch_id)
        self._database.scrub()


def _owned(session: Session, owner: str, batch_id: str) -> Batch:
    batch = session.get(Batch, batch_id)
    if batch is None or batch.owner != owner:
        raise NotFound("There is no such batch.")
    return batch
