"""The management port: probes, metrics and activity. Never routed to the outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


@dataclass(frozen=True, slots=True)
class Activity:
    """Everything still under way in a process, and counters that stand still when it is idle."""

    service: str
    outbox_unsent: int
    consumer_lag: int
    work_pending: int
    dead_letters_pending: int
    handled: int
    published: int
    retrying: int


Readiness = Callable[[], str | None]
"""None when ready, otherwise the reason why not."""


def management_app(readiness: Readiness, activity: Callable[[], Awaitable[Activity]]) -> FastAPI:
    """Probes: liveness asks the event loop only; readiness never depends on a vendor."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        reason = readiness()
        body: dict[str, Any] = (
            {"status": "ready"}
            if reason is None
            else {
                "status": "not ready",
                "reason": reason,
            }
        )
        return JSONResponse(body, status_code=200 if reason is None else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/activity")
    async def current_activity() -> dict[str, Any]:
        return asdict(await activity())

    return app
