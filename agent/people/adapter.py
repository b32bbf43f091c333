"""What the model that looks has learned of one person, and its row in the store: sealed like a template."""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ...errors import InvalidOption, InvalidReference
from ...tools.face import Floats
from .sealing import Vault, seal, unseal

VERSION = 1
"""Of how adapters are learned and used."""


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """Embeddings that stand in the place of the reference photo where the model is asked about the person.

    Attributes:
        tokens: (k, width) float32.
        weights_sha256: Hex digest of the model's weights; to others the tokens mean nothing.
        photos: Hex digests of the photos that it was learned from; of these its word proves nothing.
        validated: Whether photos were held out to see when to stop.
        created_at: In UTC.
        version: ``VERSION`` when it was learned.

    Raises:
        InvalidOption: The tokens are not a table of finite numbers.
    """

    tokens: Floats
    weights_sha256: str
    photos: tuple[str, ...]
    validated: bool
    created_at: datetime
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.tokens.ndim != 2 or not self.tokens.size or not np.isfinite(self.tokens).all():
            raise InvalidOption("An adapter needs a table of finite numbers.")

    def tokens_for(self, weights_sha256: str) -> Floats:
        """The tokens, for the model whose weights have this digest.

        Raises:
            InvalidReference: They were learned for other weights, or by another release.
        """
        if (self.weights_sha256, self.version) != (weights_sha256, VERSION):
            raise InvalidReference(
                "This person's adapter was learned for other weights of the model that looks: learn it again with "
                "`facewitness finetune person`."
            )
        return self.tokens


def insert(db: sqlite3.Connection, vault: Vault, person: sqlite3.Row, adapter: Adapter) -> None:
    """Store it in the place of an earlier one."""
    key = vault.unwrap(person["data_key"], person["id"])
    context = (vault.store_id, person["id"], uuid.uuid4().hex)
    facts = {
        "version": adapter.version,
        "weights_sha256": adapter.weights_sha256,
        "photos": adapter.photos,
        "validated": adapter.validated,
        "created_at": adapter.created_at.isoformat(),
        "width": adapter.tokens.shape[1],
    }
    sealed = (
        seal(key, json.dumps(facts).encode(), "adapter facts", *context),
        seal(key, adapter.tokens.astype("<f4").tobytes(), "adapter tokens", *context),
    )
    db.execute("DELETE FROM adapters WHERE person = ?", (person["id"],))
    db.execute("INSERT INTO adapters VALUES (?, ?, ?, ?)", (context[2], person["id"], *sealed))


def read(vault: Vault, key: bytes, person: sqlite3.Row) -> Adapter | None:
    """The adapter of a person's row, which names its columns ``adapter``, ``facts`` and ``tokens``.

    Raises:
        StoreCorrupt: A byte of it was altered, or it is of another person.
    """
    if person["adapter"] is None:
        return None
    context = (vault.store_id, person["id"], person["adapter"])
    facts = json.loads(unseal(key, person["facts"], "adapter facts", *context))
    tokens = np.frombuffer(unseal(key, person["tokens"], "adapter tokens", *context), "<f4").astype(np.float32)
    return Adapter(
        tokens.reshape(-1, facts["width"]),
        facts["weights_sha256"],
        tuple(facts["photos"]),
        facts["validated"],
        datetime.fromisoformat(facts["created_at"]),
        facts["version"],
    )
