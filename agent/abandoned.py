"""Daemon threads that may be left behind: of tools that hang."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable

SECONDS = 5.0
"""A program that ends waits so long for what was left behind."""
_NAME = "facewitness tool"


def begin(work: Callable[[], None]) -> threading.Thread:
    """Start work that must not keep the process from ending."""
    thread = threading.Thread(target=work, name=_NAME, daemon=True)
    thread.start()
    return thread


def left() -> bool:
    """Whether some of it goes on. Native code in it does not survive the interpreter's end: ``os._exit`` then."""
    return bool(_alive())


def _alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == _NAME]


@atexit.register
def _wait() -> None:
    end = time.monotonic() + SECONDS
    for thread in _alive():
        thread.join(max(0.0, end - time.monotonic()))
