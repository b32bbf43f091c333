"""The audit log: a chain of keyed hashes over who did what, when, to what; no photo and no name is in it.

Each digest is an HMAC-SHA256 under a key derived from the master key, over the row and the digest before: who can write
to the database, but has no master key, cannot alter, insert or remove a row unnoticed. Rows cut off the end are noticed
by comparing with a number and digest that were written down elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from sqlalchemy import Select, select, text
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault
from ...errors import AuditBroken
from .database import Database, now
from .tables import AuditEntry

OPERATOR = "operator"
"""Who uses the command line on the machine of the service."""
START = bytes(32)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Who asks for a comparison with an enrolled person, and with whom: ids of an API key and of a person."""

    actor: str
    person: str


class Audit:
    """The log of a database.

    Args:
        database: Where it is.
        vault: Has the key of the hashes.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    def append(self, session: Session, actor: str, action: str, subject: str, **detail: object) -> None:
        """Add a row within a transaction that writes, so that both are there or none.

        Args:
            session: The transaction.
            actor: Id of an API key, ``local`` or ``operator``.
            action: ``area.verb``.
            subject: Id of what was acted on.
            detail: More, as JSON types; nothing that tells of a photo or a person.
        """
        if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time by itself
            session.execute(text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))
        last = session.scalars(select(AuditEntry).order_by(AuditEntry.number.desc()).limit(1)).first()
        entry = AuditEntry(
            number=1 if last is None else last.number + 1,
            at=now(),
            actor=actor,
            action=action,
            subject=subject,
            detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
            previous=START if last is None else last.digest,
        )
        entry.digest = self._digest(entry)
        session.add(entry)
        session.flush()

    def compared(self, session: Session, comparison: Comparison | None, verdicts: Sequence[str]) -> None:
        """Add a row for each verdict that compares a photo with an enrolled person; see ``append``."""
        if comparison is not None:
            for verdict in verdicts:
                self.append(session, comparison.actor, "person.compare", comparison.person, verdict=verdict)

    def write(self, actor: str, action: str, subject: str, **detail: object) -> None:
        """Add a row in a transaction of its own; see ``append``."""
        with self._database.writing() as session:
            self.append(session, actor, action, subject, **detail)

    def entries(self) -> Sequence[AuditEntry]:
        """All rows, the oldest first."""
        with self._database.reading() as session:
            rows = session.scalars(_in_order()).all()
            session.expunge_all()
        return rows

    def verify(self) -> tuple[int, str]:
        """Number and digest (hexadecimal) of the last row, to be written down elsewhere.

        Raises:
            AuditBroken: A row was altered, inserted or removed; it says which.
        """
        previous, number = START, 0
        with self._database.reading() as session, closing(session.scalars(_in_order())) as rows:
            for number, entry in enumerate(rows, start=1):
                if entry.number != number or entry.previous != previous or entry.digest != self._digest(entry):
                    raise AuditBroken(f"The audit log was altered at row {number}.")
                previous = entry.digest
        return number, previous.hex()

    def check(self, number: int, digest: str) -> None:
        """Whether the log still holds a row that was written down; raises AuditBroken."""
        with self._database.reading() as session:
            entry = session.get(AuditEntry, number)
            if entry is None or entry.digest.hex() != digest:
                raise AuditBroken(f"The audit log does not hold row {number} as it was written down.")

    def _digest(self, entry: AuditEntry) -> bytes:
        row = (repr(entry.at), entry.actor, entry.action, entry.subject, entry.detail, entry.previous.hex())
        return self._vault.index("audit", str(entry.number), *row)


def _in_order() -> Select[AuditEntry]:
    """Read in portions, for the log only grows."""
    return select(AuditEntry).order_by(AuditEntry.number).execution_options(yield_per=1000)
