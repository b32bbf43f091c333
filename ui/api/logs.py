"""The log: a line of JSON for each event, in which only fields that are named here appear, and no text of a client."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

FIELDS = frozenset(
    {"event", "timestamp", "level", "logger", "method", "route", "status", "ms", "key", "error", "attempt"}
)
"""Others are left out: a name, a question, a photo or a path that somebody logs one day does not get through."""
_SECRETS = re.compile(
    r"(?:fwk_|whsec_)[\w+/=-]+"  # keys and secrets of webhooks
    r"|Bearer\s+\S+"
    r"|data:[\w/+.-]+;base64,\S*"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"  # addresses of people
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b|(?:[0-9a-fA-F]{0,4}:){3,}[0-9a-fA-F.:]*"  # and of machines
    r"|(?:/[\w.@-]+){2,}"  # paths
    r"|[\w+/=-]{32,}",  # base64, digests, ids
    re.IGNORECASE,
)
_MARK = "[redacted]"
Event = MutableMapping[str, Any]
_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
LOG: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("facewitness.api"),
    processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    wrapper_class=structlog.stdlib.BoundLogger,
)
"""What the service logs with; silent until ``configure`` was called."""


def redact(logger: object, method: str, event: Event) -> Event:
    """Processor of structlog: leave out what is not in ``FIELDS``, and what looks like a secret or personal."""
    shown = {name: value for name, value in event.items() if name in FIELDS}
    for name, value in shown.items():
        if isinstance(value, str) and name not in ("timestamp", "route"):
            shown[name] = _SECRETS.sub(_MARK, value)
        elif not isinstance(value, str | int | float | bool | None):
            shown[name] = _MARK
    return shown


def _type_alone(logger: object, method: str, event: Event) -> Event:
    """Of an exception its type: the message may hold what a client sent."""
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    kind = raised[0] if isinstance(raised, tuple) else type(raised) if raised else None
    if kind is not None:
        event["error"] = kind.__name__
    return event


def configure(stream: TextIO) -> None:
    """Send what this process logs, also through other libraries, to a stream; theirs from warnings up."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED, processors=[_type_alone, redact, structlog.processors.JSONRenderer()]
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("facewitness").setLevel(logging.INFO)
