"""Tables of the service. Times are seconds since 1970, UTC; what tells of a photo or a person is sealed."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = String(64)


class Base(DeclarativeBase):
    """Common metadata."""


class Head(Base):
    """One row: which master key opens this database."""

    __tablename__ = "head"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key_source: Mapped[str] = mapped_column(String(16))
    key_id: Mapped[bytes] = mapped_column(LargeBinary)


class SigningKey(Base):
    """An Ed25519 key; the newest signs, all of them verify."""

    __tablename__ = "signing_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    public: Mapped[bytes] = mapped_column(LargeBinary)
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[float]


class ApiKey(Base):
    """A client's key, of which only the SHA-256 is kept; ``owner`` is its own id, or a name that several keys share.

    ``webhook`` is where its owner's verdicts are announced, ``sealed`` the secret that signs these messages.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(Id)
    digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    webhook: Mapped[str | None] = mapped_column(String(500))
    wrapped_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)


class Batch(Base):
    """Examinations that came in together; ``sealed`` holds the client's names of the photos, in order.

    ``finished_at`` is set in the transaction after which none of them waits or runs.
    """

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("owner", "idempotency"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(Id)
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    idempotency: Mapped[bytes | None] = mapped_column(LargeBinary)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Job(Base):
    """One examination, queued, running or ended.

    ``lease`` names the attempt that works on it; only that attempt may write its end. ``sealed`` is that end: record
    and signature, or the problem. ``place`` is its place in a batch, from 1.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("owner", "idempotency"),
        Index("jobs_by_status", "status", "created_at"),
        Index("jobs_by_owner", "owner", "created_at", "id"),
        Index("jobs_by_batch", "batch", "place"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(Id)
    status: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[float]
    finished_at: Mapped[float | None]
    attempts: Mapped[int]
    lease: Mapped[str | None] = mapped_column(Id)
    lease_until: Mapped[float | None]
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)
    idempotency: Mapped[bytes | None] = mapped_column(LargeBinary)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    batch: Mapped[str | None] = mapped_column(Id, ForeignKey("batches.id", ondelete="CASCADE"))
    place: Mapped[int | None]


class _OfJob:
    job: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Spool(_OfJob, Base):
    """A part of an accepted request: photo, reference or options; deleted with the end of the job."""

    __tablename__ = "spool"

    part: Mapped[str] = mapped_column(String(16), primary_key=True)


class Event(_OfJob, Base):
    """What happened in a job, in order."""

    __tablename__ = "events"

    number: Mapped[int] = mapped_column(primary_key=True)


class Picture(_OfJob, Base):
    """The page or an overlay, where the client asked to have them kept for a while."""

    __tablename__ = "pictures"

    name: Mapped[str] = mapped_column(Id, primary_key=True)
    expires_at: Mapped[float]


class Delivery(Base):
    """A message that a webhook has not taken yet, about a job or a batch that has ended.

    ``due_at`` also keeps other senders away while one sends it.
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_by_due", "due_at"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(Id, ForeignKey("api_keys.id", ondelete="CASCADE"))
    job: Mapped[str | None] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    batch: Mapped[str | None] = mapped_column(Id, ForeignKey("batches.id", ondelete="CASCADE"))
    created_at: Mapped[float]
    due_at: Mapped[float]
    attempts: Mapped[int]


class Rate(Base):
    """When an API key, or ``local``, made its requests of the last minute: 64-bit floats, little-endian, in order."""

    __tablename__ = "rates"

    key: Mapped[str] = mapped_column(Id, primary_key=True)
    times: Mapped[bytes] = mapped_column(LargeBinary)


class AuditEntry(Base):
    """Who did what to what, and when; triggers refuse to change or delete a row.

    ``digest`` covers the row and ``previous``, the digest of the row before.
    """

    __tablename__ = "audit"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[float]
    actor: Mapped[str] = mapped_column(Id)
    action: Mapped[str] = mapped_column(Id)
    subject: Mapped[str] = mapped_column(Id)
    detail: Mapped[str] = mapped_column(String(2000))
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
