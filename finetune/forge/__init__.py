"""Forgeries of a person with exact masks: swaps, regions, morphs, edits and local patches.

Landmark-based (478-point mesh), so each comes with the exact mask of what was altered. Swaps, regions, morphs and
splices show two people: only for photos whose people agreed to altered forms; results stay in memory.
"""

from __future__ import annotations

import numpy as np

from ...tools.face import Floats
from ...tools.image import RGBImage
from .edits import EDITS, edit
from .mesh import REGIONS, Forgery, Side, face_width, warp
from .morphs import MORPHS, morph
from .patches import PATCHES, clone, splice
from .swaps import EXCHANGES, SWAPS, exchange, swap

__all__ = ["ALONE", "FAMILIES", "METHODS", "REFERENCE_METHODS", "REGIONS", "Forgery", "Side", "forge", "warp"]

FAMILIES = {
    "swap": SWAPS,
    "region": EXCHANGES,
    "morph": MORPHS,
    "edit": EDITS,
    "splice": PATCHES[:1],
    "clone": PATCHES[1:],
}
METHODS = tuple(method for methods in FAMILIES.values() for method in methods)
ALONE = (*EDITS, "clone")
"""Methods that need no second person."""
REFERENCE_METHODS = ("swap.alpha", "swap.seamless", "swap.mixed", "region.eyes", "region.nose", "region.mouth", "morph")
"""What the reference verdict is fitted and measured on; their seeds are drawn in this order."""

_FEATHER = (0.02, 0.06)  # of the face's width


def forge(method: str, person: Side, other: Side | None, seed: int, third: Side | None = None) -> Forgery:
    """Make a forgery that claims to show ``person``.

    Args:
        method: ``swap.*`` puts the person's face on the other's head; ``region.*`` puts one region of the other's
            face into the person's photo; ``morph*`` blend faces in the person's photo; ``edit.*`` move the person's
            features; ``splice`` puts any patch of the other's photo into the person's; ``clone`` copies skin within
            the person's photo.
        person: Whom the result claims to show.
        other: The second person; not needed by ``ALONE``.
        seed: Draws what the method leaves open: feather, shares, shapes, directions; same arguments, same result.
        third: The third person of ``morph3``.

    Raises:
        ValueError: The method is unknown, or needs more people.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}.")
    rng = np.random.default_rng(seed)
    people = tuple(_flat(side) for side in (person, other, third) if side is not None)
    if len(people) < (1 if method in ALONE else 3 if method == "morph3" else 2):
        raise ValueError(f"The method {method!r} needs more people.")
    return Forgery(*_make(method, people, rng, rng.uniform(*_FEATHER) * face_width(people[0].points)), method)


def _flat(side: Side) -> Side:
    return Side(side.rgb, side.points[:, :2].astype(np.float32))


def _make(method: str, people: tuple[Side, ...], rng: np.random.Generator, feather: float) -> tuple[RGBImage, Floats]:
    person = people[0]
    if method in SWAPS:
        return swap(method, person, people[1], rng, feather)
    if method in EXCHANGES:
        return exchange(method, person, people[1], rng, feather)
    if method in MORPHS:
        return morph(method, people, rng, feather)
    if method in EDITS:
        return edit(method, person, rng)
    return clone(person, rng, feather) if method == "clone" else splice(person, people[1], rng, feather)
