"""A run: photos to processes, what they say into the journal, and at the end one file; see docs/screening.md."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...errors import InvalidOption, ScreeningError
from ...tools import weights
from . import cluster, output, release
from .cache import Cache
from .journal import Journal, Row
from .photos import Listed, listed, located
from .pool import Pool, Progress, cores
from .workers import Options

NEEDED = ("yunet", "face_landmarker", "sface")
"""Weights without which no face can be examined."""
REPEATABLE = ("none", "embedded")
"""Models whose results may be cached: what a server answers may change."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for; a run that goes on must be asked for the same.

    Attributes:
        sources: Folders, photos, lists, CSV and Parquet files, by path or address; see ``photos.listed``.
        references: Photos of the person that all photos are claimed to show, beside those that a table names.
        model: See ``examine``; ``none`` writes templated text.
        commercial_only: See ``examine``.
        records: Folder for whole records, or None.
        person: Name of an enrolled person that all photos are claimed to show, or None.
    """

    sources: tuple[str | Path, ...]
    references: tuple[str | Path, ...] = ()
    model: str = "none"
    commercial_only: bool = False
    records: Path | None = None
    person: str | None = None


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


def screen(
    plan: Plan,
    out: Path,
    processes: int | None = None,
    seconds: float = 60.0,
    on_progress: Progress | None = None,
    *,
    ray: str | None = None,
    cache: Path | None = None,
) -> Summary:
    """Examine all photos and write one row for each.

    A run that was interrupted, in whatever way, goes on where it stopped when it is called again.

    Args:
        plan: What to examine, and how.
        out: The file, ``.parquet`` or ``.ndjson``; ``OUT.journal`` stands beside it until it is complete.
        processes: One for each core by default, of this machine or of the cluster.
        seconds: After this long a photo is given up, and is a row with the code ``screen.photo_too_slow``.
        on_progress: Called with the photos done and the photos in all.
        ray: Examine on a Ray cluster: ``local`` starts one here, ``auto`` or ``host:port`` joins one.
        cache: Folder where results are kept for later runs, and taken from.

    Raises:
        InvalidOption: The output exists, is being written by another run, or was begun for another plan; or options
            that do not go together.
        UnknownPerson: Nobody of that name is enrolled.
        UnreadableFile: A source or a reference does not exist.
        WeightsError: Weights of the face models are missing and cannot be fetched.
        WorkerLost: Processes do not start.
        ClusterUnusable, WorkersDiffer: The cluster does not answer, gave up, or has another release or other weights.
        ScreeningError: The journal or the cache cannot be written.
    """
    output.check(out)
    _check(plan, ray, cache)
    file = out.with_name(f"{out.name}.journal")
    if not file.exists():
        output.check_new(out, plan.records)
    for name in NEEDED:  # once, and not by every process
        weights.path(name)
    made_by = release.made_by()
    asked = json.dumps([_plain(plan), made_by], sort_keys=True)
    journal = Journal(file)
    try:
        journal.begin(asked, _photos(plan))
        started, before = time.monotonic(), journal.counts()[0]
        options = Options(plan.model, plan.commercial_only, seconds, plan.records is not None, plan.person)
        _examine(journal, options, processes, on_progress, ray, cache)
        took = time.monotonic() - started
        if plan.records is not None:
            output.write_records(plan.records, journal.records())
        output.write(out, (row | made_by for row in journal.rows()), made_by | {"models": json.dumps(release.models())})
        labels, errors, results = journal.tally()
        journal.remove()
    except sqlite3.Error as error:
        raise ScreeningError(f"{file.name} cannot be written: {error}.") from error
    finally:
        journal.close()
    photos = sum(labels.values()) + sum(errors.values())
    return Summary(photos, labels, errors, results, photos - before, took)


def _check(plan: Plan, ray: str | None, cache: Path | None) -> None:
    if plan.person is not None and ray not in (None, "local"):
        raise InvalidOption("Enrolled people do not leave this machine: with --person, --ray can only be local.")
    if ray is not None:
        cluster.library()
    if cache is not None and plan.person is not None:
        raise InvalidOption("What was compared with an enrolled person is not cached: forgetting would not reach it.")
    if cache is not None and plan.model not in REPEATABLE:
        raise InvalidOption(f"What a served model says is not cached: --model {' or '.join(REPEATABLE)}.")


def _examine(
    journal: Journal,
    options: Options,
    processes: int | None,
    on_progress: Progress | None,
    ray: str | None,
    cache: Path | None,
) -> None:
    """All pending photos, in processes of this machine or of a cluster."""
    conditions = release.conditions()
    context = json.dumps([conditions, options.model, options.commercial_only, options.records])
    if ray is not None:
        cluster.examine(ray, journal, options, conditions, processes, on_progress, (cache, context) if cache else None)
        return
    with ExitStack() as stack:
        known = stack.enter_context(closing(Cache(cache, context))) if cache else None
        allowed = cores()
        pool = Pool(options, [allowed[number % len(allowed)] for number in range(processes or len(allowed))], known)
        stack.enter_context(closing(pool)).run(journal, on_progress)


def _photos(plan: Plan) -> Iterator[Listed]:
    references = tuple(map(located, plan.references))
    for source in plan.sources:
        for photo in listed(source):
            yield replace(photo, references=(*references, *photo.references))


def _plain(plan: Plan) -> Row:
    return asdict(plan) | {
        "sources": [located(source) for source in plan.sources],
        "references": [located(path) for path in plan.references],
        "records": plan.records and located(plan.records),
        "person": plan.person and _templates(plan.person),
    }


def _templates(person: str) -> str:
    """Digest of what is enrolled now: the journal names nobody, and does not go on when it has changed."""
    from ..people import PeopleStore

    kept = [(one.photo_sha256, one.model.sha256) for one in PeopleStore().templates(person)]
    return hashlib.sha256(json.dumps(sorted(kept)).encode()).hexdigest()
