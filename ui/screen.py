"""``facewitness screen``: evidence and verdicts for very many photos."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from ..agent.screening import Summary
    from ..tools.image import Photo

_SOURCES = (
    "Folders, photos, text files with a path a line, CSV or Parquet files with a column path; s3://… and others too."
)
_COMMERCIAL = "Use no weights whose terms do not allow commercial use."
_RAY = "Examine on a Ray cluster: local starts one here, auto or HOST:PORT joins one."


def screen(
    sources: Annotated[list[str], typer.Argument(help=_SOURCES)],
    out: Annotated[Path, typer.Option(help="One row for each photo: .parquet or .ndjson.")],
    records: Annotated[Path | None, typer.Option(help="Folder for the whole records, as NDJSON.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="Photo of the person that all are claimed to show.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Enrolled person that all are claimed to show.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="One for each core by default.")] = None,
    ray: Annotated[str | None, typer.Option(help=_RAY)] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps results for later runs.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="After so long a photo is given up.")] = 60.0,
    model: Annotated[str, typer.Option(help="Who writes the reasoning of the records; as for examine.")] = "none",
    commercial_only: Annotated[
        bool, typer.Option("--commercial-only", envvar="FACEWITNESS_COMMERCIAL_ONLY", help=_COMMERCIAL)
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON on stdout, nothing else.")] = False,
) -> None:
    """Examine very many photos; the same command again goes on where it was interrupted."""
    from ..agent.examine import known_faces
    from ..agent.screening import Plan
    from ..agent.screening import screen as run

    known_faces([_load(name) for name in reference or []])  # refused at once, not in every row
    plan = Plan(tuple(sources), tuple(reference or ()), model, commercial_only, records, person)
    with _bar() as on_progress, redirect_stdout(sys.stderr):  # where Ray tells of lost nodes
        summary = run(plan, out, processes, seconds, on_progress, ray=ray, cache=cache)
    _tell(summary, as_json)
    print(f"Written: {out}{'' if records is None else f', {records}'}", file=sys.stderr)


def _load(name: str) -> Photo:
    from ..agent.screening import stores
    from ..tools.image import load

    try:
        return load(stores.read(name) if stores.is_remote(name) else stores.plain(name))
    except InputError as error:
        raise type(error)(f"{posixpath.basename(name) or name}: {error}") from None


def _tell(summary: Summary, as_json: bool) -> None:
    if as_json:
        import json
        from dataclasses import asdict

        print(json.dumps(asdict(summary) | {"photos_per_second": round(summary.photos_per_second, 2)}))
        return
    for name, count in [*summary.labels.items(), *summary.errors.items()]:
        typer.echo(f"{count:>10,}  {name}")
    typer.echo(
        f"{summary.photos:>10,}  photos, {summary.results:,} of them different; {summary.done:,} in this run, "
        f"{summary.photos_per_second:.2f} a second"
    )


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Progress with the remaining time on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("photos", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
