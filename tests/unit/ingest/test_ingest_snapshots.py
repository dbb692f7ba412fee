"""A subscription as the provider shows it: every published sample reads, nothing is lost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ingest.domain.snapshots import (
    Scheduled,
    read_snapshot,
    read_state,
    start_of_term,
    state_from_json,
    state_to_json,
)
from shared.kernel.errors import Invalid
from unit.ingest.history import pascal, resource, snapshot_of
from unit.ingest.sample_files import sample

NCE: dict[str, Any] = resource(
    quantity=12,
    creationDate="2025-06-01T08:15:30.1234567Z",
    effectiveStartDate="2025-06-01T00:00:00Z",
    commitmentEndDate="2026-05-31T00:00:00Z",
    offerId="CFQ7TTC0AAAA:0001:CFQ7TTC0BBBB",
    scheduledNextTermInstructions={"product": {"productId": "CFQ7TTC0AAAA"}, "quantity": 10},
)


def test_a_new_commerce_subscription_reads_completely() -> None:
    """Product, SKU with its zeros, inclusive end turned exclusive, seats announced for renewal."""
    snapshot = snapshot_of(NCE)
    state = snapshot.state

    assert (state.product_id, state.sku_id) == ("CFQ7TTC0AAAA", "0001")
    assert (state.term, state.billing_plan, state.quantity) == ("P1Y", "monthly", 12)
    assert (state.term_start, state.term_end) == (date(2025, 6, 1), date(2026, 6, 1))
    assert snapshot.created_at == datetime(2025, 6, 1, 8, 15, 30, 123456, UTC)
    assert snapshot.scheduled == Scheduled(quantity=10)
    assert state.product().key == "CFQ7TTC0AAAA:0001:P1Y:monthly"
    assert start_of_term(state) == datetime(2025, 6, 1, tzinfo=UTC)


def test_what_is_scheduled_for_the_next_term_is_what_differs() -> None:
    """Another plan, a chosen end, an action; what repeats the running term says nothing."""
    product = {"productId": "CFQ7TTC0AAAA", "skuId": "0001", "termDuration": "p1y",
               "billingCycle": "Annual"}  # fmt: skip
    instructions = {"product": product, "quantity": None, "customTermEndDate": "2027-03-31"}
    actions = [{"scheduleType": "TermEnd", "actionType": "RenewToNewTerm"}]
    scheduled = NCE | {
        "scheduledNextTermInstructions": instructions, "scheduledActions": actions,
    }  # fmt: skip

    found = snapshot_of(pascal(scheduled)).scheduled

    assert found.product is not None
    assert (found.quantity, found.product.key) == (None, "CFQ7TTC0AAAA:0001:P1Y:annual")
    assert (found.ends_on, found.at_term_end) == (date(2027, 4, 1), None)
    cancelled = [{"scheduleType": "TermEnd", "actionType": "Cancel"}]
    ending = snapshot_of(
        NCE | {"scheduledNextTermInstructions": None, "scheduledActions": cancelled}
    )
    assert ending.scheduled == Scheduled(at_term_end="Cancel")
    assert ending.scheduled.next_term is None


def test_pascal_case_reads_like_camel_case() -> None:
    """Activity records print the same resource in the other casing."""
    assert snapshot_of(pascal(NCE)).state == snapshot_of(NCE).state


@pytest.mark.parametrize(
    "name",
    [
        "get-a-subscription-by-id--02-response",
        "change-the-quantity-of-a-subscription--01-response",
        "suspend-a-subscription--01-response",
    ],
)
def test_published_subscriptions_read(name: str) -> None:
    """Legacy resources have no term and no product id of three parts."""
    document = sample(name)

    snapshot = read_snapshot(document, customer_id="c")

    assert snapshot.resource == document
    assert snapshot.state.seats == next(
        v for k, v in document.items() if k.casefold() == "quantity"
    )
    assert snapshot.state.sku_id == "legacy"


@pytest.mark.parametrize(
    "name",
    ["get-all-of-a-customer-s-subscriptions--02-response",
     "get-all-subscriptions-by-partner--04-response"],
)  # fmt: skip
def test_published_collections_read(name: str) -> None:
    """Every item of a collection is a subscription."""
    for item in sample(name)["items"]:
        assert read_snapshot(item, customer_id="c").subscription_id


def test_seats_of_an_ended_subscription_are_not_charged_but_remembered() -> None:
    """Expired, disabled and deleted count zero; suspended ones go on being billed."""
    charged = {
        status: snapshot_of(resource(status=status)).state.quantity
        for status in ("active", "suspended", "expired", "disabled", "deleted")
    }

    assert charged == {"active": 40, "suspended": 40, "expired": 0, "disabled": 0, "deleted": 0}
    assert snapshot_of(resource(status="Deleted")).state.seats == 40


def test_a_partial_resource_takes_the_rest_from_its_base() -> None:
    """Activity records may show only what changed."""
    base = snapshot_of(NCE).state

    changed = read_state({"Quantity": 15, "Status": "suspended"}, base)

    assert (changed.seats, changed.status) == (15, "suspended")
    assert changed.term_end == base.term_end
    assert changed.product() == base.product()


def test_a_missing_end_is_computed_from_the_term() -> None:
    """And something without a term has no end."""
    without = {k: v for k, v in NCE.items() if not k.startswith("commitment")}

    assert snapshot_of(without).state.term_end == date(2026, 6, 1)
    assert snapshot_of({**without, "termDuration": None}).state.term_end == date.max


def test_the_last_day_of_time_is_an_end_too() -> None:
    """Azure plans end in the year 9999."""
    state = snapshot_of({**NCE, "commitmentEndDate": "9999-12-31T00:00:00Z"}).state

    assert state.term_end == date.max


@pytest.mark.parametrize(
    ("cycle", "plan"),
    [("Monthly", "monthly"), ("annual", "annual"), ("OneTime", "one_time"),
     ("one_time", "one_time"), ("Triennial", "triennial"), ("none", "none"), ("", "none")],
)  # fmt: skip
def test_billing_plans_in_any_casing(cycle: str, plan: str) -> None:
    """Casing varies between calls."""
    assert snapshot_of({**NCE, "billingCycle": cycle}).state.billing_plan == plan


def test_a_resource_without_id_or_dates_is_refused() -> None:
    """There is nothing to mirror then."""
    with pytest.raises(Invalid, match="subscription_without_id"):
        snapshot_of({**NCE, "id": ""})
    with pytest.raises(Invalid, match="subscription_undated"):
        snapshot_of({**NCE, "effectiveStartDate": None, "creationDate": None})


def test_a_state_survives_being_stored() -> None:
    """What the store writes is what it reads."""
    state = snapshot_of(NCE).state

    assert state_from_json(state_to_json(state)) == state


def test_digits_of_a_time_do_not_make_another_state() -> None:
    """A term start with seven digits equals the one without."""
    plain = snapshot_of({**NCE, "effectiveStartDate": "2025-06-01T00:00:00"})
    digits = snapshot_of({**NCE, "effectiveStartDate": "2025-06-01T00:00:00.0000000Z"})

    assert plain.state == digits.state
