"""Waiting for an examination, whichever process works on it: the database is asked, first often, then less."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from .jobs import UNFINISHED, Jobs, Json

FIRST, LONGEST = 0.03, 0.5
"""Seconds between two questions."""


async def ended(jobs: Jobs, owner: str, job: str, seconds: float) -> bool:
    """Whether it ends within so many seconds; raises NotFound once it is deleted."""
    end, pause = time.monotonic() + seconds, FIRST
    while await run_in_threadpool(jobs.status, owner, job) in UNFINISHED:
        left = end - time.monotonic()
        if left <= 0:
            return False
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.3, LONGEST)
    return True


async def events(jobs: Jobs, owner: str, job: str, after: int) -> AsyncIterator[tuple[int, Json]]:
    """Events later than number ``after`` as they come, until the examination has ended."""
    pause = FIRST
    while True:
        status, found = await run_in_threadpool(jobs.events, owner, job, after)
        for number, event in found:
            after, pause = number, FIRST
            yield number, event
        if status not in UNFINISHED:
            return
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, LONGEST)
