"""Enrolled people, whose photos serve as references."""

from .adapter import Adapter
from .person import Person, Template
from .store import PeopleStore

__all__ = ["Adapter", "PeopleStore", "Person", "Template"]
