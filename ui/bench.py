"""``facewitness bench``: how fast it is on this machine, beside what else people use."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidOption
from .progress import working

_PARTS = "faces, evidence, explanation, agent, screen, gallery, start; all by default."
_PEER = "Python in which peers are installed; may be given more than once."


def bench(
    part: Annotated[list[str] | None, typer.Option(help=_PARTS)] = None,
    photos: Annotated[Path | None, typer.Option(help="Folder of photos; those that come with facewitness.")] = None,
    count: Annotated[int, typer.Option(min=2, help="At most so many photos, evenly from the folder.")] = 600,
    peer: Annotated[list[str] | None, typer.Option(help=_PEER)] = None,
    rounds: Annotated[int, typer.Option(min=2, help="Of each comparison.")] = 5,
    templates: Annotated[str, typer.Option(help="Sizes of the galleries.")] = "10000,100000,1000000",
    core_hour: Annotated[float, typer.Option(help="Price of a core for an hour.")] = 0.04,
    model: Annotated[str, typer.Option(help="URL#NAME of a served model, for the part agent.")] = "",
    out: Annotated[Path, typer.Option(help="JSON; parts that are not measured now stay.")] = Path("bench.json"),
    page: Annotated[Path | None, typer.Option(help="Write a page with plots of all that the file holds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Results on stdout, nothing else.")] = False,
) -> None:
    """Measure this machine: facewitness, the limit, and peers, in turns."""
    try:
        from ..evals.bench import page as pages
        from ..evals.bench import ratios, suite
    except ImportError as error:
        raise InvalidOption(f"This needs {error.name}: install facewitness[bench].") from None

    options = suite.Options(suite.photos(photos, count), tuple(peer or ()), rounds, _sizes(templates), core_hour, model)
    with working("Measuring") as say:
        result = suite.run(part or list(suite.PARTS), options, out, lambda name: say(f"Measuring: {name}"))
    written = [out, *(pages.write(result, page) if page else [])]
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    else:
        for line in ratios.ratios(result):
            typer.echo(line)
    print(f"Written: {', '.join(map(str, written))}", file=sys.stderr)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(word) for word in text.split(","))
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 2:
        raise InvalidOption("Sizes of galleries are numbers with commas between, 2 or more each.")
    return sizes
