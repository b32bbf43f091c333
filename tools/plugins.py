"""Plug-ins: what other packages offer by entry point, and what ``plugins.toml`` switches on.

An entry point of the group ``facewitness.detectors``, ``facewitness.matchers`` or ``facewitness.action_units`` names a
callable without arguments that returns a ``Detector``, ``Matcher`` or ``ActionUnitModel`` (docs/plugins.md). Nothing
of a plug-in is imported before it is used, and one that fails becomes evidence that says so.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ..errors import FacewitnessError, InvalidOption, ToolError, ToolUnavailable, WeightsError
from . import weights
from .detectors import ActionUnitModel, Detector, Kind, Matcher, Plugged
from .once import Once
from .registry import FaceTool

if TYPE_CHECKING:
    from .adapters.entries import Entry, Json

FILE = "plugins.toml"
NAME = r"^[a-z][a-z0-9_]{0,39}$"

GROUPS: dict[str, Kind] = {
    "facewitness.detectors": "detector",
    "facewitness.matchers": "matcher",
    "facewitness.action_units": "action_units",
}
PROTOCOLS: dict[Kind, type] = {"detector": Detector, "matcher": Matcher, "action_units": ActionUnitModel}


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plug-in, not yet loaded.

    Attributes:
        kind: Which protocol it keeps.
        name: Unique within its kind.
        origin: Where it was found, for lists.
        make: Makes the object, once; may raise anything.
        entry: What ``plugins.toml`` states, if it comes from there.
    """

    kind: Kind
    name: str
    origin: str
    make: Callable[[], object]
    entry: Entry | None = None

    @property
    def key(self) -> str:
        """Name of its tool, for example ``detector.gend_clip_l_14``."""
        return f"{self.kind}.{self.name}"

    def get(self) -> Plugged:
        """The object.

        Raises:
            ToolUnavailable: It cannot be made, or does not keep the protocol; the message says what is wrong.
            Exception: Whatever else the plug-in raises.
        """
        try:
            made = self.make()
        except (ToolError, WeightsError):
            raise
        except FacewitnessError as error:
            raise ToolUnavailable(str(error)) from None
        if not isinstance(made, PROTOCOLS[self.kind]):
            raise ToolUnavailable(f"The plug-in {self.name} does not keep the protocol of its kind, {self.kind}.")
        return cast(Plugged, made)


def face_tools() -> list[FaceTool]:
    """Tools for the registry, one for each plug-in."""
    from .plugin_evidence import tool

    return [tool(plugin) for plugin in discover()]


def discover() -> list[Plugin]:
    """All plug-ins: those of ``plugins.toml`` in its order, then those of installed packages by name.

    Never raises: one that is named twice or wrongly is listed, and says so when it is used.
    """
    found = [*_configured(), *_installed()]
    times = Counter(plugin.key for plugin in found)
    unique = {plugin.key: plugin for plugin in reversed(found)}
    return [
        plugin if times[plugin.key] == 1 else _broken(plugin.kind, plugin.name, plugin.origin, "is there twice")
        for plugin in reversed(unique.values())
    ]


def find(name: str) -> Plugin:
    """The plug-in of that name, or of that key.

    Raises:
        InvalidOption: There is none, or one of each kind.
    """
    found = [plugin for plugin in discover() if name in (plugin.name, plugin.key)]
    if len(found) != 1:
        known = ", ".join(plugin.key for plugin in discover()) or "none"
        raise InvalidOption(f"There is {'no' if not found else 'more than one'} plug-in {name}; known: {known}.")
    return found[0]


def home() -> Path:
    """The user's folder, in which ``plugins.toml`` lies."""
    return weights.store().parent


def _configured() -> list[Plugin]:
    path = home() / FILE
    if not path.exists():  # nor is what reads it imported
        return []
    from .adapters.entries import tables

    try:
        stated = tables(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return [_broken("detector", "plugins_toml", FILE, "cannot be read", FILE)]
    except InvalidOption as error:
        return [Plugin("detector", "plugins_toml", FILE, _raising(error))]
    return [_of_entry(name, table) for name, table in stated.items()]


def _of_entry(name: str, table: Json) -> Plugin:
    from .adapters.build import adapter, kind_of
    from .adapters.entries import parse

    kind = kind_of(table)
    try:
        entry = parse(name, table)
    except InvalidOption as error:
        return Plugin(kind, re.sub(r"\W", "_", name)[:40], FILE, _raising(error))
    return Plugin(kind, name, FILE, Once(lambda: adapter(entry)), entry)


def _installed() -> list[Plugin]:
    points = entry_points()
    found = [(kind, point) for group, kind in GROUPS.items() for point in points.select(group=group)]
    return [_of_point(kind, point) for kind, point in sorted(found, key=lambda pair: (pair[0], pair[1].name))]


def _of_point(kind: Kind, point: EntryPoint) -> Plugin:
    origin = f"package {point.dist.name} {point.dist.version}" if point.dist else "an installed package"
    if not re.fullmatch(NAME, point.name):
        return _broken(kind, re.sub(r"\W", "_", point.name)[:40], origin, "has a name with other than a-z, 0-9 and _")
    return Plugin(kind, point.name, origin, Once(lambda: point.load()()))


def _broken(kind: Kind, name: str, origin: str, why: str, what: str = "") -> Plugin:
    return Plugin(kind, name, origin, _raising(ToolUnavailable(f"{what or f'The plug-in {name}'} {why}.")))


def _raising(error: FacewitnessError) -> Callable[[], object]:
    def make() -> object:
        raise error

    return make
