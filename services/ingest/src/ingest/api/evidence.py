"""What has been learnt of subscriptions, and the evidence for every step of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ingest.store import audit_records, subscriptions, webhooks
from ingest.store.quarantine import readable
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database, Reader, Record
from shared.runtime.web import CursorParam, Limit, Reads, decode_cursor, encode_cursor, page

_STEP = (
    "change_id", "version", "kind", "quantity_before", "quantity_after", "effective_at",
    "detected_at", "estimated_time", "channel", "audit_record_id", "webhook_id", "actor",
    "supersedes",
)  # fmt: skip


def router(database: Database) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["evidence"])

    @routes.get("/subscriptions", operation_id="subscriptions.list")
    async def list_subscriptions(
        caller: Reads,
        customer_id: str | None = None,
        account_id: str | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """The mirror, by subscription id."""
        after = str((decode_cursor(cursor) or [""])[0])
        async with database.read() as reader:
            rows = await subscriptions.list_subscriptions(
                reader, after=after, customer_id=customer_id, account_id=account_id, limit=limit
            )
        more = encode_cursor(rows[-1]["subscription_id"]) if len(rows) == limit else None
        return page([_subscription(row) for row in rows], next_cursor=more)

    @routes.get("/subscriptions/{subscription_id}", operation_id="subscriptions.get")
    async def get_subscription(subscription_id: str, caller: Reads) -> dict[str, Any]:
        """A subscription as last read, with every step that was published of it."""
        async with database.read() as reader:
            row = await subscriptions.find_subscription(reader, subscription_id)
            if row is None:
                raise NotFound("subscription_unknown", "no such subscription is mirrored")
            steps = await subscriptions.all_steps(reader, subscription_id)
        shown = {"resource": row["resource"], "changes": [_step(step) for step in steps]}
        return _subscription(row) | shown

    @routes.get("/changes/{change_id}", operation_id="changes.get")
    async def get_change(change_id: str, caller: Reads) -> dict[str, Any]:
        """A change with its evidence: the provider's activity record, the webhooks that told of
        it, and the snapshots before and after."""
        async with database.read() as reader:
            step = await subscriptions.find_step(reader, change_id)
            if step is None:
                raise NotFound("change_unknown", "no such change was published")
            return await _change(reader, step)

    return routes


async def _change(reader: Reader, step: Record) -> dict[str, Any]:
    record_id = step["audit_record_id"]
    row = await subscriptions.find_subscription(reader, step["subscription_id"])
    account_id = row["account_id"] if row else ""
    record = await audit_records.find_record(reader, account_id, record_id) if record_id else None
    deliveries = await webhooks.find_deliveries(
        reader, account_id, delivery_id=step["webhook_id"], audit_record_id=record_id
    )
    return {
        **_step(step),
        "subscription_id": step["subscription_id"],
        "account_id": account_id,
        "customer_id": row["customer_id"] if row else None,
        "before": step["before"],
        "after": step["after"],
        "audit_record": record["document"] if record else None,
        "webhook": next((_delivery(d) for d in deliveries if d["id"] == step["webhook_id"]), None),
        "webhooks": [_delivery(delivery) for delivery in deliveries],
        "snapshots": await subscriptions.snapshots_around(reader, step),
    }


def _subscription(row: Record) -> dict[str, Any]:
    names = ("subscription_id", "account_id", "customer_id", "licence", "version", "observed_at")
    return {name: row[name] for name in names} | {"state": row["state"]}


def _step(row: Record) -> dict[str, Any]:
    return {name: row[name] for name in _STEP}


def _delivery(row: Record) -> dict[str, Any]:
    return dict(row) | {"body": readable(row["body"])}
