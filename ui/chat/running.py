"""Long work in a thread of its own, its progress as a stream, and an end when the visitor wants one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Event = dict[str, Any]

POLL = 0.1
"""Seconds within which a stop is noticed, also while nothing is reported."""


class Stopped(Exception):
    """The visitor asked for an end."""


class Work(Generic[T]):
    """Work that reports progress and may be stopped.

    Args:
        call: Gets the function that takes progress; run in a daemon thread.
        stop: Ends it: at its next report, and for the one who waits at once.
    """

    def __init__(self, call: Callable[[Callable[[Event], None]], T], stop: threading.Event) -> None:
        self._call, self._stop = call, stop
        self._reports: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._result: T | None = None
        self._error: BaseException | None = None

    def events(self) -> Iterator[list[Event]]:
        """Reports in batches, as they come.

        Raises:
            Stopped: An end was asked for.
        """
        threading.Thread(target=self._run, daemon=True).start()
        over = False
        while not over:
            if self._stop.is_set():
                raise Stopped
            batch = self._batch()
            over = None in batch
            if reported := [event for event in batch if event is not None]:
                yield reported

    def _batch(self) -> list[Event | None]:
        found: list[Event | None] = []
        with suppress(queue.Empty):
            found.append(self._reports.get(timeout=POLL))
            while found[-1] is not None:
                found.append(self._reports.get_nowait())
        return found

    def _run(self) -> None:
        try:
            self._result = self._call(self._report)
        except BaseException as error:  # noqa: BLE001 - handed over to the one who waits
            self._error = error
        self._reports.put(None)

    def _report(self, event: Event) -> None:
        if self._stop.is_set():
            raise Stopped
        self._reports.put(event)

    def result(self) -> T:
        """What the work returned, once ``events`` has ended; raises what it raised."""
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]
