"""Example photos: one public-domain portrait and altered versions of it; examined once, for everybody."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...agent.examine import examine_all
from ...tools.image import Photo, load
from .session import Case, Found
from .steps import Steps

FOLDER = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Example:
    """A photo to try, and with what it is compared.

    Attributes:
        id: Names its words.
        file: In the folder ``examples``.
        against: File of a known photo.
    """

    id: str
    file: str
    against: str | None = None

    @property
    def altered(self) -> bool:
        """Whether our forge made it."""
        return self.file != "astronaut.jpg"

    @cached_property
    def thumbnail(self) -> str:
        """Small, for the page."""
        return Case(load(FOLDER / self.file)).thumbnail


EXAMPLES = (
    Example("original", "astronaut.jpg"),
    Example("bent", "astronaut-bent.jpg", "astronaut.jpg"),
    Example("redrawn", "astronaut-redrawn.jpg"),
    Example("twice", "astronaut-twice.jpg"),
)


class Examined:
    """The examples' examinations, made when first wanted; all visitors share them, for they are nobody's.

    Args:
        model: Who writes, as for ``examine``.
        commercial_only: As for ``examine``.
    """

    def __init__(self, model: str, commercial_only: bool) -> None:
        self._model, self._commercial_only = model, commercial_only
        self._found: dict[str, tuple[Photo, tuple[Photo, ...], Found]] = {}
        self._lock = threading.Lock()

    def case(self, example_id: str) -> Case | None:
        """A case of one's own about an example; None if there is none of that id."""
        example = next((one for one in EXAMPLES if one.id == example_id), None)
        if example is None:
            return None
        with self._lock:
            if example.id not in self._found:
                self._found[example.id] = self._examine(example)
        photo, references, found = self._found[example.id]
        case = Case(photo, references)
        case.add(Found(found.examination, found.steps))
        return case

    def _examine(self, example: Example) -> tuple[Photo, tuple[Photo, ...], Found]:
        photo = load(FOLDER / example.file)
        references = (load(FOLDER / example.against),) if example.against else ()
        steps = Steps()
        examination = examine_all(
            photo,
            references,
            model=self._model,
            commercial_only=self._commercial_only,
            all_faces=False,
            on_progress=steps.note,
        )
        steps.end("done")
        return photo, references, Found(examination, steps)

    def warm(self) -> None:
        """Examine the first in a thread: the models are loaded before the first visitor waits for them."""
        threading.Thread(target=self.case, args=(EXAMPLES[0].id,), daemon=True).start()
