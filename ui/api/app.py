"""The application: routes, errors and what runs beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from ...errors import FacewitnessError
from . import batches, chat, info, people, search, verdicts
from .bodies import BatchRequest, PersonRequest, SearchRequest, VerdictRequest
from .chat import ChatRequest
from .guard import Guard
from .problems import Problem, handle
from .service import Service
from .signing import SignedRecord

BODIES = (VerdictRequest, BatchRequest, PersonRequest, SearchRequest, ChatRequest, SignedRecord, Problem)
DESCRIPTION = """Forensic evidence on a face, a calibrated verdict, and an explanation that cites its evidence.

Photos are sent as bytes; addresses and paths are never followed. They are kept until the examination has ended.
Errors are `application/problem+json` with a stable `code`."""


class Api(FastAPI):
    """Describes also the bodies that routes read themselves, and problems."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        template = "#/components/schemas/{model}"
        bodies = models_json_schema([(model, "validation") for model in BODIES], ref_template=template)[1]["$defs"]
        schemas.update({name: schema for name, schema in bodies.items() if name not in schemas})
        return document


def create_app(service: Service) -> FastAPI:
    """The ASGI application of a service; its workers run from start-up to shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await run_in_threadpool(service.stop)

    app = Api(
        title="facewitness",
        version=version("facewitness"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # pages that load scripts from elsewhere
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = service
    for kind in (FacewitnessError, RequestValidationError, HTTPException, SQLAlchemyError):
        app.add_exception_handler(kind, handle)
    app.add_middleware(Guard)
    app.state.methods = defaultdict(set)
    for module in (verdicts, batches, people, search, chat, info):
        app.include_router(module.router)
        for route in module.router.routes:
            if isinstance(route, APIRoute):
                app.state.methods[route.path] |= route.methods
    if service.settings.chat:
        from ..chat.app import mount

        mount(app, service)
    return app
