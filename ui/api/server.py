"""Listening, and where it may."""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
import webbrowser

import uvicorn

from ...errors import InvalidOption
from . import logs, traces
from .app import create_app
from .service import Service
from .settings import Settings
from .watchdog import watched

DRAIN = 10
"""Seconds that open connections get when the process is asked to end."""


def serve(settings: Settings, host: str, port: int, page: str = "", browse: bool = False) -> None:
    """Serve until the process is asked to end; ``port`` 0 takes a free one, which the first line on stderr names.

    Args:
        settings: See ``Settings``.
        host: Address to listen on.
        port: Its port.
        page: Path that the first line on stderr names, too.
        browse: Open that in the user's browser.

    Raises:
        InvalidOption: The address cannot be had, or is open to others while there are no API keys.
        DatabaseUnusable, StoreError: See ``Service``.
    """
    service = Service(settings)
    if not _loopback(host) and not service.keys.any_valid():
        raise InvalidOption("Other machines need API keys: make one with `facewitness keys create`.")
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise InvalidOption(f"The address cannot be used ({error.strerror}).") from None
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}{page}"
    print(f"facewitness: listening on {address}", file=sys.stderr, flush=True)
    logs.configure(sys.stderr)
    if settings.traces:
        traces.configure()
    if browse:  # it waits for the listener until the server runs
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    with watched(settings.lease):
        http_server(service).run(sockets=[listener])


def http_server(service: Service) -> uvicorn.Server:
    """The HTTP server of a service, not yet running; it writes no log of its own."""
    config = uvicorn.Config(
        create_app(service),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=DRAIN,
    )
    return uvicorn.Server(config)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
