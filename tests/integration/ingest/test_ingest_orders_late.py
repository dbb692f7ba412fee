"""Orders whose outcome shows late, or after somebody else's change: nothing is done twice or over.

The subscription, the lists of orders and transitions, and the activity log each lag by themselves.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from ingest.handlers import ordering
from integration.ingest.conftest import Scene
from integration.ingest.order_world import (
    FAULTS,
    ORDERS,
    fault,
    place,
    told,
    until_ended,
    writes_done,
)
from support.partner_center import ANNUAL

HIDDEN = {"record": "shown_audit_records", "orders": "shown_orders", "moves": "shown_transitions"}
THEIRS = 47


@pytest.fixture(autouse=True)
def waits_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks again before the test says so, however slow the machine is."""
    monkeypatch.setattr(ordering, "retry_after", lambda attempts, asked_s=None: 3600.0)


async def pause(scene: Scene, rounds: int = 3) -> None:
    """Look some times more, with every wait over at once."""
    for _ in range(rounds):
        await scene.execute("UPDATE subscription_order SET due_at = now()")
        await scene.ingest.work()


async def hours_pass(scene: Scene, hours: int) -> None:
    sql = "UPDATE subscription_order SET unsure_since = unsure_since - $1 * interval '1 hour'"
    await scene.execute(sql, hours)


async def sent_without_answer(scene: Scene, name: str, kind: str) -> str:
    """The order's write got no answer; nobody has looked yet."""
    await fault(scene, kind=kind)
    order_id = await place(scene, ORDERS[name])
    await scene.ingest.work()
    assert (await told(scene, order_id))["state"] == "unknown"
    return order_id


async def seats(scene: Scene) -> int:
    return int((await scene.partner.subscription())["quantity"])


async def test_a_change_after_ours_stays_until_the_record_tells_them_apart(
    open_shop: Scene,
) -> None:
    """Ours took effect, its answer was lost, somebody set 47, and the record is late."""
    scene = open_shop
    await scene.partner.switch(shown_audit_records=0)
    order_id = await sent_without_answer(scene, "quantity", "drop_after_commit")
    await scene.change(ANNUAL, quantity=THEIRS)

    await pause(scene)
    waiting, between = await told(scene, order_id), await seats(scene)
    await scene.partner.switch(shown_audit_records=None)
    ended = await until_ended(scene, order_id)

    assert (waiting["state"], between) == ("unknown", THEIRS)
    assert (ended["state"], ended["code"]) == ("confirmed", "overtaken")
    assert await seats(scene) == THEIRS
    assert await writes_done(scene, ORDERS["quantity"]) == 1


async def test_a_change_instead_of_ours_is_never_written_over(open_shop: Scene) -> None:
    """Ours never arrived, and theirs on record leads from then to now: a person decides."""
    scene = open_shop
    await scene.partner.switch(shown_audit_records=0)
    order_id = await sent_without_answer(scene, "quantity", "drop_before")
    await scene.change(ANNUAL, quantity=THEIRS)

    await pause(scene)
    waiting = await told(scene, order_id)
    await scene.partner.switch(shown_audit_records=None)
    ended = await until_ended(scene, order_id)
    kept = await seats(scene)
    again = await until_ended(
        scene, await place(scene, {"subscription_id": ANNUAL, **ended["offer"]})
    )

    assert waiting["state"] == "unknown"
    assert (ended["state"], ended["code"]) == ("refused", "changed_meanwhile")
    assert kept == THEIRS
    assert (again["state"], await seats(scene)) == ("confirmed", 45)
    assert len(await scene.audit("subscription-order.needs-a-person")) == 1


LATE = [
    pytest.param(
        name, lag, lost, id=f"{name}, {'+'.join(lag)}{', answer lost' if lost else ''}",
        marks=[] if len(lag) == 2 else [pytest.mark.slow],
    )
    for name, own in (("purchase", "orders"), ("upgrade", "moves"))
    for lag, lost in product((("record",), (own,), ("record", own)), (False, True))
]  # fmt: skip


@pytest.mark.parametrize(("name", "lag", "lost"), LATE)
async def test_what_is_made_once_waits_for_its_ids(
    open_shop: Scene, name: str, lag: tuple[str, ...], lost: bool
) -> None:
    """Whichever list is late: confirmed with ids in the end, and made once."""
    scene = open_shop
    hidden: dict[str, Any] = {HIDDEN[which]: 0 for which in lag}
    await scene.partner.switch(**hidden)
    if lost:
        await fault(scene, kind="drop_after_commit")
    order_id = await place(scene, ORDERS[name])
    await scene.ingest.work()

    await pause(scene)
    waiting = await told(scene, order_id)
    await scene.partner.switch(**dict.fromkeys(hidden))
    ended = await until_ended(scene, order_id)

    assert len(lag) == 1 or waiting["state"] == "unknown"  # one of them may tell its ids already
    assert (ended["state"], ended["code"]) == ("confirmed", None)
    assert ended["result"].get("subscription_ids") or ended["result"].get("to_subscription_id")
    assert await writes_done(scene, ORDERS[name]) == 1


@pytest.mark.parametrize("name", ["purchase", "upgrade"])
async def test_what_is_not_listed_for_a_day_is_a_persons(open_shop: Scene, name: str) -> None:
    """It is done, so it is confirmed; the reason says that its ids are missing."""
    scene = open_shop
    await scene.partner.switch(shown_orders=0, shown_transitions=0, shown_audit_records=0)
    order_id = await place(scene, ORDERS[name])
    await scene.ingest.work()
    await pause(scene)
    await hours_pass(scene, 24)

    ended = await until_ended(scene, order_id)

    assert (ended["state"], ended["code"]) == ("confirmed", "not_listed")
    assert await writes_done(scene, ORDERS[name]) == 1


async def test_a_restore_that_meets_news_says_what_is_not_restored(open_shop: Scene) -> None:
    """The seats are done and on record; that must not pass for the schedule they dropped."""
    scene = open_shop
    await until_ended(scene, await place(scene, ORDERS["schedule"]))
    second = {"path": "subscriptions/[^/]+$", "method": "PATCH"}
    body = {"match": second, "skip": 1, "times": 1, "kind": "drop_before"}
    await scene.partner.pull("POST", "/faults", body)
    order_id = await place(scene, ORDERS["quantity"])
    await scene.ingest.work()
    assert await seats(scene) == 45
    await scene.change(ANNUAL, quantity=THEIRS)

    ended = await until_ended(scene, order_id)

    assert (ended["state"], ended["code"]) == ("confirmed", "schedule_not_restored")
    assert ended["result"]["not_restored"]
    assert await seats(scene) == THEIRS


@pytest.mark.parametrize("trouble", [t for t in FAULTS if t != "none"])
async def test_trouble_with_the_cart_buys_once_all_the_same(open_shop: Scene, trouble: str) -> None:
    """A cart that nobody checks out buys nothing, so another one may be made."""
    scene = open_shop
    body = {"match": {"path": "/carts$", "method": "POST"}, "times": 1, **FAULTS[trouble]}
    await scene.partner.pull("POST", "/faults", body)

    ended = await until_ended(scene, await place(scene, ORDERS["purchase"]))

    assert (ended["state"], ended["code"]) == ("confirmed", None)
    assert await writes_done(scene, ORDERS["purchase"]) == 1
