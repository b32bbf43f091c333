"""Daemon threads that may be left behind: of tools that hang."""

from __future__ import annotations

import threading
from collections.abc import Callable

_NAME = "facewitness tool"


def begin(work: Callable[[], None]) -> threading.Thread:
    """Start work that must not keep the process from ending."""
    thread = threading.Thread(target=work, name=_NAME, daemon=True)
    thread.start()
    return thread


def left() -> bool:
    """Whether some of it goes on. Native code in it does not survive the interpreter's end: ``os._exit`` then."""
    return any(thread.name == _NAME for thread in threading.enumerate())
