"""Histories in which one event meets the consequences of another, beyond the case table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain.provider_lines import Line, expected_lines, read_case
from shared.kernel.errors import Invalid

Shown = list[tuple[Any, ...]]


def event(type: str, at: str, **fields: Any) -> dict[str, Any]:
    return {"type": type, "at": at if "T" in at else f"{at}T12:00:00Z", **fields}


def told(*events: dict[str, Any], **case: Any) -> Shown:
    premises = {
        "term": "P1Y", "billing_plan": "monthly", "unit_price": "30.00", "currency": "USD",
        "term_start": events[0]["at"][:10], "events": list(events),
    } | case  # fmt: skip
    shown = [outcome.printed() for outcome in expected_lines(read_case(premises))]
    return [
        (x["charge_type"], x["start"], x["end"], x["qty"], x["amount"])
        if "qty" in x
        else (x["charge_type"], x.get("error_code", x.get("status")))
        for x in shown
    ]


BOUGHT = event("purchase", "2025-06-01", qty=10)
CANCELLED = event("cancel", "2025-06-03")


@pytest.mark.parametrize("later", ["cycle", "renew"])
def test_nothing_follows_a_cancelled_subscription(later: str) -> None:
    """The row is answered: the lines until then, and none afterwards."""
    found = told(BOUGHT, CANCELLED, event(later, "2025-07-01T00:00:00Z"), term="P1M")

    assert found[1:] == [
        ("cancelImmediate", "2025-06-03", "2025-06-30", 10, "-280.00"),
        ("STATE", "deleted"),
    ]


def test_seats_that_come_before_a_new_plan_are_charged_in_the_old_one() -> None:
    """R-PLAN waits for the cycle; until it begins, price and days are those of the month."""
    found = told(
        BOUGHT,
        event("change_billing_plan", "2025-06-10", to="annual", to_unit_price="360.00"),
        event("add_seats", "2025-06-16", qty=2),
        event("cycle", "2025-07-01T00:00:00Z"),
        term="P3Y",
    )

    assert found[1:] == [
        ("addQuantity", "2025-06-16", "2025-06-30", 10, "-150.00"),
        ("addQuantity", "2025-06-16", "2025-06-30", 12, "180.00"),
        ("changeBillingPlan", "2025-07-01", "2026-05-31", 12, "3960.00"),
    ]


def test_a_whole_refund_is_never_more_than_was_charged() -> None:
    """Within 24 hours, but over midnight, with seats that were charged from the second day."""
    found = told(
        BOUGHT,
        event("add_seats", "2025-06-02T01:00:00Z", qty=5),
        event("cancel", "2025-06-02T03:00:00Z"),
    )

    assert found[3] == ("cancelImmediate", "2025-06-02", "2025-06-30", 15, "-435.00")


def test_perpetual_software_has_no_seats_to_change() -> None:
    """It has no cycle in which a change could be charged."""
    found = told(
        BOUGHT, event("add_seats", "2025-06-10", qty=1), term="none", billing_plan="one_time"
    )

    assert found[1:] == [("REJECTED", None)]


@pytest.mark.parametrize("title", ["ISV SaaS annual", "Contoso SaaS Gold", "Marketplace backup"])
def test_offers_of_others_are_known_by_their_title(title: str) -> None:
    """Fourteen days and the whole amount, whoever the publisher is."""
    found = told(
        BOUGHT, event("cancel", "2025-06-14T11:00:00Z"), billing_plan="annual", sku_title=title
    )

    assert found[1:] == [("ANY", "2025-06-01", "2026-05-31", 10, "-300.00")]


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A purchase, then seats, upgrades, suspensions and at last a cancellation, hours apart."""
    at = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 10_000)))
    events = [event("purchase", at.isoformat(), qty=draw(st.integers(1, 300)))]
    for hours in draw(st.lists(st.integers(0, 100), max_size=6)):
        at += timedelta(hours=hours)
        kind = draw(st.sampled_from(["add_seats", "remove_seats", "upgrade", "suspend", "resume"]))
        more = {"qty": draw(st.integers(1, 30))} if kind.endswith("seats") else {}
        if kind == "upgrade":
            more = {"to_sku": "other", "to_unit_price": "41.13", "mode": "full"}
        events.append(event(kind, at.isoformat(), **more))
    at += timedelta(hours=draw(st.integers(0, 100)))
    return [*events, event("cancel", at.isoformat())]


@given(histories(), st.sampled_from([("P1M", "monthly"), ("P1Y", "monthly"), ("P1Y", "annual")]))
def test_nobody_is_paid_for_having_bought(
    events: list[dict[str, Any]], kind: tuple[str, str]
) -> None:
    """Whatever happened before it, a refund leaves what was used to be paid: never below zero."""
    premises = {
        "term": kind[0], "billing_plan": kind[1], "unit_price": "30.47", "currency": "EUR",
        "term_start": events[0]["at"][:10], "events": events,
    }  # fmt: skip
    found = [one for one in expected_lines(read_case(premises)) if isinstance(one, Line)]

    assert sum((one.figure.unit * Fraction(one.figure.quantity) for one in found), Fraction()) >= 0


@pytest.mark.parametrize(
    "fields",
    [
        {"qty": "many"}, {"to_unit_price": "P3Y"}, {"to_unit_price": "-1"}, {"to_term": "P9M"},
        {"to_billing_plan": "Infinity"}, {"custom_term_end_date": True},
        {"completed_at": "9999-12-31T23:59:59Z"}, {"promotion_percent": "15"},
    ],
)  # fmt: skip
def test_a_field_of_another_kind_is_named_whatever_the_event(fields: dict[str, Any]) -> None:
    """A mistake in one row is that row's error and never the end of a table."""
    with pytest.raises(Invalid) as refusal:
        told(BOUGHT, event("renew", "2025-07-01T00:00:00Z", **fields), term="P1M")

    assert refusal.value.code == "event_field_invalid"
    assert next(iter(fields)) in refusal.value.detail
