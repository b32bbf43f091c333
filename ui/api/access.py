"""API keys: 256 random bits, of which the SHA-256 is kept, with scopes and a last day."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault, seal, unseal
from ...errors import InvalidOption, NotAuthenticated, NotPermitted
from .audit import OPERATOR, Audit
from .database import Database, now
from .settings import DAY
from .tables import ApiKey
from .webhook_address import PREFIX as WEBHOOK_PREFIX
from .webhook_address import check as check_webhook

SCOPES = {
    "verdicts": "examine photos, and read and delete one's own verdicts",
    "identity": "compare with enrolled people, by name",
    "people": "enrol people, list and delete them",
    "search": "search by face among the enrolled people",
    "metrics": "read the metrics",
}
GRANTED_BY_NAME = frozenset({"search"})
"""Scopes that nobody has without a key that names them, also before the first key is made."""
PREFIX = "fwk_"
LOCAL = "local"
"""Who asks without a key, on this machine, and the owner of what is done so."""
_OWNER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks.

    Attributes:
        id: Of an API key, or ``local``.
        scopes: What it may do.
        owner: Whose verdicts and people it works with; the same for all keys of an owner.
    """

    id: str
    scopes: frozenset[str]
    owner: str


class ApiKeys:
    """The keys of a database.

    Args:
        database: Where they are.
        vault: For the audit log.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault, self._audit = database, vault, Audit(database, vault)
        self.made = False
        """Whether a key was ever made, as far as this process knows; once it was, that stays so."""

    def create(
        self, scopes: Sequence[str], days: int | None, owner: str | None = None, webhook: str | None = None
    ) -> tuple[str, str]:
        """Make a key that ends after so many days; its id, and the secret, which cannot be read again.

        Args:
            scopes: Some of ``SCOPES``.
            days: None for no end.
            owner: Whose verdicts and people it works with; its own id by default.
            webhook: Where its owner's verdicts are announced, as long as the key is valid.

        Raises:
            InvalidOption: A scope that does not exist, or none, or a name of an owner or a webhook that cannot be used.
        """
        if not scopes or not set(scopes) <= set(SCOPES):
            raise InvalidOption(f"The scopes are {', '.join(SCOPES)}.")
        if owner is not None and not _OWNER.fullmatch(owner):
            raise InvalidOption("An owner's name has small letters, digits, dots, dashes and underscores, 63 at most.")
        if webhook is not None:
            check_webhook(webhook)
        key_id, secret = secrets.token_hex(6), PREFIX + secrets.token_urlsafe(32)
        row = ApiKey(
            id=key_id,
            owner=owner or key_id,
            digest=_digest(secret),
            scopes=" ".join(scopes),
            created_at=now(),
            expires_at=None if days is None else now() + days * DAY,
            webhook=webhook,
        )
        if webhook is not None:
            key, row.wrapped_key = self._vault.new_key(key_id)
            row.sealed = seal(key, secrets.token_bytes(32), "webhook", key_id)
        with self._database.writing() as session:
            session.add(row)
            self._audit.append(session, OPERATOR, "key.create", key_id, scopes=list(scopes), owner=owner or key_id)
        return key_id, secret

    def webhook_secret(self, key_id: str) -> str:
        """What the receiver of a key's webhook checks signatures with: ``whsec_`` and base64.

        Raises:
            InvalidOption: There is no such key, or it has no webhook.
        """
        with self._database.reading() as session:
            row = session.get(ApiKey, key_id)
            if row is None or row.wrapped_key is None or row.sealed is None:
                raise InvalidOption(f"There is no API key {key_id!r} with a webhook.")
            secret = unseal(self._vault.unwrap(row.wrapped_key, key_id), row.sealed, "webhook", key_id)
        return WEBHOOK_PREFIX + base64.b64encode(secret).decode()

    def revoke(self, key_id: str) -> None:
        """End a key now.

        Raises:
            InvalidOption: There is none of that id.
        """
        with self._database.writing() as session:
            row = session.get(ApiKey, key_id)
            if row is None:
                raise InvalidOption(f"There is no API key {key_id!r}.")
            row.revoked_at = row.revoked_at or now()
            self._audit.append(session, OPERATOR, "key.revoke", key_id)

    def list(self) -> Sequence[ApiKey]:
        """All keys, the oldest first."""
        with self._database.reading() as session:
            rows = session.scalars(select(ApiKey).order_by(ApiKey.created_at)).all()
            session.expunge_all()
        return rows

    def any_valid(self) -> bool:
        """Whether a key exists that can be used."""
        return any(state(row) == "valid" for row in self.list())

    def principal(self, secret: str | None) -> Principal:
        """Whose key it is. Before the first key is made, all is allowed but ``GRANTED_BY_NAME``; later nothing without.

        Raises:
            NotAuthenticated: No key, or one that is unknown, expired or revoked.
        """
        with self._database.reading() as session:
            if secret is None and not _any(session):
                return Principal(LOCAL, frozenset(SCOPES) - GRANTED_BY_NAME, LOCAL)
            row = session.scalar(_valid().where(ApiKey.digest == _digest(secret or "")))
            if row is None:
                raise NotAuthenticated("This takes a valid API key: Authorization: Bearer fwk_….")
            return Principal(row.id, frozenset(row.scopes.split()), row.owner)

    def required(self) -> bool:
        """Whether a key was ever made; the database is asked only until one was."""
        if not self.made:
            with self._database.reading() as session:
                self.made = _any(session)
        return self.made


def state(row: ApiKey) -> str:
    """``valid``, ``expired`` or ``revoked``."""
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now() else "valid"


def _valid() -> Any:
    current = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now())
    return select(ApiKey).where(ApiKey.revoked_at.is_(None), current)


def _any(session: Session) -> bool:
    return session.scalar(select(ApiKey.id).limit(1)) is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


_bearer = HTTPBearer(auto_error=False, description="API key made with `facewitness keys create`.")


def _principal(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Principal:
    keys: ApiKeys = request.app.state.service.keys
    # before the first key is made one that comes is passed over: OpenAI's clients cannot be without
    principal = keys.principal(given.credentials if given is not None and keys.required() else None)
    request.state.principal = principal.id
    return principal


Caller = Annotated[Principal, Depends(_principal)]
"""Whoever asks, whatever the scopes."""


class Scope:
    """Dependency: the caller, who must have a scope.

    Args:
        name: One of ``SCOPES``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, principal: Caller) -> Principal:
        """The caller; raises NotPermitted."""
        check_scope(principal, self.name)
        return principal


def check_scope(principal: Principal, name: str) -> None:
    """Refuse a caller without a scope; raises NotPermitted."""
    if name not in principal.scopes:
        raise NotPermitted(f"The API key lacks the scope {name}.")


Client = Annotated[Principal, Depends(Scope("verdicts"))]
