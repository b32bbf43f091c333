"""The steps of an examination as they come: the graph's stages, and the tools nested in one of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ...tools.registry import tools
from .text import words


@dataclass
class Step:
    """One stage or tool.

    Attributes:
        title: What a person reads.
        face: Id of the face, or None.
        status: ``started``, ``done``, or why there is no measurement, as in evidence.
        ms: How long it took.
        finding: First finding of a tool.
        tool: Whether it is nested under the tools.
    """

    title: str
    face: str | None
    tool: bool
    status: str = "started"
    ms: float | None = None
    finding: str | None = None


@dataclass
class Steps:
    """All steps of one run, in the order in which they began.

    Attributes:
        ended: ``done`` or ``stopped``; None while it runs.
        seconds: How long it took.
    """

    ended: str | None = None
    seconds: float = 0.0
    _started: float = field(default_factory=time.perf_counter)
    _found: dict[tuple[str, str | None], Step] = field(default_factory=dict)
    _drafted: dict[int, str] = field(default_factory=dict)

    def note(self, event: dict[str, Any]) -> None:
        """Take in an event of ``examine_all``'s progress."""
        stage, face = event["stage"], event.get("face")
        if event["status"] == "writing":
            self._drafted[event["sentence"]] = self._drafted.get(event["sentence"], "") + event["text"]
            return
        step = self._found.get((stage, face))
        if step is None or event["status"] == "started":
            step = self._found[stage, face] = Step(_title(stage), face, tool="face" in event)
        step.status = event["status"]
        step.ms = event.get("ms", step.ms)
        step.finding = event.get("finding", step.finding)

    def end(self, how: str) -> None:
        """The run is over: ``done`` or ``stopped``."""
        self.ended, self.seconds = how, time.perf_counter() - self._started

    @property
    def listed(self) -> list[tuple[Step | None, list[Step]]]:
        """Stages; at the place of the first tool None, with all tools."""
        rows: list[tuple[Step | None, list[Step]]] = []
        tools_row: list[Step] = []
        for step in self._found.values():
            if not step.tool:
                rows.append((step, []))
            elif not tools_row:
                tools_row.append(step)
                rows.append((None, tools_row))
            else:
                tools_row.append(step)
        return rows

    @property
    def faces(self) -> int:
        """How many faces were measured."""
        return len({step.face for step in self._found.values()} - {None})

    @property
    def draft(self) -> str:
        """What a language model has written so far; nothing of it is checked."""
        return " ".join(self._drafted.values())

    @property
    def count(self) -> int:
        """How many steps there were."""
        return len(self._found)

    @property
    def all(self) -> list[Step]:
        """Every step."""
        return list(self._found.values())


def _title(stage: str) -> str:
    known: dict[str, str] = words()["steps"]["stages"]
    if stage in known or stage not in tools():
        return known.get(stage) or stage.replace("_", " ").capitalize()
    return tools()[stage].title
