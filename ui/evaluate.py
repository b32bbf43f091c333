"""``facewitness eval``: benchmarks, runs, reports and comparisons."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..errors import InvalidOption

if TYPE_CHECKING:
    from ..evals.comparison import Comparison
    from ..evals.runner import Progress

REGRESSED = 1
_BESIDE = "similarity,tools,vlm,constant"


class _Group(TyperGroup):
    """``facewitness eval BENCHMARK …`` means ``facewitness eval run BENCHMARK …``."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A word that is no command is a benchmark."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=_Group, help="Benchmarks: BENCHMARK, list, compare, report.", no_args_is_help=True)

Out = Annotated[Path | None, typer.Option(help="Folder of the run; facewitness-eval/BENCHMARK by default.")]
Train = Annotated[
    list[Path] | None,
    typer.Option(help="Folder or list of pictures that something was trained on: leakage is checked."),
]
Limit = Annotated[
    float | None, typer.Option(min=0.001, help="Seconds; an answer that took longer counts as not scored.")
]


@app.command("list")
def list_() -> None:
    """List the benchmarks: what a folder must look like, and what their labels mean."""
    for benchmark in _benchmarks().values():
        typer.secho(benchmark.name, bold=True)
        typer.echo(f"  {benchmark.title}")
        typer.echo(f"  layout    {benchmark.layout}")
        typer.echo(f"  polarity  {benchmark.polarity}")
        for name, what in benchmark.switches.items():
            typer.echo(f"  option    {name}: {what}")
        typer.echo(f"  source    {benchmark.source}\n")


@app.command()
def run(
    benchmark: Annotated[str, typer.Argument(help="One of `facewitness eval list`.")],
    data: Annotated[Path, typer.Option(help="Folder or file of the benchmark.")],
    system: Annotated[
        str, typer.Option(help="agent, tools, vlm, blind, told, turned, similarity or constant.")
    ] = "agent",
    beside: Annotated[str, typer.Option(help="Systems to show beside it; none for none.")] = _BESIDE,
    model: Annotated[
        str, typer.Option(help="Language model of the agent, and of what looks: none, embedded, or URL#NAME?vision.")
    ] = "none",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many samples of a split.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, see `facewitness eval list`.")] = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    train: Train = None,
    time_limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Results on stdout, nothing else.")] = False,
) -> None:
    """Run a benchmark and write its report."""
    runner = _import("runner")
    systems = dict.fromkeys([system, *(name for name in beside.split(",") if name and name != "none")])
    plan = runner.Plan(
        benchmark=benchmark,
        data=str(data.resolve()),
        systems=tuple(systems),
        model=model,
        looker="embedded" if model == "none" else model,
        limit=limit,
        switches=_switches(option or []),
        command=shlex.join(["facewitness", *sys.argv[1:]]),
    )
    with _bar() as told:
        done = runner.run(plan, out or Path("facewitness-eval") / benchmark, resume, told)
    _report(done, out or Path("facewitness-eval") / benchmark, train, time_limit, as_json)


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="Folder of a run.")],
    train: Train = None,
    time_limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Results on stdout, nothing else.")] = False,
) -> None:
    """Write the report of a run anew; nothing is asked again."""
    _report(_import("runner").load(out), out, train, time_limit, as_json)


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a run: what was before.")],
    second: Annotated[Path, typer.Argument(help="Folder of a run: what is now.")],
    system: Annotated[str | None, typer.Option(help="One system of both; by default what was evaluated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="On stdout, nothing else.")] = False,
) -> None:
    """Compare two runs on the same samples; exit code 1 where the second is surely worse."""
    load, comparison = _import("runner").load, _import("comparison")
    found: Comparison = comparison.compare(load(first), load(second), system)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        _tell(found)
    if found.regressed:
        raise typer.Exit(REGRESSED)


def _tell(found: Comparison) -> None:
    typer.echo(f"{found.samples} samples that both scored; {found.only_first} and {found.only_second} by one alone.")
    for one in found.differences:
        ends = "" if one.less.low is None else f" [{one.less.low:+.4f}, {one.less.high:+.4f}]"
        worse = "  worse" if one.worse else ""
        typer.echo(f"  {one.name}: {one.first:.4f} → {one.second:.4f}, {one.less.value:+.4f}{ends}{worse}")
    first, second, p = found.mcnemar
    typer.echo(f"  labels right by the first alone {first}, by the second alone {second}, McNemar p {p:.3g}")
    typer.echo("The second is worse." if found.regressed else "The second is not surely worse.")


def _report(done: Any, out: Path, train: list[Path] | None, time_limit: float | None, as_json: bool) -> None:
    made, leakage = _import("report"), None
    if train:
        items = [row.item for row in next(iter(done.rows.values()))]
        leakage = _import("leakage").check(train, items, done.plan.root)
    found = made.result(done, time_limit, leakage)
    written = made.write(done, found, out)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        typer.echo(made.markdown(found))
    print(f"Written: {', '.join(map(str, written))}", file=sys.stderr)


def _switches(options: list[str]) -> dict[str, str]:
    found = {}
    for text in options:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidOption("An option is NAME=VALUE.")
        found[name] = value
    return found


def _import(name: str) -> Any:
    """A module of ``evals``; what it builds on is an extra."""
    from importlib import import_module

    try:
        return import_module(f"..evals.{name}", __package__)
    except ImportError as error:
        raise InvalidOption(f"This needs {error.name}: install facewitness[evals].") from None


def _benchmarks() -> Any:
    return _import("benchmarks").benchmarks()


@contextmanager
def _bar() -> Iterator[Progress]:
    """Progress with the remaining time on stderr; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def told(system: str, done: int, total: int) -> None:
            if system not in tasks:
                tasks[system] = bar.add_task(system, total=total)
            bar.update(tasks[system], completed=done)

        yield told
