"""``facewitness serve`` and ``facewitness adapters``: a vision-language model behind vLLM, for the other commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidOption, ModelUnavailable
from . import vllm_command
from .vllm_command import Served

EMBEDDED = "embedded"
LOOK = "look"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
adapters = typer.Typer(help="LoRA adapters of a running server: list, load, unload.", no_args_is_help=True)
Server = Annotated[str, typer.Option(help="Base address of the server.")]
_HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
HERE = "http://127.0.0.1:8001/v1"


def serve(
    model: Annotated[str, typer.Option(help="embedded, a folder that finetune has exported, or a hub id.")] = EMBEDDED,
    adapter: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER of a LoRA adapter; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="By which clients call the model; its own name by default.")] = "",
    revision: Annotated[str, typer.Option(help="Commit of a hub id, 40 hex digits.")] = "",
    tensor_parallel: Annotated[int, typer.Option(min=1, help="GPUs that share the model.")] = 1,
    cpu: Annotated[bool, typer.Option("--cpu", help="Run on the CPU.")] = False,
    host: Annotated[str, typer.Option(help="Beyond this machine it takes FACEWITNESS_API_KEY.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8001,
    live_adapters: Annotated[
        bool, typer.Option("--live-adapters", help="Let `facewitness adapters` load and unload them.")
    ] = False,
    python: Annotated[
        str, typer.Option(envvar="FACEWITNESS_VLLM_PYTHON", help="Interpreter of the environment that has vLLM.")
    ] = sys.executable,
    further: Annotated[
        list[str] | None, typer.Argument(metavar="[-- VLLM_ARGUMENTS]", help="Further arguments for vLLM.")
    ] = None,
    show: Annotated[bool, typer.Option("--print", help="Show the command and start nothing.")] = False,
) -> None:
    """Serve a vision-language model with vLLM."""
    key = os.environ.get("FACEWITNESS_API_KEY")
    if host not in _LOOPBACK and not key:
        raise InvalidOption("Beyond this machine the server takes a key: set FACEWITNESS_API_KEY.")
    folders = dict(_named(text) for text in adapter or [])
    if model == EMBEDDED:
        model, look = _embedded()
        folders, name = {LOOK: look, **folders}, name or EMBEDDED
    served = Served(
        model,
        name or Path(model).name,
        folders,
        revision=revision,
        tensor_parallel=tensor_parallel,
        cpu=cpu,
        host=host,
        port=port,
        live_adapters=live_adapters,
        python=python,
        further=tuple(further or ()),
    )
    command = vllm_command.arguments(served)
    if show:
        typer.echo(vllm_command.shown(served))
        return
    if subprocess.run([python, "-c", _HAS_VLLM]).returncode:  # noqa: S603 - the user's own interpreter
        raise ModelUnavailable("This interpreter has no vLLM: name one that has with --python.")
    typer.echo(f"Other commands take: --model '{vllm_command.specification(served)}'", err=True)
    os.dup2(sys.stderr.fileno(), 2)  # the command line had put it aside
    secret = {"VLLM_API_KEY": key} if key else {}
    os.execvpe(python, command, {**os.environ, **vllm_command.environment(served), **secret})  # noqa: S606


def _named(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator:
        raise InvalidOption(f"An adapter is NAME=FOLDER, not {text!r}.")
    return name, Path(folder).absolute()


def _embedded() -> tuple[str, Path]:
    """Checkpoint of the embedded model and folder of its LoRA, made on first use (680 MB)."""
    from ..tools import weights

    home = weights.store() / f"served-{(weights.card('sight').sha256 or '')[:12]}"
    base, look = home / "base", home / LOOK
    if not (home / "complete").exists():
        try:
            from ..finetune.vlm.export import unpack
        except ImportError:
            reason = (
                'This takes transformers, to put the model in a form for servers: pip install "facewitness[finetune]".'
            )
            raise ModelUnavailable(reason) from None
        unpack(None, base, look)
        (home / "complete").touch()
    return str(base), look


@adapters.command("list")
def list_adapters(server: Server = HERE) -> None:
    """Names of the models and adapters that the server has."""
    from ..agent.served_adapters import ServedAdapters

    for name in ServedAdapters(server).names():
        typer.echo(name)


@adapters.command()
def load(
    adapter: Annotated[str, typer.Argument(help="NAME=FOLDER, on the server's disk.")], server: Server = HERE
) -> None:
    """Load an adapter; the server was started with --live-adapters."""
    from ..agent.served_adapters import ServedAdapters

    ServedAdapters(server).load(*_named(adapter))


@adapters.command()
def unload(name: str, server: Server = HERE) -> None:
    """Unload an adapter."""
    from ..agent.served_adapters import ServedAdapters

    ServedAdapters(server).unload(name)
