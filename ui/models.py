"""``facewitness models``: which weights and plug-ins there are, fetch them, check them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..tools.weights_manifest import Registered, Weight

app = typer.Typer(help="List, fetch and check the model weights.", no_args_is_help=True)

INDENT = 14
"""Where the facts begin."""

Names = Annotated[list[str] | None, typer.Argument(help="Weights or plug-ins to act on; all if none is named.")]


@app.command("list")
def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """List all weights and plug-ins with their licence, and whether they are present."""
    from ..tools import weights
    from . import plugin_list

    rows = [(weight, weights.present(weight.name)) for weight in weights.entries()]
    plugins = plugin_list.rows()
    if as_json:
        import json

        found = [{"kind": "weights", **weight.model_dump(mode="json"), "present": here} for weight, here in rows]
        typer.echo(json.dumps(found + [row.to_json() for row in plugins], indent=2))
        return
    for weight, here in rows:
        _block(_lines(weight, here))
    for row in plugins:
        _block(plugin_list.lines(row))


def _block(lines: list[str]) -> None:
    """Print a name and its facts; in a terminal, long facts go on below where they began, hashes and sources whole."""
    typer.secho(lines[0], bold=True)
    for line in lines[1:]:
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            line = textwrap.fill(
                line, width, subsequent_indent=" " * INDENT, break_long_words=False, break_on_hyphens=False
            )
        typer.echo(line)


def _lines(weight: Weight, here: bool) -> list[str]:
    """Full hashes and sources, readable in any width and when piped."""
    use = "commercial use allowed" if weight.commercial_use else "no commercial use"
    return [
        f"{weight.name}  {'present' if here else 'not present'}",
        f"  what        {weight.what} ({weight.publisher}), version {weight.version}",
        *(f"  source      {_full(source)}" for source in weight.sources),
        f"  sha256      {weight.sha256}",
        f"  size        {_size(weight.size)}",
        f"  licence     {weight.licence}, {use}",
    ]


def _full(source: Registered) -> str:
    """Everything that names the file; the labels in messages are shorter."""
    match source.kind:
        case "url":
            return f"url {source.url}"
        case "hub":
            return f"hub {source.repo}@{source.revision}, {source.file}"
        case "package":
            return f"package {source.requirement}, {source.member}"
        case _:
            return source.label


def _size(count: int) -> str:
    """Bytes in the unit that leaves a digit before the point."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


@app.command()
def pull(
    names: Names = None,
    source_dir: Annotated[
        Path | None, typer.Option("--from", help="Take weights from this folder and from nowhere else.")
    ] = None,
) -> None:
    """Fetch weights; afterwards no network is needed."""
    from ..errors import InvalidOption
    from ..tools import weights
    from . import plugin_list

    own, plugins = _split(names)
    if plugins and source_dir is not None:
        raise InvalidOption("--from is for weights; a plug-in names its folder in plugins.toml.")
    count = 0
    if own is not None:
        count += len(weights.pull(own, source_dir, lambda name, source: typer.echo(f"{name}: {source}", err=True)))
    if plugins is not None and source_dir is None:
        count += plugin_list.pull(plugins)
    _say_what_is_not_ours(plugins)
    if count:
        typer.echo(f"{count} present and verified.")


@app.command()
def verify(names: Names = None) -> None:
    """Hash the stored weights again; exit code 4 if one is damaged."""
    from ..errors import WeightsMismatch
    from ..tools import weights
    from . import plugin_list

    own, plugins = _split(names)
    states: dict[str, str] = {}
    if own is not None:
        states |= weights.verify(own)
    if plugins is not None:
        states |= plugin_list.verify(plugins)
    for name, state in states.items():
        typer.echo(f"{name}: {state}")
    _say_what_is_not_ours(plugins)
    if damaged := [name for name, state in states.items() if state == "damaged"]:
        raise WeightsMismatch(f"Damaged: {', '.join(damaged)}; `facewitness models pull` fetches them again.")


def _say_what_is_not_ours(plugins: set[str] | None) -> None:
    """Name the plug-ins among those asked for whose weights are their package's affair."""
    from . import plugin_list

    for name in sorted(plugins or ()):
        if not plugin_list.entries({name}):
            typer.echo(f"{name}: its package sees to its weights; nothing was fetched or verified.")


def _split(names: list[str] | None) -> tuple[list[str] | None, set[str] | None]:
    """Which weights and which plug-ins are meant: empty stands for all, None for none of them.

    Raises:
        InvalidOption: A name is of neither.
    """
    from ..tools import weights
    from . import plugin_list

    if not names:
        return [], set()
    known = {weight.name for weight in weights.entries()}
    own, plugins = [name for name in names if name in known], set(names) - known
    if plugins:
        plugin_list.entries(plugins)
    return own or None, plugins or None
