"""Every kind of change is recognised, by each of the three channels alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from integration.ingest.conftest import Scene
from shared.contracts.ingest import ChangeKind
from support.partner_center import ALDER, ANNUAL, BIRCH, MONTHLY

E5 = {"product_id": "CFQ7TTC0LFLX", "sku_id": "0001", "name": "Microsoft 365 E5"}
NEW = "cccccccc-0000-4000-8000-000000000001"
TRIAL = "cccccccc-0000-4000-8000-000000000002"
THREE_YEARS = "cccccccc-0000-4000-8000-000000000003"
OTHERS = [
    {"id": TRIAL, "customer_id": ALDER, "product_id": "CFQ7TTC0LDPB", "name": "BP Trial",
     "term": "P1M", "term_start": "2026-04-01", "quantity": 25, "is_trial": True},
    {"id": THREE_YEARS, "customer_id": BIRCH, "product_id": "CFQ7TTC0LDPB", "name": "BP",
     "term": "P3Y", "billing_plan": "monthly", "term_start": "2025-04-20", "quantity": 100},
]  # fmt: skip

Act = Callable[[Scene], Awaitable[Any]]
Told = tuple[ChangeKind, str, int, int]


def portal(subscription: str, **wish: Any) -> Act:
    return lambda scene: scene.change(subscription, **wish)


def upgrade(subscription: str, **wish: Any) -> Act:
    body = {"subscription_id": subscription, **E5, **wish}
    return lambda scene: scene.partner.pull("POST", "/transitions", body)


def transfer(**body: Any) -> Act:
    return lambda scene: scene.partner.pull("POST", "/transfers", {"customer_id": ALDER, **body})


def passing(instant: str, *first: Act) -> Act:
    async def act(scene: Scene) -> None:
        for step in first:
            await step(scene)
        await scene.at(instant)
        await scene.partner.pull("POST", "/tick")

    return act


def in_turn(*acts: Act) -> Act:
    async def act(scene: Scene) -> None:
        for step in acts:
            await step(scene)

    return act


K = ChangeKind
COMING = {"id": NEW, "customer_id": ALDER, "product_id": "CFQ7TTC0LFLX", "name": "E5",
          "quantity": 7, "term_start": "2025-10-01"}  # fmt: skip
CASES: dict[str, tuple[Act, list[Told]]] = {
    "seats": (portal(ANNUAL, quantity=45), [(K.QUANTITY_CHANGED, ANNUAL, 40, 45)]),
    "suspended": (portal(ANNUAL, status="suspended"), [(K.SUSPENDED, ANNUAL, 40, 40)]),
    "longer term": (portal(ANNUAL, term="P3Y"), [(K.TERM_CHANGED, ANNUAL, 40, 40)]),
    "full upgrade": (upgrade(ANNUAL), [(K.UPGRADED, ANNUAL, 40, 40)]),
    "partial upgrade": (
        upgrade(ANNUAL, quantity=10, new_subscription_id=NEW),
        [(K.MOVED_IN, NEW, 0, 10), (K.MOVED_OUT, ANNUAL, 40, 30)],
    ),
    "trial converted": (
        upgrade(TRIAL, product_id="CFQ7TTC0LDPB", name="Business Premium"),
        [(K.TRIAL_CONVERTED, TRIAL, 25, 25)],
    ),
    "transferred out": (transfer(leaving=[ANNUAL]), [(K.TRANSFERRED_OUT, ANNUAL, 40, 0)]),
    "transferred in": (transfer(coming=[COMING]), [(K.TRANSFERRED_IN, NEW, 0, 7)]),
    "renewed with another count": (
        passing("2026-05-01T00:00:00+00:00", portal(MONTHLY, next_term={"quantity": 4})),
        [(K.RENEWED, MONTHLY, 6, 4), (K.TRIAL_CONVERTED, TRIAL, 25, 25)],
    ),
    "cancelled in the window": (
        in_turn(passing("2026-05-01T00:00:00+00:00"), portal(MONTHLY, status="deleted")),
        [(K.RENEWED, MONTHLY, 6, 6), (K.CANCELLED, MONTHLY, 6, 0)],
    ),
    "expired": (
        passing(
            "2026-05-01T00:00:00+00:00",
            portal(MONTHLY, auto_renew=False, scheduled_actions=[{"action_type": "Cancel"}]),
        ),
        [(K.EXPIRED, MONTHLY, 6, 0), (K.TRIAL_CONVERTED, TRIAL, 25, 25)],
    ),
    "plan changed at the next charge": (
        passing("2026-04-20T00:00:00+00:00", portal(THREE_YEARS, billing_plan="annual")),
        [(K.PLAN_CHANGED, THREE_YEARS, 100, 100)],
    ),
    "extended service": (
        passing("2026-07-01T00:00:00+00:00", portal(ANNUAL, auto_renew=False)),
        [(K.EXTENDED, ANNUAL, 40, 40)],
    ),
}
WITHOUT_RECORDS = {
    K.MOVED_IN: K.PURCHASED, K.MOVED_OUT: K.QUANTITY_CHANGED, K.TRANSFERRED_IN: K.PURCHASED,
    K.TRANSFERRED_OUT: K.CANCELLED,
}  # fmt: skip
"""What only a record tells; the quantities are right all the same."""


async def by_webhook(scene: Scene) -> None:
    await scene.settle()


async def by_records(scene: Scene) -> None:
    await scene.sync()


async def by_sweep(scene: Scene) -> None:
    nothing = {"totalCount": 0, "items": [], "attributes": {"objectType": "Collection"}}
    fault = {"match": {"path": "auditrecords"}, "kind": "status", "status": 200, "body": nothing}
    await scene.partner.pull("POST", "/faults", fault)
    await scene.sync()


@pytest.mark.parametrize("channel", [by_webhook, by_records, by_sweep])
@pytest.mark.parametrize("name", CASES)
async def test_each_kind_is_recognised_by_each_channel_alone(
    scene: Scene, name: str, channel: Act
) -> None:
    """A webhook with its record; pulled records, with no webhook; a sweep, with neither."""
    act, expected = CASES[name]
    await scene.partner.pull("POST", "/additions", {"subscriptions": OTHERS})
    await scene.sync()
    if channel is by_webhook:
        await scene.register()
        await scene.partner.switch(purchase_webhooks=True)
    await scene.at("2026-04-14T10:00:00+00:00")
    mark = await scene.ingest.harness.mark()
    await act(scene)
    await channel(scene)
    changes = await scene.changes(after=mark)
    found = [(c.kind, c.subscription_id, c.quantity_before, c.quantity_after) for c in changes]
    if channel is by_sweep:
        expected = [(WITHOUT_RECORDS.get(kind, kind), *rest) for kind, *rest in expected]
        # Of what happened between two sweeps only the sum is seen.
        expected = expected if name != "cancelled in the window" else [(K.CANCELLED, MONTHLY, 6, 0)]
    assert [e for e in expected if e not in found] == []
    assert net(found, expected) == net(expected, expected)


async def test_both_sides_of_an_upgrade_name_each_other(scene: Scene) -> None:
    """Seats that left are the seats that came."""
    await scene.sync()
    await scene.register()
    mark = await scene.ingest.harness.mark()
    await upgrade(ANNUAL, quantity=10, new_subscription_id=NEW)(scene)
    await scene.settle()
    changes = {c.subscription_id: c for c in await scene.changes(after=mark)}
    assert {i: c.counterpart_subscription_id for i, c in changes.items()} == {
        ANNUAL: NEW,
        NEW: ANNUAL,
    }
    assert len({c.source.correlation_id for c in changes.values()}) == 1


def net(found: list[Told], of: list[Told]) -> dict[str, int]:
    """Seats by which each subscription moved: nothing is counted twice."""
    moved = {told[1]: 0 for told in of}
    for _, subscription, before, after in found:
        if subscription in moved:
            moved[subscription] += after - before
    return moved
