"""AES-256-GCM for what the store keeps, and keyed indexes for what it must find again."""

from __future__ import annotations

import hashlib
import hmac
import json
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ...errors import StoreCorrupt

_NONCE_BYTES = 12


def seal(key: bytes, plain: bytes, *context: str) -> bytes:
    """Encrypt to nonce and ciphertext; ``context`` is authenticated, so that a blob opens only in its own place."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, _aad(context))


def unseal(key: bytes, blob: bytes, *context: str) -> bytes:
    """Decrypt what ``seal`` gave.

    Raises:
        StoreCorrupt: One bit of the blob or of its context differs from what was sealed.
    """
    try:
        return AESGCM(key).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], _aad(context))
    except (InvalidTag, ValueError) as error:
        raise StoreCorrupt(f"The stored {context[0]} fails authentication.") from error


def _aad(context: tuple[str, ...]) -> bytes:
    return json.dumps(["facewitness.people/1", *context]).encode()


class Vault:
    """The keys of one store, derived from its master key (HKDF-SHA256, salted with the store's id).

    Attributes:
        store_id: Part of every context.
        key_id: 16 public bytes that tell a wrong master key from damaged data.
    """

    def __init__(self, master: bytes, store_id: str) -> None:
        self.store_id = store_id
        self.key_id = _derive(master, store_id, b"key id", 16)
        self._wrapping = _derive(master, store_id, b"wrapping", 32)
        self._lookup = _derive(master, store_id, b"lookup", 32)

    def new_key(self, person: str) -> tuple[bytes, bytes]:
        """Make a data key for one person: plain, and wrapped."""
        key = AESGCM.generate_key(256)
        return key, seal(self._wrapping, key, "data key", self.store_id, person)

    def unwrap(self, wrapped: bytes, person: str) -> bytes:
        """Open the data key of one person; raises StoreCorrupt."""
        return unseal(self._wrapping, wrapped, "data key", self.store_id, person)

    def index(self, *parts: str) -> bytes:
        """32 bytes under which something is found again; tells nothing without the key."""
        return hmac.digest(self._lookup, _aad(parts), hashlib.sha256)


def _derive(master: bytes, store_id: str, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=store_id.encode(), info=b"facewitness.people/1 " + purpose).derive(master)
