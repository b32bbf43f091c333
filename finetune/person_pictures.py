"""What an adapter for one person is learned from: photos of the person, forgeries made from them, and other people.

Forgeries are those that need no second face. All pictures alike are mirrored and sent through chains of compression, so
that neither tells the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..agent.looking import crop
from ..agent.people import Template
from ..agent.people.store import MAX_TEMPLATES
from ..agent.verdict import REFERENCE_LABELS
from ..errors import FacewitnessError, InvalidOption, InvalidReference
from ..tools import weights
from ..tools.face import FaceView, Floats
from ..tools.identity import SAME_PERSON_MIN, similarity
from ..tools.image import RGBImage, load
from ..tools.portrait import only_face
from .data.catalogue import view_of
from .data.sight import Made, Masks, altered, masks
from .forge import ALONE, Side, chains, forge
from .forge.selfblend import selfblend
from .forge.synthesis import REDRAWS
from .training import generator

PERSON, FORGERY, OTHER = REFERENCE_LABELS
EACH, EACH_HELD = 20, 8
"""Pictures of each answer to learn from, and to see when to stop."""
HELD_FROM = 4
"""Photos of the person from which a quarter is held out."""
OTHERS = 40
"""Photos of other people that are taken from a folder."""
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_METHODS = (*ALONE, *["selfblend"] * 5, *(f"inside.{name}" for name in REDRAWS))
_CHAINED, _TRIES = 0.5, 8


class Portrait(NamedTuple):
    """One photo of one person.

    Attributes:
        side: Crop as the model that looks gets it, (256, 256, 3) uint8 RGB, and its mesh.
        feature: (128,) SFace feature, not normalised.
        sha256: Hex digest of the photo's bytes.
    """

    side: Side
    feature: Floats
    sha256: str


class Picture(NamedTuple):
    """A face in question, (256, 256, 3) uint8 RGB, and which of ``REFERENCE_LABELS`` is right."""

    rgb: RGBImage
    label: str


Pictures = tuple[Picture, ...]


class Lesson(NamedTuple):
    """All that one training takes.

    Attributes:
        references: Untouched crops of the person.
        fit: Learned from.
        held: Of other photos of the person and of others; empty where there are too few.
        photos: Hex digests of the person's photos.
    """

    references: tuple[RGBImage, ...]
    fit: Pictures
    held: Pictures
    photos: tuple[str, ...]


def portrait(source: Path | bytes) -> Portrait:
    """Open a photo that shows one person.

    Raises:
        InputError, NotAssessable: It cannot be used.
        NotMeasurable: There is no mesh.
    """
    return cut(only_face(load(source)))


def cut(view: FaceView) -> Portrait:
    """The same of a face that was found; raises NotMeasurable."""
    rgb = crop(view)
    return Portrait(Side(rgb, view_of(rgb).mesh.points[:, :2].copy()), view.feature, view.photo.sha256)


def mine(templates: Sequence[Template], files: Sequence[Path]) -> list[Portrait]:
    """The person's photos: those that the store keeps, and those given, each once.

    Raises:
        InvalidReference: A photo does not look like the enrolled person, or enrolment was with other weights.
        InvalidOption: There are no photos, or too many.
        FacewitnessError: A photo cannot be used; the message names it.
    """
    current = weights.card("sface").sha256
    features = [template.feature for template in templates if template.model.sha256 == current]
    if not features:
        raise InvalidReference("This person was enrolled with other weights: enroll the photos again.")
    found = {}
    for name, source in _sources(templates, files):
        try:
            made = portrait(source)
            _check(made, features)
        except FacewitnessError as error:
            error.args = (f"{name}: {error}",)
            raise
        found[made.sha256] = made
    if not 0 < len(found) <= MAX_TEMPLATES:
        raise InvalidOption(
            f"An adapter is learned from 1 to {MAX_TEMPLATES} photos, not {len(found)}: name the files."
        )
    return list(found.values())


def _sources(templates: Sequence[Template], files: Sequence[Path]) -> Iterator[tuple[str, Path | bytes]]:
    for template in templates:
        if template.photo is not None:
            yield "A photo that the store keeps", template.photo
    for file in files:
        yield file.name or str(file), file


def _check(made: Portrait, features: Sequence[Floats]) -> None:
    best = max(similarity(made.feature, feature) for feature in features)
    if best < SAME_PERSON_MIN:
        raise InvalidReference(
            f"The face does not look like the enrolled person: the cosine similarity is {best:.3f}, below "
            f"{SAME_PERSON_MIN}."
        )


def others(folder: Path, person: Sequence[Portrait], seed: int) -> list[Portrait]:
    """Photos of other people, drawn from a folder and those below it; what shows no clear face is passed over.

    Raises:
        InvalidOption: There is no such folder, or no photo in it shows another person's face.
    """
    if not folder.is_dir():
        raise InvalidOption(f"There is no folder {str(folder)!r} with photos of other people.")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
    found: list[Portrait] = []
    for place in generator(seed).permutation(len(files)):
        if len(found) == OTHERS:
            break
        try:
            made = portrait(files[place])
        except FacewitnessError:
            continue
        if all(similarity(made.feature, known.feature) < SAME_PERSON_MIN for known in person):
            found.append(made)
    if not found:
        raise InvalidOption(f"No photo in {str(folder)!r} shows a clear face of another person.")
    return found


def lesson(person: Sequence[Portrait], strangers: Sequence[Portrait], seed: int) -> Lesson:
    """Make the pictures; the same arguments give the same ones.

    Args:
        person: 1 to 20 photos.
        strangers: Photos of other people.
        seed: Draws what is held out, forgeries and chains.
    """
    enough = min(len(person), len(strangers)) >= HELD_FROM
    (mine_fit, mine_held), (other_fit, other_held) = (_divided(of, seed, enough) for of in (person, strangers))
    return Lesson(
        references=tuple(made.side.rgb for made in mine_fit),
        fit=tuple(_pictures(mine_fit, other_fit, EACH, (seed, 0))),
        held=tuple(_pictures(mine_held, other_held, EACH_HELD, (seed, 1))) if enough else (),
        photos=tuple(made.sha256 for made in person),
    )


def _divided(portraits: Sequence[Portrait], seed: int, enough: bool) -> tuple[list[Portrait], list[Portrait]]:
    """Three quarters to learn from and a quarter that is held out, or all and nothing."""
    order = [portraits[place] for place in generator(seed, 1).permutation(len(portraits))]
    held = len(order) // HELD_FROM if enough else 0
    return order[held:], order[:held]


def _pictures(
    person: Sequence[Portrait], strangers: Sequence[Portrait], each: int, place: tuple[int, ...]
) -> Iterator[Picture]:
    """So many of each answer; a photo whose forgeries show nothing gives none."""
    where = [masks(made.side.rgb) for made in person]
    for number in range(each):
        rng = generator(*place, number)
        at = number % len(person)
        side = person[at].side
        yield Picture(_sent(side.rgb, rng), PERSON)
        yield Picture(_sent(strangers[number % len(strangers)].side.rgb, rng), OTHER)
        forged = _forged(side, where[at], rng)
        if forged is not None:
            yield Picture(_sent(forged, rng), FORGERY)


def _forged(side: Side, where: Masks, rng: np.random.Generator) -> RGBImage | None:
    """A forgery in which an alteration is to be seen."""
    for _ in range(_TRIES):
        method = str(rng.choice(_METHODS))
        if method in ALONE:
            rgb, mask, _ = forge(method, side, None, int(rng.integers(2**31)))
        else:
            rgb, mask = selfblend(side, rng, REDRAWS.get(method.removeprefix("inside.")))
        if True in altered(Made(rgb, side.rgb, mask, "manipulated", method, (), ""), where).values():
            return rgb
    return None


def _sent(rgb: RGBImage, rng: np.random.Generator) -> RGBImage:
    """Mirrored or not, and through a drawn chain or not."""
    if rng.random() < 0.5:
        rgb = np.ascontiguousarray(rgb[:, ::-1])
    return chains.run(rgb, chains.draw(rng), rng) if rng.random() < _CHAINED else rgb
