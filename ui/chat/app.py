"""The chat as a Gradio app, and its place in the HTTP API."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported

import gradio as gr
from fastapi import Depends, FastAPI, Request
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...tools.limits import MAX_BYTES
from ..api.bodies import read
from ..api.service import Service
from . import panels
from .examples import EXAMPLES
from .handlers import Handlers, Update, said
from .session import Session
from .signin import SignIn
from .speaker import speaker
from .text import ASSETS, words
from .uploads import Uploads

HOME = "/chat"
HOUR = 3600
HEAD = '<link rel="icon" href="data:,"><meta name="referrer" content="no-referrer">'
AT_ONCE = 2
"""Examinations and answers at a time; further visitors wait."""
WAITING = 32
VISITORS = 500
"""Remembered at a time; who came first is forgotten first."""
STREAMS = ("photos", "example", "references", "person", "face", "ask", "sample")
SINGLE = ("show", "evaluate", "report", "feedback", "remove")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; form-action 'self'"
)
"""Gradio's page runs inline scripts; what matters here is that nothing is fetched from or sent to elsewhere."""
SERVED = re.compile(
    rf"{HOME}/(|config|theme\.css|upload|(assets|static)/.+"
    r"|gradio_api/(app_id|startup-events|heartbeat/\w+|queue/(join|data)))"
)
"""What the page asks for. Gradio has more: it fetches any address, serves files by path, writes uploads to the disk."""


def mount(app: FastAPI, service: Service) -> Handlers:
    """Serve the chat at ``/chat`` of the API, to whoever may use the API.

    Args:
        app: The API.
        service: What it works with.
    """
    os.environ["GRADIO_TEMP_DIR"] = os.devnull  # where Gradio would keep files, and look for them
    signin, arrived = SignIn(service.keys, f"{HOME}/"), Uploads()
    handlers = Handlers(service, signin.principal, arrived)
    app.include_router(signin.router)
    _take_uploads(app, service, signin, arrived)
    app.add_api_route("/manifest.json", _manifest, include_in_schema=False)
    app.add_api_route("/favicon.ico", _icon, include_in_schema=False)
    app.add_middleware(Policy)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _mount(app, handlers, service, signin)).result()
    handlers.examined.warm()
    return handlers


def _take_uploads(app: FastAPI, service: Service, signin: SignIn, arrived: Uploads) -> None:
    """Before Gradio has the path: its own uploads are files."""

    async def upload(request: Request, user: str = Depends(signin.user)) -> dict[str, str]:
        async with service.uploads.turn(user):
            return {"name": arrived.put(await read(request, MAX_BYTES))}

    app.add_api_route(f"{HOME}/upload", upload, methods=["POST"], include_in_schema=False)


def _manifest() -> Response:
    """Gradio's page asks the host's root for it, whether or not the chat can be installed as an app."""
    told = {"name": words()["title"], "start_url": f"{HOME}/", "display": "browser"}
    return JSONResponse(told, media_type="application/manifest+json")


def _icon() -> Response:
    """None; a script of Gradio's puts ``HEAD`` into the page, and by then the browser has asked the host's root."""
    return Response(status_code=204, headers={"Cache-Control": f"max-age={24 * HOUR}"})


async def _mount(app: FastAPI, handlers: Handlers, service: Service, signin: SignIn) -> None:
    """In a running event loop: without one Gradio makes several and never closes them."""
    gr.mount_gradio_app(
        app,
        build(handlers, service),
        HOME,
        auth_dependency=signin.user,
        allowed_paths=[],
        blocked_paths=[str(Path.home())],
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=MAX_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=gr.themes.Base(font=["Arial", "sans-serif"], font_mono=["monospace"]),
        head=f"{HEAD}<style>{panels.style()}</style>",  # not as ``css``, which Gradio rewrites
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


def build(handlers: Handlers, service: Service) -> Any:
    """The Gradio app: panels of our own HTML, and one that turns what a visitor does into events."""
    with gr.Blocks(title=words()["title"], analytics_enabled=False, fill_width=True) as blocks:
        state = gr.State(None, time_to_live=HOUR, delete_callback=lambda session: _drop(blocks, session))
        with gr.Column(elem_id="fw"):
            shown: dict[str, Any] = {"state": state}
            evaluated = service.settings.evaluation is not None
            _panel("head", panels.render("head", speaker=speaker(service.settings.model), evaluated=evaluated))
            control = _panel("control", panels.render("control"), js_on_load=(ASSETS / "chat.js").read_text("utf-8"))
            shown["note"] = _panel("note")
            shown["strip"] = _panel("strip")
            _panel("start", panels.render("start"))
            shown["against"] = _panel("against", panels.against(Session("")))
            _panel("examples", panels.render("examples", examples=EXAMPLES))
            shown["evaluation"] = _panel("evaluation")
            with gr.Column(elem_id="fw-left"):
                shown["stage"], shown["evidence"] = _panel("stage"), _panel("evidence")
            with gr.Column(elem_id="fw-right"):
                for name in ("sample", "verdict", "steps", "talk"):
                    shown[name] = _panel(name)
                _panel("composer", panels.render("composer"))
            shown["file"] = _panel("file")
        _listen(blocks, control, handlers, shown)
    handlers.drop = partial(_drop, blocks)
    blocks.state_session_capacity = VISITORS
    blocks.queue(max_size=WAITING, default_concurrency_limit=WAITING, api_open=False)
    return blocks


def _panel(name: str, value: str = "", js_on_load: str | None = None) -> Any:
    return gr.HTML(value, elem_id=f"fw-{name}", js_on_load=js_on_load, apply_default_css=False)


def _listen(blocks: gr.Blocks, control: Any, handlers: Handlers, shown: dict[str, Any]) -> None:
    state, outputs = shown["state"], list(shown.values())
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    turns: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": AT_ONCE}

    def put(update: Update) -> dict[Any, Any]:
        return {shown[name]: value for name, value in update.items()}

    def streamed(act: Callable[..., Any]) -> Callable[..., Any]:
        def run(session: Session | None, event: gr.EventData, request: gr.Request) -> Any:
            try:
                for update in act(session, event, request):
                    if update:  # nothing is shown of a session that was deleted meanwhile
                        yield put(update)
            except Exception as error:  # noqa: BLE001 - said on the page, and its type in the log
                yield put({"note": said(error)})

        return run

    def single(act: Callable[..., Any]) -> Callable[..., Any]:
        def run(session: Session | None, event: gr.EventData, request: gr.Request) -> Any:
            try:
                return put(act(session, event, request))
            except Exception as error:  # noqa: BLE001 - said on the page, and its type in the log
                return put({"note": said(error)})

        return run

    for name in STREAMS:
        getattr(control, name)(streamed(getattr(handlers, name)), [state], outputs, **quiet, **turns)
    for name in SINGLE:
        getattr(control, name)(single(getattr(handlers, name)), [state], outputs, **quiet)
    control.stop(handlers.stop, [state], None, **quiet)

    def greet(request: gr.Request) -> Any:
        return put(handlers.greet(request))

    blocks.load(greet, None, [shown["against"]], **quiet)


def _drop(blocks: Any, session: Session | None) -> None:
    """Forget a session, and what Gradio keeps beside it: copies of all that was ever put on screen."""
    if session is not None:
        session.clear()
        held = blocks.state_holder.session_data
        for key in [key for key, kept in list(held.items()) if session in kept.state_data.values()]:
            del held[key]


class Policy:
    """ASGI middleware: what of Gradio is served, what its pages may load, and from where."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the header to what is the chat's, and refuse what its page does not need."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        if scope["type"] != "http" or not scope["path"].startswith((HOME, "/signin")):
            await self.app(scope, receive, send)
        elif scope["path"].startswith(f"{HOME}/") and SERVED.fullmatch(scope["path"]) is None:
            await Response(status_code=404)(scope, receive, send_with_policy)
        else:
            await self.app(scope, receive, send_with_policy)
