"""Orders to the provider: checked first, sent once, read back, and recognised when they echo."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from ingest.handlers import order_acts, ordering
from integration.ingest.conftest import Scene
from shared.contracts.ingest import ChangeKind
from support.partner_center import ALDER, ANNUAL, BIRCH, MONTHLY

E5 = {"product_id": "CFQ7TTC0LFLX", "sku_id": "0001"}
PATH = {"from_product_id": "CFQ7TTC0LDPB", **E5, "title": "Microsoft 365 E5"}
THREE_YEARS = "cccccccc-0000-4000-8000-000000000003"
LONG = {"id": THREE_YEARS, "customer_id": BIRCH, "product_id": "CFQ7TTC0LDPB", "name": "BP",
        "term": "P3Y", "billing_plan": "monthly", "term_start": "2025-04-20",
        "quantity": 100}  # fmt: skip
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
WRITES = "(subscriptions/[^/]+$|/transitions$|/checkout$)"
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
        if row["state"] in ("confirmed", "refused", "cancelled"):
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


@pytest.fixture
async def open_shop(scene: Scene) -> Scene:
    more = {"upgrade_paths": [PATH], "subscriptions": [LONG]}
    await scene.partner.pull("POST", "/additions", more)
    await scene.sync()
    await scene.register()
    return scene


async def fault(scene: Scene, **switch: Any) -> None:
    for method in ("PATCH", "POST"):
        body = {"match": {"path": WRITES, "method": method}, "times": 1, **switch}
        await scene.partner.pull("POST", "/faults", body)


# The whole matrix is run by `make slow`; a diagonal of it always.
MATRIX = [
    pytest.param(
        name,
        trouble,
        id=f"{name}, {trouble}",
        marks=[] if (row + column) % len(FAULTS) in {0, 2} else [pytest.mark.slow],
    )
    for row, name in enumerate(ORDERS)
    for column, trouble in enumerate(FAULTS)
]


@pytest.mark.parametrize(("name", "trouble"), MATRIX)
async def test_every_write_takes_effect_once_under_every_fault(
    open_shop: Scene, name: str, trouble: str
) -> None:
    """Confirmed in the end, and one operation of ours on the provider's record."""
    scene = open_shop
    if FAULTS[trouble]:
        await fault(scene, **FAULTS[trouble])
    order_id = await place(scene, ORDERS[name])
    row = await until_ended(scene, order_id)
    assert (row["state"], row["code"]) == ("confirmed", None), row
    assert await writes_done(scene, ORDERS[name]) == 1


STEPS = {
    "read": (order_acts, "read_actual"),
    "claim to send": (ordering, "act_for"),
    "answer": (ordering, "_answered"),
    "read back": (ordering, "_confirm"),
    "end": (ordering, "_finish"),
}


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("hit", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
@pytest.mark.parametrize(
    "name",
    ["quantity", *(pytest.param(n, marks=pytest.mark.slow) for n in ("upgrade", "purchase"))],
)
async def test_a_process_that_dies_at_any_step_leaves_one_effect(
    open_shop: Scene, monkeypatch: pytest.MonkeyPatch, name: str, step: str, hit: int
) -> None:
    """Another one takes over where the row says it was."""
    scene, passes = open_shop, count(1)
    module, function = STEPS[step]
    whole = getattr(module, function)

    def dies(*args: Any, **others: Any) -> Any:
        if next(passes) == hit:
            raise Killed
        return whole(*args, **others)

    order_id = await place(scene, ORDERS[name])
    monkeypatch.setattr(module, function, dies)
    try:
        row = await until_ended(scene, order_id)
    except Killed:
        await scene.execute("UPDATE subscription_order SET leased_until = now()")
        row = await until_ended(scene, order_id)
    assert row["state"] == "confirmed"
    assert await writes_done(scene, ORDERS[name]) == 1


async def test_our_own_webhook_names_the_order_and_counts_once(open_shop: Scene) -> None:
    """Webhook, record and our own look all see the change; one event tells it."""
    scene = open_shop
    mark = await scene.ingest.harness.mark()
    order_id = await place(scene, ORDERS["quantity"])
    await until_ended(scene, order_id)
    await scene.settle()
    await scene.sync()
    [change] = await scene.changes(after=mark)
    assert (change.quantity_before, change.quantity_after) == (40, 45)
    assert change.source.order_id == order_id


@pytest.mark.parametrize(
    ("order", "code", "offer"),
    [
        (
            {"kind": "quantity", "subscription_id": ANNUAL, "quantity": 30},
            "seats_not_removable",
            {"kind": "schedule", "quantity": 30},
        ),
        (
            {"kind": "cancel", "subscription_id": MONTHLY},
            "cancellation_window_closed",
            {"kind": "renewal_instruction", "ending": "cancel_at_term_end"},
        ),
        (
            {"kind": "term", "subscription_id": ANNUAL, "term": "P1M"},
            "term_not_longer",
            {"kind": "schedule", "term": "P1M"},
        ),
        (
            {"kind": "billing_plan", "subscription_id": ANNUAL, "billing_plan": "annual"},
            "billing_plan_fixed",
            {"kind": "schedule", "billing_plan": "annual"},
        ),
    ],
    ids=["seats", "cancel", "term", "plan"],
)
async def test_a_refusal_is_known_before_sending_and_its_offer_is_taken(
    open_shop: Scene, order: dict[str, Any], code: str, offer: dict[str, Any]
) -> None:
    """No write leaves; what is offered instead is accepted as it stands."""
    scene = open_shop
    row = await until_ended(scene, await place(scene, order))
    assert (row["state"], row["code"], row["offer"]) == ("refused", code, offer)
    assert scene.partner.simulator.shop.books.audit_records == []
    instead = {"subscription_id": order["subscription_id"], **row["offer"]}
    assert (await until_ended(scene, await place(scene, instead)))["state"] == "confirmed"


async def test_a_refusal_of_the_provider_comes_with_its_words(open_shop: Scene) -> None:
    """What we could not know: the largest count of the offer."""
    scene = open_shop
    row = await until_ended(
        scene,
        await place(scene, {"kind": "quantity", "subscription_id": ANNUAL, "quantity": 20_000}),
    )
    assert (row["state"], row["code"]) == ("refused", "quantity_out_of_range")
    assert row["provider_code"] == "900275"
    assert "allowed quantity" in row["provider_words"]


async def test_what_a_seat_change_drops_is_scheduled_again(open_shop: Scene) -> None:
    """The provider deletes scheduled changes with every seat; they come back."""
    scene = open_shop
    await until_ended(scene, await place(scene, ORDERS["schedule"]))
    await until_ended(scene, await place(scene, ORDERS["quantity"]))
    resource = await scene.partner.subscription()
    assert (resource["quantity"], resource["scheduledNextTermInstructions"]["quantity"]) == (45, 33)


async def test_an_accepted_write_counts_once_it_shows(open_shop: Scene) -> None:
    """202, two reads that show the old state, no second write."""
    scene = open_shop
    await scene.partner.switch(accepted_writes=True, stale_reads=2)
    row = await until_ended(scene, await place(scene, ORDERS["quantity"]))
    assert row["state"] == "confirmed"
    assert await writes_done(scene, ORDERS["quantity"]) == 1


async def test_orders_of_one_subscription_go_out_in_order(open_shop: Scene) -> None:
    """Ten orders, several workers: each finds what the one before it left."""
    scene = open_shop
    ids = [
        await place(scene, {"kind": "quantity", "subscription_id": ANNUAL, "quantity": 41 + n})
        for n in range(10)
    ]
    await asyncio.gather(*(scene.ingest.work("orders") for _ in range(3)))
    await until_ended(scene, ids[-1])
    records = scene.partner.simulator.shop.books.audit_records
    sizes = [r.resource_new for r in records if r.resource_new is not None]
    assert [f'"Quantity":{41 + n}' in size for n, size in enumerate(sizes)] == [True] * 10


async def test_an_order_that_waits_can_be_taken_back(open_shop: Scene) -> None:
    """Before it is sent; afterwards it is a conflict."""
    scene = open_shop
    order_id = await place(scene, ORDERS["quantity"])
    await scene.ingest.ok("POST", f"/v1/subscription-orders/{order_id}:cancel")
    await scene.ingest.work()
    assert (await told(scene, order_id))["state"] == "cancelled"
    assert (await scene.partner.subscription())["quantity"] == 40
    again = await scene.ingest.http.post(f"/v1/subscription-orders/{order_id}:cancel")
    assert (again.status_code, again.json()["code"]) == (409, "subscription_order_sent")


async def test_a_bought_subscription_is_known_at_once(open_shop: Scene) -> None:
    """There is no webhook for orders; our own look finds it and names the order."""
    scene = open_shop
    mark = await scene.ingest.harness.mark()
    order_id = await place(scene, PURCHASE)
    row = await until_ended(scene, order_id)
    await scene.ingest.work()
    [change] = await scene.changes(after=mark)
    assert (change.kind, change.quantity_after) == (ChangeKind.PURCHASED, 3)
    assert (change.source.order_id, [change.subscription_id]) == (
        order_id,
        row["result"]["subscription_ids"],
    )
    assert change.customer_id == BIRCH != ALDER
