"""Upgrades, transfers, trials, add-ons, chosen end dates: what is done and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.kernel.clock import FrozenClock
from simulators.exact_json import loads
from support.partner_center import ALDER, ANNUAL, BIRCH, MONTHLY, Partner

E5 = {"product_id": "CFQ7TTC0LFLX", "sku_id": "0001", "title": "Microsoft 365 E5"}
PATH = {"from_product_id": "CFQ7TTC0LDPB", "from_sku_id": "0001", **E5}
NEW = "cccccccc-0000-4000-8000-000000000001"
BEFORE = "2025-12-01T00:00:00Z"
TRIAL = "cccccccc-0000-4000-8000-000000000002"
SUBS = f"/v1/customers/{ALDER}/subscriptions"


@pytest.fixture
async def sold(partner: Partner) -> Partner:
    """Business Premium may become E5."""
    await partner.pull("POST", "/additions", {"upgrade_paths": [PATH]})
    return partner


async def upgrade(partner: Partner, **body: Any) -> tuple[int, Any]:
    """An upgrade through the REST API."""
    target = f"{E5['product_id']}:{E5['sku_id']}:CFQ7TTC0AAAA"
    whole = {
        "fromCatalogItemId": "CFQ7TTC0LDPB:0001:CFQ7TTC0BBBB", "fromSubscriptionId": ANNUAL,
        "toCatalogItemId": target, "quantity": 40, "termDuration": "P1Y",
        "billingCycle": "monthly", "transitionType": "transition_only", **body,
    }  # fmt: skip
    answer = await partner.call("POST", f"{SUBS}/{ANNUAL}/transitions", whole)
    return answer.status_code, loads(answer.content)


async def test_a_full_upgrade_keeps_id_end_and_cycle(sold: Partner) -> None:
    """Another product, nothing else; the transition is on record."""
    status, transition = await upgrade(sold)
    after = await sold.subscription()
    found = (after["offerId"][:12], after["quantity"], after["commitmentEndDate"])
    assert (status, transition["toSubscriptionId"]) == (200, ANNUAL)
    assert found == ("CFQ7TTC0LFLX", 40, "2026-06-30T00:00:00Z")
    listed = await sold.get(f"{SUBS}/{ANNUAL}/transitions")
    assert [t["events"][0]["name"] for t in listed["items"]] == ["Conversion"]


async def test_a_partial_upgrade_makes_a_subscription_that_ends_with_the_old_one(
    sold: Partner,
) -> None:
    """Ten of forty seats leave; two records of one operation tell of it, with two webhooks."""
    status, transition = await upgrade(sold, quantity=10)
    new = await sold.subscription(transition["toSubscriptionId"])
    old = await sold.subscription()
    assert (status, old["quantity"], new["quantity"]) == (200, 30, 10)
    assert new["commitmentEndDate"] == old["commitmentEndDate"]
    assert new["refundableQuantity"]["totalQuantity"] == 0
    records = await sold.audit()
    assert {r["operationType"] for r in records} == {"upgrade_subscription"}
    assert len({r["originalCorrelationId"] for r in records}) == 1


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"term": "P1M", "term_start": "2026-04-01", "purchased_at": BEFORE}, 900259),
        ({"term": "P1Y", "term_start": "2025-05-01"}, 900260),
        ({"term": "P1Y", "term_start": "2026-04-10"}, 900258),
        ({"term": "P1Y", "term_start": "2026-02-01", "status": "suspended"}, 900236),
        ({"term": "P1Y", "term_start": "2026-02-01"}, None),
    ],
    ids=["shorter", "ends-earlier", "in-window", "not-active", "fits"],
)  # fmt: skip
async def test_seats_move_only_into_a_fitting_subscription(
    sold: Partner, target: dict[str, Any], code: int | None
) -> None:
    """Active, outside its window, with a term and an end not shorter."""
    seed = {
        "id": NEW, "customer_id": ALDER, "product_id": "CFQ7TTC0LFLX", "name": "Microsoft 365 E5",
        "quantity": 5, **target,
    }  # fmt: skip
    await sold.pull("POST", "/additions", {"subscriptions": [seed]})
    status, answer = await upgrade(sold, quantity=10, toSubscriptionId=NEW)
    assert (code is None, code) == (status == 200, answer.get("code"))
    if code is None:
        assert (await sold.subscription(NEW))["quantity"] == 15


async def test_eligibilities_name_targets_and_their_problems(sold: Partner) -> None:
    """The listed product, and the existing subscription that is too short for it."""
    seed = {
        "id": NEW, "customer_id": ALDER, "product_id": "CFQ7TTC0LFLX", "name": "E5",
        "term": "P1M", "term_start": "2026-04-01", "purchased_at": "2025-12-01T00:00:00Z",
    }  # fmt: skip
    await sold.pull("POST", "/additions", {"subscriptions": [seed]})
    found = await sold.get(f"{SUBS}/{ANNUAL}/transitionEligibilities?eligibilityType=immediate")
    [item] = found["items"]
    [target] = item["subscriptionEligibilities"]
    assert ([e["code"] for e in target["errors"]], target["isEligible"]) == ([3], False)


async def test_a_product_that_is_no_target_is_not_found(partner: Partner) -> None:
    """Without a path there is no upgrade."""
    assert (await upgrade(partner))[1]["code"] == 400019


async def test_an_upgrade_drops_what_was_scheduled(sold: Partner) -> None:
    """As every immediate change does."""
    await sold.pull("POST", "/changes", {"subscription_id": ANNUAL, "next_term": {"quantity": 33}})
    await upgrade(sold, quantity=10)
    assert "scheduledNextTermInstructions" not in await sold.subscription()


async def test_a_trial_becomes_a_paid_year_by_itself_or_by_transition(
    sold: Partner, clock: FrozenClock
) -> None:
    """Nobody decided: the default follows. Somebody did: the paid term starts that day."""
    trials = [
        {
            "id": i, "customer_id": ALDER, "product_id": "CFQ7TTC0LDPB", "name": "BP Trial",
            "term": "P1M", "term_start": "2026-04-01", "quantity": 25, "is_trial": True,
        }
        for i in (NEW, TRIAL)
    ]  # fmt: skip
    await sold.pull("POST", "/additions", {"subscriptions": trials})
    announced = (await sold.subscription(NEW))["scheduledNextTermInstructions"]["product"]
    assert (announced["termDuration"], announced["billingCycle"]) == ("P1Y", "Monthly")
    wish = {"subscription_id": TRIAL, "product_id": "CFQ7TTC0LDPB", "name": "Business Premium"}
    done = await sold.pull("POST", "/transitions", wish)
    assert done["subscription"]["effectiveStartDate"] == "2026-04-14T00:00:00Z"
    assert [r["operationType"] for r in done["audit_records"]] == ["convert_trial_subscription"]
    clock.set(datetime(2026, 5, 1, tzinfo=UTC))
    await sold.pull("POST", "/tick")
    after = await sold.subscription(NEW)
    assert (after["isTrial"], after["commitmentEndDate"]) == (False, "2027-04-30T00:00:00Z")


async def test_end_dates_on_offer_are_month_ends_and_those_of_neighbours(partner: Partner) -> None:
    """An annual subscription does not align with a monthly one."""
    found = await partner.get(f"{SUBS}/customTermEndDates?term_duration=P1Y")
    by_kind: dict[str, list[str]] = {}
    for item in found["items"]:
        kind = item["allowedCustomTermEndDateType"]
        by_kind.setdefault(kind, []).append(item["allowedCustomTermEndDate"][:10])
    assert by_kind["subscriptionAligned"] == ["2026-06-30"]
    assert (by_kind["calendarMonthAligned"][0], len(by_kind["calendarMonthAligned"])) == (
        "2026-04-30",
        12,
    )


@pytest.mark.parametrize(("end", "code"), [("2026-06-30", None), ("2026-06-17", 900242)])
async def test_a_purchase_takes_only_an_end_on_offer(
    partner: Partner, end: str, code: int | None
) -> None:
    """900242 for any other day."""
    line = {"product_id": "CFQ7TTC0LH18", "quantity": 1, "custom_term_end": end}
    answer = await partner.lever("POST", "/purchases", {"customer_id": ALDER, "lines": [line]})
    assert answer.json().get("code") == code


async def test_an_add_on_needs_its_base(partner: Partner) -> None:
    """400041 without one; with one it is listed as an add-on of the base."""
    add_on = {"product_id": "CFQ7TTC0ADD0", "base_product_ids": ["CFQ7TTC0LDPB"]}
    await partner.pull("POST", "/additions", {"add_ons": [add_on]})
    line = {"product_id": "CFQ7TTC0ADD0", "quantity": 3}
    order = {"customer_id": ALDER, "lines": [line]}
    assert (await partner.lever("POST", "/purchases", order)).json()["code"] == 400041
    await partner.pull("POST", "/purchases", {**order, "lines": [{**line, "parent_id": ANNUAL}]})
    listed = await partner.get(f"{SUBS}/{ANNUAL}/addons")
    assert [s["parentSubscriptionId"] for s in listed["items"]] == [ANNUAL]


async def test_a_transfer_ends_here_and_begins_there(partner: Partner) -> None:
    """The leaving side is deleted at once; the coming side has an id and a term of its own."""
    away = {"customer_id": ALDER, "leaving": [ANNUAL, MONTHLY]}
    await partner.pull("POST", "/transfers", away)
    assert {(await partner.subscription(i))["status"] for i in (ANNUAL, MONTHLY)} == {"deleted"}
    coming = {
        "id": NEW, "customer_id": BIRCH, "product_id": "CFQ7TTC0LFLX", "name": "E5",
        "quantity": 7, "term_start": "2025-10-01",
    }  # fmt: skip
    await partner.pull("POST", "/transfers", {"customer_id": BIRCH, "coming": [coming]})
    assert (await partner.subscription(NEW, BIRCH))["quantity"] == 7
    kinds = [(r["resourceType"], r["operationType"]) for r in await partner.audit()]
    assert kinds == [("transfer", "update_transfer")] * 2


async def test_a_write_may_be_accepted_and_show_later(partner: Partner) -> None:
    """202 with a Location; two reads still show the state before."""
    await partner.switch(accepted_writes=True, stale_reads=2)
    body = await partner.subscription()
    answer = await partner.patch({**body, "quantity": 45})
    assert (answer.status_code, answer.headers["location"].endswith(ANNUAL)) == (202, True)
    assert [(await partner.subscription())["quantity"] for _ in range(3)] == [40, 40, 45]


async def test_what_a_body_repeats_is_no_change(partner: Partner, clock: FrozenClock) -> None:
    """A resource with scheduled changes that is sent back as read asks for nothing."""
    await partner.pull(
        "POST", "/changes", {"subscription_id": ANNUAL, "next_term": {"quantity": 3}}
    )
    clock.advance(timedelta(hours=1))
    before = await partner.subscription()
    assert (await partner.patch(before)).status_code == 200
    assert before == await partner.subscription()
    assert len(await partner.audit()) == 1
