"""What Prometheus reads; nothing in it tells of a photo, a person or an API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .jobs import Jobs

if TYPE_CHECKING:
    from ...agent.record import Record

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one process, and the queue of all.

    Args:
        jobs: Says how many examinations wait and run.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs, self._registry = jobs, CollectorRegistry()
        self._requests = Counter(
            "facewitness_requests", "HTTP requests", ["method", "route", "status"], registry=self._registry
        )
        self._verdicts = Counter("facewitness_verdicts", "Verdicts", ["label"], registry=self._registry)
        self._abstentions = Counter(
            "facewitness_abstentions", "Inconclusive verdicts by first reason", ["reason"], registry=self._registry
        )
        self._failures = Counter("facewitness_failures", "Failed examinations", ["code"], registry=self._registry)
        self._retries = Counter("facewitness_retries", "Examinations begun again", registry=self._registry)
        self._stages = Histogram(
            "facewitness_stage_seconds", "Time by stage", ["stage"], buckets=_SECONDS, registry=self._registry
        )
        self._webhooks = Counter("facewitness_webhooks", "Messages to webhooks", ["result"], registry=self._registry)
        self._queue = Gauge("facewitness_queue", "Unfinished examinations", ["status"], registry=self._registry)

    def request(self, method: str, route: str, status: int) -> None:
        """Count an answered request."""
        self._requests.labels(method, route, status).inc()

    def verdict(self, record: Record) -> None:
        """Count a verdict and its times."""
        self._verdicts.labels(record.verdict.label).inc()
        if record.verdict.abstained and record.verdict.reasons:
            self._abstentions.labels(record.verdict.reasons[0].code).inc()
        for stage, milliseconds in record.timings_ms.items():
            self._stages.labels(stage).observe(milliseconds / 1000)

    def failure(self, code: str) -> None:
        """Count an examination that ended in a problem."""
        self._failures.labels(code).inc()

    def retry(self) -> None:
        """Count an examination that an earlier attempt had begun."""
        self._retries.inc()

    def webhook(self, result: str) -> None:
        """Count an attempt: ``taken``, ``retried`` or ``given up``."""
        self._webhooks.labels(result).inc()

    def text(self) -> bytes:
        """Prometheus text format."""
        for status, count in self._jobs.counts().items():
            self._queue.labels(status).set(count)
        return generate_latest(self._registry)
