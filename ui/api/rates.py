"""How many requests that start work one API key may make in a minute, whichever processes they reach."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ...errors import TooManyRequests
from .access import Caller, Principal, Scope
from .database import Database, now
from .tables import Rate

WINDOW = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a minute: requests, and seconds until one more is allowed."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "RateLimit-Policy": f'"work";q={self.limit};w={WINDOW:.0f}',
            "RateLimit": f'"work";r={self.remaining};t={self.reset}',
        }


class Rates:
    """A moving window of a minute for each API key, in the database that all processes share.

    ``limits``, which has such windows, keeps them in one process or in a server of its own (Redis and others).

    Args:
        database: Where the times are.
        limit: Requests a minute.
    """

    def __init__(self, database: Database, limit: int) -> None:
        self._database, self._limit = database, limit

    def hit(self, principal: str) -> tuple[bool, Standing]:
        """Count a request; whether it is within the limit, and what is left. One that is refused is only read."""
        with self._database.reading() as session:
            times = _times(session.scalar(select(Rate.times).where(Rate.key == principal)))
        if len(times) >= self._limit:
            return False, self._standing(times)
        try:
            return self._count(principal)
        except IntegrityError:  # the key's first two requests came at once
            return self._count(principal)

    def _count(self, principal: str) -> tuple[bool, Standing]:
        with self._database.writing() as session:
            row = session.scalar(select(Rate).where(Rate.key == principal).with_for_update())
            times = _times(None if row is None else row.times)
            allowed = len(times) < self._limit
            if allowed:
                times.append(now())
                packed = struct.pack(f"<{len(times)}d", *times)
                if row is None:
                    session.add(Rate(key=principal, times=packed))
                else:
                    row.times = packed
        return allowed, self._standing(times)

    def _standing(self, times: list[float]) -> Standing:
        reset = max(1, math.ceil(min(times) + WINDOW - now()))
        return Standing(self._limit, max(0, self._limit - len(times)), reset)


def _times(packed: bytes | None) -> list[float]:
    """Those within the last minute."""
    times = struct.unpack(f"<{len(packed) // 8}d", packed) if packed else ()
    return [at for at in times if at > now() - WINDOW]


class Limited:
    """Dependency of routes that start work: the caller, who must have a scope, counted.

    Args:
        scope: One of ``SCOPES``.
    """

    def __init__(self, scope: str) -> None:
        self._scope = Scope(scope)

    def __call__(self, request: Request, principal: Caller) -> Principal:
        """The caller; raises NotPermitted, and TooManyRequests over the rate."""
        self._scope(principal)
        allowed, standing = request.app.state.service.rates.hit(principal.id)
        request.state.standing = standing
        if not allowed:
            request.state.retry_after = standing.reset
            raise TooManyRequests(f"More than {standing.limit} requests a minute; wait {standing.reset} seconds.")
        return principal


LimitedClient = Annotated[Principal, Depends(Limited("verdicts"))]
"""The caller of a route that starts an examination, counted."""
