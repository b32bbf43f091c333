"""Photos to processes, and what they say into the journal."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait

from ...errors import PhotoTooSlow, WorkerLost
from .cache import Results
from .journal import Journal, Outcome
from .photos import Listed
from .workers import Options, Worker

TRIES = 3
"""A photo, or a start, that ends so many processes is given up."""
PHOTOS = 10_000
"""After so many a process is replaced, so that what a library leaks stays small."""

Progress = Callable[[int, int], None]  # photos done, photos in all


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


class Pool:
    """One process for each core that is given, kept from one journal to the next.

    Photos with the same bytes are examined once: whoever reads them while they are being examined waits for it.

    Args:
        options: How to examine.
        cores: Number of the core of each process.
        cache: Asked before a photo is examined.
    """

    def __init__(self, options: Options, cores: Sequence[int], cache: Results | None = None) -> None:
        self._options, self._cores, self._cache = options, cores, cache
        self._workers: dict[Connection, Worker] = {}
        self._failed_starts = 0

    def run(self, journal: Journal, on_progress: Progress | None = None) -> None:
        """Until all photos of a journal are done.

        Raises:
            WorkerLost: No process starts.
        """
        self._journal, self._told = journal, on_progress or (lambda done, total: None)
        self._done, self._total = journal.counts()
        self._pending = journal.pending()
        self._again: deque[_Job] = deque()
        self._waiting: dict[str, list[_Job]] = {}  # by key of what is being examined
        self._jobs: dict[Connection, _Job] = {}
        self._told(self._done, self._total)
        try:
            self._begin()
            while self._done < self._total:
                self._turn()
        finally:
            journal.commit()

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.kill()
        self._workers.clear()

    def _begin(self) -> None:
        """A photo for each process that an earlier journal left, and as many new ones as are wanted."""
        for worker in [*self._workers.values()]:
            if worker.ready:
                try:
                    self._next(worker)
                except OSError:
                    self._lost(worker)
        for core in self._cores[len(self._workers) : self._total - self._done]:
            self._start(core)

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
            case ("done", dict(row), record, repeatable, float(ms)) if job is not None and job.key is not None:
                assert record is None or isinstance(record, str)
                self._journal.add(job.key, row, record)
                if self._cache and repeatable:
                    self._cache.put(job.key, row, record)
                self._settle(job, Outcome(result=job.key, ms=ms))
                self._free(worker)
            case ("failed", sha256, str(code), str(text), float(ms)) if job is not None:
                job.sha256 = sha256 if isinstance(sha256, str) else None
                self._settle(job, Outcome(error=code, message=text, ms=ms))
                self._free(worker)

    def _read(self, worker: Worker, job: _Job, key: str) -> None:
        """Decide whether what was read is to be examined."""
        known = self._known(key)
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

    def _known(self, key: str) -> bool:
        """Whether the journal has the result, perhaps from the cache now."""
        if self._journal.has(key):
            return True
        found = self._cache and self._cache.get(key)
        if found:
            self._journal.add(key, *found)
        return bool(found)

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
