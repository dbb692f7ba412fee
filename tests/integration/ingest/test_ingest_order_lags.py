"""Orders where answers are lost, reads lag behind writes, and somebody else is at work."""

from __future__ import annotations

from typing import Any

import pytest

from integration.ingest.conftest import Scene
from integration.ingest.order_world import (
    ORDERS,
    PURCHASE,
    fault,
    place,
    until_ended,
    writes_done,
)
from support.partner_center import ANNUAL, BIRCH

NEVER = 100_000
LOST = {"lost before": "drop_before", "lost after": "drop_after_commit"}
LAGS: dict[str, dict[str, int]] = {
    "reads": {"lag_subscriptions": 3},
    "carts": {"lag_carts": 3},
    "orders": {"lag_orders": 4, "unprovisioned_orders": 2},
    "upgrades": {"lag_transitions": 4},
    "log": {"lag_audit": 5},
    "all": {
        "lag_subscriptions": 2, "lag_carts": 3, "lag_orders": 4, "lag_transitions": 3,
        "lag_audit": 5, "unprovisioned_orders": 2,
    },
}  # fmt: skip
ALWAYS = {
    ("quantity", "log", "lost after"), ("quantity", "reads", "lost after"),
    ("upgrade", "all", "lost after"), ("upgrade", "reads", "lost before"),
    ("purchase", "all", "lost after"), ("purchase", "orders", "answered"),
}  # fmt: skip
MATRIX = [
    pytest.param(
        name,
        lag,
        lost,
        id=f"{name}, {lag} lag, {lost}",
        marks=[] if (name, lag, lost) in ALWAYS else [pytest.mark.slow],
    )
    for name in ORDERS
    for lag in LAGS
    for lost in (*LOST, "answered")
]


@pytest.mark.parametrize(("name", "lag", "lost"), MATRIX)
async def test_an_order_has_one_effect_whatever_lags_behind(
    open_shop: Scene, name: str, lag: str, lost: str
) -> None:
    """Confirmed in the end, with its ids where it makes some, and once on the provider's record."""
    scene = open_shop
    await scene.partner.switch(**LAGS[lag])
    if lost in LOST:
        await fault(scene, kind=LOST[lost])
    row = await until_ended(scene, await place(scene, ORDERS[name]))
    assert (row["state"], row["code"]) == ("confirmed", None), row
    assert await writes_done(scene, ORDERS[name]) == 1
    if name == "purchase":
        [bought] = scene.partner.simulator.shop.books.orders
        assert row["result"]["subscription_ids"] == [bought.lines[0].subscription_id]
    if name == "upgrade":
        [moved] = scene.partner.simulator.shop.books.transitions
        assert row["result"]["to_subscription_id"] == moved.to_subscription_id


async def sent_and_lost(scene: Scene, order: dict[str, Any], lost: str, **lags: Any) -> str:
    """Its answer is lost; it waits to be read back, and a minute passes."""
    await scene.partner.switch(**lags)
    await fault(scene, kind=LOST[lost])
    order_id = await place(scene, order)
    await scene.ingest.work("orders")
    await scene.at("2026-04-14T09:13:00+00:00")
    return order_id


async def seats(scene: Scene) -> int:
    return int(scene.partner.simulator.shop.books.subscription(ANNUAL).quantity)


WITH_AND_WITHOUT = pytest.mark.parametrize("etags", [True, False], ids=["etag", "no etag"])


@WITH_AND_WITHOUT
async def test_seats_that_somebody_changed_before_a_lost_order_came_are_never_overwritten(
    open_shop: Scene, etags: bool
) -> None:
    """Ours never arrived, the log lags: in the end theirs stays, and the order says why."""
    scene = open_shop
    order_id = await sent_and_lost(
        scene, ORDERS["quantity"], "lost before", lag_audit=3, etags=etags
    )
    await scene.change(ANNUAL, quantity=50)
    row = await until_ended(scene, order_id)
    assert await seats(scene) == 50
    assert (row["state"], row["code"]) == ("refused", "changed_meanwhile")
    assert row["detail"] == "it was 40 when this was checked; somebody made it 50"
    assert row["offer"] == {"kind": "quantity", "quantity": 45}
    assert len(await scene.audit("subscription-order.needs-a-person")) == 1
    again = await until_ended(
        scene, await place(scene, {"subscription_id": ANNUAL, **row["offer"]})
    )
    assert (again["state"], await seats(scene)) == ("confirmed", 45)


@WITH_AND_WITHOUT
async def test_seats_that_somebody_changed_after_a_lost_order_was_done_stay(
    open_shop: Scene, etags: bool
) -> None:
    """Ours was done, then theirs; the log that lags tells in the end."""
    scene = open_shop
    order_id = await sent_and_lost(
        scene, ORDERS["quantity"], "lost after", lag_audit=3, etags=etags
    )
    await scene.change(ANNUAL, quantity=50)
    row = await until_ended(scene, order_id)
    assert await seats(scene) == 50
    assert (row["state"], row["code"]) == ("confirmed", "overtaken")
    assert await writes_done(scene, ORDERS["quantity"]) == 1


async def test_a_change_of_something_else_does_not_stand_in_the_way(open_shop: Scene) -> None:
    """A lost order, a renamed subscription: both are there in the end."""
    scene = open_shop
    order_id = await sent_and_lost(scene, ORDERS["quantity"], "lost before", lag_audit=2)
    await scene.change(ANNUAL, friendly_name="Front desk")
    row = await until_ended(scene, order_id)
    assert (row["state"], row["code"]) == ("confirmed", None)
    resource = await scene.partner.subscription()
    assert (resource["quantity"], resource["friendlyName"]) == (45, "Front desk")


@pytest.mark.parametrize("lost", LOST)
async def test_what_the_log_never_tells_is_for_a_person(open_shop: Scene, lost: str) -> None:
    """After a day of looking: unclear, on the audit trail, and the next order is not held up."""
    scene = open_shop
    order_id = await sent_and_lost(scene, ORDERS["quantity"], lost, lag_audit=NEVER)
    await scene.change(ANNUAL, quantity=50)
    for _ in range(3):
        await scene.execute("UPDATE subscription_order SET due_at = now()")
        await scene.ingest.work("orders")
    await scene.execute("UPDATE subscription_order SET unsure_since = now() - interval '25 h'")
    row = await until_ended(scene, order_id)
    assert await seats(scene) == 50
    assert (row["state"], row["code"]) == ("unclear", "outcome_unknown")
    [told] = await scene.audit("subscription-order.needs-a-person")
    assert told["object"] == f"subscription-order/{order_id}"
    later = await place(scene, {**ORDERS["quantity"], "quantity": 55})
    assert (await until_ended(scene, later))["state"] == "confirmed"


async def test_a_stale_answer_to_a_repetition_does_not_prove_that_nothing_was_done(
    open_shop: Scene,
) -> None:
    """Done, the answer lost, theirs on top; the repetition is told 2055 by a forgetful provider."""
    scene = open_shop
    order_id = await sent_and_lost(
        scene, ORDERS["quantity"], "lost after", lag_audit=6, lag_subscriptions=2
    )
    stale = {"kind": "status", "status": 412, "body": {"code": 2055, "description": "Etag"}}
    await fault(scene, **stale)
    await scene.change(ANNUAL, quantity=50)
    row = await until_ended(scene, order_id)
    assert await seats(scene) == 50
    assert (row["state"], row["code"]) == ("confirmed", "overtaken")


async def test_a_lost_purchase_never_takes_somebody_elses_order_for_its_own(
    open_shop: Scene,
) -> None:
    """Two buy the same at the same time; ours is listed last."""
    scene = open_shop
    lags = {"lag_orders": 0, "lag_audit": 4}
    order_id = await sent_and_lost(scene, PURCHASE, "lost after", **lags)
    for _ in range(3):  # the cart, its repetition, and the checkout, whose answer is lost
        await scene.execute("UPDATE subscription_order SET due_at = now()")
        await scene.ingest.work("orders")
    [ours] = scene.partner.simulator.shop.books.orders
    line = {"product_id": "CFQ7TTC0LFLX", "availability_id": "CFQ7TTC0AAAA", "quantity": 3}
    await scene.partner.pull("POST", "/purchases", {"customer_id": BIRCH, "lines": [line]})
    scene.partner.simulator.shop.books.orders.reverse()
    row = await until_ended(scene, order_id)
    assert row["result"]["provider_order_id"] == ours.id
    assert row["result"]["subscription_ids"] == [ours.lines[0].subscription_id]


async def test_a_purchase_whose_order_is_never_listed_ends_with_a_reason(open_shop: Scene) -> None:
    """On record, and no ids: that is what it says, and it is not bought again."""
    scene = open_shop
    await scene.partner.switch(lag_orders=NEVER)
    order_id = await place(scene, PURCHASE)
    for _ in range(6):
        await scene.ingest.work("orders")
        await scene.execute("UPDATE subscription_order SET due_at = now()")
    await scene.execute("UPDATE subscription_order SET unsure_since = now() - interval '25 h'")
    row = await until_ended(scene, order_id)
    assert (row["state"], row["code"]) == ("confirmed", "not_listed")
    [bought] = scene.partner.simulator.shop.books.orders
    assert row["result"]["provider_order_id"] == bought.id
    assert await writes_done(scene, PURCHASE) == 1


async def test_an_upgrade_that_is_never_listed_ends_with_a_reason(open_shop: Scene) -> None:
    """Done by its answer, told by neither list nor log: confirmed, and not done again."""
    scene = open_shop
    await scene.partner.switch(lag_transitions=NEVER, lag_audit=NEVER)
    order_id = await place(scene, ORDERS["upgrade"])
    for _ in range(4):
        await scene.ingest.work("orders")
        await scene.execute("UPDATE subscription_order SET due_at = now()")
    await scene.execute("UPDATE subscription_order SET unsure_since = now() - interval '25 h'")
    row = await until_ended(scene, order_id)
    assert (row["state"], row["code"]) == ("confirmed", "not_listed")
    assert await writes_done(scene, ORDERS["upgrade"]) == 1


@pytest.mark.parametrize("lost", LOST)
async def test_a_schedule_that_somebody_overtook_is_told_as_not_restored(
    open_shop: Scene, lost: str
) -> None:
    """Seats done, the schedule's repetition lost, then somebody's seats: no word is left out."""
    scene = open_shop
    await until_ended(scene, await place(scene, ORDERS["schedule"]))
    match = {"path": "subscriptions/[^/]+$", "method": "PATCH"}
    body = {"match": match, "times": 1, "skip": 1, "kind": LOST[lost]}
    await scene.partner.pull("POST", "/faults", body)
    order_id = await place(scene, ORDERS["quantity"])
    await scene.ingest.work("orders")
    await scene.at("2026-04-14T09:13:00+00:00")
    await scene.change(ANNUAL, quantity=50)
    row = await until_ended(scene, order_id)
    assert await seats(scene) == 50
    assert (row["state"], row["code"]) == ("confirmed", "schedule_not_restored")
    assert "somebody" in row["result"]["not_restored"]


@pytest.mark.parametrize("name", ["term", "plan", "suspend"])
async def test_what_any_change_drops_comes_back_or_is_told(open_shop: Scene, name: str) -> None:
    """A longer term, another plan: scheduled again. A suspension takes none: told instead."""
    scene, order = open_shop, ORDERS[name]
    one = str(order["subscription_id"])
    customer = scene.partner.simulator.shop.books.subscription(one).customer_id
    await until_ended(scene, await place(scene, ORDERS["schedule"] | {"subscription_id": one}))
    row = await until_ended(scene, await place(scene, order))
    assert row["state"] == "confirmed"
    resource = await scene.partner.subscription(one, customer)
    if name == "suspend":
        dropped = row["result"]["dropped"]["scheduledNextTermInstructions"]
        assert ("scheduledNextTermInstructions" in resource, dropped["quantity"]) == (False, 33)
    else:
        assert resource["scheduledNextTermInstructions"]["quantity"] == 33
