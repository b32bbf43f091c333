"""How many requests that start work one API key may make in a minute; counted in each process by itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from ...errors import TooManyRequests
from .access import Caller, Principal, Scope


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a minute: requests, and seconds until one more is allowed."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10)."""
        return {
            "RateLimit-Policy": f'"work";q={self.limit};w=60',
            "RateLimit": f'"work";r={self.remaining};t={self.reset}',
        }


class Rates:
    """A moving window of a minute for each API key.

    Args:
        limit: Requests a minute.
    """

    def __init__(self, limit: int) -> None:
        self._item = RateLimitItemPerMinute(limit)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def hit(self, principal: str) -> tuple[bool, Standing]:
        """Count a request; whether it is within the limit, and what is left."""
        allowed = self._limiter.hit(self._item, principal)
        left = self._limiter.get_window_stats(self._item, principal)
        return allowed, Standing(self._item.amount, left.remaining, max(1, round(left.reset_time - time.time())))


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
