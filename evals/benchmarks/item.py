"""What every benchmark is read into: samples with their truth, whatever the layout they came in."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, Literal

from ...agent.verdict import REFERENCE_LABELS, SINGLE_LABELS
from ...errors import InvalidOption

Kind = Literal["forgery", "reference", "choice", "text", "units", "class"]
Split = Literal["val", "test"]
Switches = Mapping[str, str]

AUTHENTIC, MANIPULATED, SYNTHETIC = SINGLE_LABELS
PERSON, FORGERY, OTHER = REFERENCE_LABELS
FORGED = "forged"
"""A forgery of a kind that the benchmark does not tell: manipulated or synthetic."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LISTED = 12
LETTERS = "ABCDEFGHIJ"
_TUPLES = ("images", "references", "options", "verdicts", "targets")


@dataclass(frozen=True, slots=True)
class Item:
    """One sample.

    Attributes:
        id: Unique in the benchmark.
        kind: What is asked. ``forgery``: is the face forged (positive: forged). ``reference``: is it the person of
            the references (positive: the person, unaltered). ``choice``: which option. ``text``: an answer in words.
            ``units``: which action units are active. ``class``: which of the ``options``.
        images: Paths below the benchmark's folder; ``clip.mp4#3`` is the fourth frame of a clip.
        truth: A verdict's label or ``forged``; the letter of an option; a class.
        references: Photos of the claimed person.
        cluster: What a bootstrap draws: the person, or the video.
        person: Whom a heat map's column stands for.
        method: How a forgery was made, or which task a question is of.
        video: Whose frames are scored together.
        fold: Of a cross-validation.
        split: Thresholds are chosen on ``val``; only ``test`` is scored.
        groups: What error rates are compared by, such as gender.
        question: As asked of a model.
        options: To choose from.
        verdicts: For each option what it says of the images: ``01`` for the second forged, ``#1`` for one of them
            forged, ``*`` for anything else. Empty where the question maps on no verdict.
        targets: Right answers in words; any will do.
        units: 1 or 0 by number of the action unit.
        mask: Picture of the altered region, not black where it was altered.
        aligned: The picture is a face aligned to ArcFace's five points, 112 x 112, and nothing else.
        change: What is done to the picture before it is asked about; of ``evals/perturbations.py``.
        of: Id of the sample with the unchanged picture.
    """

    id: str
    kind: Kind
    images: tuple[str, ...]
    truth: str = ""
    references: tuple[str, ...] = ()
    cluster: str = ""
    person: str = ""
    method: str = ""
    video: str = ""
    fold: str = ""
    split: Split = "test"
    groups: Mapping[str, str] = field(default_factory=dict)
    question: str = ""
    options: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    units: Mapping[str, int] = field(default_factory=dict)
    mask: str = ""
    aligned: bool = False
    change: str = ""
    of: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Item:
        """From :meth:`to_json`; what many samples share is in memory once."""
        fields: dict[str, Any] = {name: _shared(value, name in _TUPLES) for name, value in held.items()}
        return cls(**fields)

    @property
    def positive(self) -> bool:
        """Truth of the two-way question."""
        return self.truth == PERSON if self.kind == "reference" else self.truth != AUTHENTIC


_NOTHING: dict[str, Any] = {}


def _shared(value: Any, plural: bool) -> Any:
    if isinstance(value, str):
        return intern(value)
    if isinstance(value, dict):
        return {intern(name): _shared(one, False) for name, one in value.items()} or _NOTHING
    return tuple(map(intern, value)) if plural else value


@dataclass(frozen=True, slots=True)
class Benchmark:
    """How one benchmark is read.

    Attributes:
        name: As on the command line.
        title: One line.
        layout: What the folder has to look like; said in a refusal.
        polarity: What the published label means, and what is positive here.
        read: Folder or file, and switches, to samples.
        switches: What ``--option name=value`` may set, and what it does.
        source: Where the layout was read; says so where it was not.
    """

    name: str
    title: str
    layout: str
    polarity: str
    read: Callable[[Path, Switches], Iterable[Item]]
    switches: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def each(self, data: Path, switches: Switches) -> Iterator[Item]:
        """All samples, one after another.

        Raises:
            InvalidOption: An unknown switch, a folder of another layout, or two samples of one id.
        """
        if unknown := sorted(set(switches) - set(self.switches)):
            known = ", ".join(self.switches) or "none"
            raise InvalidOption(f"{self.name} has no option {unknown[0]}; it has: {known}.")
        if not data.exists():
            raise InvalidOption(f"{data} does not exist.")
        ids: set[bytes] = set()
        try:
            for item in self.read(data, switches):
                code = hashlib.sha256(item.id.encode()).digest()
                if code in ids:
                    raise InvalidOption(f"{self.name}: two samples have the same id.")
                ids.add(code)
                yield item
        except (AttributeError, IndexError, KeyError, OSError, TypeError, ValueError) as error:
            raise refusal(self.name, self.layout, data, type(error).__name__) from error
        if not ids:
            raise refusal(self.name, self.layout, data)

    def items(self, data: Path, switches: Switches) -> list[Item]:
        """All samples; raises what :meth:`each` does."""
        return list(self.each(data, switches))


def refusal(name: str, layout: str, data: Path, why: str = "") -> InvalidOption:
    """An error that says what was expected and what is there; ``why`` is what a reader stumbled over."""
    there = sorted(f"{path.name}{'/' if path.is_dir() else ''}" for path in data.iterdir()) if data.is_dir() else []
    more = f" and {len(there) - LISTED} more" if len(there) > LISTED else ""
    listing = ", ".join(there[:LISTED]) + more if there else "nothing" if data.is_dir() else "a file"
    return InvalidOption(
        f"{data.name} is not in the layout of {name}. Expected: {layout} Found: {listing}{why and f' ({why})'}."
    )


def pictures(folder: Path) -> list[Path]:
    """Pictures below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def relative(path: Path, root: Path) -> str:
    """Path below the root, with slashes."""
    return path.relative_to(root).as_posix()


def limited(items: Iterable[Item], limit: int | None) -> Iterable[Item]:
    """At most so many of each split, drawn by a hash of the id, so that a small run sees all kinds; in their order.

    A changed picture is drawn with its unchanged one.
    """
    if limit is None:
        return items
    items, kept = list(items), set[str]()
    for split in ("val", "test"):
        ids = [item.id for item in items if item.split == split and not item.of]
        kept.update(sorted(ids, key=lambda id_: hashlib.sha256(id_.encode()).digest())[:limit])
    return [item for item in items if (item.of or item.id) in kept]


def read_json(path: Path) -> Any:
    """Contents of a JSON file.

    Raises:
        InvalidOption: It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidOption(f"{path.name} cannot be read as JSON.") from error


def each_csv(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV file with a head, one after another.

    Raises:
        InvalidOption: It cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from csv.DictReader(lines, restkey="")
    except (OSError, ValueError, csv.Error) as error:
        raise InvalidOption(f"{path.name} cannot be read as CSV.") from error


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file with a head; raises what :func:`each_csv` does."""
    return list(each_csv(path))


def number(switches: Switches, name: str, default: int) -> int:
    """A switch that is a positive whole number.

    Raises:
        InvalidOption: It is something else.
    """
    text = switches.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise InvalidOption(f"The option {name} must be a positive whole number.")
    return int(text)


def choice(switches: Switches, name: str, *allowed: str) -> str:
    """A switch that is one of some words; the first is the default.

    Raises:
        InvalidOption: It is something else.
    """
    value = switches.get(name, allowed[0])
    if value not in allowed:
        raise InvalidOption(f"The option {name} must be one of {', '.join(allowed)}.")
    return value
