"""Does a plug-in keep its protocol? For its author, on the command line and in tests.

Run: ``python -m facewitness.tools.conformance MODULE:FACTORY`` (or the name of an installed plug-in)

Checked on black, white, shaded and noisy crops: shapes, types, finite values, the same result for the same input, for
any size and order of the batch and in parallel calls, that the input is left alone, that the card is complete, and,
by Python's audit events, that nothing is unpickled and no connection is opened. Not checked, because it cannot be from
here: connections opened by native code, whether RGB is read as RGB (``--swap`` shows only that order matters), whether
the licence is true, and how good the plug-in is.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from ..errors import FacewitnessError, InvalidOption, ToolError
from .detectors import MATCHER_SIZE, ActionUnitModel, Crops, Detector, Matcher, Target
from .evidence import ModelCard

TOLERANCE = 1e-4
"""Absolute, and relative for values above 1: how much a result may differ with batch, order or thread."""
PARALLEL = 4

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Crops], Arrays]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that a plug-in does not keep to.

    Attributes:
        code: Stable: ``conformance.`` and ``protocol``, ``card``, ``attribute``, ``raised``, ``type``, ``shape``,
            ``dtype``, ``range``, ``not_finite``, ``not_deterministic``, ``batch``, ``order``, ``threads``,
            ``input_changed``, ``colour_order``, ``pickle`` or ``network``.
        message: What was seen.
    """

    code: str
    message: str


_EVENTS = {
    "pickle.find_class": Problem("conformance.pickle", "A pickle was opened; keep weights as safetensors or ONNX."),
    "socket.connect": Problem("conformance.network", "A network connection was opened."),
}
"""Audit events that must not happen, as Python names them."""


def require(plugin: object, swap: bool = False) -> None:
    """Raise unless the plug-in keeps its protocol; for a test of one's own.

    Raises:
        ToolError: The problems, each with its code.
    """
    if problems := check(plugin, swap):
        raise ToolError("; ".join(f"{problem.code}: {problem.message}" for problem in problems))


def check(plugin: object, swap: bool = False) -> list[Problem]:
    """Problems of a detector, matcher or action unit model; empty if it keeps its protocol.

    Args:
        plugin: The object, best before its first use, so that its loading is watched too.
        swap: Also report if exchanging red and blue changes nothing.
    """
    if not isinstance(plugin, Detector | Matcher | ActionUnitModel):
        return [Problem("conformance.protocol", "It is no Detector, Matcher or ActionUnitModel.")]
    problems = [*_card(plugin.card), *_attributes(plugin)]
    if problems:
        return problems
    with _watched(problems):
        try:
            problems += _results(_runner(plugin), _size(plugin), swap)
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
            problems.append(Problem("conformance.raised", f"{type(error).__name__}: {error}"))
    return problems


def check_factory(factory: Callable[[], object], swap: bool = False) -> list[Problem]:
    """As ``check``, of what the factory of an entry point makes, and of making it."""
    problems: list[Problem] = []
    with _watched(problems):
        try:
            plugin = factory()
        except Exception as error:  # noqa: BLE001
            return [Problem("conformance.raised", f"{type(error).__name__}: {error}")]
    return problems + check(plugin, swap)


def _card(card: object) -> list[Problem]:
    if not isinstance(card, ModelCard):
        return [Problem("conformance.card", "The card is no ModelCard.")]
    wrong = []
    if not (isinstance(card.name, str) and re.fullmatch(r"[A-Za-z0-9][\w.+-]*", card.name)):
        wrong.append("name: letters, digits and . _ + - only")
    if not (isinstance(card.version, str) and card.version.strip()):
        wrong.append("version: empty")
    if card.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", str(card.sha256)):
        wrong.append("sha256: 64 hex digits, or None for an algorithm without weights")
    if not isinstance(card.commercial_use, bool):
        wrong.append("commercial_use: state True or False")
    try:
        canonicalize_license_expression(card.licence)
    except (InvalidLicenseExpression, AttributeError, TypeError):
        wrong.append("licence: an SPDX expression, or LicenseRef- and a name")
    return [Problem("conformance.card", one) for one in wrong]


def _attributes(plugin: Detector | Matcher | ActionUnitModel) -> Iterator[Problem]:
    if isinstance(plugin, Detector) and plugin.target not in get_args(Target):
        yield Problem("conformance.attribute", f"target is none of {', '.join(get_args(Target))}")
    if isinstance(plugin, Detector | ActionUnitModel):
        if not (isinstance(plugin.size, int) and 16 <= plugin.size <= 1024):
            yield Problem("conformance.attribute", "size is no int from 16 to 1024")
        if not (isinstance(plugin.margin, int | float) and 0.5 <= plugin.margin <= 4):
            yield Problem("conformance.attribute", "margin is no number from 0.5 to 4")
    elif plugin.threshold is not None and not -1 <= plugin.threshold <= 1:
        yield Problem("conformance.attribute", "threshold is no cosine")


def _size(plugin: Detector | Matcher | ActionUnitModel) -> int:
    return plugin.size if isinstance(plugin, Detector | ActionUnitModel) else MATCHER_SIZE


def _runner(plugin: Detector | Matcher | ActionUnitModel) -> Run:
    """The plug-in's call, its results by name."""
    if isinstance(plugin, Detector):

        def score(crops: Crops) -> Arrays:
            scores = plugin.score(crops)
            return {"logits": scores.logits} | ({} if scores.heat is None else {"heat": scores.heat})

        return score
    if isinstance(plugin, Matcher):
        return lambda crops: {"features": plugin.embed(crops)}
    return lambda crops: {**plugin.intensities(crops)}


def _crops(size: int) -> Crops:
    """Black, white, shaded and noisy: (4, size, size, 3)."""
    shade = np.linspace(0, 255, size, dtype=np.uint8)
    shaded = np.stack(np.broadcast_arrays(shade[:, None], shade[None], shade[::-1, None]), -1)
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    return np.stack([np.zeros_like(noise), np.full_like(noise, 255), shaded, noise])


def _results(run: Run, size: int, swap: bool) -> list[Problem]:
    crops = _crops(size)
    kept = crops.copy()
    first = run(crops)
    problems = [problem for name, found in first.items() for problem in _form(name, found, len(crops))]
    if not first:
        problems.append(Problem("conformance.shape", "There are no results."))
    if not np.array_equal(crops, kept):
        problems.append(Problem("conformance.input_changed", "The crops were written to."))
    if problems:
        return problems
    alone = [run(kept[k : k + 1].copy()) for k in range(len(kept))]
    with ThreadPoolExecutor(PARALLEL) as pool:
        parallel = list(pool.map(run, [kept.copy() for _ in range(PARALLEL)]))
    backwards = {name: found[::-1] for name, found in run(kept[::-1].copy()).items()}
    together = {name: np.concatenate([one[name] for one in alone]) for name in first if all(name in x for x in alone)}
    for code, others, words in (
        ("not_deterministic", [run(kept.copy())], "for the same crops"),
        ("batch", [together], "for one crop at a time"),
        ("order", [backwards], "for the crops in another order"),
        ("threads", parallel, f"in {PARALLEL} calls at the same time"),
    ):
        if (apart := max(_apart(first, other) for other in others)) > TOLERANCE:
            problems.append(Problem(f"conformance.{code}", f"Results differ by {apart:.2g} {words}."))
    if swap and _apart(first, run(np.ascontiguousarray(kept[..., ::-1]))) <= TOLERANCE:
        problems.append(Problem("conformance.colour_order", "Exchanging red and blue changes nothing."))
    return problems


def _form(name: str, found: object, count: int) -> Iterator[Problem]:
    """Type, shape, number format and range of one result."""
    if not isinstance(found, np.ndarray):
        yield Problem("conformance.type", f"{name} is no array but {type(found).__name__}.")
        return
    dimensions = {"heat": 3, "features": 2}.get(name, 1)
    if found.ndim != dimensions or found.shape[0] != count or 0 in found.shape:
        yield Problem("conformance.shape", f"{name} has the shape {found.shape} for {count} crops.")
    if found.dtype != np.float32:
        yield Problem("conformance.dtype", f"{name} is {found.dtype}, not float32.")
    if not np.isfinite(found).all():
        yield Problem("conformance.not_finite", f"{name} has values that are not finite.")
    elif name not in ("logits", "features") and found.size and (found.min() < 0 or found.max() > 1):
        yield Problem("conformance.range", f"{name} has values outside 0 to 1.")
    if name not in ("logits", "features", "heat") and not re.fullmatch(r"AU[1-9][0-9]?", name):
        yield Problem("conformance.shape", f"{name} is no name of an action unit, such as AU12.")


def _apart(one: Arrays, other: Arrays) -> float:
    """Greatest difference, relative where values are above 1; infinite for other names or shapes."""
    if one.keys() != other.keys() or any(one[name].shape != other[name].shape for name in one):
        return float("inf")
    return max(float(np.max(np.abs(one[n] - other[n]) / np.maximum(1, np.abs(one[n])))) for n in one)


@contextmanager
def _watched(problems: list[Problem]) -> Iterator[None]:
    """Add a problem for each kind of forbidden event that happens meanwhile, in any thread."""
    seen = _events()
    seen.clear()
    try:
        yield
    finally:
        problems += [_EVENTS[event] for event in sorted(seen)]


@cache
def _events() -> set[str]:
    """Names of the forbidden events seen, filled by an audit hook; hooks stay for the life of the process."""
    seen: set[str] = set()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            seen.add(event)

    sys.addaudithook(hook)
    return seen


def _factory(named: str) -> Callable[[], object]:
    """What ``MODULE:FACTORY`` or the name of a plug-in stands for.

    Raises:
        InvalidOption: There is no such thing.
    """
    module, colon, attribute = named.partition(":")
    if not colon:
        from .plugins import find

        return find(named).get
    try:
        factory: Callable[[], object] = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InvalidOption(f"{named} cannot be imported: {error}.") from None
    return factory


def main() -> None:
    """Command line: exit code 0 if the plug-in conforms, 1 if not, 2 if there is none."""
    parser = argparse.ArgumentParser(description="Check that a plug-in keeps its protocol.")
    parser.add_argument("plugin", help="MODULE:FACTORY, or the name of an installed plug-in")
    parser.add_argument("--swap", action="store_true", help="report if exchanging red and blue changes nothing")
    options = parser.parse_args()
    try:
        problems = check_factory(_factory(options.plugin), options.swap)
    except FacewitnessError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    for problem in problems:
        print(f"{problem.code}: {problem.message}")
    if problems:
        raise SystemExit(1)
    print("It conforms. Not checked: native connections, the order RGB, the truth of the card, how good it is.")


if __name__ == "__main__":
    main()
