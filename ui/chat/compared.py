"""The people whom a visitor may compare with, each comparison in the API's audit log."""

from __future__ import annotations

import threading

from ...agent.people import PeopleStore, Template
from ..api.access import Principal
from ..api.service import Service


class ComparedPeople(PeopleStore):
    """The store of a visitor's people: whatever compares a face reads templates, and the line is written before.

    Args:
        service: The API's: stores and audit log.
        principal: Who asks.
    """

    def __init__(self, service: Service, principal: Principal) -> None:
        super().__init__(service.people.store(principal.owner).folder)
        self._people, self._audit, self._principal = service.people, service.audit, principal
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def begin(self) -> None:
        """An examination or an answer begins: one line in it for each person, however many tools compare."""
        with self._lock:
            self._told.clear()

    def templates(self, name: str) -> list[Template]:
        """See ``PeopleStore.templates``; also raises what writing the log raises, and then nothing is compared."""
        self.tell(name)
        return super().templates(name)

    def tell(self, name: str) -> None:
        """Write the line of a person, unless it is there."""
        person = self._people.id(self._principal.owner, name)
        with self._lock:
            if person not in self._told:
                self._audit.write(self._principal.id, "person.compare", person, chat=True)
                self._told.add(person)
