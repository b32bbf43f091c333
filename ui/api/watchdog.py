"""Ends a process that can do nothing any more: native code that loops while it holds the interpreter's lock.

No thread of Python runs then, neither a heartbeat nor a handler of signals, so the process would stand for good, with
its connections open. ``faulthandler`` has a thread in C that needs no lock.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LEAST = 120.0
"""Seconds that native code may hold the lock, however short the lease is: loading a model does on a slow disk."""
EVERY = 1.0


@contextmanager
def watched(lease: float) -> Iterator[None]:
    """While a block runs: end the process, with status 1, once no thread of Python has run for so long.

    The stacks of its threads, names of functions and files alone, go to standard error before.

    Args:
        lease: Seconds after which other processes take over what this one was doing; ``LEAST`` at least.
    """
    done = threading.Event()
    seconds = max(lease, LEAST)

    def run() -> None:
        while not done.is_set():
            faulthandler.dump_traceback_later(seconds, exit=True, file=sys.stderr)
            done.wait(EVERY)

    thread = threading.Thread(target=run, name="facewitness-watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        faulthandler.cancel_dump_traceback_later()
