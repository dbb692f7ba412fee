"""Sweeps and drift: asking a PSA what it holds, and deciding about what is not ours there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from psa_connector.domain.drift import DriftKind
from psa_connector.handlers import drifting, sweeping
from psa_connector.store import connections, drifts, sweeps
from psa_connector.store.drifts import Drift
from psa_connector.store.sweeps import Sweep
from shared.kernel.errors import Invalid, NotFound
from shared.runtime.postgres import Database
from shared.runtime.web import (
    CursorParam,
    Limit,
    Operates,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)

RowId = Annotated[str, Path(min_length=1, max_length=64)]
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 1, 1, tzinfo=UTC)
CONNECTIONS_MAX = 500
DriftState = Literal["waiting", "reported", "healing", "healed", "failed", "gone", "dismissed"]


class SweepBody(BaseModel):
    """Which connection to read back; none: all."""

    model_config = ConfigDict(extra="forbid")

    connection_id: str | None = None


class Dismissal(BaseModel):
    """Why the PSA may stay as it is."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500)


class SweepRow(BaseModel):
    """One sweep: how far it got, what it cost and found."""

    id: str
    connection_id: str
    state: str
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    targets: int
    records: int
    calls: int
    found: int
    skipped: int
    detail: str | None


class FieldRow(BaseModel):
    """One field, three ways."""

    field: str
    wanted: str
    last_seen: str
    found: str


class DriftRow(BaseModel):
    """One difference between what a PSA should hold and what it holds."""

    id: str
    connection_id: str
    target_id: str
    contract_id: str | None
    source_id: str | None
    intent_id: str | None
    kind: str
    object: str
    external_id: str | None
    fields: list[FieldRow]
    difference: str | None = Field(description="billed minus wanted, in the contract's currency")
    policy: str
    state: str
    detail: str | None
    edited_by: str | None
    edited_at: str | None
    evidence: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    state_since: datetime


def add_routes(routes: APIRouter, database: Database) -> None:
    _add_sweeps(routes, database)
    _add_drift(routes, database)


def _add_sweeps(routes: APIRouter, database: Database) -> None:
    @routes.post("/sweeps", status_code=202, operation_id="sweeps.request")
    async def request(body: SweepBody, caller: Operates) -> dict[str, Any]:
        """Read back everything that we hold in a PSA, or in all of them."""
        async with database.transaction(actor=caller.subject) as tx:
            ids = [body.connection_id]
            if body.connection_id is None:
                known = await connections.listing(tx, after="", limit=CONNECTIONS_MAX)
                ids = [one.id for one in known]
            found = [await sweeping.request(tx, id, by=caller.subject) for id in ids if id]
        return page([_sweep(one).model_dump(mode="json") for one in found])

    @routes.get("/sweeps", operation_id="sweeps.list")
    async def listing(
        caller: Reads,
        connection_id: str | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Sweeps, newest first."""
        before = _position(cursor, LAST)
        async with database.read() as reader:
            found = await sweeps.listing(
                reader, connection_id=connection_id, before=before, limit=limit
            )
        last = found[-1] if len(found) == limit else None
        following = encode_cursor(last.requested_at.isoformat(), last.id) if last else None
        return page([_sweep(one).model_dump(mode="json") for one in found], next_cursor=following)

    @routes.get("/sweeps/{sweep_id}", operation_id="sweeps.get")
    async def get(sweep_id: RowId, caller: Reads) -> SweepRow:
        """One sweep."""
        async with database.read() as reader:
            found = await sweeps.get(reader, sweep_id)
        if found is None:
            raise NotFound("sweep_unknown", f"there is no sweep {sweep_id}")
        return _sweep(found)


def _add_drift(routes: APIRouter, database: Database) -> None:
    @routes.get("/drift", operation_id="drift.list")
    async def listing(
        caller: Reads,
        state: DriftState | None = None,
        connection_id: str | None = None,
        kind: DriftKind | None = None,
        contract_id: str | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Drift by first sight. States: `waiting` for approval, `reported`, `healing`, `healed`,
        `failed`, `gone` (right again without us), `dismissed`."""
        start = _position(cursor, FIRST)
        asked = {
            "state": state,
            "connection_id": connection_id,
            "kind": None if kind is None else kind.value,
            "contract_id": contract_id,
        }
        async with database.read() as reader:
            found = await drifts.listing(reader, asked=asked, after=start, limit=limit)
        last = found[-1] if len(found) == limit else None
        following = encode_cursor(last.first_seen_at.isoformat(), last.id) if last else None
        return page([_drift(one).model_dump(mode="json") for one in found], next_cursor=following)

    @routes.get("/drift/{drift_id}", operation_id="drift.get")
    async def get(drift_id: RowId, caller: Reads) -> DriftRow:
        """One drift with its three-way difference."""
        async with database.read() as reader:
            found = await drifts.get(reader, drift_id)
        if found is None:
            raise NotFound("drift_unknown", f"there is no drift {drift_id}")
        return _drift(found)

    @routes.post("/drift/{drift_id}:approve", operation_id="drift.approve")
    async def approve(drift_id: RowId, caller: Operates) -> DriftRow:
        """Let it be healed, or try again what failed."""
        async with database.transaction(actor=caller.subject) as tx:
            return _drift(await drifting.approve(tx, drift_id))

    @routes.post("/drift/{drift_id}:dismiss", operation_id="drift.dismiss")
    async def dismiss(drift_id: RowId, body: Dismissal, caller: Operates) -> DriftRow:
        """Leave the PSA as it is, for a reason; it comes back when something else is there."""
        async with database.transaction(actor=caller.subject) as tx:
            return _drift(await drifting.dismiss(tx, drift_id, body.reason))


def _position(cursor: str | None, start: datetime) -> tuple[datetime, str]:
    """The instant and id after which a page begins."""
    parts = decode_cursor(cursor, parts=2)
    if parts is None:
        return start, ""
    try:
        at = datetime.fromisoformat(str(parts[0]))
    except ValueError as error:
        raise Invalid("cursor_invalid", "the cursor is not one of ours") from error
    if at.tzinfo is None or "\x00" in str(parts[1]):
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    return at, str(parts[1])


def _sweep(sweep: Sweep) -> SweepRow:
    return SweepRow.model_validate(sweep, from_attributes=True)


def _drift(drift: Drift) -> DriftRow:
    return DriftRow(
        id=drift.id,
        connection_id=drift.connection_id,
        target_id=drift.target_id,
        contract_id=drift.contract_id,
        source_id=drift.source_id,
        intent_id=drift.intent_id,
        kind=drift.kind.value,
        object=drift.object,
        external_id=drift.external_id,
        fields=[FieldRow.model_validate(one, from_attributes=True) for one in drift.fields],
        difference=None if drift.difference is None else f"{drift.difference:f}",
        policy=drift.action.value,
        state=drift.state,
        detail=drift.detail,
        edited_by=drift.edited_by,
        edited_at=drift.edited_at,
        evidence=drift.evidence,
        first_seen_at=drift.first_seen_at,
        last_seen_at=drift.last_seen_at,
        state_since=drift.state_since,
    )
