"""The ``facewitness`` command."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ..agent import abandoned
from ..errors import FacewitnessError, InputError
from . import ask, bench, data, evaluate, finetune, model_server, models, people, screen, serve

if TYPE_CHECKING:
    from ..tools.image import Photo

app = typer.Typer(
    name="facewitness",
    help="An expert witness for faces: evidence, a calibrated verdict, an explanation that cites its evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(models.app, name="models", help="Weights: list, pull, verify.")
app.add_typer(data.app, name="data", help="Instruction data: show.")
app.add_typer(evaluate.app, name="eval")
app.add_typer(finetune.app, name="finetune", help="Learn one person: person.")
app.add_typer(serve.keys, name="keys", help="API keys: create, list, revoke, rotate-signing.")
app.add_typer(serve.audit, name="audit", help="The log of keys, people and deletions: list, verify.")
app.command()(ask.ask)
app.command()(screen.screen)
app.command()(bench.bench)
app.command()(people.enroll)
app.command("people")(people.people)
app.command()(people.forget)
app.command()(serve.api)
app.command()(serve.chat)
app.command()(serve.verify)
app.command()(model_server.serve)
app.add_typer(model_server.adapters, name="adapters")

INTERRUPTED = 130  # what Typer makes of Ctrl-C
COMMERCIAL_HELP = "Use no weights whose terms do not allow commercial use."
MODEL_HELP = "Who writes the reasoning: embedded, none, or URL#name of an OpenAI-compatible server."


@app.command()
def examine(
    photo: Annotated[Path, typer.Argument(help="JPEG, PNG or WEBP.")],
    reference: Annotated[list[Path] | None, typer.Option(help="Photo of the person it is claimed to be.")] = None,
    person: Annotated[str | None, typer.Option(help="Enrolled person to compare with.")] = None,
    question: Annotated[str | None, typer.Option(help="A question about the face.")] = None,
    face: Annotated[int | None, typer.Option(min=1, help="1 is the largest face.")] = None,
    all_faces: Annotated[bool, typer.Option("--all-faces", help="A verdict for each face.")] = False,
    model: Annotated[str, typer.Option(envvar="FACEWITNESS_MODEL", help=MODEL_HELP)] = "embedded",
    commercial_only: Annotated[
        bool, typer.Option("--commercial-only", envvar="FACEWITNESS_COMMERCIAL_ONLY", help=COMMERCIAL_HELP)
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="The record on stdout, nothing else.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for record, overlay pictures and page.")] = None,
) -> None:
    """Examine a face and explain the verdict."""
    # A refusal must come at once: decode before the models and the graph are imported.
    loaded = _load(photo)
    references = [_load(path) for path in reference or []]
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=out).close()  # what cannot be written to is told now, and not when all is measured
        except OSError as error:
            raise OSError(error.errno, f"{str(out)!r}: {error.strerror}") from error

    from ..agent.examine import examine_all
    from . import terminal

    with terminal.progress(quiet=json) as on_progress:
        examination = examine_all(
            loaded,
            references,
            person=person,
            question=question,
            face=face,
            model=model,
            commercial_only=commercial_only,
            all_faces=all_faces,
            on_progress=on_progress,
        )
    if out is not None:
        from . import page

        written = page.write(examination, out)
        print(f"Written: {', '.join(str(path) for path in written)}", file=sys.stderr)
    for record in examination.records:
        if json:
            print(record.to_json(indent=None if all_faces else 2))
        else:
            terminal.show(record)
    if not any(record.verdict.assessable for record in examination.records):
        raise typer.Exit(3)


def _load(path: Path) -> Photo:
    from ..tools.image import load

    try:
        return load(path)
    except InputError as error:
        raise type(error)(f"{path.name or path}: {error}") from None


@app.command()
def graph() -> None:
    """Draw the examination as a Mermaid diagram."""
    from ..agent.graph import build_graph

    print(build_graph().compile().get_graph().draw_mermaid())


@app.command()
def schema() -> None:
    """Print the JSON Schema of the verdict record."""
    import json

    from ..agent.record import json_schema

    print(json.dumps(json_schema(), indent=2))


def main() -> None:
    """Entry point: an error of facewitness is one line with its code, never a traceback."""
    _refuse_closed_output()
    _quiet_libraries()
    try:
        code = _command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _interrupted()
    except OSError as error:
        # Standard output cannot be written: the reader went away (`| head`), or the disk is full.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"facewitness: output: {error.strerror}", file=sys.stderr)
        code = 1
    # All is said: an interrupt while the interpreter winds down would only look like a failure.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if abandoned.left():
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def _command() -> int:
    try:
        app()
    except FacewitnessError as error:
        # A file name may hold control characters.
        message = "".join(c if c.isprintable() else "?" for c in str(error))
        print(f"facewitness: {error.code}: {message}", file=sys.stderr)
        return error.exit_code
    except SystemExit as done:
        return _interrupted() if done.code == INTERRUPTED else int(done.code or 0)
    return 0


def _interrupted() -> NoReturn:
    print("facewitness: interrupted", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)  # native code in a tool's thread does not survive the interpreter's end


def _refuse_closed_output() -> None:
    """Where the caller closed standard output, writing fails, and no file that is opened later takes its place."""
    if sys.stdout is None:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 1)
        sys.stdout = os.fdopen(1, "w")


def _quiet_libraries() -> None:
    """Native libraries write their logs straight to file descriptor 2; ours go to a copy of it."""
    try:
        ours = os.dup(2)
    except OSError:  # closed by the caller
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - takes descriptor 2 for good
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = os.fdopen(ours, "w", buffering=1, errors="replace")
