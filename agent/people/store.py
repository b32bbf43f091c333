"""The store of enrolled people: encrypted in one SQLite file, and forgotten without a trace.

Every person has a data key of its own, wrapped by the store's master key. Names, features and photos are
AES-256-GCM blobs that open only in the place they were written for; see docs/design/people.md.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_dir

from ...errors import InvalidOption, StoreCorrupt, StoreError, StoreKeyUnavailable, UnknownPerson
from . import adapter as adapters
from . import keys, rows
from .adapter import Adapter
from .person import Person, Template, clean_name, name_key
from .schema import compact, connect, transaction
from .sealing import Vault

FILE = "people.sqlite3"
MAX_TEMPLATES = 20


class PeopleStore:
    """Enrolled people in one folder; several threads and processes may use it at once.

    Args:
        folder: Where the files are; ``FACEWITNESS_HOME`` or the user's data folder if None. Made, with mode
            0700, by the first enrolment.

    Every method raises StoreKeyUnavailable without the master key, StoreCorrupt where a stored byte was
    altered, and StoreError where the files cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(os.environ.get("FACEWITNESS_HOME") or user_data_dir("facewitness", False))
        self._file = self.folder / FILE

    def enroll(self, name: str, templates: Sequence[Template], *, keep_photos: bool = False) -> Person:
        """Add templates to a person, who is created if need be; all of them or none.

        A photo that the person has already is passed over, unless its template is of other weights: that one
        is replaced. The bytes of a photo are stored only with ``keep_photos``.

        Raises:
            InvalidOption: No template, a name that cannot be used, or more than 20 templates in all.
        """
        name = clean_name(name)
        if not templates:
            raise InvalidOption("Enrolling a person takes at least 1 photo.")
        self._make_folder()
        with connect(self._file) as db, transaction(db):
            vault = self._vault(db, create=True)
            row = rows.find(db, vault, name) or rows.insert_person(db, vault, name)
            for template in templates:
                rows.insert_template(db, vault, row, template, keep_photos)
            person = rows.read_person(vault, rows.person_row(db, row["id"]))
            if person.templates > MAX_TEMPLATES:
                raise InvalidOption(f"A person can have {MAX_TEMPLATES} photos; these would make {person.templates}.")
            return person

    def people(self) -> list[Person]:
        """Everyone enrolled, by name."""
        if not self._file.exists():
            return []
        with connect(self._file) as db, transaction(db, "DEFERRED"):
            stored = db.execute(rows.PEOPLE).fetchall()
            found = [rows.read_person(self._vault(db), row) for row in stored] if stored else []
        return sorted(found, key=lambda person: name_key(person.name))

    def person(self, name: str) -> Person:
        """Read about one person.

        Raises:
            UnknownPerson: Nobody of that name is enrolled.
        """
        with self._found(name) as (_, vault, row):
            return rows.read_person(vault, row)

    def templates(self, name: str) -> list[Template]:
        """Read the templates of one person, oldest first.

        Raises:
            UnknownPerson: Nobody of that name is enrolled.
        """
        with self._found(name) as (db, vault, row):
            return rows.read_templates(db, vault, row)

    def adapt(self, name: str, adapter: Adapter) -> Person:
        """Keep what was learned of a person, in the place of what was learned before.

        Raises:
            UnknownPerson: Nobody of that name is enrolled.
        """
        with self._found(name, "IMMEDIATE") as (db, vault, row):
            adapters.insert(db, vault, row, adapter)
            return rows.read_person(vault, rows.person_row(db, row["id"]))

    def forget(self, name: str) -> None:
        """Remove every trace of a person: rows, data key, free pages and the write-ahead log.

        Also finishes a removal that was interrupted.

        Raises:
            UnknownPerson: Nobody of that name is enrolled.
        """
        name = clean_name(name)
        row = None
        if self._file.exists():
            with connect(self._file) as db:
                with transaction(db):
                    row = rows.find(db, self._vault(db), name) if rows.any_people(db) else None
                    if row is not None:
                        db.execute("DELETE FROM people WHERE id = ?", (row["id"],))
                compact(db)
        if row is None:
            raise UnknownPerson(f"Nobody is enrolled as {name}.")

    @contextmanager
    def view(self) -> Iterator[tuple[sqlite3.Connection, Vault] | None]:
        """All rows as they are at one moment, and their keys; None where nobody is enrolled."""
        if not self._file.exists():
            yield None
            return
        with connect(self._file) as db, transaction(db, "DEFERRED"):
            yield (db, self._vault(db)) if rows.any_people(db) else None

    @contextmanager
    def _found(self, name: str, kind: str = "DEFERRED") -> Iterator[tuple[sqlite3.Connection, Vault, sqlite3.Row]]:
        """A transaction, the keys, and the row of one person."""
        name = clean_name(name)
        if self._file.exists():
            with connect(self._file) as db, transaction(db, kind):
                if rows.any_people(db):
                    vault = self._vault(db)
                    row = rows.find(db, vault, name)
                    if row is not None:
                        yield db, vault, row
                        return
        raise UnknownPerson(f"Nobody is enrolled as {name}.")

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError("The folder of the store cannot be made.") from error

    def _vault(self, db: sqlite3.Connection, create: bool = False) -> Vault:
        row = db.execute("SELECT * FROM store").fetchone()
        if row is None:
            if not create or rows.any_people(db):
                raise StoreCorrupt("The store of people has lost its head row.")
            return self._new_vault(db)
        if row["checksum"] != _checksum(row["id"], row["key_source"], row["key_id"]):
            raise StoreCorrupt("The head row of the store of people is damaged.")
        vault = Vault(keys.load(self.folder, row["id"], row["key_source"]), row["id"])
        if vault.key_id != row["key_id"]:
            raise StoreKeyUnavailable("The key that was found belongs to another store.")
        return vault

    def _new_vault(self, db: sqlite3.Connection) -> Vault:
        store_id = uuid.uuid4().hex
        master, source = keys.create(self.folder, store_id)
        vault = Vault(master, store_id)
        checksum = _checksum(store_id, source, vault.key_id)
        db.execute("INSERT INTO store VALUES (1, ?, ?, ?, ?)", (store_id, source, vault.key_id, checksum))
        return vault


def _checksum(store_id: str, source: str, key_id: bytes) -> bytes:
    """Tells a damaged head row (StoreCorrupt) from a wrong key (StoreKeyUnavailable)."""
    return hashlib.sha256(f"{store_id} {source} {key_id.hex()}".encode()).digest()
