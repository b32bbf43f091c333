"""The end of a batch: noted and announced once, in the transaction in which the last of its examinations ends."""

from __future__ import annotations

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from .database import now
from .deliveries import announce
from .tables import Batch, Job


def hold(session: Session, batch: str | None) -> None:
    """Keep others from ending examinations of a batch until this transaction is over, so that one is the last.

    Comes before the examination is written, as deleting a batch locks it before its examinations: two that lock in
    different orders could wait for each other.
    """
    if batch is not None:  # SQLite has one writer at a time by itself
        session.execute(select(Batch.id).where(Batch.id == batch).with_for_update())


def note(session: Session, batch: str | None) -> None:
    """After an examination of a held batch ended or was deleted: if none waits or runs now, the batch has ended."""
    if batch is None:
        return
    session.flush()
    of_batch = select(Job.id).where(Job.batch == batch)
    ended = (
        update(Batch)
        .where(Batch.id == batch, Batch.finished_at.is_(None))
        .where(exists(of_batch), ~exists(of_batch.where(Job.finished_at.is_(None))))
        .values(finished_at=now())
        .returning(Batch.owner)
    )
    owner = session.scalar(ended, execution_options={"synchronize_session": False})
    if owner is not None:
        announce(session, owner, batch=batch)
