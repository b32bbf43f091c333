"""Pictures with known truth: photos, forgeries made from them, and what happens to both on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...tools.image import RGBImage
from ..faces import Source, Split
from ..forge import ALONE, METHODS, Side, chains, forge
from ..forge.selfblend import selfblend
from ..forge.synthesis import REDRAWS
from .catalogue import Shot, opened
from .sight import Made

CHAINED = 0.5
"""Share of pictures, whatever their label, that pass through a chain of compression."""
_RUIN = (9.0, 14.0)  # pixels of blur beyond which a face cannot be examined
_TRIES = 8

Pool = Mapping[Split, Mapping[Source, Sequence[Shot]]]


def pool(shots: Sequence[Shot]) -> Pool:
    """Shots by split and source."""
    found: dict[Split, dict[Source, list[Shot]]] = {"fit": {}, "calibration": {}, "test": {}}
    for shot in shots:
        found[shot.split].setdefault(shot.source, []).append(shot)
    return found


def pick(
    here: Mapping[Source, Sequence[Shot]], shares: Mapping[Source, float], rng: np.random.Generator
) -> Sequence[Shot]:
    """The shots of one source, drawn by its share among those that are there; none if none is."""
    present = [source for source in shares if here.get(source)]
    if not present:
        return ()
    chances = np.array([shares[source] for source in present])
    return here[present[int(rng.choice(len(present), p=chances / chances.sum()))]]


def draw(shots: Sequence[Shot], rng: np.random.Generator) -> tuple[Shot, Side] | None:
    """A photo in which a face is found."""
    for _ in range(_TRIES if shots else 0):
        shot = shots[int(rng.integers(len(shots)))]
        if (side := opened(shot)) is not None:
            return shot, side
    return None


def photo(shot: Shot, side: Side) -> Made:
    """The untouched photo, or the generated face."""
    generated = shot.source in ("stylegan2", "ict")
    label, method = ("synthetic", shot.source) if generated else ("authentic", "real")
    mask = np.zeros(side.rgb.shape[:2], np.float32)
    return Made(side.rgb, None if generated else side.rgb, mask, label, method, (shot.person,), shot.source)


def forged(
    shot: Shot, side: Side, others: Sequence[Shot], rng: np.random.Generator, shows_person: bool = False
) -> Made | None:
    """A forgery of a photo; with faces of others only where all agreed to altered forms (``frll``).

    Args:
        shot: Whose photo.
        side: The same, opened.
        others: Whose faces may be used.
        rng: Draws method and partners.
        shows_person: A swap puts the photo's face on another's head, so that the forgery shows the photo's person; else
            it puts another face into the photo.
    """
    two = [method for method in METHODS if method not in ALONE] if shot.source == "frll" else []
    choices = [*two, *ALONE, *["selfblend"] * 5, *(f"inside.{name}" for name in REDRAWS)]
    method = str(rng.choice(choices))
    if method == "selfblend" or method.startswith("inside."):
        rgb, mask = selfblend(side, rng, REDRAWS.get(method.removeprefix("inside.")))
        return Made(rgb, side.rgb, mask, "manipulated", method, (shot.person,), shot.source)
    if method in ALONE:
        made = forge(method, side, None, int(rng.integers(2**31)))
        return Made(made.image, side.rgb, made.mask, "manipulated", method, (shot.person,), shot.source)
    near = [o for o in others if o.person != shot.person and o.labels.get("gender") == shot.labels.get("gender")]
    partners = [draw(near, rng), draw(near, rng)] if near else []
    drawn = [partner for partner in partners if partner is not None]
    if len(drawn) < 2:
        return None
    (first, other), (second, third) = drawn
    swap = method.startswith("swap.")
    pair = (other, side) if swap and not shows_person else (side, other)
    base = other if swap and shows_person else side
    made = forge(method, *pair, int(rng.integers(2**31)), third)
    people = (shot.person, first.person, *((second.person,) if method == "morph3" else ()))
    return Made(made.image, base.rgb, made.mask, "manipulated", method, tuple(dict.fromkeys(people)), shot.source)


def sent(made: Made, rng: np.random.Generator) -> Made:
    """Through a drawn chain, or as it is; the untouched photo goes the same way, so that they stay comparable."""
    if rng.random() >= CHAINED:
        return made
    name, seed = chains.draw(rng), int(rng.integers(2**31))

    def through(rgb: RGBImage) -> RGBImage:
        return chains.run(rgb, name, np.random.default_rng(seed))

    return made._replace(rgb=through(made.rgb), base=None if made.base is None else through(made.base))


def ruined(made: Made, rng: np.random.Generator) -> Made:
    """Blurred until nothing can be said of it."""
    return made._replace(rgb=chains.blur(made.rgb, rng.uniform(*_RUIN)))
