"""The ledger of intents, its retries, and everything that waits for a person."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from psa_connector.domain.intents import State
from psa_connector.handlers import mapping
from psa_connector.store import connections, drifts, intents, operations, queue, sources
from psa_connector.store.drifts import Drift
from psa_connector.store.intents import Intent
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database, Record
from shared.runtime.web import (
    CursorParam,
    Limit,
    Operates,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)

IntentId = Annotated[str, Path(min_length=1, max_length=64)]
HOLDS_MAX = 500
STRUGGLES = 5  # failures in a row after which a person should know


class IntentRow(BaseModel):
    """One thing a PSA was asked to hold, and what became of it."""

    id: str
    connection_id: str
    key: str
    kind: str
    target: str
    source_id: str
    contract_id: str
    subscription_id: str | None
    operation: dict[str, Any]
    state: State
    reason: str | None
    detail: str | None
    attempts: int
    external_id: str | None
    request_hash: str | None
    vendor_request_id: str | None
    planned_at: datetime
    state_since: datetime
    confirmed_at: datetime | None
    amends: str | None
    drift_id: str | None


class Hold(BaseModel):
    """Something that waits for a person."""

    id: str
    reason: str
    detail: str
    object: str
    since: datetime
    key: str


def add_routes(routes: APIRouter, database: Database) -> None:
    @routes.get("/intents", operation_id="intents.list")
    async def listing(
        caller: Reads,
        state: State | None = None,
        connection_id: str | None = None,
        source_id: str | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Intents in plan order. `source_id` is a line (`<invoice number>/<line>`), an invoice
        number, or a licence-change entry."""
        after = decode_cursor(cursor, parts=3) or [0, -1, ""]
        async with database.read() as reader:
            found = await intents.listing(
                reader,
                state=None if state is None else state.value,
                connection_id=connection_id,
                source_id=source_id,
                after=(after[0], after[1], after[2]),
                limit=limit,
            )
        last = found[-1] if len(found) == limit else None
        following = encode_cursor(last.source_seq, last.ordinal, last.id) if last else None
        rows = [_row(one).model_dump(mode="json") for one in found]
        return page(rows, next_cursor=following)

    @routes.get("/intents/{intent_id}", operation_id="intents.get")
    async def get(intent_id: IntentId, caller: Reads) -> IntentRow:
        """One intent."""
        async with database.read() as reader:
            found = await intents.get(reader, intent_id)
        if found is None:
            raise NotFound("intent_unknown", f"there is no intent {intent_id}")
        return _row(found)

    @routes.post("/intents/{intent_id}:retry", operation_id="intents.retry")
    async def retry(intent_id: IntentId, caller: Operates) -> IntentRow:
        """Try again what is blocked, rejected or drifted; the PSA is looked at first."""
        async with database.transaction(actor=caller.subject) as tx:
            return _row(await mapping.retry_intent(tx, intent_id))

    @routes.get("/holds", operation_id="holds.list")
    async def holds(caller: Reads) -> dict[str, Any]:
        """Contracts without a place, intents that wait, targets that fail again and again,
        connections that rest, drift that waits for a person; at most 500 of each."""
        async with database.read() as reader:
            waiting = await sources.waiting(reader, limit=HOLDS_MAX)
            stuck = await intents.waiting(reader, limit=HOLDS_MAX)
            failing = await queue.struggling(reader, failures=STRUGGLES, limit=HOLDS_MAX)
            resting = await connections.paused(reader)
            drifting = await drifts.waiting(reader, limit=HOLDS_MAX)
        found = [
            *map(_source_hold, waiting),
            *map(_intent_hold, stuck),
            *map(_failing_hold, failing),
            *map(_connection_hold, resting),
            *map(_drift_hold, drifting),
        ]
        return page([hold.model_dump(mode="json") for hold in found])


def _row(intent: Intent) -> IntentRow:
    return IntentRow(
        id=intent.id,
        connection_id=intent.connection_id,
        key=intent.key,
        kind=intent.kind.value,
        target=intent.target,
        source_id=intent.source_id,
        contract_id=intent.contract_id,
        subscription_id=intent.subscription_id,
        operation=operations.to_row(intent.kind, intent.operation),
        state=intent.state,
        reason=intent.reason,
        detail=intent.detail,
        attempts=intent.attempt,
        external_id=intent.external_id,
        request_hash=intent.request_hash,
        vendor_request_id=intent.vendor_request_id,
        planned_at=intent.planned_at,
        state_since=intent.state_since,
        confirmed_at=intent.confirmed_at,
        amends=intent.amends,
        drift_id=intent.drift_id,
    )


def _source_hold(row: Record) -> Hold:
    return Hold(
        id=f"source-{row['seq']}",
        reason=row["reason"],
        detail=row["detail"] or "",
        object=f"{row['kind']}/{row['source_id']}",
        since=row["state_since"],
        key=row["contract_id"],
    )


def _intent_hold(intent: Intent) -> Hold:
    return Hold(
        id=intent.id,
        reason=intent.reason or intent.state.value,
        detail=intent.detail or "",
        object=f"intent/{intent.source_id}",
        since=intent.state_since,
        key=intent.contract_id,
    )


def _failing_hold(intent: Intent) -> Hold:
    """Still being tried; the PSA does not answer in a way that decides."""
    return _intent_hold(intent).model_copy(update={"reason": "psa_unavailable"})


def _drift_hold(drift: Drift) -> Hold:
    told = "; ".join(f"{one.field} is {one.found}, not {one.wanted}" for one in drift.fields)
    return Hold(
        id=drift.id,
        reason=f"drift_{drift.kind}",
        detail=": ".join(filter(None, (drift.detail, told))),
        object=f"drift/{drift.object}",
        since=drift.state_since,
        key=drift.contract_id or drift.target_id,
    )


def _connection_hold(row: Record) -> Hold:
    return Hold(
        id=row["id"],
        reason=row["pause_reason"],
        detail=row["pause_detail"] or "",
        object=f"connection/{row['id']}",
        since=row["paused_since"],
        key=row["id"],
    )
