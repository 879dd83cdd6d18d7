"""`create_app`: the service as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from qpu_executors.errors import ConqureError

from ..history import REMEMBERED
from ..store import Store, WorkQuery
from ..work import WorkStatus
from . import aws, aws_tokens, device_side, devices, operators, people, transfer, works
from .aws_models import Cognito
from .errors import add_handlers
from .express import Express
from .logs import Watch
from .service import Service
from .settings import Settings
from .sweeping import sweep_on
from .web import mount

_ROUTERS = (works, devices, device_side, people, operators, aws, aws_tokens, transfer)


def create_app(settings: Settings, store: Store) -> FastAPI:
    """The service on a store, which stays the caller's to close.

    Raises:
        StoreError: the store is no database, or the key of the service cannot be made.

    >>> create_app(Settings(Path("state")), open_store("sqlite:queue.db"))
    """
    import conqure

    service = Service(settings, store)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.notices.begin()
        store.listeners.append(service.charges.heard)
        if service.policy.window > 1:  # it looks back
            with contextlib.suppress(ConqureError):
                done = WorkQuery(statuses=(WorkStatus.DONE,))
                service.history.remember(await service.search("find", done, REMEMBERED))
        sweeping = asyncio.create_task(sweep_on(service), name="sweeping")
        try:
            yield
        finally:
            sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeping
            store.listeners.remove(service.charges.heard)
            service.notices.close()

    app = FastAPI(
        title="CONQURE cloud queue",
        version=conqure.__version__,
        description="Works for quantum processors: handed in, kept, run in their turn, fetched later.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's own page loads scripts from elsewhere; ours: web/interface_page.py
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours are in `Watch`; asking each time costs
    )
    app.state.service = service
    app.add_middleware(Watch, metrics=service.metrics)
    add_handlers(app)
    for module in _ROUTERS:
        app.include_router(module.router)
    mount(app)
    app.middleware_stack = Express(app, works.router, service.metrics)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]  # as FastAPI's documentation does
    return app


def _description(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = found.setdefault("components", {})
        parts.setdefault("schemas", {})["Cognito"] = Cognito.model_json_schema()
        parts.setdefault("securitySchemes", {})["client"] = {"type": "http", "scheme": "basic"}
        app.openapi_schema = found
    return app.openapi_schema
