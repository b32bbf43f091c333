"""A run of ``facewitness eval`` to look through: what went wrong, and any sample examined before one's eyes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InvalidOption, UnreadableFile

if TYPE_CHECKING:
    from ...evals.runner import Row, Run

MOST = 200
"""Samples listed at a time."""
SHOWS = ("errors", "abstained", "unscored", "all")


@dataclass(frozen=True)
class Evaluation:
    """A finished run.

    Attributes:
        folder: As ``facewitness eval --out`` made it; the pictures are still where they were.
    """

    folder: Path

    @cached_property
    def run(self) -> Run:
        """The run.

        Raises:
            InvalidOption: There is none, or the packages to read it are missing.
        """
        try:
            from ...evals.runner import load
        except ImportError as error:
            raise InvalidOption(f"This needs {error.name}: install facewitness[evals].") from None
        return load(self.folder)

    @property
    def system(self) -> str:
        """The evaluated one."""
        return next(iter(self.run.rows))

    def rows(self, show: str) -> list[Row]:
        """Answers of the evaluated system; ``show`` is one of ``SHOWS``."""
        return [row for row in self.run.rows[self.system] if show == "all" or outcome(row) == show]

    def counts(self) -> dict[str, int]:
        """How many there are of each of ``SHOWS``."""
        return {show: len(self.rows(show)) for show in SHOWS}

    def photos(self, sample: str) -> tuple[Row, tuple[bytes, ...], tuple[bytes, ...]]:
        """A sample with its pictures and its references.

        Raises:
            UnreadableFile: There is no such sample, or a picture is not there any more.
        """
        from ...evals.pictures import material

        row = next((row for row in self.run.rows[self.system] if row.item.id == sample), None)
        if row is None:
            raise UnreadableFile("There is no such sample in this run.")
        found = material(row.item, self.run.plan.root)
        return row, found.images, found.references


def outcome(row: Row) -> str:
    """``right``, ``errors``, ``abstained``, ``unscored``, or ``told`` where no label can be compared."""
    from ...evals.runner import right

    if row.answer.unscored:
        return "unscored"
    if row.answer.abstained:
        return "abstained"
    return {True: "right", False: "errors", None: "told"}[right(row.item, row.answer)]
