"""Signing in with an API key: a browser cannot send one with every request, so it gets a cookie instead."""

from __future__ import annotations

import secrets
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from ...errors import FacewitnessError
from ..api.access import ApiKeys, Principal, check_scope
from . import panels

COOKIE = "facewitness_chat"
HOURS = 12
MOST = 1000
"""Who is signed in at a time; the first goes first."""


class SignIn:
    """Who is signed in; known to this process alone.

    Args:
        keys: The API's keys. A key that is revoked or expires ends what it opened.
        home: Path of the chat.
    """

    def __init__(self, keys: ApiKeys, home: str) -> None:
        self._keys, self._home = keys, home
        self._tokens: dict[str, tuple[str, float]] = {}
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/signin", self._page, methods=["GET"])
        self.router.add_api_route("/signin", self._enter, methods=["POST"])

    def principal(self, request: Any) -> Principal:
        """Who asks.

        Args:
            request: Of Starlette or Gradio; its cookies are read.

        Raises:
            NotAuthenticated, NotPermitted: Nobody who may chat.
        """
        secret, until = self._tokens.get(request.cookies.get(COOKIE, ""), (None, 0.0))
        found = self._keys.principal(secret if until > time.monotonic() else None)
        check_scope(found, "verdicts")
        return found

    async def user(self, request: Request) -> str:
        """Gradio's dependency: the id of who asks; a browser without one is sent to sign in."""
        try:
            return (await run_in_threadpool(self.principal, request)).id
        except FacewitnessError:
            raise HTTPException(303, headers={"Location": "/signin"}) from None

    def _page(self) -> Response:
        return HTMLResponse(panels.render("signin", refused=False, style=panels.style()))

    async def _enter(self, request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise HTTPException(403)
        async with request.form(max_files=0, max_fields=2, max_part_size=1000) as form:
            secret = str(form.get("key", "")).strip()
        try:
            check_scope(await run_in_threadpool(self._keys.principal, secret), "verdicts")
        except FacewitnessError:
            return HTMLResponse(panels.render("signin", refused=True, style=panels.style()), 401)
        token = secrets.token_urlsafe(32)
        while len(self._tokens) >= MOST:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[token] = secret, time.monotonic() + HOURS * 3600
        response = RedirectResponse(self._home, 303)
        response.set_cookie(
            COOKIE, token, HOURS * 3600, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return response
