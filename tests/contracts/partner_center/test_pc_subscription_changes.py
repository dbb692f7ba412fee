"""Which changes are accepted, with which code the others are refused, and what a PATCH resets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.kernel.clock import FrozenClock
from simulators.exact_json import Document, loads
from support.partner_center import ALDER, ANNUAL, MONTHLY, Partner

DAY = timedelta(days=1)


async def wish(partner: Partner, subscription: str = ANNUAL, **change: Any) -> tuple[int, Any]:
    answer = await partner.lever("POST", "/changes", {"subscription_id": subscription, **change})
    document = answer.json()
    if answer.status_code == 200:
        return 200, document["subscription"]
    return answer.status_code, document["code"]


async def test_seats_may_be_added_at_any_time(partner: Partner) -> None:
    """An addition is accepted and may be undone for seven days, hour by hour."""
    status, subscription = await wish(partner, quantity=45)
    expected = {
        "totalQuantity": 5,
        "details": [{"quantity": 5, "allowedUntilDateTime": "2026-04-21T09:12:00Z"}],
    }
    assert (200, 45, expected) == (
        status,
        subscription["quantity"],
        subscription["refundableQuantity"],
    )


async def test_the_four_events_of_the_first_story_come_out_as_told(
    partner: Partner, clock: FrozenClock
) -> None:
    """40 → 45 → 43 accepted; the monthly 6 → 4 and the annual 43 → 33 refused, on record only."""
    assert (await wish(partner, quantity=45))[0] == 200
    clock.set(datetime(2026, 4, 18, 16, 40, tzinfo=UTC))
    assert (await wish(partner, quantity=43))[0] == 200
    clock.set(datetime(2026, 4, 21, 8, tzinfo=UTC))
    assert await wish(partner, MONTHLY, quantity=4) == (400, 900257)
    clock.set(datetime(2026, 4, 27, 10, 5, tzinfo=UTC))
    assert await wish(partner, quantity=33) == (400, 900257)
    records = (await partner.audit())[::-1]
    assert [r["operationStatus"] for r in records] == ["succeeded", "succeeded", "failed", "failed"]
    assert (await partner.subscription())["quantity"] == 43
    assert (await partner.subscription(MONTHLY))["quantity"] == 6


@pytest.mark.parametrize(
    ("hours", "outcome"), [(168, (200, 40)), (168 + 1 / 3600, (400, 900257))], ids=["last", "late"]
)
async def test_the_window_of_added_seats_closes_after_168_hours(
    hours: float, outcome: tuple[int, int], partner: Partner, clock: FrozenClock
) -> None:
    """To the second."""
    await wish(partner, quantity=45)
    clock.advance(timedelta(hours=hours))
    status, result = await wish(partner, quantity=40)
    assert outcome == (status, result["quantity"] if status == 200 else result)


async def test_no_more_seats_leave_than_are_refundable(partner: Partner) -> None:
    """An open window is not enough: 800090 for the rest."""
    await wish(partner, quantity=45)
    assert await wish(partner, quantity=39) == (400, 800090)


async def test_each_batch_has_its_own_window(partner: Partner, clock: FrozenClock) -> None:
    """Seats added on two days can be removed until two different instants."""
    await wish(partner, quantity=43)
    clock.advance(5 * DAY)
    await wish(partner, quantity=45)
    clock.advance(3 * DAY)
    assert (await wish(partner, quantity=43))[0] == 200
    assert await wish(partner, quantity=42) == (400, 900257)


@pytest.mark.parametrize(("quantity", "code"), [(0, 2002), (10_001, 900275)])
async def test_a_quantity_outside_the_limits_is_refused(
    quantity: int, code: int, partner: Partner
) -> None:
    """Neither nothing nor more than the product allows."""
    assert await wish(partner, quantity=quantity) == (400, code)


async def test_cancelling_is_possible_for_seven_days_after_a_renewal(
    partner: Partner, clock: FrozenClock
) -> None:
    """The renewal of the 1st of April opened a window that is closed on the 14th."""
    assert await wish(partner, MONTHLY, status="deleted") == (400, 900117)
    clock.set(datetime(2026, 5, 1, tzinfo=UTC))
    await partner.pull("POST", "/tick")
    clock.set(datetime(2026, 5, 7, 23, tzinfo=UTC))
    status, subscription = await wish(partner, MONTHLY, status="deleted")
    assert (status, subscription["status"]) == (200, "deleted")
    assert await wish(partner, MONTHLY, quantity=9) == (400, 2011)


async def test_a_suspended_subscription_takes_no_changes_but_reactivation(partner: Partner) -> None:
    """Suspending turns renewal off and freezes the seats."""
    status, subscription = await wish(partner, status="suspended")
    assert (status, subscription["autoRenewEnabled"]) == (200, False)
    assert await wish(partner, quantity=50) == (400, 2001)
    assert await wish(partner, friendly_name="x") == (400, 800091)
    assert (await wish(partner, status="active"))[1]["status"] == "active"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"term": "P3Y"}, 200),
        ({"term": "P1M"}, 800122),
        ({"billing_plan": "annual"}, 800097),
        ({"term": "P3Y", "billing_plan": "triennial"}, 200),
    ],
)
async def test_only_a_longer_term_is_possible_now(
    change: Document, outcome: int, partner: Partner
) -> None:
    """Shorter terms and other plans wait for the renewal."""
    status, result = await wish(partner, **change)
    assert outcome == (200 if status == 200 else result)


async def test_a_change_cannot_be_dated_before_the_last_one_or_in_the_future(
    partner: Partner,
) -> None:
    """History is told in order."""
    await wish(partner, quantity=45)
    for at in ("2026-04-14T09:11:59Z", "2026-04-14T09:12:01Z"):
        body = {"subscription_id": ANNUAL, "quantity": 46, "at": at}
        assert (await partner.lever("POST", "/changes", body)).status_code == 422


async def test_patch_takes_the_whole_resource_with_one_thing_changed(partner: Partner) -> None:
    """The ordinary way: read, change, write; the answer is the resource."""
    resource = await partner.subscription()
    answer = await partner.patch({**resource, "quantity": 42})
    assert (answer.status_code, answer.json()["quantity"]) == (200, 42)
    (record,) = await partner.audit()
    assert record["applicationId"] == "tieout"


async def test_a_body_that_leaves_auto_renew_out_turns_it_off(partner: Partner) -> None:
    """The trap of partial bodies: no error, no warning, and no renewal."""
    resource = await partner.subscription()
    body = {k: resource[k] for k in ("id", "quantity", "status")}
    answer = await partner.patch({**body, "quantity": 41})
    assert (answer.status_code, answer.json()["autoRenewEnabled"]) == (200, False)


async def test_leaving_out_scheduled_changes_deletes_them(partner: Partner) -> None:
    """Scheduled instructions have to be sent back as they were read."""
    resource = await partner.subscription()
    product = {
        "productId": "CFQ7TTC0LDPB",
        "skuId": "0001",
        "availabilityId": "CFQ7TTC0CCCC",
        "billingCycle": "Monthly",
        "termDuration": "P1Y",
    }
    instructions = {"product": product, "quantity": 33, "customTermEndDate": None}
    scheduled = await partner.patch({**resource, "scheduledNextTermInstructions": instructions})
    assert scheduled.json()["scheduledNextTermInstructions"]["quantity"] == 33
    resource = await partner.subscription()
    kept = await partner.patch({**resource, "friendlyName": "kept"})
    assert "scheduledNextTermInstructions" in kept.json()
    resource = await partner.subscription()
    del resource["scheduledNextTermInstructions"]
    dropped = await partner.patch({**resource, "friendlyName": "dropped"})
    assert "scheduledNextTermInstructions" not in dropped.json()


async def test_an_immediate_change_deletes_scheduled_ones(partner: Partner) -> None:
    """R-SCHED-DROP: read again after every write."""
    await wish(partner, next_term={"quantity": 33})
    _, subscription = await wish(partner, quantity=41)
    assert "scheduledNextTermInstructions" not in subscription


async def test_two_changes_in_one_patch_are_refused(partner: Partner) -> None:
    """One property a call."""
    resource = await partner.subscription()
    answer = await partner.patch({**resource, "quantity": 42, "friendlyName": "both"})
    assert (answer.status_code, answer.json()["code"]) == (400, 800002)


async def test_auto_renew_off_without_a_choice_becomes_extended_service(
    partner: Partner, clock: FrozenClock
) -> None:
    """Within a day the vendor decides for whoever did not."""
    resource = await partner.subscription()
    answer = await partner.patch({**resource, "autoRenewEnabled": False})
    assert "scheduledActions" not in answer.json()
    clock.advance(DAY)
    await partner.pull("POST", "/tick")
    actions = (await partner.subscription())["scheduledActions"]
    assert [a["actionType"] for a in actions] == ["RenewToExtendedServiceTerm"]


async def test_a_stale_etag_is_refused(partner: Partner) -> None:
    """`If-Match` is optional, but honoured."""
    resource = await partner.subscription()
    stale = f'"{resource["attributes"]["etag"]}"'
    await partner.patch({**resource, "quantity": 42}, **{"If-Match": stale})
    answer = await partner.patch({**resource, "quantity": 43}, **{"If-Match": stale})
    assert (answer.status_code, answer.json()["code"]) == (412, 2055)


async def test_a_write_repeated_under_its_request_id_happens_once(partner: Partner) -> None:
    """The first answer comes again, also when the caller never saw it."""
    resource = await partner.subscription()
    headers = {"MS-RequestId": "7f4d1a52-0000-4000-8000-000000000001"}
    first = await partner.patch({**resource, "quantity": 42}, **headers)
    again = await partner.patch({**resource, "quantity": 42}, **headers)
    assert first.content == again.content
    assert len(await partner.audit()) == 1


async def test_updates_wait_while_a_renewal_is_pending(
    partner: Partner, clock: FrozenClock
) -> None:
    """From midnight after the last day until the renewal is processed: 409."""
    clock.set(datetime(2026, 5, 1, 0, 0, 1, tzinfo=UTC))
    assert await wish(partner, MONTHLY, quantity=7) == (409, 900278)
    await partner.pull("POST", "/tick")
    assert (await wish(partner, MONTHLY, quantity=7))[0] == 200


async def test_audit_records_connect_before_and_after(partner: Partner, clock: FrozenClock) -> None:
    """Each record's new value is the next one's old value, up to what depends on the hour."""
    for quantity in (45, 43, 47):
        await wish(partner, quantity=quantity)
        clock.advance(timedelta(hours=3))
    records = (await partner.audit())[::-1]
    values = [
        (loads(r["resourceOldValue"])["Quantity"], loads(r["resourceNewValue"])["Quantity"])
        for r in records
    ]
    assert values == [(40, 45), (45, 43), (43, 47)]


async def test_a_failed_attempt_records_what_was_wished_and_why_not(partner: Partner) -> None:
    """Old value: what stayed; new value: what was asked for."""
    await wish(partner, quantity=33, by="mia@partner")
    (record,) = await partner.audit()
    assert (
        record["operationStatus"],
        record["userPrincipalName"],
        loads(record["resourceOldValue"])["Quantity"],
        loads(record["resourceNewValue"])["Quantity"],
    ) == ("failed", "mia@partner", 40, 33)
    assert {"key": "ErrorCode", "value": "900257"} in record["customizedData"]


async def test_strangers_and_missing_things_have_their_codes(partner: Partner) -> None:
    """No relationship is 403/20002, no such subscription 404/20003."""
    stranger = "99999999-0000-4000-8000-000000000009"
    unknown = await partner.call("GET", f"/v1/customers/{stranger}")
    missing = await partner.call("GET", f"/v1/customers/{ALDER}/subscriptions/{stranger}")
    assert (unknown.status_code, unknown.json()["code"]) == (403, 20002)
    assert (missing.status_code, missing.json()["code"]) == (404, 20003)
