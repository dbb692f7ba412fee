"""Preflight of a connection as a report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from psa_connector.clients.vendors import Clients
from psa_connector.domain.preflight_report import Level, worst
from psa_connector.handlers.preflight import preflight
from shared.runtime.postgres import Database
from shared.runtime.web import Reads

ConnectionId = Annotated[str, Path(min_length=1, max_length=64)]


class PreflightFinding(BaseModel):
    """One thing that was checked; `advice` says what to do about it."""

    level: Level
    code: str
    object: str
    detail: str
    advice: str


class PreflightReport(BaseModel):
    """The worst level, and everything that was checked."""

    connection_id: str
    level: Level
    findings: list[PreflightFinding]


def add_routes(routes: APIRouter, database: Database, clients: Clients) -> None:
    @routes.get("/connections/{connection_id}/preflight", operation_id="connections.preflight")
    async def report(
        connection_id: ConnectionId, caller: Reads, contract_id: str | None = None
    ) -> PreflightReport:
        """Permissions, clock, products, and flags, currency and dates of every mapped agreement
        (or of one contract's), asked live. Nothing is written."""
        found = await preflight(database, clients, connection_id, contract_id=contract_id)
        return PreflightReport(
            connection_id=connection_id,
            level=worst(found),
            findings=[
                PreflightFinding(
                    level=one.level,
                    code=one.code,
                    object=one.object,
                    detail=one.detail,
                    advice=one.advice,
                )
                for one in found
            ],
        )
