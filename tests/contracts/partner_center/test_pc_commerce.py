"""Buying, renewing and ending: what people and time do to subscriptions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.kernel.clock import FrozenClock
from simulators.exact_json import Document, loads
from simulators.partner_center.terms import charge_cycle_end, last_day_of_term
from support.partner_center import ALDER, ANNUAL, MONTHLY, Partner

CARTS = f"/v1/customers/{ALDER}/carts"


def cart_line(quantity: int = 4, term: str = "P1M", product: str = "CFQ7TTC0HD32") -> Document:
    return {
        "catalogItemId": f"{product}:0001:CFQ7TTC0AAAA",
        "friendlyName": "Visio",
        "quantity": quantity,
        "billingCycle": "Monthly",
        "termDuration": term,
    }


async def test_a_cart_becomes_an_order_with_one_subscription_a_line(partner: Partner) -> None:
    """Checkout buys all lines together; the subscriptions are there at once."""
    lines = [cart_line(), cart_line(7, "P1Y", "CFQ7TTC0LH16")]
    cart = (await partner.call("POST", CARTS, {"LineItems": lines})).json()
    result = await partner.call("POST", f"{CARTS}/{cart['id']}/checkout")
    (order,) = result.json()["orders"]
    assert (result.status_code, [i["quantity"] for i in order["lineItems"]]) == (201, [4, 7])
    bought = await partner.subscription(order["lineItems"][1]["subscriptionId"])
    assert (
        bought["effectiveStartDate"],
        bought["commitmentEndDate"],
        bought["refundableQuantity"]["totalQuantity"],
    ) == ("2026-04-14T00:00:00Z", "2027-04-13T00:00:00Z", 7)
    found = await partner.get(f"/v1/customers/{ALDER}/subscriptions?order_id={order['id']}")
    assert found["totalCount"] == 2


async def test_a_purchase_is_on_record_as_an_order(partner: Partner) -> None:
    """Purchases raise no webhook: the activity log is how a partner learns of them."""
    line = {"product_id": "CFQ7TTC0HD32", "name": "Visio", "quantity": 4, "term": "P1M"}
    await partner.pull("POST", "/purchases", {"customer_id": ALDER, "lines": [line]})
    (record,) = await partner.audit()
    data = {d["key"]: d["value"] for d in record["customizedData"]}
    assert (
        record["operationType"],
        record["resourceType"],
        data["Quantity-0"],
        data["SubscriptionName-0"],
    ) == ("create_order", "order", "4", "Visio")
    assert loads(record["resourceNewValue"])["LineItems"][0]["Quantity"] == 4


async def test_a_cart_is_checked_out_once(partner: Partner) -> None:
    """The second checkout names the cart as submitted."""
    cart = (await partner.call("POST", CARTS, {"lineItems": [cart_line()]})).json()
    await partner.call("POST", f"{CARTS}/{cart['id']}/checkout")
    again = await partner.call("POST", f"{CARTS}/{cart['id']}/checkout")
    assert (again.status_code, again.json()["code"]) == (400, 800065)


async def test_a_cart_lives_for_seven_days(partner: Partner, clock: FrozenClock) -> None:
    """Afterwards it cannot be found."""
    cart = (await partner.call("POST", CARTS, {"lineItems": [cart_line()]})).json()
    clock.advance(timedelta(days=7))
    gone = await partner.call("GET", f"{CARTS}/{cart['id']}")
    assert (gone.status_code, gone.json()["code"]) == (404, 800008)


async def test_what_is_not_on_the_price_sheet_cannot_be_bought(partner: Partner) -> None:
    """With a price sheet, its products are the catalogue."""
    row = {
        "product_id": "CFQ7TTC0LH16",
        "sku_id": "0001",
        "product_title": "E3",
        "unit_price": "30",
        "effective_from": "2026-01-01",
    }
    await partner.pull("POST", "/additions", {"price_sheet": [row]})
    cart = (await partner.call("POST", CARTS, {"lineItems": [cart_line()]})).json()
    answer = await partner.call("POST", f"{CARTS}/{cart['id']}/checkout")
    assert (answer.status_code, answer.json()["code"]) == (404, 400019)


async def tick(partner: Partner, clock: FrozenClock, instant: datetime) -> list[tuple[str, str]]:
    clock.set(instant)
    done = (await partner.pull("POST", "/tick"))["done"]
    return [(d["subscription_id"], d["step"]) for d in done]


async def test_a_renewal_starts_a_term_and_opens_its_windows(
    partner: Partner, clock: FrozenClock
) -> None:
    """On the day after the last one, with the same seats, all of them removable again."""
    done = await tick(partner, clock, datetime(2026, 5, 1, 0, 30, tzinfo=UTC))
    subscription = await partner.subscription(MONTHLY)
    assert done == [(MONTHLY, "renew")]
    assert (
        subscription["effectiveStartDate"],
        subscription["commitmentEndDate"],
        subscription["refundableQuantity"]["totalQuantity"],
    ) == ("2026-05-01T00:00:00Z", "2026-05-31T00:00:00Z", 6)
    (record,) = await partner.audit()
    assert record["operationDate"] == "2026-05-01T00:00:00.0000000Z"


async def test_a_late_renewal_still_starts_its_term_on_the_first_day(
    partner: Partner, clock: FrozenClock
) -> None:
    """Processing takes up to a day; the window counts from its completion."""
    await partner.switch(renewal_delay_minutes=600, silent_renewals=True)
    assert await tick(partner, clock, datetime(2026, 5, 1, 9, tzinfo=UTC)) == []
    assert len(await tick(partner, clock, datetime(2026, 5, 1, 10, tzinfo=UTC))) == 1
    subscription = await partner.subscription(MONTHLY)
    assert (
        subscription["effectiveStartDate"],
        subscription["cancellationAllowedUntilDate"],
    ) == ("2026-05-01T00:00:00Z", "2026-05-08T10:00:00Z")
    assert await partner.audit() == []


async def test_a_scheduled_change_takes_effect_at_renewal(
    partner: Partner, clock: FrozenClock
) -> None:
    """33 instead of 40 seats on the first day of the new term."""
    wish = {"subscription_id": ANNUAL, "next_term": {"quantity": 33}}
    await partner.pull("POST", "/changes", wish)
    await tick(partner, clock, datetime(2026, 7, 1, tzinfo=UTC))
    subscription = await partner.subscription()
    assert (
        subscription["quantity"],
        subscription["commitmentEndDate"],
    ) == (33, "2027-06-30T00:00:00Z")
    assert "scheduledNextTermInstructions" not in subscription


async def test_missed_renewals_are_caught_up_in_order(partner: Partner, clock: FrozenClock) -> None:
    """A clock that jumps three months renews the monthly term three times."""
    done = await tick(partner, clock, datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert sorted(done, key=lambda d: d[0], reverse=True) == [(MONTHLY, "renew")] * 2 + [
        (MONTHLY, "renew"),
        (ANNUAL, "renew"),
    ]


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        (
            {"auto_renew": False, "scheduled_actions": [{"action_type": "Cancel"}]},
            ["expire", "disable", "delete"],
        ),
        ({"status": "suspended"}, ["expire", "disable", "delete"]),
    ],
    ids=["cancelled", "suspended"],
)
async def test_an_ended_term_expires_is_disabled_and_deleted(
    change: dict[str, Any], steps: list[str], partner: Partner, clock: FrozenClock
) -> None:
    """30 days of grace, 90 days disabled."""
    await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, **change})
    done = await tick(partner, clock, datetime(2026, 12, 31, tzinfo=UTC))
    assert steps == [step for subscription, step in done if subscription == ANNUAL]


async def test_auto_renew_off_ends_in_extended_service(
    partner: Partner, clock: FrozenClock
) -> None:
    """Month by month from the day after the term, until somebody cancels."""
    await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "auto_renew": False})
    await tick(partner, clock, datetime(2026, 7, 1, tzinfo=UTC))
    subscription = await partner.subscription()
    assert (
        subscription["status"],
        subscription["termDuration"],
        subscription["commitmentEndDate"],
    ) == ("active", "P1M", "2026-07-31T00:00:00Z")


@pytest.mark.parametrize(
    ("start", "term", "last"),
    [
        (date(2025, 6, 1), "P1Y", date(2026, 5, 31)),
        (date(2021, 1, 31), "P1M", date(2021, 2, 27)),
        (date(2021, 2, 28), "P1M", date(2021, 3, 27)),
        (date(2021, 6, 30), "P1M", date(2021, 7, 29)),
        (date(2024, 2, 29), "P1Y", date(2025, 2, 27)),
        (date(2026, 4, 14), "P3Y", date(2029, 4, 13)),
    ],
)
def test_terms_end_on_an_inclusive_day(start: date, term: str, last: date) -> None:
    """The published end-of-month examples among them."""
    assert last == last_day_of_term(start, term)


@pytest.mark.parametrize(
    ("day", "last"),
    [
        (date(2021, 1, 31), date(2021, 2, 27)),
        (date(2021, 2, 28), date(2021, 3, 30)),
        (date(2021, 3, 31), date(2021, 4, 29)),
        (date(2021, 5, 30), date(2021, 5, 30)),
        (date(2021, 12, 31), date(2022, 1, 30)),
    ],
)
def test_a_term_bought_on_the_last_day_keeps_the_last_day(day: date, last: date) -> None:
    """Published cycles of an annual term billed monthly and bought on 31 January 2021."""
    start = date(2021, 1, 31)
    assert last == charge_cycle_end(start, date(2022, 1, 30), "monthly", day)
