"""OpenTelemetry traces without payload: routes as declared, statuses, times, labels; no id, no address, no text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.trace import Span

from ...agent.record import Record
from ...errors import InvalidOption

TRACER = trace.get_tracer("facewitness")
"""Does nothing until ``configure`` was called."""
FLUSH_MS = 3000


@contextmanager
def span(name: str) -> Iterator[Span]:
    """A span; of an exception that passes through nothing is recorded, for its message may hold what a client sent."""
    with TRACER.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as started:
        yield started


def request(started: Span, method: str, route: str, status: int) -> None:
    """Name and describe the span of a request, once its route is known."""
    started.update_name(f"{method} {route}")
    started.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})


def verdict(started: Span, record: Record) -> None:
    """Describe the span of an examination: label, whether it abstained, and milliseconds by stage."""
    started.set_attributes(
        {"facewitness.label": record.verdict.label, "facewitness.abstained": record.verdict.abstained}
    )
    started.set_attributes({f"facewitness.ms.{stage}": float(ms) for stage, ms in record.timings_ms.items()})


def configure() -> None:
    """Export spans by OTLP over HTTP to where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says.

    Raises:
        InvalidOption: The extra ``telemetry`` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InvalidOption(f"Traces need {error.name}: install facewitness[telemetry].") from None
    named = Resource({"service.name": "facewitness", "service.version": version("facewitness")})
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def flush() -> None:
    """Export what has not been; a process that a signal ends does nothing more afterwards."""
    export = getattr(trace.get_tracer_provider(), "force_flush", None)
    if export is not None:
        export(FLUSH_MS)
