"""Subscriptions from the provider's portal to events, through webhooks, records and syncs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from socket import gethostname
from typing import Any

import pytest

from ingest.handlers import looking
from ingest.store import checks
from integration.ingest.conftest import Scene
from shared.contracts.ingest import ChangeKind, RenewalScheduled, SubscriptionChanged
from shared.runtime import audit
from support.partner_center import ALDER, ANNUAL, BIRCH, MONTHLY, TENANT

E1, E2 = datetime(2026, 4, 14, 9, 12, tzinfo=UTC), datetime(2026, 4, 18, 16, 40, tzinfo=UTC)


def told(changes: Sequence[SubscriptionChanged]) -> list[tuple[str, int, int, datetime]]:
    return [(c.kind, c.quantity_before, c.quantity_after, c.effective_at) for c in changes]


async def test_a_first_sync_opens_what_is_there(scene: Scene) -> None:
    """Both subscriptions open with their running term; nothing counts as bought."""
    row = await scene.sync()

    changes = {c.subscription_id: c for c in await scene.changes()}
    annual = changes[ANNUAL]
    assert (row["state"], row["customers"]) == ("done", 2)
    assert {c.kind for c in changes.values()} == {ChangeKind.OPENING}
    assert (annual.quantity_before, annual.quantity_after) == (0, 40)
    assert annual.effective_at == datetime(2025, 7, 1, tzinfo=UTC)
    assert annual.product.key == "CFQ7TTC0LDPB:0001:P1Y:monthly"
    assert (str(annual.term_start), str(annual.term_end)) == ("2025-07-01", "2026-07-01")
    assert (annual.customer_id, annual.provider_account) == (ALDER, TENANT)
    assert (annual.source.channel, annual.version) == ("sweep", 1)


async def test_a_second_sync_finds_nothing_new(scene: Scene) -> None:
    """Syncs converge."""
    await scene.sync()
    mark = await scene.ingest.harness.mark()

    row = await scene.sync()

    assert (row["state"], row["differing"], row["records"]) == ("done", 0, 0)
    assert await scene.changes(after=mark) == []


async def test_what_is_scheduled_for_the_renewal_is_told_when_it_changes(scene: Scene) -> None:
    """No step of the history: nothing has changed yet. Taken back, that is told as well."""
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.change(ANNUAL, next_term={"quantity": 33})
    await scene.sync()
    await scene.sync()
    await scene.change(ANNUAL, quantity=45)  # the provider drops what was scheduled
    await scene.sync()

    said = [e for e in await scene.ingest.harness.published(RenewalScheduled, after=mark)]

    assert [(e.subscription_id, str(e.term_end)) for e in said] == [(ANNUAL, "2026-07-01")] * 2
    assert [e.next_term.quantity if e.next_term else None for e in said] == [33, None]
    assert said[0].snapshot < said[1].snapshot
    changes = await scene.changes(after=mark)
    assert [(c.quantity_before, c.quantity_after) for c in changes] == [(40, 45)]


async def test_a_webhook_becomes_an_event_with_the_time_of_its_record(scene: Scene) -> None:
    """Portal → webhook → one read of the subscription, one of the record → event."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.change(ANNUAL, quantity=45)
    await scene.at("2026-04-14T11:00:00+00:00")
    await scene.partner.pull("DELETE", "/journal")

    await scene.settle()

    [change] = await scene.changes(after=mark)
    assert told([change]) == [(ChangeKind.QUANTITY_CHANGED, 40, 45, E1)]
    assert (change.source.channel, change.source.estimated_time) == ("webhook", False)
    assert change.source.actor == "admin@partner.onmicrosoft.com"
    journal = await scene.partner.pull("GET", "/journal?direction=in&method=GET")
    paths = [entry["path"] for entry in journal["entries"]]
    assert len([p for p in paths if "/auditrecords" in p or "/subscriptions/" in p]) == 2


async def test_a_purchase_is_told_by_its_webhook(scene: Scene) -> None:
    """A subscription nobody knew, of a customer nobody synced: bought when its record says."""
    await scene.register()
    await scene.partner.switch(purchase_webhooks=True)
    line = {"product_id": "CFQ7TTC0LDPB", "quantity": 6, "name": "Business Premium"}
    bought = await scene.partner.pull("POST", "/purchases", {"customer_id": BIRCH, "lines": [line]})

    await scene.settle()

    [change] = await scene.changes()
    assert told([change]) == [(ChangeKind.PURCHASED, 0, 6, E1)]
    assert change.subscription_id == bought["subscriptions"][0]["id"]
    assert change.source.audit_record_id is not None


async def test_a_purchase_without_a_webhook_is_found_by_the_next_sync(scene: Scene) -> None:
    """The vendor has no event for orders."""
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.at("2026-04-15T08:00:00+00:00")
    line = {"product_id": "CFQ7TTC0LDPB", "quantity": 6}
    await scene.partner.pull("POST", "/purchases", {"customer_id": BIRCH, "lines": [line]})
    await scene.at("2026-04-16T02:00:00+00:00")

    await scene.sync()

    [change] = await scene.changes(after=mark)
    bought_at = datetime(2026, 4, 15, 8, tzinfo=UTC)
    assert told([change]) == [(ChangeKind.PURCHASED, 0, 6, bought_at)]


async def two_changes(scene: Scene) -> int:
    """Seats 40 → 45 → 43 with the webhooks held back; where the outbox stood before."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.partner.pull("PUT", "/webhooks", {"mode": "hold"})
    await scene.change(ANNUAL, quantity=45)
    await scene.at("2026-04-18T16:40:00+00:00")
    await scene.change(ANNUAL, quantity=43)
    await scene.at("2026-04-19T03:00:00+00:00")
    return mark


BOTH = [
    (ChangeKind.QUANTITY_CHANGED, 40, 45, E1),
    (ChangeKind.QUANTITY_CHANGED, 45, 43, E2),
]


@pytest.mark.parametrize("order", ["given", "reversed"])
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_webhooks_in_either_order_give_the_same_two_events(
    scene: Scene, order: str, one_by_one: bool
) -> None:
    """Late and reordered webhooks: each step once, with its own time."""
    mark = await two_changes(scene)
    held = [d["id"] for d in (await scene.partner.pull("GET", "/webhooks"))["deliveries"]]
    ids = held if order == "given" else held[::-1]

    for some in [[i] for i in ids] if one_by_one else [ids]:
        await scene.partner.pull("POST", "/webhooks/release", {"ids": some})
        await scene.settle()

    assert told(await scene.changes(after=mark)) == BOTH


async def test_webhooks_that_come_twice_change_nothing_twice(scene: Scene) -> None:
    """A repeat has no id of its own; event, resource and time tell that it is one."""
    mark = await two_changes(scene)
    await scene.partner.pull("PUT", "/webhooks", {"copies": 3})
    await scene.partner.pull("POST", "/webhooks/release")
    await scene.settle()
    await scene.settle()

    assert told(await scene.changes(after=mark)) == BOTH
    rows = await scene.fetch("SELECT receptions, state FROM webhook_delivery")
    assert {row["state"] for row in rows} == {"done"}
    assert len(rows) == 2


async def test_lost_webhooks_are_made_up_for_by_a_sync(scene: Scene) -> None:
    """Never delivered: the records tell both steps with their times."""
    mark = await two_changes(scene)

    await scene.sync()

    changes = await scene.changes(after=mark)
    assert told(changes) == BOTH
    assert {c.source.channel for c in changes} == {"audit"}
    await scene.partner.pull("POST", "/webhooks/release")
    await scene.settle()
    assert told(await scene.changes(after=mark)) == BOTH


async def test_a_refused_change_is_on_the_audit_trail_and_nowhere_else(scene: Scene) -> None:
    """Twenty days after renewal: the provider says no, and says why."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.at("2026-04-21T08:00:00+00:00")
    refusal = await scene.change(MONTHLY, quantity=4)

    await scene.settle()
    await scene.sync()
    await scene.sync()

    assert refusal.status_code == 400
    assert await scene.changes(after=mark) == []
    [record] = await scene.audit("provider.change-refused")
    assert record["object"] == f"subscription/{MONTHLY}"
    assert str(refusal.json()["code"]) in record["reason"]
    assert record["before"] == {"quantity": 6}
    assert record["after"]["wished"] == {"quantity": 4}


async def test_a_renewal_nobody_told_of_is_found_with_its_new_term(scene: Scene) -> None:
    """No webhook, no record: only the sweep sees it, and the term itself says when."""
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.partner.switch(silent_renewals=True)
    await scene.at("2026-05-02T02:00:00+00:00")
    await scene.partner.pull("POST", "/tick")

    await scene.sync()

    [change] = await scene.changes(after=mark)
    first_of_may = datetime(2026, 5, 1, tzinfo=UTC)
    assert told([change]) == [(ChangeKind.RENEWED, 6, 6, first_of_may)]
    assert (str(change.term_start), str(change.term_end)) == ("2026-05-01", "2026-06-01")
    assert change.source.estimated_time is False


async def test_suspension_resumption_and_cancellation_follow_each_other(scene: Scene) -> None:
    """Suspended seats stay charged; cancelled ones do not."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.at("2026-04-15T00:00:00+00:00")
    await scene.change(ANNUAL, status="suspended")
    await scene.at("2026-04-15T01:00:00+00:00")
    await scene.change(ANNUAL, status="active")
    line = {"product_id": "CFQ7TTC0LDPB", "quantity": 3}
    bought = await scene.partner.pull("POST", "/purchases", {"customer_id": ALDER, "lines": [line]})
    await scene.at("2026-04-16T01:00:00+00:00")
    await scene.change(bought["subscriptions"][0]["id"], status="deleted")

    await scene.settle()

    seen = [(c.kind, c.quantity_before, c.quantity_after) for c in await scene.changes(after=mark)]
    assert seen == [
        (ChangeKind.SUSPENDED, 40, 40),
        (ChangeKind.RESUMED, 40, 40),
        (ChangeKind.PURCHASED, 0, 3),
        (ChangeKind.CANCELLED, 3, 0),
    ]


async def test_a_change_can_be_followed_to_its_evidence(scene: Scene) -> None:
    """Change → activity record → webhook as received → snapshots before and after."""
    await scene.register()
    await scene.sync()
    await scene.change(ANNUAL, quantity=45)
    await scene.settle()
    change = (await scene.changes())[-1]

    shown = await scene.ingest.ok("GET", f"/v1/changes/{change.change_id}")

    assert shown["audit_record"]["id"] == change.source.audit_record_id
    assert [w["id"] for w in shown["webhooks"]] == [change.source.webhook_id]
    assert shown["webhook"]["event_name"] == "subscription-updated"
    assert ANNUAL in shown["webhooks"][0]["body"]
    assert [s["resource"]["quantity"] for s in shown["snapshots"]] == [40, 45]
    assert (shown["before"]["quantity"], shown["after"]["quantity"]) == (40, 45)
    mirrored = await scene.ingest.ok("GET", f"/v1/subscriptions/{ANNUAL}")
    assert mirrored["state"]["quantity"] == 45
    assert mirrored["resource"]["refundableQuantity"]["totalQuantity"] == 5
    assert [c["kind"] for c in mirrored["changes"]] == ["opening", "quantity_changed"]


async def test_a_provider_that_does_not_answer_is_asked_again(scene: Scene) -> None:
    """The work stays, with its reason, until the answer comes."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.partner.pull(
        "POST", "/faults",
        {"kind": "status", "status": 503, "times": 1, "match": {"path": "/subscriptions/"}},
    )  # fmt: skip
    await scene.change(ANNUAL, quantity=45)
    await scene.settle()
    [waiting] = (await scene.ingest.ok("GET", "/v1/subscription-checks?still_open=true"))["data"]
    await scene.execute("UPDATE subscription_check SET due_at = now()")

    await scene.settle()

    assert "503" in waiting["reason"]
    assert told(await scene.changes(after=mark)) == [BOTH[0]]


async def test_an_expired_token_is_renewed_in_passing(scene: Scene) -> None:
    """401 once, then a new token; nobody notices."""
    await scene.register()
    await scene.sync()
    await scene.partner.pull("POST", "/tokens/expire")
    await scene.change(ANNUAL, quantity=45)

    await scene.settle()

    assert (await scene.changes())[-1].quantity_after == 45


async def test_an_unexplained_change_waits_for_its_record_and_is_then_estimated(
    scene: Scene,
) -> None:
    """No record shows why: after a few looks the notification's own time is taken."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.change(ANNUAL, quantity=45)
    books = scene.partner.simulator.shop.books
    books._audit.clear()
    books.audit_records.clear()
    await scene.at("2026-04-14T12:00:00+00:00")

    await scene.settle()

    [change] = await scene.changes(after=mark)
    assert told([change]) == [BOTH[0]]
    assert (change.source.estimated_time, change.source.audit_record_id) == (True, None)


async def test_a_record_that_comes_after_the_guess_supersedes_it(scene: Scene) -> None:
    """A sweep found 45 seats and no reason; the next sync is shown the record, of the day before.
    The guess stays what it is, the truth names it, and nothing more is news."""
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.change(ANNUAL, quantity=45)
    books = scene.partner.simulator.shop.books
    indexed, records = dict(books._audit), list(books.audit_records)
    books._audit.clear()
    books.audit_records.clear()
    await scene.at("2026-04-15T12:00:00+00:00")
    await scene.sync()
    [guess] = await scene.changes(after=mark)
    books._audit.update(indexed)
    books.audit_records.extend(records)

    await scene.sync()
    await scene.sync()

    [_, truth] = await scene.changes(after=mark)
    assert told([guess, truth]) == [
        (ChangeKind.QUANTITY_CHANGED, 40, 45, datetime(2026, 4, 15, 12, tzinfo=UTC)), BOTH[0],
    ]  # fmt: skip
    assert [c.source.estimated_time for c in (guess, truth)] == [True, False]
    assert (guess.supersedes, truth.supersedes) == (None, guess.change_id)
    shown = await scene.ingest.ok("GET", f"/v1/subscriptions/{ANNUAL}")
    assert [one["supersedes"] for one in shown["changes"]][1:] == [guess.change_id, None]


async def test_a_worker_that_dies_in_a_look_is_replaced(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease runs out and the look is done by another."""

    class Killed(BaseException):
        pass

    async def die(*args: Any, **kwargs: Any) -> None:
        raise Killed

    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.change(ANNUAL, quantity=45)
    await scene.partner.settled()
    with monkeypatch.context() as patched:
        patched.setattr("ingest.handlers.looking.observe", die)
        with pytest.raises(Killed):
            await scene.ingest.work("checks")
    await scene.ingest.work("checks")
    assert await scene.changes(after=mark) == []
    await scene.execute("UPDATE subscription_check SET leased_until = now()")

    await scene.ingest.work("checks")

    assert told(await scene.changes(after=mark)) == [BOTH[0]]


async def test_a_look_that_takes_long_keeps_its_lease(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else looks at the subscription before the first look has ended."""
    await scene.register()
    await scene.sync()
    mark = await scene.ingest.harness.mark()
    await scene.change(ANNUAL, quantity=45)
    await scene.partner.settled()
    monkeypatch.setattr(checks, "LEASE_S", 0.3)
    settle, claims = looking._settle, []

    async def slow(*given: Any) -> Any:
        [first] = await scene.fetch("SELECT leased_until FROM subscription_check WHERE lease <> ''")
        async with asyncio.timeout(10):
            while not await scene.fetch(
                "SELECT true WHERE now() > $1::timestamptz + interval '0.3 seconds'",
                first["leased_until"],
            ):
                async with scene.ingest.service.database.transaction() as tx:
                    claims.extend(
                        await checks.claim_checks(tx, "other", account_id="default", at_most=8)
                    )
        return await settle(*given)

    with monkeypatch.context() as patched:
        patched.setattr(looking, "_settle", slow)
        await scene.ingest.work("checks")

    assert claims == []
    assert told(await scene.changes(after=mark)) == [BOTH[0]]


async def test_a_process_that_starts_again_takes_up_at_once_what_it_held(scene: Scene) -> None:
    """The leases of its earlier life are freed; those of processes elsewhere are not."""
    place = f"{gethostname()}:{scene.ingest.service.settings.http_port}"
    for customer, lease in ((ALDER, f"{place}/gone/a"), (BIRCH, "elsewhere:8080/1/a")):
        await scene.execute(
            "INSERT INTO subscription_check VALUES"
            " ('default', $1, $1, 'webhook', 1, 1, 0, 0, now(), now(), $2, false, NULL, 'c',"
            " now())",
            customer, lease,
        )  # fmt: skip

    await scene.ingest.work("recovery")

    held = await scene.fetch("SELECT lease FROM subscription_check WHERE lease IS NOT NULL")
    assert [row["lease"] for row in held] == ["elsewhere:8080/1/a"]


async def test_a_daily_sync_follows_the_first_one_day_by_day(scene: Scene) -> None:
    """Never before an operator asked for the first."""
    await scene.ingest.work("schedule")
    assert (await scene.ingest.ok("GET", "/v1/syncs"))["data"] == []
    await scene.sync()
    await scene.ingest.work("schedule")
    await scene.at("2026-04-17T00:00:01+00:00")

    await scene.ingest.work()

    listed = (await scene.ingest.ok("GET", "/v1/syncs"))["data"]
    assert [(s["state"], s["requested_by"]) for s in listed] == [
        ("done", "schedule"),
        ("done", "tester"),
    ]


async def test_the_audit_trail_holds_together(scene: Scene) -> None:
    """Every step is on the chain, and the chain verifies."""
    await two_changes(scene)
    await scene.sync()

    async with scene.ingest.service.database.read() as reader:
        verdict = await audit.verify(reader)
    assert verdict.intact
    assert len(await scene.audit("subscription.changed")) == 4
