"""The rows of the store: what is sealed into them, and how it is read back."""

from __future__ import annotations

import json
import sqlite3
import uuid
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from ...errors import StoreCorrupt
from ...tools.evidence import ModelCard
from ...tools.face import Floats
from . import adapter as adapters
from .person import FEATURE_LENGTH, Person, Template, name_key
from .sealing import Vault, seal, unseal

PEOPLE = """SELECT people.*, adapters.id AS adapter, adapters.facts, adapters.tokens,
    (SELECT count(*) FROM templates WHERE templates.person = people.id) AS templates
    FROM people LEFT JOIN adapters ON adapters.person = people.id"""
_PROVEN = 1000
"""Up to so many people, a name that is not found is looked for among the decrypted ones too."""


def any_people(db: sqlite3.Connection) -> bool:
    """Whether somebody is enrolled."""
    return db.execute("SELECT 1 FROM people LIMIT 1").fetchone() is not None


def find(db: sqlite3.Connection, vault: Vault, name: str) -> sqlite3.Row | None:
    """The row of a person, as ``PEOPLE`` gives it; None if nobody of that clean name is enrolled."""
    row: sqlite3.Row | None = db.execute(f"{PEOPLE} WHERE name_index = ?", (_name_index(vault, name),)).fetchone()
    if row is None and not _many(db):  # nobody, or a damaged index: decrypting all names tells
        for other in db.execute(PEOPLE):
            read_person(vault, other)
    return row


def _many(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM people LIMIT 1 OFFSET ?", (_PROVEN,)).fetchone() is not None


def _name_index(vault: Vault, name: str) -> bytes:
    return vault.index("name", name_key(name))


def read_person(vault: Vault, row: sqlite3.Row) -> Person:
    """Who a row of ``PEOPLE`` is; raises StoreCorrupt."""
    key = vault.unwrap(row["data_key"], row["id"])
    name = unseal(key, row["name"], "name", vault.store_id, row["id"], row["created_at"]).decode()
    if row["name_index"] != _name_index(vault, name):
        raise StoreCorrupt("The index of a stored name is damaged.")
    return Person(name, row["templates"], datetime.fromisoformat(row["created_at"]), adapters.read(vault, key, row))


def person_row(db: sqlite3.Connection, person: str) -> sqlite3.Row:
    """The row of a person's id, as ``PEOPLE`` gives it."""
    row: sqlite3.Row = db.execute(f"{PEOPLE} WHERE people.id = ?", (person,)).fetchone()
    return row


def insert_person(db: sqlite3.Connection, vault: Vault, name: str) -> sqlite3.Row:
    """Store a person of a clean name, with a data key of its own."""
    person, created_at = uuid.uuid4().hex, datetime.now(UTC).isoformat()
    key, wrapped = vault.new_key(person)
    sealed = seal(key, name.encode(), "name", vault.store_id, person, created_at)
    values = (person, _name_index(vault, name), sealed, wrapped, created_at)
    db.execute("INSERT INTO people VALUES (?, ?, ?, ?, ?)", values)
    return person_row(db, person)


def insert_template(
    db: sqlite3.Connection, vault: Vault, person: sqlite3.Row, template: Template, keep_photo: bool
) -> None:
    """Store a template; the same photo again is passed over, or replaced where its template is of other weights."""
    key = vault.unwrap(person["data_key"], person["id"])
    index = vault.index("photo", person["id"], template.photo_sha256)
    model = json.dumps(asdict(template.model), sort_keys=True)
    context = (vault.store_id, person["id"], uuid.uuid4().hex, model)
    plain = template.feature.astype("<f4").tobytes() + bytes.fromhex(template.photo_sha256)
    photo = seal(key, template.photo, "photo", *context) if keep_photo and template.photo is not None else None
    db.execute("DELETE FROM templates WHERE person = ? AND photo_index = ? AND model <> ?", (context[1], index, model))
    db.execute(
        "INSERT INTO templates (id, person, photo_index, model, template, photo) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (person, photo_index) DO NOTHING",
        (context[2], context[1], index, model, seal(key, plain, "template", *context), photo),
    )


def read_templates(db: sqlite3.Connection, vault: Vault, person: sqlite3.Row) -> list[Template]:
    """All of one person, oldest first; raises StoreCorrupt."""
    read_person(vault, person)
    key = vault.unwrap(person["data_key"], person["id"])
    rows = db.execute("SELECT * FROM templates WHERE person = ? ORDER BY rowid", (person["id"],))
    return [read_template(vault, key, row) for row in rows]


def read_template(vault: Vault, key: bytes, row: sqlite3.Row) -> Template:
    """What a row of ``templates`` holds, under the data key of its person; raises StoreCorrupt."""
    context = (vault.store_id, row["person"], row["id"], row["model"])
    feature, photo_sha256 = read_feature(vault, key, row)
    if row["photo_index"] != vault.index("photo", row["person"], photo_sha256):
        raise StoreCorrupt("The index of a stored photo is damaged.")
    photo = None if row["photo"] is None else unseal(key, row["photo"], "photo", *context)
    return Template(feature, photo_sha256, ModelCard(**json.loads(row["model"])), photo)


def read_feature(vault: Vault, key: bytes, row: sqlite3.Row) -> tuple[Floats, str]:
    """The feature of a row of ``templates``, and the digest of its photo; raises StoreCorrupt."""
    plain = unseal(key, row["template"], "template", vault.store_id, row["person"], row["id"], row["model"])
    split = 4 * FEATURE_LENGTH
    return np.frombuffer(plain[:split], "<f4").astype(np.float32), plain[split:].hex()
