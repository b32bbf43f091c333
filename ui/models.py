"""``facewitness models``: which weights there are, fetch them, check them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..tools.weights_manifest import Weight

app = typer.Typer(help="List, fetch and check the model weights.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Weights to act on; all of them if none is named.")]


@app.command("list")
def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """List all weights with their licence, and whether they are present."""
    from ..tools import weights

    rows = [(weight, weights.present(weight.name)) for weight in weights.entries()]
    if as_json:
        import json

        typer.echo(json.dumps([weight.model_dump(mode="json") | {"present": here} for weight, here in rows], indent=2))
    else:
        _print_table(rows)


def _print_table(rows: list[tuple[Weight, bool]]) -> None:
    """A block for each weight: full hashes and sources, readable in any width and when piped."""
    for weight, here in rows:
        typer.secho(f"{weight.name}  {'present' if here else 'not present'}", bold=True)
        typer.echo(f"  what        {weight.what} ({weight.publisher}), version {weight.version}")
        for source in weight.sources:
            typer.echo(f"  source      {source.label}")
        typer.echo(f"  sha256      {weight.sha256}")
        typer.echo(f"  size        {weight.size / 1e6:.1f} MB")
        use = "commercial use allowed" if weight.commercial_use else "no commercial use"
        typer.echo(f"  licence     {weight.licence}, {use}")


@app.command()
def pull(
    names: Names = None,
    source_dir: Annotated[
        Path | None, typer.Option("--from", help="Take the files from this folder and from nowhere else.")
    ] = None,
) -> None:
    """Fetch weights; afterwards no network is needed."""
    from ..tools import weights

    files = weights.pull(names or (), source_dir, lambda name, source: typer.echo(f"{name}: {source}", err=True))
    typer.echo(f"{len(files)} present and verified.")


@app.command()
def verify(names: Names = None) -> None:
    """Hash the stored weights again; exit code 4 if one is damaged."""
    from ..errors import WeightsMismatch
    from ..tools import weights

    states = weights.verify(names or ())
    for name, state in states.items():
        typer.echo(f"{name}: {state}")
    if damaged := [name for name, state in states.items() if state == "damaged"]:
        raise WeightsMismatch(f"Damaged: {', '.join(damaged)}; `facewitness models pull` fetches them again.")
