"""Enrolled people, whose photos serve as references."""

from .person import Person, Template
from .store import PeopleStore

__all__ = ["PeopleStore", "Person", "Template"]
