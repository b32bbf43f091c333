"""The parts of ``facewitness bench``, and the file that holds what they found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...errors import FacewitnessError, InvalidOption
from ..screening import spread
from . import machine
from .rounds import evenly

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and with what.

    Attributes:
        photos: Different photos with a face each.
        pythons: Interpreters in which peers are installed.
        rounds: Of each part.
        sizes: Of the galleries, in templates.
        core_hour: Price of a core for an hour.
        model: Served model, ``URL#NAME``; none if empty.
    """

    photos: tuple[Path, ...]
    pythons: tuple[str, ...] = ()
    rounds: int = 5
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    core_hour: float = 0.04
    model: str = ""


def photos(folder: Path | None, count: int) -> tuple[Path, ...]:
    """So many below a folder, evenly from all; without one the photos that come with facewitness."""
    return tuple(spread(folder or EXAMPLES, count))


def _faces(options: Options) -> dict[str, Any]:
    from . import faces

    return faces.measure(evenly(options.photos, 20), options.pythons, options.rounds)


def _evidence(options: Options) -> dict[str, Any]:
    from . import networks

    return networks.measure(evenly(options.photos, 12), options.rounds)


def _explanation(options: Options) -> dict[str, Any]:
    from . import explanation

    return explanation.measure(evenly(options.photos, options.rounds + 1))


def _agent(options: Options) -> dict[str, Any]:
    from ...agent.examine import examine
    from ...tools.image import load
    from ..agent_overhead import measure

    if not options.model:
        raise InvalidOption("no served model was named (--model)")
    loaded = [load(path) for path in evenly(options.photos, 8)]
    examine(loaded[0], model="none")  # loads the tools
    return measure(loaded, options.model, 1, options.rounds)


def _screen(options: Options) -> dict[str, Any]:
    from . import screens

    if len(options.photos) < 40:
        raise InvalidOption("takes 40 photos or more (--photos, --count)")
    return screens.measure(options.photos, options.rounds, options.core_hour)


def _gallery(options: Options) -> dict[str, Any]:
    from . import galleries

    return galleries.measure(options.sizes)


def _start(options: Options) -> dict[str, Any]:
    from . import start

    return start.measure(EXAMPLES / "astronaut.jpg", options.rounds)


PARTS: dict[str, Callable[[Options], dict[str, Any]]] = {
    "faces": _faces,
    "evidence": _evidence,
    "explanation": _explanation,
    "agent": _agent,
    "screen": _screen,
    "gallery": _gallery,
    "start": _start,
}


def run(names: Sequence[str], options: Options, out: Path, told: Callable[[str], None]) -> dict[str, Any]:
    """Measure the parts of these names, one after the other; what the file knows of others stays.

    Args:
        names: Keys of ``PARTS``.
        options: What with.
        out: JSON; written after each part.
        told: Called with the name of each part as it begins.

    Raises:
        InvalidOption: There is no such part.
    """
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise InvalidOption(f"There is no part {unknown[0]}: {', '.join(PARTS)}.")
    result: dict[str, Any] = json.loads(out.read_text("utf-8")) if out.exists() else {"parts": {}}
    for name in names:
        told(name)
        before = machine.load()
        try:
            found = PARTS[name](options)
        except FacewitnessError as error:
            found = {"why_not": str(error)}
        loads = {"load_before": before, "load_after": machine.load()}
        about = {"software": version("facewitness"), "machine": machine.described() | loads}
        result["parts"][name] = about | {"found": found}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result
