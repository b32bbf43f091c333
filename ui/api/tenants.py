"""Enrolled people: a store for each owner, with a folder and a master key of its own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from ...agent.people import PeopleStore, Person, Template
from ...agent.people.gallery import Gallery
from ...agent.people.person import clean_name, name_key
from ...agent.people.sealing import Vault
from ...errors import InvalidOption, NotFound, NotInstalled
from ...tools import weights
from .access import LOCAL, Principal, check_scope
from .audit import Comparison

MAX_GALLERIES = 8
"""Owners whose people are held in memory to be searched: 144 bytes a photo, and a thread a core."""


class Tenants:
    """Stores of people by owner.

    Args:
        folder: Holds the folder of each.
        vault: Keys under which people and folders are named.
    """

    def __init__(self, folder: Path, vault: Vault) -> None:
        self._folder, self._vault = folder / "people", vault
        self._galleries: OrderedDict[str, Gallery] = OrderedDict()
        self._lock = threading.Lock()

    def store(self, owner: str) -> PeopleStore:
        """The store of an owner; without keys that of this machine's user, as on the command line."""
        if owner == LOCAL:
            return PeopleStore()
        return PeopleStore(self._folder / self._vault.index("tenant", owner).hex()[:32])

    def gallery(self, owner: str) -> Gallery:
        """Search among an owner's people; kept for the next one, for the owners who searched last.

        Raises:
            NotInstalled: FAISS is not there.
        """
        with self._lock:
            gallery = self._galleries.pop(owner, None)
            if gallery is None:
                try:
                    gallery = Gallery(self.store(owner), weights.card("sface"))
                except InvalidOption as error:  # what to install is for the operator, and no fault of the request
                    raise NotInstalled("This service cannot search by face: it lacks facewitness[gallery].") from error
            self._galleries[owner] = gallery
            while len(self._galleries) > MAX_GALLERIES:
                self._galleries.popitem(last=False)
        return gallery

    def id(self, owner: str, name: str) -> str:
        """Under which a person is named in paths and in the audit log; tells nothing without the master key."""
        return f"pn_{self._vault.index('person', owner, name_key(clean_name(name))).hex()[:32]}"

    def comparison(self, principal: Principal, name: str | None) -> Comparison | None:
        """For the audit log, that a caller asks to be compared with a person, who need not be enrolled.

        Raises:
            NotPermitted: The caller lacks the scope ``identity``.
            InvalidOption: A name that nobody can have.
        """
        if name is None:
            return None
        check_scope(principal, "identity")
        return Comparison(principal.id, self.id(principal.owner, name))

    def list(self, owner: str) -> list[tuple[str, Person]]:
        """Everyone whom an owner enrolled, by name, with the id."""
        return [(self.id(owner, person.name), person) for person in self.store(owner).people()]

    def enroll(self, owner: str, name: str, templates: Sequence[Template]) -> tuple[str, Person]:
        """Add templates to a person, who is created if need be; see ``PeopleStore.enroll``."""
        return self.id(owner, name), self.store(owner).enroll(name, templates)

    def find(self, owner: str, person_id: str) -> Person:
        """Who has an id; raises NotFound."""
        for found, person in self.list(owner):
            if found == person_id:
                return person
        raise NotFound("There is no such person.")
