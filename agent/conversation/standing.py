"""Which evidence of a record stands: a comparison takes the place of the one before, which is kept and not told again.

A comparison is what the tools that take references, and the look at both faces, gave in one go. It is weighed and told
as a whole: one figure of another set of references beside it would speak of somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..plan import MANDATORY_WITH_REFERENCES
from ..traces import DETECTORS, LOOK, LOOK_AT_BOTH
from . import counterfactual

DECIDE = frozenset(
    (*DETECTORS, LOOK, LOOK_AT_BOTH, "identity.similarity", "identity.references_agree", "reference_comparison.face")
)
"""Measures that fusion weighs."""
_BEGIN = ("identity", "identity.similarity")  # without a value, and with one: the tool of identity comes first


class Item(Protocol):
    """Evidence, measured now or read from a record."""

    @property
    def measure(self) -> str:
        """Stable name of what was measured."""

    @property
    def tool(self) -> str:
        """Tool that measured it."""

    @property
    def status(self) -> str:
        """``ok``, or why there is no value."""


Of = TypeVar("Of", bound=Item)


def compares(item: Item) -> bool:
    """Whether it is part of a comparison with references."""
    return item.tool in MANDATORY_WITH_REFERENCES or item.measure == LOOK_AT_BOTH


def standing(evidence: Sequence[Of]) -> tuple[Of, ...]:
    """The evidence without what something later took the place of.

    Of comparisons, the last that measured anything stands, and beside it the last one if that failed. What would change
    the verdict stands until something is weighed after it.
    """
    sets = _sets(evidence)
    kept = {place for found in (*[s for s in sets if not _failed(evidence, s)][-1:], *sets[-1:]) for place in found}
    weighed = max((place for place, item in enumerate(evidence) if item.measure in DECIDE), default=-1)
    return tuple(
        item
        for place, item in enumerate(evidence)
        if (not compares(item) or place in kept) and (item.tool != counterfactual.TOOL or place > weighed)
    )


def last_comparison(evidence: Sequence[Of]) -> tuple[Of, ...]:
    """The latest comparison, whether or not it measured anything; empty without one."""
    return tuple(evidence[place] for found in _sets(evidence)[-1:] for place in found)


def last_failed(evidence: Sequence[Item]) -> bool:
    """Whether the latest comparison measured nothing."""
    sets = _sets(evidence)
    return bool(sets) and _failed(evidence, sets[-1])


def _failed(evidence: Sequence[Item], places: Sequence[int]) -> bool:
    return all(evidence[place].status != "ok" for place in places)


def _sets(evidence: Sequence[Item]) -> list[list[int]]:
    """Places of the items of each comparison, in order."""
    found: list[list[int]] = []
    for place, item in enumerate(evidence):
        if not compares(item):
            continue
        if not found or item.measure in _BEGIN:
            found.append([])
        found[-1].append(place)
    return found
