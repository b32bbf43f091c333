"""Which enrolled people look most like a face: one against all, exactly.

The store is the truth and the only copy on disk. What is held in memory is derived from it, and proposes; every match
is confirmed by the sealed template itself, read in the same transaction. See docs/design/people.md.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ...errors import StoreCorrupt
from ...tools.evidence import ModelCard
from ...tools.face import Floats
from ...tools.identity import SAME_PERSON_MIN, similarity
from . import rows
from .nearest import Nearest
from .person import FEATURE_LENGTH
from .sealing import Vault
from .store import PeopleStore

_FIRST = 32
"""Templates that are confirmed at least; most often enough."""
_PAGE = 8192
"""Templates unsealed before they are taken in."""

_TEMPLATES = "SELECT templates.*, data_key FROM templates JOIN people ON people.id = person"


@dataclass(frozen=True, slots=True)
class Match:
    """An enrolled person who looks like the face.

    Attributes:
        name: As enrolled.
        similarity: Cosine of the template that is most like it, -1..1.
    """

    name: str
    similarity: float


class Gallery:
    """Search among the people of a store; several threads may ask, one is answered at a time.

    Templates are unsealed once, by the first search, and held in memory in 8 bits a number; what this or any other
    process enrolled or forgot since is taken in by the next search before it answers.

    Args:
        store: Of the people.
        model: The weights of the features; templates of others are not compared.

    Raises:
        InvalidOption: FAISS is not installed.
    """

    def __init__(self, store: PeopleStore, model: ModelCard) -> None:
        self._store, self._model = store, model
        self._lock = threading.Lock()
        self._forget()

    def search(self, feature: Floats, most: int = 5, at_least: float = SAME_PERSON_MIN) -> list[Match]:
        """The people most like a (128,) feature, the most like first.

        The threshold is that of comparing two photos. Among very many people some strangers pass it: a list is where
        to look, never who it is.

        Args:
            feature: Of the face, by the gallery's weights; not normalised.
            most: At most so many people.
            at_least: Smallest similarity.

        Raises:
            StoreCorrupt: A stored byte was altered.
            StoreKeyUnavailable: The master key is not there.
            StoreError: The files cannot be used.
        """
        with self._lock, self._store.view() as view:
            if view is None:
                self._forget()
                return []
            try:
                self._catch_up(*view)
                return self._nearest_people(*view, feature, most, at_least)
            except StoreCorrupt:
                self._forget()  # so that a store that was mended is read anew
                raise

    def people(self) -> int:
        """How many people a search goes over: those with a template of the gallery's weights; raises StoreError."""
        with self._store.view() as view:
            if view is None:
                return 0
            sql = "SELECT count(DISTINCT person) FROM templates WHERE json_extract(model, '$.sha256') = ?"
            count: int = view[0].execute(sql, (self._model.sha256,)).fetchone()[0]
        return count

    def __len__(self) -> int:
        """Templates in memory."""
        return len(self._near)

    def _forget(self) -> None:
        self._near = Nearest(FEATURE_LENGTH)
        self._seen = ("", -1, 0)

    def _catch_up(self, db: sqlite3.Connection, vault: Vault) -> None:
        """Take in what was enrolled, and let go what was forgotten, since the last search."""
        store, added, removed = self._seen
        now = (vault.store_id, *db.execute("SELECT added, removed FROM changes").fetchone())
        if store != now[0] or now[1] < added or now[2] < removed:  # made anew, or an older copy was put back
            self._forget()
            added, removed = -1, now[2]
        if now[2] != removed:
            self._near.keep(b"".join(bytes.fromhex(row[0]) for row in db.execute("SELECT id FROM templates")))
        features = self._features(db, vault, added)
        while page := list(islice(features, _PAGE)):
            self._near.add(b"".join(id_ for id_, _ in page), np.stack([unit for _, unit in page]))
        self._seen = now

    def _features(self, db: sqlite3.Connection, vault: Vault, after: int) -> Iterator[tuple[bytes, Floats]]:
        """Ids and unit vectors of the templates that came after so many."""
        person, key = "", b""
        for row in db.execute(f"{_TEMPLATES} WHERE added > ? ORDER BY added", (after,)):
            if row["person"] != person:
                person, key = row["person"], vault.unwrap(row["data_key"], row["person"])
            feature, _ = rows.read_feature(vault, key, row)
            if json.loads(row["model"])["sha256"] == self._model.sha256:
                yield bytes.fromhex(row["id"]), feature / np.linalg.norm(feature)

    def _nearest_people(
        self, db: sqlite3.Connection, vault: Vault, feature: Floats, most: int, at_least: float
    ) -> list[Match]:
        """Confirm ever more templates, until none that is left can be among the answers."""
        unit = np.asarray(feature / np.linalg.norm(feature), np.float32)
        wanted = max(_FIRST, 2 * most)
        while True:
            proposed, error = self._near.search(unit, wanted)
            best: dict[str, float] = {}
            for _, id_ in proposed:
                person, value = _confirmed(db, vault, id_, feature)
                best[person] = max(value, best.get(person, value))
            ranked = sorted(((value, person) for person, value in best.items() if value >= at_least), reverse=True)
            found = ranked[:most]
            left = proposed[-1][0] + error if len(proposed) == wanted else -np.inf
            if left < at_least or (len(found) == most and found[-1][0] >= left):
                named = ((rows.read_person(vault, rows.person_row(db, person)), value) for value, person in found)
                return [Match(person.name, value) for person, value in named]
            wanted *= 4


def _confirmed(db: sqlite3.Connection, vault: Vault, id_: bytes, feature: Floats) -> tuple[str, float]:
    """Whose a template is, and the cosine to it."""
    row = db.execute(f"{_TEMPLATES} WHERE templates.id = ?", (id_.hex(),)).fetchone()
    if row is None:
        raise StoreCorrupt("The store of people has lost templates that it does not count as removed.")
    key = vault.unwrap(row["data_key"], row["person"])
    return row["person"], similarity(feature, rows.read_template(vault, key, row).feature)
