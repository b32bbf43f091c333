"""Around every request: other sites kept out, headers, one line in the log, and no failure shown from inside."""

from __future__ import annotations

import re
import time
from collections.abc import MutableMapping
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import FacewitnessError, NotPermitted
from . import problems, traces
from .access import ApiKeys
from .logs import LOG
from .metrics import Metrics

_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)


class Guard:
    """ASGI middleware.

    While no API key was ever made, the service trusts whoever reaches it on this machine. A page of another site that
    is open in a browser here must not: so the ``Host`` must be a name of this machine, and an ``Origin`` must be
    the service itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; lifespan messages go through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with traces.span("request") as span:
            route, status = await self._serve(scope, receive, send)
            traces.request(span, scope["method"] if route != "unknown" else "OTHER", route, status)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> tuple[str, int]:
        """Route as declared, and status."""
        started, state = time.perf_counter(), scope.setdefault("state", {})
        metrics: Metrics = scope["app"].state.service.metrics  # a mounted app puts itself in the scope
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(MutableHeaders(scope=message), state)
            await send(message)

        try:
            await _check_origin(scope)
            await self.app(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - a client must not see it, nor a log its message
            if not isinstance(error, FacewitnessError):
                LOG.error("request failed", error=type(error).__name__)
            if status == 0:
                await problems.handle(Request(scope), error)(scope, receive, send_with_headers)
        return _note(metrics, scope, state, status, time.perf_counter() - started), status


async def _check_origin(scope: Scope) -> None:
    headers = Headers(scope=scope)
    host, origin = headers.get("host", ""), headers.get("origin")
    own = _HOST.fullmatch(host) is not None and (origin is None or origin.partition("://")[2] == host)
    keys: ApiKeys = scope["app"].state.service.keys
    if not (own or keys.made or await run_in_threadpool(keys.required)):
        raise NotPermitted("Without API keys the service is for this machine, and not for pages of other sites.")


def _add_headers(headers: MutableHeaders, state: MutableMapping[str, Any]) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Cache-Control", "no-store")
    if "standing" in state:
        headers.update(state["standing"].headers())


def _note(metrics: Metrics, scope: Scope, state: MutableMapping[str, Any], status: int, seconds: float) -> str:
    """Method, route as declared, status and time: no address, no id, no query; the route."""
    route = getattr(scope.get("route"), "path", "unknown")
    method = scope["method"] if route != "unknown" else "OTHER"  # which may be any word
    principal = state.get("principal", "-")
    metrics.request(method, route, status)
    LOG.info("request", method=method, route=route, status=status, ms=round(seconds * 1000), key=principal)
    return str(route)
