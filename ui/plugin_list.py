"""Plug-ins as ``facewitness models`` lists, fetches and checks them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import FacewitnessError, InvalidOption, ToolUnavailable, WeightsMismatch, WeightsMissing

if TYPE_CHECKING:
    from ..tools.adapters.entries import Entry
    from ..tools.plugins import Plugin


@dataclass(frozen=True, slots=True)
class Row:
    """One plug-in, or one that the catalogue offers.

    Attributes:
        name: Name of its tool.
        state: ``active``, ``offered`` (in the catalogue, not switched on) or what is wrong with it.
        origin: ``plugins.toml``, a package, or the catalogue.
        what: What it does and who made it, where known.
        source: Repository at its commit, or folder, and file; None for plug-ins of other packages.
        sha256: Of the weights; None for an algorithm, or if the user still has to state it.
        licence: SPDX expression.
        commercial_use: Whether it may be used commercially; None if that is not known.
        terms: A line on the terms of its training data.
        present: Whether its weights are here; None where that is the plug-in's own affair.
        calibrated: Whether its scores become probabilities.
    """

    name: str
    state: str
    origin: str
    what: str = ""
    source: str | None = None
    sha256: str | None = None
    licence: str | None = None
    commercial_use: bool | None = None
    terms: str = ""
    present: bool | None = None
    calibrated: bool = False

    def to_json(self) -> dict[str, Any]:
        """For ``models list --json``."""
        return {"kind": "plugin", **asdict(self)}


def rows() -> list[Row]:
    """What is switched on or installed, then what the catalogue offers beyond."""
    from ..tools.adapters.build import kind_of
    from ..tools.adapters.entries import catalogue
    from ..tools.plugins import discover

    active = [_row(plugin) for plugin in discover()]
    names = {row.name for row in active}
    offered = {f"{kind_of(table)}.{name}": table for name, table in catalogue().items()}
    return active + [_offer(name, table) for name, table in offered.items() if name not in names]


def _row(plugin: Plugin) -> Row:
    from ..tools import calibration

    try:
        card = plugin.get().card
        calibrated = calibration.find(card) is not None
    except FacewitnessError as error:
        return Row(plugin.key, str(error), plugin.origin)
    except Exception as error:  # noqa: BLE001 - a plug-in may raise anything
        return Row(plugin.key, f"It failed ({type(error).__name__}).", plugin.origin)
    terms = (card.licence, card.commercial_use)
    if plugin.entry is None:
        what = f"{card.name} {card.version}"
        return Row(plugin.key, "active", plugin.origin, what, None, card.sha256, *terms, calibrated=calibrated)
    entry = plugin.entry
    what = ", ".join(text for text in (entry.what, entry.publisher) if text)
    source = f"{entry.source}, {entry.file}"
    here = _present(entry)
    return Row(plugin.key, "active", plugin.origin, what, source, card.sha256, *terms, entry.terms, here, calibrated)


def _offer(name: str, table: dict[str, Any]) -> Row:
    revision = table.get("revision", "(state its revision)")
    source = f"hub {table['repo']}@{revision}" if "repo" in table else "folder (state it)"
    use = table["commercial_use"]
    return Row(
        name,
        "offered",
        "catalogue",
        f"{table['what']}, {table['publisher']}",
        f"{source}, {table['file']}",
        table.get("sha256"),
        table["licence"],
        None if use == "unknown" else use,
        table["terms"],
    )


def _present(entry: Entry) -> bool:
    """Whether the file is here; its bytes are not read."""
    from ..tools.adapters.loading import locate

    try:
        return locate(entry, entry.file, entry.name).is_file()
    except (WeightsMissing, ToolUnavailable):
        return False


def lines(row: Row) -> list[str]:
    """A block to print, the name first."""
    here = {True: "  present", False: "  not present", None: ""}[row.present]
    found = [f"{row.name}  plug-in, {row.state}{here}", f"  origin      {row.origin}"]
    facts = {"what": row.what, "source": row.source, "sha256": row.sha256, "terms": row.terms}
    found += [f"  {name:<11} {fact}" for name, fact in facts.items() if fact]
    if row.licence is not None:
        found.append(f"  {'licence':<11} {row.licence}, {USE[row.commercial_use]}")
    if row.calibrated:
        found.append("  probability calibrated")
    return found


USE = {True: "commercial use allowed", False: "no commercial use", None: "commercial use not known"}


def entries(names: set[str]) -> dict[str, Entry]:
    """Entries of ``plugins.toml`` among the names, all of them if there are none.

    Raises:
        InvalidOption: There is no such entry, or it is wrong.
    """
    from ..tools.plugins import discover, find

    if not names:
        return {plugin.name: plugin.entry for plugin in discover() if plugin.entry is not None}
    wanted = {}
    for name in sorted(names):
        try:
            plugin = find(name)
            plugin.get()
        except (InvalidOption, ToolUnavailable) as error:
            raise InvalidOption(f"There are no weights named {name!r}. {error}") from None
        if plugin.entry is not None:
            wanted[name] = plugin.entry
    return wanted


def pull(names: set[str]) -> int:
    """Fetch what the entries need, and check it; how many there were.

    Raises:
        InvalidOption, WeightsMissing, WeightsMismatch, ToolUnavailable: The first that cannot be had.
    """
    from ..tools.adapters.build import obtain

    found = entries(names)
    for entry in found.values():
        obtain(entry, fetch=True)
    return len(found)


def verify(names: set[str]) -> dict[str, str]:
    """Read the stored files again: ``ok``, ``missing`` or ``damaged`` by name."""
    from ..tools.adapters.build import obtain

    states = {}
    for name, entry in entries(names).items():
        try:
            obtain(entry)
            states[name] = "ok"
        except WeightsMismatch:
            states[name] = "damaged"
        except (WeightsMissing, ToolUnavailable):
            states[name] = "missing"
    return states
