"""An expert witness for faces: evidence, a calibrated verdict, and an explanation that cites what it rests on.

>>> import facewitness
>>> record = facewitness.examine("photo.jpg", references=["known.jpg"])
>>> record.verdict.label
'the person'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agent.examine import Examination, examine, examine_all
    from .agent.people import PeopleStore
    from .agent.record import Record
    from .errors import FacewitnessError

__all__ = ["Examination", "FacewitnessError", "PeopleStore", "Record", "examine", "examine_all"]

_HOME = {
    "Examination": ".agent.examine",
    "FacewitnessError": ".errors",
    "PeopleStore": ".agent.people",
    "Record": ".agent.record",
    "examine": ".agent.examine",
    "examine_all": ".agent.examine",
}


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def __getattr__(name: str) -> Any:
    """Import on first use, so that ``import facewitness`` and ``facewitness --help`` stay quick."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name], __name__), name)
