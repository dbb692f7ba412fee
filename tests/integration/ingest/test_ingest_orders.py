"""Orders to the provider: checked first, sent once, read back, and recognised when they echo."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from ingest.handlers import order_acts, ordering
from integration.ingest.conftest import Scene
from integration.ingest.order_world import (
    FAULTS,
    ORDERS,
    PURCHASE,
    fault,
    place,
    told,
    until_ended,
    writes_done,
)
from shared.contracts.ingest import ChangeKind
from support.partner_center import ALDER, ANNUAL, BIRCH, MONTHLY

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


async def test_an_echo_without_our_correlation_id_is_known_and_nobody_elses_is_taken(
    open_shop: Scene,
) -> None:
    """By application, subscription, change and time; the same change by a person is theirs."""
    scene = open_shop
    await scene.partner.switch(audit_correlation="own")
    mark = await scene.ingest.harness.mark()
    order_id = await place(scene, ORDERS["quantity"])
    await until_ended(scene, order_id)
    await scene.settle()
    await scene.at("2026-04-14T09:13:00+00:00")
    await scene.change(ANNUAL, quantity=40)
    await scene.change(ANNUAL, quantity=45)
    await scene.settle()
    await scene.sync()
    found = [(c.quantity_after, c.source.order_id) for c in await scene.changes(after=mark)]
    assert sorted(found, key=str) == sorted([(45, order_id), (40, None), (45, None)], key=str)
