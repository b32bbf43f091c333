"""Messages for webhooks: queued in the transaction that ends a verdict or a batch, due until taken or given up."""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault, unseal
from ...errors import StoreCorrupt
from .database import Database, now
from .logs import LOG
from .tables import ApiKey, Batch, Delivery, Job

MAX_ATTEMPTS = 10
FIRST, LONGEST = 5.0, 3600.0
"""Seconds until the second attempt, and between two at most; half as much again or less by chance."""
LEASE = 60.0


@dataclass(frozen=True, slots=True)
class Message:
    """One that is due.

    Attributes:
        id: The same in every attempt, so that a receiver can pass over one that it has.
        url: Where to.
        secret: Signs it.
        attempt: 1 for the first.
        body: JSON types.
        owner: Who registered it.
    """

    id: str
    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    attempt: int
    body: dict[str, Any] = field(repr=False)
    owner: str = ""


def announce(session: Session, owner: str, *, job: str | None = None, batch: str | None = None) -> None:
    """Queue a message about a verdict or a batch that ends in this transaction, for each webhook of its owner."""
    for key in session.scalars(_webhooks().where(ApiKey.owner == owner)):
        session.add(
            Delivery(
                id=f"msg_{secrets.token_hex(16)}",
                key=key.id,
                job=job,
                batch=batch,
                created_at=now(),
                due_at=now(),
                attempts=0,
            )
        )


class Deliveries:
    """Messages of all owners; several processes may send.

    Args:
        database: Where they are.
        vault: Opens the secrets that sign them.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    def claim(self, without: Collection[str] = ()) -> Message | None:
        """Take one that is due; nobody else gets it for ``LEASE`` seconds. None if there is none.

        Args:
            without: Owners whose messages stay.
        """
        kept = Delivery.key.in_(select(ApiKey.id).where(ApiKey.owner.in_(without)))
        due = select(Delivery.id).where(Delivery.due_at <= now(), ~kept).order_by(Delivery.due_at).limit(1)
        with self._database.reading() as session:
            if session.scalar(due) is None:
                return None
        with self._database.writing() as session:
            taken = (
                update(Delivery)
                .where(Delivery.id == due.scalar_subquery(), Delivery.due_at <= now())
                .values(due_at=now() + LEASE, attempts=Delivery.attempts + 1)
                .returning(Delivery.id, Delivery.key, Delivery.job, Delivery.batch, Delivery.attempts)
            )
            row = session.execute(taken, execution_options={"synchronize_session": False}).one_or_none()
            return None if row is None else self._message(session, *row)

    def _message(
        self, session: Session, message: str, key_id: str, job_id: str | None, batch_id: str | None, attempt: int
    ) -> Message | None:
        key = session.scalar(_webhooks().where(ApiKey.id == key_id))
        body = _of_batch(session.get(Batch, batch_id)) if batch_id else _of_verdict(session.get(Job, job_id))
        if key is None or body is None or not (key.webhook and key.wrapped_key and key.sealed):
            session.execute(delete(Delivery).where(Delivery.id == message))  # the key ended meanwhile
            return None
        try:
            secret = unseal(self._vault.unwrap(key.wrapped_key, key.id), key.sealed, "webhook", key.id)
        except StoreCorrupt as error:  # raised, it would undo the claim, and this one be the first again, for ever
            LOG.error("webhook unreadable", error=type(error).__name__)
            session.execute(delete(Delivery).where(Delivery.id == message))
            return None
        return Message(message, key.webhook, secret, attempt, body, key.owner)

    def end(self, message: Message) -> None:
        """It was taken, or is given up."""
        with self._database.writing() as session:
            session.execute(delete(Delivery).where(Delivery.id == message.id))

    def later(self, message: Message) -> bool:
        """Try again in a while, longer each time; False, and given up, after ``MAX_ATTEMPTS``."""
        if message.attempt >= MAX_ATTEMPTS:
            self.end(message)
            return False
        pause = min(LONGEST, FIRST * 2 ** (message.attempt - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        with self._database.writing() as session:
            session.execute(update(Delivery).where(Delivery.id == message.id).values(due_at=now() + pause))
        return True


def _of_verdict(job: Job | None) -> dict[str, Any] | None:
    return (
        None
        if job is None
        else {
            "type": f"verdict.{job.status}",
            "timestamp": job.finished_at,
            "data": {"id": job.id, "status": job.status, "batch": job.batch, "path": f"/v1/verdicts/{job.id}"},
        }
    )


def _of_batch(batch: Batch | None) -> dict[str, Any] | None:
    return (
        None
        if batch is None
        else {
            "type": "batch.done",
            "timestamp": batch.finished_at,
            "data": {"id": batch.id, "status": "done", "path": f"/v1/batches/{batch.id}"},
        }
    )


def _webhooks() -> Any:
    current = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now())
    return select(ApiKey).where(ApiKey.webhook.is_not(None), ApiKey.revoked_at.is_(None), current)
