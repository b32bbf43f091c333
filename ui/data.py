"""``facewitness data``: read samples of a data set in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidOption

if TYPE_CHECKING:
    from ..finetune.data.sample import Sample

app = typer.Typer(help="Read instruction data.", no_args_is_help=True)


@app.callback()
def _data() -> None:
    """A group, although it has one command so far."""


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="Parquet file, or the folder of a data set.")],
    split: Annotated[str | None, typer.Option(help="Only samples of this split.")] = None,
    engine: Annotated[str | None, typer.Option(help="Only samples of this engine.")] = None,
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
) -> None:
    """Print samples: the prompt, the answer, and the truth that is not told."""
    from itertools import chain, islice

    from ..finetune.data import store

    files = sorted(file.glob("*.parquet")) if file.is_dir() else [file]
    if not files:
        raise InvalidOption("There is no Parquet file in this folder.")
    found = (
        sample
        for sample in chain.from_iterable(map(store.read, files))
        if split in (None, sample.split) and engine in (None, sample.engine)
    )
    shown = 0
    for sample in islice(found, n):
        _print(sample)
        shown += 1
    if not shown:
        raise InvalidOption("No sample is of this split and engine.")


def _print(sample: Sample) -> None:
    head = f"{sample.id}  {sample.engine}, {sample.split}, {sample.source}, {len(sample.images)} picture(s)"
    typer.secho(head, bold=True)
    typer.echo(f"  label       {sample.label}")
    typer.echo(f"  conditions  {', '.join(sample.conditions) or 'none'}")
    typer.echo(f"  truth       {', '.join(f'{name} {value}' for name, value in sample.truth.items())}")
    for title, text in (("prompt", sample.prompt), ("answer", sample.answer)):
        typer.secho(f"  {title}", dim=True)
        for line in text.splitlines():
            typer.echo(f"    {line}")
    typer.echo()
