"""Robustness: people's own photos as ``folder`` and ``csv`` read them, each asked as it is and after each change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from ...errors import InvalidOption
from . import folder, table
from .item import Benchmark, Item, Switches, choice

_FAMILIES = ("jpeg", "half", "blur", "noise", "screenshot", "crop", "words", "letters", "fgsm", "pgd")
_NEEDED = ("torch", "onnx")
_OWN = ("changes", "attacks")


def _read(data: Path, switches: Switches) -> Iterator[Item]:
    reader = folder.BENCHMARK if data.is_dir() else table.BENCHMARK
    changes: Sequence[str] = ()
    for item in reader.each(data, {name: value for name, value in switches.items() if name not in _OWN}):
        changes = changes or _chosen(switches)  # a layout that does not fit is said first
        plain = replace(item, mask="")  # what a changed photo was altered in lies elsewhere
        yield plain
        for name in changes:
            if item.references or not name.endswith("matcher"):
                yield replace(plain, id=f"{item.id} | {name}", change=name, of=item.id)


def _chosen(switches: Switches) -> Sequence[str]:
    """Names of changes, by the first words that ``changes`` lists."""
    from ..perturbations import NAMES

    wanted = [word.strip() for word in switches.get("changes", ",".join(_FAMILIES)).split(",")]
    if choice(switches, "attacks", "yes", "no") == "no":
        wanted = [word for word in wanted if not word.startswith(("fgsm", "pgd"))]
    if unknown := [word for word in wanted if not any(_begins(name, word) for name in NAMES)]:
        raise InvalidOption(f"There is no change {unknown[0]!r}; there are {', '.join(NAMES)}.")
    found = [name for name in NAMES if any(_begins(name, word) for word in wanted)]
    if any(name.startswith(("fgsm", "pgd")) for name in found) and (
        missing := [package for package in _NEEDED if find_spec(package) is None]
    ):
        raise InvalidOption(
            f"Attacks need gradients, and {missing[0]} is not installed: install facewitness[finetune], "
            "or leave them out with --option attacks=no."
        )
    return found


def _begins(name: str, words: str) -> bool:
    return f"{name} ".startswith(f"{words} ")


BENCHMARK = Benchmark(
    name="robustness",
    title="Own photos, plain and changed: compressed, resized, blurred, captioned, attacked",
    layout="what folder or csv read: real/ and fake/ with pictures, or a CSV file with the columns path and label.",
    polarity="As in folder and csv: forged is positive, with references the person. Figures are of the plain photos; "
    "the table of changes holds each changed photo to the plain one. A limit counts photos, each with all its changes.",
    read=_read,
    switches={
        "changes": "names of changes, or their first words: " + ", ".join(_FAMILIES) + "; all of them by default",
        "attacks": "yes or no; FGSM and PGD on the embedded networks, which need facewitness[finetune]",
        **folder.BENCHMARK.switches,
    },
    source="our own; the attacks of Goodfellow et al. 2015 and Madry et al. 2018",
)
