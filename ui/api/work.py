"""Threads that do the examinations, and one that deletes what is too old."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any

import c2pa
from PIL import Image
from sqlalchemy.exc import InterfaceError, OperationalError

from ...agent.examine import Examination, examine_all
from ...agent.record import Record
from ...errors import FacewitnessError, JobLost, ServiceError, UnknownPerson
from .. import overlays, page
from ..wording import sentences
from . import problems, traces
from .jobs import Jobs, Json
from .leases import MAX_ATTEMPTS, Claim, Leases
from .logs import LOG
from .marking import Marker
from .signing import Signature, canonical

if TYPE_CHECKING:
    from .service import Service

POLL = 0.25
RETRY, PATIENCE = 1.0, 3600.0
"""Seconds between two attempts to write an end, and for which it is tried."""
UNWRITABLE = (OperationalError, InterfaceError)
FLUSH = 0.1
SWEEP = 60.0
REPORT, REPORT_PDF = "report.html", "report.pdf"
DRAFT = "draft"


class Worker(threading.Thread):
    """Takes examinations from the queue, one at a time.

    Args:
        service: What it works with.
        wake: Set when something was handed in.
        stop: Set when the process ends.
    """

    def __init__(self, service: Service, wake: threading.Event, stop: threading.Event) -> None:
        super().__init__(name="facewitness-worker", daemon=True)
        self._leases, self._settings, self._signer = service.leases, service.settings, service.signer
        self._people, self._decoder, self._metrics = service.people, service.decoder, service.metrics
        self._marker = service.marker
        self._wake, self._stop_asked = wake, stop

    def run(self) -> None:
        """Until the process ends; a database that does not answer is asked again."""
        while not self._stop_asked.is_set():
            try:
                claim = self._leases.claim()
                if claim is not None:
                    self._work(claim)
                    continue
            except Exception as error:  # noqa: BLE001 - the lease runs out, and the examination is begun again
                LOG.error("worker failed", error=type(error).__name__)
            self._wake.wait(POLL)
            self._wake.clear()

    def _work(self, claim: Claim) -> None:
        if claim.attempt > 1:
            self._metrics.retry()
        if claim.attempt > MAX_ATTEMPTS:
            self._fail(claim, JobLost(f"The examination was begun {MAX_ATTEMPTS} times and never ended."))
            return
        if claim.damaged:
            self._fail(claim, ServiceError("What was handed in can no longer be read; hand it in again."))
            return
        restarted = [{"event": "restarted", "data": {"attempt": claim.attempt}}] if claim.attempt > 1 else []
        try:
            with _Pulse(self._leases, claim, self._settings.lease, restarted) as tell:
                with traces.span("examine") as span:
                    examination = self._examine(claim, tell)
                    traces.verdict(span, examination.records[0])
                end, pictures = self._told(claim, examination)
        except UnknownPerson:  # whose message has the name, which is not kept
            self._fail(claim, UnknownPerson("Nobody is enrolled under the name that was given."))
        except FacewitnessError as error:
            self._fail(claim, error)
        except Exception as error:  # noqa: BLE001 - unforeseen, so worth another attempt
            LOG.error("examination failed", error=type(error).__name__)
            if claim.attempt < MAX_ATTEMPTS:
                self._leases.give_back(claim)
            else:
                self._fail(claim, ServiceError("The examination failed."))
        else:
            record = examination.records[0]
            if self._end(claim, end, events=_sentences(record), pictures=pictures):
                self._metrics.verdict(record)

    def _examine(self, claim: Claim, tell: Callable[[Json], None]) -> Examination:
        submission, options = claim.submission, claim.submission.options
        return examine_all(
            self._decoder.load(submission.photo),
            [self._decoder.load(reference) for reference in submission.references],
            person=options.person,
            people=self._people.store(claim.owner),
            question=options.question,
            face=options.face,
            model=self._settings.model,
            commercial_only=self._settings.commercial_only or options.commercial_only,
            all_faces=False,
            on_progress=lambda progress: tell({"event": _kind(progress), "data": progress}),
        )

    def _told(self, claim: Claim, examination: Examination) -> tuple[Json, dict[str, bytes]]:
        """The end, signed, and the pictures to keep; of a large photo they take longer to draw than a lease."""
        plain = examination.records[0].model_dump(mode="json", by_alias=True)
        signature = self._signer.sign(plain)
        pictures = {}
        if claim.submission.options.keep_pictures:
            pictures = _pictures(examination, plain, signature, self._marker)
        return {"record": plain, "signature": signature.model_dump()}, pictures

    def _fail(self, claim: Claim, error: FacewitnessError) -> None:
        if self._end(claim, {"problem": problems.problem_of(error)}, failed=True):
            self._metrics.failure(error.code)

    def _end(self, claim: Claim, end: Json, **more: Any) -> bool:
        """Write the end, as ``Leases.finish``.

        While the database cannot be written, its disk full or its server away, that is tried again under the same
        lease: an attempt more would not help, and after ``MAX_ATTEMPTS`` the examination would be lost.
        """
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return self._leases.finish(claim, end, **more)
            except UNWRITABLE as error:
                LOG.error("end not written", error=type(error).__name__)
                if time.monotonic() > until or self._stop_asked.wait(RETRY):
                    raise
            with contextlib.suppress(*UNWRITABLE):
                self._leases.beat(claim)


def _kind(progress: Json) -> str:
    if progress["status"] == "writing":
        return DRAFT
    return "evidence" if "finding" in progress else "stage"


def _sentences(record: Record) -> list[Json]:
    """The explanation as events: a sentence is told only after it was checked against the evidence."""
    return [
        {"event": "sentence", "data": {"section": section, **claim.model_dump()}}
        for section, claims in sentences(record.explanation).items()
        for claim in claims
    ]


def _pictures(examination: Examination, plain: Json, signature: Signature, marker: Marker | None) -> dict[str, bytes]:
    """The page, the same as a PDF, and an overlay for every item of evidence that has something to draw."""
    from ..chat.pdf import document  # loads what verdicts without pictures never need

    record, rgb = examination.records[0], examination.photo.rgb
    by_id = {item.id: item for item in record.evidence}
    digest = hashlib.sha256(canonical(plain)).hexdigest()
    drawn = {REPORT: page.render(examination).encode(), REPORT_PDF: document(examination, digest, signature)}
    for key in (key for layer in overlays.layers(record, examination.pictures) for key in layer.ids):
        buffer = BytesIO()
        Image.fromarray(overlays.draw_evidence(rgb, by_id[key], examination.pictures.get(key))).save(buffer, "PNG")
        drawn[f"{key}.png"] = _marked(marker, buffer.getvalue(), record.id, digest, key)
    return drawn


def _marked(marker: Marker | None, png: bytes, record: str, digest: str, evidence: str) -> bytes:
    """With Content Credentials, where there is a certificate that is still valid."""
    if marker is None:
        return png
    try:
        return marker.mark(png, record, digest, evidence)
    except c2pa.C2paError as error:  # a verdict is worth more than a mark in its pictures
        LOG.error("overlay not marked", error=type(error).__name__)
        return png


class _Pulse:
    """While a block runs: writes its events every ``FLUSH`` seconds and extends its lease.

    Yields:
        A function that takes an event.
    """

    def __init__(self, leases: Leases, claim: Claim, lease: float, events: list[Json]) -> None:
        self._leases, self._claim, self._lease, self._events = leases, claim, lease, events
        self._lock, self._done = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="facewitness-pulse", daemon=True)

    def __enter__(self) -> Callable[[Json], None]:
        self._thread.start()
        return self._tell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._beat()

    def _tell(self, event: Json) -> None:
        with self._lock:
            if event["event"] == DRAFT and self._events and _same_sentence(self._events[-1], event):
                told = self._events[-1]["data"]
                self._events[-1] = {**event, "data": {**told, "text": told["text"] + event["data"]["text"]}}
            else:
                self._events.append(event)

    def _run(self) -> None:
        beaten = time.monotonic()
        while not self._done.wait(FLUSH):
            if self._events or time.monotonic() - beaten > self._lease / 3:
                self._beat()
                beaten = time.monotonic()

    def _beat(self) -> None:
        with self._lock:
            events, self._events = self._events, []
        try:
            self._leases.beat(self._claim, events)
        except Exception as error:  # noqa: BLE001 - the next beat may come through; else the lease runs out
            LOG.error("pulse failed", error=type(error).__name__)


def _same_sentence(one: Json, other: Json) -> bool:
    """Whether two pieces of drafts can be told as one."""
    place = ("face", "section", "sentence")
    return one["event"] == DRAFT and all(one["data"][name] == other["data"][name] for name in place)


class Sweeper(threading.Thread):
    """Deletes what may not be kept any longer, every ``SWEEP`` seconds.

    Args:
        jobs: What is swept.
        stop: Set when the process ends.
    """

    def __init__(self, jobs: Jobs, stop: threading.Event) -> None:
        super().__init__(name="facewitness-sweeper", daemon=True)
        self._jobs, self._stop_asked = jobs, stop

    def run(self) -> None:
        """Until the process ends."""
        while not self._stop_asked.is_set():
            try:
                self._jobs.sweep()
            except Exception as error:  # noqa: BLE001 - tried again in a while
                LOG.error("sweeper failed", error=type(error).__name__)
            self._stop_asked.wait(SWEEP)
