"""Signed records: Ed25519 (RFC 8032) over canonical JSON (RFC 8785)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from ...agent.people.sealing import Vault, seal, unseal
from ...errors import SignatureInvalid
from .audit import OPERATOR, Audit
from .database import Database, now
from .tables import SigningKey

Json = dict[str, Any]


class Signature(BaseModel):
    """Who signed a record, and when; every field but ``value`` is signed too."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    algorithm: Literal["Ed25519"]
    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    signed_at: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    value: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class SignedRecord(BaseModel):
    """A record and its signature: what is passed on, and what can be verified."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_version: Literal["facewitness.signed/1"] = Field(alias="schema")
    record: Json
    signature: Signature


class Signer:
    """Signs with the newest key of a database; the first use makes one.

    Args:
        database: Holds the public keys, and the private ones sealed.
        vault: Opens them.
    """

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        with database.writing() as session:
            row = _newest(session)
            if row is None:
                row = _new_key(vault)
                session.add(row)
            self._held = self._open(row), row.id

    @property
    def key_id(self) -> str:
        """The key that signed last, or will sign first."""
        return self._held[1]

    def sign(self, record: Json) -> Signature:
        """Signature of a record as JSON types; with the newest key, also if another process made that."""
        private, key_id = self._current()
        signed_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        unsigned = Signature(algorithm="Ed25519", key_id=key_id, signed_at=signed_at, value="0" * 128)
        value = private.sign(_signed_bytes(record, unsigned)).hex()
        return unsigned.model_copy(update={"value": value})

    def _current(self) -> tuple[Ed25519PrivateKey, str]:
        with self._database.reading() as session:
            row = _newest(session)
            if row is not None and row.id != self._held[1]:
                self._held = self._open(row), row.id
            return self._held

    def _open(self, row: SigningKey) -> Ed25519PrivateKey:
        key = self._vault.unwrap(row.wrapped_key, row.id)
        return Ed25519PrivateKey.from_private_bytes(unseal(key, row.sealed, "signing key", row.id))


def rotate(database: Database, vault: Vault) -> str:
    """Make the key that signs from now on; its id. Earlier ones still verify."""
    with database.writing() as session:
        row = _new_key(vault)
        session.add(row)
        Audit(database, vault).append(session, OPERATOR, "key.rotate_signing", row.id)
        return row.id


def _newest(session: Session) -> SigningKey | None:
    return session.scalars(select(SigningKey).order_by(SigningKey.created_at.desc()).limit(1)).first()


def _new_key(vault: Vault) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    key_id = key_id_of(public)
    key, wrapped = vault.new_key(key_id)
    sealed = seal(key, private.private_bytes_raw(), "signing key", key_id)
    return SigningKey(id=key_id, public=public, wrapped_key=wrapped, sealed=sealed, created_at=now())


def key_id_of(public: bytes) -> str:
    """Name of a public key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def public_keys(database: Database) -> dict[str, bytes]:
    """Every key that this database ever signed with, by name."""
    with database.reading() as session:
        return {row.id: row.public for row in session.scalars(select(SigningKey).order_by(SigningKey.created_at))}


def canonical(document: Json) -> bytes:
    """RFC 8785 bytes; raises ``ValueError`` for what it does not allow, such as integers beyond 2^53."""
    return rfc8785.dumps(document)


def verify(text: bytes, trusted: Mapping[str, bytes]) -> SignedRecord:
    """Check a signed record, however it is indented.

    Args:
        text: A JSON document ``{"schema", "record", "signature"}``.
        trusted: Raw public keys by name.

    Raises:
        SignatureInvalid: It says why: not a signed record, an unknown key, or altered.
    """
    try:
        document = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        signed = SignedRecord.model_validate(document)
        message = _signed_bytes(signed.record, signed.signature)
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise SignatureInvalid(f"This is no signed record: {place or 'the document'} is not as it must be.") from None
    except (ValueError, RecursionError):
        raise SignatureInvalid("This is no signed record: it is not JSON with keys that occur once.") from None
    public = trusted.get(signed.signature.key_id)
    if public is None:
        raise SignatureInvalid(f"It names the key {signed.signature.key_id}, which is not known here.")
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signed.signature.value), message)
    except InvalidSignature:
        raise SignatureInvalid("The record or its signature was altered.") from None
    return signed


def _signed_bytes(record: Json, signature: Signature) -> bytes:
    facts = signature.model_dump(exclude={"value"})
    return canonical({"schema": "facewitness.signed/1", "record": record, "signature": facts})


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    """Of a key that occurs twice another reader may take the other value."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
