"""Processes that examine, one photo at a time, each with models of its own and one core.

A process that is killed at any instant must cost no more than the photo in its hands, so each has a pipe of its own:
queues that processes share have locks, which the dead keep. What comes back are numbers and texts, never pixels.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from ...errors import FacewitnessError
from . import stores
from .photos import Listed

Row = dict[str, Any]
Message = tuple[Any, ...]

START_SECONDS = 300.0
"""For a process to start."""
LOAD_SECONDS = 60.0
"""What its first photo may take longer than others, since it loads the models."""

SCORED_TOOLS = frozenset({"identity", "reference_comparison"})
"""Their values are scores too; of the other tools, calibrated probabilities are."""


@dataclass(frozen=True, slots=True)
class Options:
    """How every photo is examined; see ``examine``.

    Attributes:
        model: Who writes the reasoning, and looks.
        commercial_only: Take no weights whose terms do not allow commercial use.
        seconds: After this long a photo is given up.
        records: Whether whole records are wanted.
        person: Enrolled person to compare with; each process opens the store itself.
    """

    model: str = "none"
    commercial_only: bool = False
    seconds: float = 60.0
    records: bool = False
    person: str | None = None


class Worker:
    """One process; ``take`` gives it a photo, ``receive`` is what it says next.

    It says ``("ready",)`` once; of each photo ``("read", sha256, key)``, and then, if ``go_on`` says so,
    ``("done", row, record, repeatable, ms)``; or, instead of either, ``("failed", sha256, code, message, ms)``.

    Args:
        options: How to examine.
        core: Number of the core that it keeps to, where the system lets it choose.
    """

    def __init__(self, options: Options, core: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, options, core), daemon=True)
        self._process.start()
        theirs.close()  # so that the pipe ends when the process does
        self.core, self.ready, self.photos = core, False, 0
        self._seconds, self._loaded = options.seconds, False
        self._until = time.monotonic() + START_SECONDS

    def take(self, photo: Listed) -> None:
        """Give it a photo; raises OSError if it has ended."""
        self._until = time.monotonic() + self._seconds + (0 if self._loaded else LOAD_SECONDS)
        self.photos += 1
        self.pipe.send(photo)

    def go_on(self, examine: bool) -> None:
        """Say whether the photo that was read shall be examined; raises OSError if it has ended."""
        self.pipe.send(examine)

    def receive(self) -> Message:
        """What it says; raises EOFError or OSError if it has ended."""
        message: Message = self.pipe.recv()
        self._loaded = self._loaded or message[0] == "done"
        return message

    def left(self) -> float:
        """Seconds until it is stuck."""
        return self._until - time.monotonic()

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.pipe.close()


def _serve(pipe: Connection, options: Options, core: int) -> None:
    """The process itself, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends what it has begun
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _keep_to(core)
    from .. import examine  # noqa: F401 - what takes long to import, before the first photo's time is counted

    with suppress(EOFError, OSError):
        pipe.send(("ready",))
        while True:
            _answer(pipe, pipe.recv(), options)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # also in the midst of native code, which may never come back


def _keep_to(core: int) -> None:
    """One core for all threads of this process: the networks' runtimes start as many as there are cores."""
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, {core})


def _answer(pipe: Connection, photo: Listed, options: Options) -> None:
    started, sha256 = time.perf_counter(), None
    try:
        examined = _load(photo.path)
        sha256 = examined.sha256
        references = [_load(path) for path in photo.references]
        pipe.send(("read", sha256, _key([sha256, *(one.sha256 for one in references)])))
        if pipe.recv():
            pipe.send(("done", *_examined(examined, references, options), _since(started)))
    except FacewitnessError as error:
        pipe.send(("failed", sha256, error.code, str(error), _since(started)))
    except (EOFError, OSError):  # of the pipe; those of the photo are in the tree of errors
        raise
    except Exception as error:  # noqa: BLE001 - no photo may end the run
        pipe.send(("failed", sha256, FacewitnessError.code, type(error).__name__, _since(started)))


def _load(path: str) -> Any:
    from ...tools.image import load

    return load(stores.read(path) if stores.is_remote(path) else path)


def _key(sha256s: list[str]) -> str:
    return sha256s[0] if len(sha256s) == 1 else hashlib.sha256(" ".join(sha256s).encode()).hexdigest()


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)


def _examined(photo: Any, references: list[Any], options: Options) -> tuple[Row, str | None, bool]:
    """Columns of the verdict, the whole record if it is wanted, and whether another try would say the same."""
    from ..examine import examine_all

    # A tool may take as long as the photo: what it finds must not depend on how busy the machine is.
    found = examine_all(
        photo,
        references,
        person=options.person,
        model=options.model,
        commercial_only=options.commercial_only,
        all_faces=False,
        tool_seconds=options.seconds + LOAD_SECONDS,
    )
    record = found.records[0]
    verdict = record.verdict
    scores = {
        item.measure: item.probability if item.probability is not None else item.value
        for item in record.evidence
        if item.probability is not None or (item.tool in SCORED_TOOLS and isinstance(item.value, float))
    }
    row = {
        "label": verdict.label,
        "probabilities": verdict.probabilities,
        "abstained": verdict.abstained,
        "assessable": verdict.assessable,
        "reasons": [reason.code for reason in verdict.reasons],
        "scores": scores,
        "record": record.id,
    }
    lacking = {"failed"} if options.commercial_only else {"failed", "unavailable"}
    repeatable = not any(item.status in lacking for item in record.evidence)
    return row, record.to_json() if options.records else None, repeatable
