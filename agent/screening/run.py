"""A run: photos to processes, what they say into the journal, and at the end one file; see docs/screening.md."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from multiprocessing.connection import Connection, wait
from pathlib import Path

from ...errors import PhotoTooSlow, ScreeningError, WorkerLost
from ...tools import weights
from .. import fusion
from . import output
from .journal import Journal, Outcome, Row
from .photos import Listed, listed
from .workers import Options, Worker

TRIES = 3
"""A photo, or a start, that ends so many processes is given up."""
PHOTOS = 10_000
"""After so many a process is replaced, so that what a library leaks stays small."""
NEEDED = ("yunet", "face_landmarker", "sface")
"""Weights without which no face can be examined."""

Progress = Callable[[int, int], None]  # photos done, photos in all


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for; a run that goes on must be asked for the same.

    Attributes:
        sources: Folders, photos, lists, CSV and Parquet files; see ``photos.listed``.
        references: Photos of the person that all photos are claimed to show, beside those that a table names.
        model: See ``examine``; ``none`` writes templated text.
        commercial_only: See ``examine``.
        records: Folder for whole records, or None.
    """

    sources: tuple[Path, ...]
    references: tuple[Path, ...] = ()
    model: str = "none"
    commercial_only: bool = False
    records: Path | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run gave.

    Attributes:
        photos: Rows of the output.
        labels: Photos by label.
        errors: Photos by error code.
        results: Different photos that were examined: the same bytes are examined once.
        done: Photos that this run did; the others an earlier one.
        seconds: That this run took.
    """

    photos: int
    labels: dict[str, int]
    errors: dict[str, int]
    results: int
    done: int
    seconds: float

    @property
    def photos_per_second(self) -> float:
        """Of this run."""
        return self.done / max(self.seconds, 1e-9)


@dataclass(slots=True)
class _Job:
    place: int
    photo: Listed
    sha256: str | None = None
    key: str | None = None
    tries: int = 0


def cores() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def screen(
    plan: Plan,
    out: Path,
    processes: int | None = None,
    seconds: float = 60.0,
    on_progress: Progress | None = None,
) -> Summary:
    """Examine all photos and write one row for each.

    A run that was interrupted, in whatever way, goes on where it stopped when it is called again.

    Args:
        plan: What to examine, and how.
        out: The file, ``.parquet`` or ``.ndjson``; ``OUT.journal`` stands beside it until it is complete.
        processes: One for each core by default.
        seconds: After this long a photo is given up, and is a row with the code ``screen.photo_too_slow``.
        on_progress: Called with the photos done and the photos in all.

    Raises:
        InvalidOption: The output exists, is being written by another run, or was begun for another plan.
        UnreadableFile: A source or a reference does not exist.
        WeightsError: Weights of the face models are missing and cannot be fetched.
        WorkerLost: Processes do not start.
        ScreeningError: The journal cannot be written.
    """
    output.check(out)
    file = out.with_name(f"{out.name}.journal")
    if not file.exists():
        output.check_new(out, plan.records)
    for name in NEEDED:  # once, and not by every process
        weights.path(name)
    used = _weights()
    journal = Journal(file)
    try:
        made_by = {"software": f"facewitness {version('facewitness')}", "weights": _digest(used)}
        journal.begin(json.dumps([_plain(plan), made_by], sort_keys=True), _photos(plan))
        started = time.monotonic()
        options = Options(plan.model, plan.commercial_only, seconds, plan.records is not None)
        done = _Run(journal, options, on_progress).run(processes or len(cores()))
        took = time.monotonic() - started
        if plan.records is not None:
            output.write_records(plan.records, journal.records())
        output.write(out, (row | made_by for row in journal.rows()), made_by | {"models": json.dumps(used)})
        labels, errors, results = journal.tally()
        journal.remove()
    except sqlite3.Error as error:
        raise ScreeningError(f"{file.name} cannot be written: {error}.") from error
    finally:
        journal.close()
    return Summary(sum(labels.values()) + sum(errors.values()), labels, errors, results, done, took)


def _photos(plan: Plan) -> Iterator[Listed]:
    for source in plan.sources:
        for photo in listed(source):
            yield replace(photo, references=(*(os.path.abspath(path) for path in plan.references), *photo.references))


def _plain(plan: Plan) -> Row:
    return json.loads(json.dumps(asdict(plan), default=os.path.abspath))  # type: ignore[no-any-return]


def _weights() -> dict[str, str]:
    """Sha256 by name of all that an examination may use."""
    return {entry.name: entry.sha256 for entry in weights.entries()} | {"fusion": str(fusion.card().sha256)}


def _digest(used: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()


class _Run:
    """The loop of the parent process.

    Photos with the same bytes are examined once: whoever reads them while they are being examined waits for it.
    """

    def __init__(self, journal: Journal, options: Options, on_progress: Progress | None) -> None:
        self._journal, self._options = journal, options
        self._told = on_progress or (lambda done, total: None)
        self._done, self._total = journal.counts()
        self._pending = journal.pending()
        self._again: deque[_Job] = deque()
        self._waiting: dict[str, list[_Job]] = {}  # by key of what is being examined
        self._workers: dict[Connection, Worker] = {}
        self._jobs: dict[Connection, _Job] = {}
        self._failed_starts = 0

    def run(self, processes: int) -> int:
        """Until all photos are done; how many this run did."""
        before, allowed = self._done, cores()
        self._told(self._done, self._total)
        try:
            for number in range(min(processes, self._total - self._done)):
                self._start(allowed[number % len(allowed)])
            while self._done < self._total:
                self._turn()
        finally:
            self._journal.commit()
            for worker in self._workers.values():
                worker.kill()
        return self._done - before

    def _start(self, core: int) -> None:
        worker = Worker(self._options, core)
        self._workers[worker.pipe] = worker

    def _turn(self) -> None:
        """Hear what the processes say, and end those that are stuck."""
        busy = [worker for pipe, worker in self._workers.items() if pipe in self._jobs or not worker.ready]
        heard = wait([worker.pipe for worker in busy], max(0.0, min(worker.left() for worker in busy)))
        for pipe in heard:
            assert isinstance(pipe, Connection)
            worker = self._workers[pipe]
            try:
                self._hear(worker, worker.receive())
            except (EOFError, OSError):
                self._lost(worker)
        for worker in busy:
            if worker.pipe not in heard and worker.left() <= 0:
                self._stuck(worker)
        self._journal.commit()
        self._told(self._done, self._total)

    def _next(self, worker: Worker) -> None:
        """Give a process its next photo, if there is one."""
        if self._again:
            job = self._again.popleft()
        elif found := next(self._pending, None):
            job = _Job(*found)
        else:
            return
        self._jobs[worker.pipe] = job
        worker.take(job.photo)

    def _hear(self, worker: Worker, message: tuple[object, ...]) -> None:
        job = self._jobs.get(worker.pipe)
        match message:
            case ("ready",):
                worker.ready, self._failed_starts = True, 0
                self._next(worker)
            case ("read", str(sha256), str(key)) if job is not None:
                job.sha256, job.key = sha256, key
                self._read(worker, job, key)
            case ("done", dict(row), record, float(ms)) if job is not None and job.key is not None:
                assert record is None or isinstance(record, str)
                self._journal.add(job.key, row, record)
                self._settle(job, Outcome(result=job.key, ms=ms))
                self._free(worker)
            case ("failed", sha256, str(code), str(text), float(ms)) if job is not None:
                job.sha256 = sha256 if isinstance(sha256, str) else None
                self._settle(job, Outcome(error=code, message=text, ms=ms))
                self._free(worker)

    def _read(self, worker: Worker, job: _Job, key: str) -> None:
        """Decide whether what was read is to be examined."""
        known = self._journal.has(key)
        if not known and key not in self._waiting:
            self._waiting[key] = []
            worker.go_on(True)
            return
        del self._jobs[worker.pipe]
        if known:
            self._finish(job, Outcome(result=key))
        else:
            self._waiting[key].append(job)
        worker.go_on(False)
        self._next(worker)

    def _free(self, worker: Worker) -> None:
        del self._jobs[worker.pipe]
        if worker.photos < PHOTOS:
            self._next(worker)
        else:
            self._replace(worker)

    def _settle(self, job: _Job, outcome: Outcome) -> None:
        """Keep what became of a photo, and of those with the same bytes that wait for it."""
        self._finish(job, outcome)
        for other in self._waiting.pop(job.key, []) if job.key is not None else []:
            self._finish(other, replace(outcome, ms=0.0))

    def _finish(self, job: _Job, outcome: Outcome) -> None:
        self._journal.finish(job.place, replace(outcome, sha256=job.sha256))
        self._done += 1

    def _stuck(self, worker: Worker) -> None:
        """Its photo, if it has one, is given up."""
        job = self._jobs.pop(worker.pipe, None)
        if job is not None:
            text = f"The photo took over {self._options.seconds:g} seconds."
            self._settle(job, Outcome(error=PhotoTooSlow.code, message=text, ms=self._options.seconds * 1000))
        self._replace(worker)

    def _lost(self, worker: Worker) -> None:
        """It ended: perhaps by its photo, perhaps from outside, so the photo is tried again a few times."""
        job = self._jobs.pop(worker.pipe, None)
        if job is not None:
            job.tries += 1
            if job.tries < TRIES:
                again = [job, *(self._waiting.pop(job.key, []) if job.key is not None else [])]
                for one in again:
                    one.sha256 = one.key = None  # the file may be another by then
                self._again.extend(again)
            else:
                text = f"The photo ended {TRIES} processes."
                self._settle(job, Outcome(error=WorkerLost.code, message=text))
        self._replace(worker)

    def _replace(self, worker: Worker) -> None:
        del self._workers[worker.pipe]
        worker.kill()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts >= TRIES:
                raise WorkerLost(f"{TRIES} processes that examine photos ended, or were stuck, as they started.")
        if self._done < self._total:
            self._start(worker.core)
