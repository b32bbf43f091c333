"""``facewitness finetune``: let the model that looks learn one person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidOption
from .people import Name, photo_count
from .progress import working

if TYPE_CHECKING:
    from ..finetune.person import Learned

app = typer.Typer(help="Learn what the model that looks does not know.", no_args_is_help=True)


@app.callback()
def _finetune() -> None:
    """A group, although it has one command so far."""


@app.command()
def person(
    name: Name,
    others: Annotated[Path, typer.Option(help="Folder with photos of other people.")],
    photos: Annotated[
        list[Path] | None, typer.Argument(help="Photos of this person; with those that were kept, 1 to 20.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="At most so many steps; 32 by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed learns the same.")] = 0,
) -> None:
    """Learn an adapter for an enrolled person, a few minutes on two cores; it is kept encrypted with the person."""
    try:
        from ..finetune import person as learning
        from ..finetune.person_pictures import HELD_FROM
    except ImportError as error:
        raise InvalidOption(f"This needs {error.name}: install facewitness[finetune].") from None

    with working("Reading the photos") as say:
        known, learned = learning.teach(name, photos or [], others, steps or learning.STEPS, seed, say)
    _tell(learned)
    if len(learned.before) == 1:
        typer.echo(
            f"It was not validated: that takes {HELD_FROM} photos of the person and as many of others.",
            err=True,
        )
    assert known.adapter is not None
    typer.echo(f"{known.name} has an adapter, learned from {photo_count(len(known.adapter.photos))}.")


def _tell(learned: Learned) -> None:
    """Losses, one line for each part."""
    parts = ("learned from", "held out")
    for part, before, after in zip(parts, learned.before, learned.after, strict=False):
        typer.echo(f"Loss of what was {part}: {before:.3f} before, {after:.3f} after {learned.steps} steps.", err=True)
