"""Every `facewitness` command that the documents and the deployment examples show is one that the parser takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
import yaml

from facewitness.ui.cli import app

ROOT = Path(__file__).parents[1]
_LINE = re.compile(r"^(?:\w+=\$\()?facewitness (.*?)(?:\)?\s+(?:#|\||>|&).*|\))?$", re.M)
"""Without comments, pipes, redirections, and what takes the output."""


def _of_documents() -> Iterator[str]:
    for file in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for block in re.findall(r"```sh\n(.*?)```", file.read_text("utf-8"), re.S):
            yield from _LINE.findall(block.replace("\\\n", " "))


def _of_examples() -> Iterator[str]:
    yield from re.findall(r"run --rm api facewitness (.*)", (ROOT / "deploy/compose.yaml").read_text("utf-8"))
    for part in yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text("utf-8")):
        pod = part["spec"].get("template", {}).get("spec", {})
        for container in pod.get("containers", []) + pod.get("initContainers", []):
            if container.get("args", [""])[0] == "facewitness":
                yield shlex.join(container["args"][1:])


@pytest.mark.parametrize("command", sorted({*_of_documents(), *_of_examples()}))
def test_the_parser_takes_it(command: str) -> None:
    args = shlex.split(command)
    found: click.Command = typer.main.get_command(app)
    path = "facewitness"
    while isinstance(found, click.Group):
        name = args.pop(0)
        assert name in found.commands, f"no command {path} {name}"
        found, path = found.commands[name], f"{path} {name}"
    found.make_context(path, args)


def test_commands_are_found() -> None:
    assert len({*_of_documents()}) > 30 and len([*_of_examples()]) == 5
