"""Orders of every kind, and a provider in which each of them can be carried out."""

from __future__ import annotations

from itertools import count
from typing import Any

from integration.ingest.conftest import E5, THREE_YEARS, Scene
from support.partner_center import ANNUAL, BIRCH

PURCHASE = {"kind": "purchase", "customer_id": BIRCH, **E5, "availability_id": "CFQ7TTC0AAAA",
            "quantity": 3, "term": "P1Y", "billing_plan": "monthly"}  # fmt: skip

ORDERS: dict[str, dict[str, Any]] = {
    "quantity": {"kind": "quantity", "subscription_id": ANNUAL, "quantity": 45},
    "schedule": {"kind": "schedule", "subscription_id": ANNUAL, "quantity": 33},
    "ending": {
        "kind": "renewal_instruction", "subscription_id": ANNUAL, "ending": "cancel_at_term_end",
    },
    "suspend": {"kind": "suspend", "subscription_id": ANNUAL},
    "term": {"kind": "term", "subscription_id": ANNUAL, "term": "P3Y"},
    "plan": {"kind": "billing_plan", "subscription_id": THREE_YEARS, "billing_plan": "annual"},
    "upgrade": {"kind": "upgrade", "subscription_id": ANNUAL, **E5, "quantity": 10},
    "purchase": PURCHASE,
}  # fmt: skip
WRITES = (
    ("PATCH", "subscriptions/[^/]+$"),
    ("POST", "/transitions$"),
    ("POST", "/carts$"),
    ("POST", "/checkout$"),
)
FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "lost before": {"kind": "drop_before"},
    "lost after": {"kind": "drop_after_commit"},
    "throttled": {"kind": "status", "status": 429, "retry_after": 0},
    "busy": {"kind": "status", "status": 409, "body": {"code": 800082, "description": "busy"}},
    "down": {"kind": "status", "status": 503},
    "proxy page": {"kind": "html_body"},
    "stale": {"kind": "status", "status": 412, "body": {"code": 2055, "description": "Etag"}},
    "twice": {"kind": "duplicate"},
}
_keys = count()


async def place(scene: Scene, order: dict[str, Any]) -> str:
    made = await scene.ingest.ok(
        "POST", "/v1/subscription-orders", json=order,
        headers={"Idempotency-Key": f"key-{next(_keys)}"},
    )  # fmt: skip
    return str(made["id"])


async def told(scene: Scene, order_id: str) -> dict[str, Any]:
    row: dict[str, Any] = await scene.ingest.ok("GET", f"/v1/subscription-orders/{order_id}")
    return row


async def until_ended(scene: Scene, order_id: str) -> dict[str, Any]:
    """Work, with every wait over at once."""
    for _ in range(40):
        await scene.ingest.work()
        row = await told(scene, order_id)
        if row["state"] in ("confirmed", "refused", "cancelled", "unclear"):
            return row
        await scene.execute("UPDATE subscription_order SET due_at = now()")
    raise AssertionError(row)


async def writes_done(scene: Scene, order: dict[str, Any]) -> int:
    """Successful operations on the provider's record that are ours."""
    [correlation] = await scene.fetch("SELECT correlation_id FROM subscription_order")
    records = scene.partner.simulator.shop.books.audit_records
    ours = [
        r
        for r in records
        if r.correlation_id == correlation["correlation_id"] and r.status == "succeeded"
    ]
    return len({(r.resource_id, r.at) for r in ours}) - (order["kind"] == "upgrade")


async def fault(scene: Scene, **switch: Any) -> None:
    """Every kind of write suffers, once each."""
    for method, path in WRITES:
        body = {"match": {"path": path, "method": method}, "times": 1, **switch}
        await scene.partner.pull("POST", "/faults", body)
