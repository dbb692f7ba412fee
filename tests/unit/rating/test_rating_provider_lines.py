"""The provider's side beyond the case table: each rule with other dates, and what always holds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain.provider_lines import Line, expected_lines, read_case
from rating.domain.provider_lines.cycles import Term
from shared.kernel.errors import Invalid

NOON = "T12:00:00Z"


def event(type: str, at: str, **fields: Any) -> dict[str, Any]:
    return {"type": type, "at": at if "T" in at else at + NOON, **fields}


def bought(at: str = "2025-06-01", qty: int = 10, **fields: Any) -> dict[str, Any]:
    return event("purchase", at, qty=qty, **fields)


def lines(*events: dict[str, Any], **case: Any) -> list[dict[str, Any]]:
    premises = {
        "term": "P1Y", "billing_plan": "monthly", "unit_price": "30.00", "currency": "USD",
        "term_start": events[0]["at"][:10], "events": list(events),
    } | case  # fmt: skip
    return [outcome.printed() for outcome in expected_lines(read_case(premises))]


def brief(shown: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Type, days, seats and amount; or type and what was said."""
    return [
        (x["charge_type"], x["start"], x["end"], x["qty"], x["amount"])
        if "qty" in x
        else (x["charge_type"], x.get("error_code", x.get("status")))
        for x in shown
    ]


def test_cycles_without_an_event_of_their_own_are_charged() -> None:
    """Nobody has to tell that a month is over."""
    found = brief(lines(bought(qty=2), event("add_seats", "2025-08-16", qty=1)))

    assert found == [
        ("new", "2025-06-01", "2025-06-30", 2, "60.00"),
        ("cycleCharge", "2025-07-01", "2025-07-31", 2, "60.00"),
        ("cycleCharge", "2025-08-01", "2025-08-31", 2, "60.00"),
        ("addQuantity", "2025-08-16", "2025-08-31", 2, "-30.96"),
        ("addQuantity", "2025-08-16", "2025-08-31", 3, "46.45"),
    ]


@pytest.mark.parametrize(
    ("start", "ends"),
    [
        ("2023-12-31", ["2024-01-30", "2024-02-28", "2024-03-30", "2024-04-29", "2024-05-30"]),
        ("2024-02-28", ["2024-03-29", "2024-04-28", "2024-05-29", "2024-06-28", "2024-07-29"]),
        ("2023-01-29", ["2023-02-27", "2023-03-28", "2023-04-28", "2023-05-28", "2023-06-28"]),
    ],
)
def test_longer_terms_billed_monthly_keep_the_end_of_the_month(start: str, ends: list[str]) -> None:
    """The last day, the day before it, and an ordinary day that February does not have."""
    cycles = list(Term(date.fromisoformat(start), "P1Y", "monthly").cycles())

    assert [str(cycle.end) for cycle in cycles[:5]] == ends


def test_a_monthly_term_moves_on_from_the_day_it_was_clipped_to() -> None:
    """31 January, 28 February, 28 March."""
    renewals = [event("renew", f"{day}T00:00:00Z") for day in ("2025-02-28", "2025-03-28")]

    found = lines(bought("2025-01-31", 1), *renewals, term="P1M")

    assert [(x["start"], x["end"]) for x in found] == [
        ("2025-01-31", "2025-02-27"), ("2025-02-28", "2025-03-27"), ("2025-03-28", "2025-04-27"),
    ]  # fmt: skip


def test_a_refund_within_a_day_is_whole_and_later_by_days() -> None:
    """R-WIN: 24 hours count even where midnight lies between."""
    night, later = event("cancel", "2025-06-02T11:59:00Z"), event("cancel", "2025-06-02T12:01:00Z")

    assert brief(lines(bought(), night))[1] == (
        "cancelImmediate", "2025-06-01", "2025-06-30", 10, "-300.00"
    )  # fmt: skip
    assert brief(lines(bought(), later))[1] == (
        "cancelImmediate", "2025-06-02", "2025-06-30", 10, "-290.00"
    )  # fmt: skip


def test_each_batch_of_seats_has_its_own_window() -> None:
    """168 hours after the second batch the first one is long fixed."""
    found = brief(
        lines(
            bought(),
            event("add_seats", "2025-06-10", qty=3),
            event("add_seats", "2025-06-14", qty=2),
            event("remove_seats", "2025-06-18", qty=3),
            event("remove_seats", "2025-06-18", qty=2),
        )
    )

    assert found[5] == ("REJECTED", "800090")
    assert [x[3] for x in found[6:]] == [15, 13]


def test_all_seats_are_given_back_by_cancelling() -> None:
    """A subscription of no seats does not exist."""
    assert brief(lines(bought(), event("remove_seats", "2025-06-02", qty=10)))[1] == (
        "REJECTED", "2002|900275",
    )  # fmt: skip


def test_an_upgrade_keeps_the_cycle_and_its_new_price_goes_on() -> None:
    """Both parts are charged with their own prices at the next cycle."""
    found = lines(
        bought(qty=20),
        event("upgrade", "2025-06-16", qty=8, to_sku="E5", to_unit_price="60.00", mode="partial"),
        event("cycle", "2025-07-01T00:00:00Z"),
    )

    assert brief(found)[1:] == [
        ("convert", "2025-06-16", "2025-06-30", 8, "-120.00"),
        ("convert", "2025-06-16", "2025-06-30", 8, "240.00"),
        ("cycleCharge", "2025-07-01", "2025-07-31", 12, "360.00"),
        ("cycleCharge", "2025-07-01", "2025-07-31", 8, "480.00"),
    ]
    assert [x["subscription"] for x in found] == ["S1", "S1", "S2", "S1", "S2"]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({"to_status": "suspended"}, "SubscriptionNotActive"),
        ({"to_purchased_at": "2025-06-10T12:00:00Z"}, "SubscriptionInCancellationWindow"),
        ({"to_term": "P1M"}, "SubscriptionTermShorter"),
        ({"to_term_end": "2026-01-31"}, "SubscriptionEndsEarlier"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(target: dict[str, str], code: str) -> None:
    """The four errors of transition eligibility."""
    moved = event("upgrade", "2025-06-16", to_subscription="S2", to_unit_price="60", **target)

    assert brief(lines(bought(), moved))[1] == ("REJECTED", code)


def test_a_longer_term_begins_at_once() -> None:
    """R-TERM: the rest of the month back, a whole month of the new term."""
    longer = event("change_term", "2025-06-16", to_term="P1Y", to_unit_price="26.25")

    assert brief(lines(bought(), longer, term="P1M"))[1:] == [
        ("ANY", "2025-06-16", "2025-06-30", 10, "-150.00"),
        ("ANY", "2025-06-16", "2025-07-15", 10, "262.50"),
    ]


def test_a_change_of_plan_waits_for_the_next_cycle() -> None:
    """Asked for in the middle of a month: ten of twelve months at the annual price."""
    found = lines(
        bought("2025-06-10"),
        event("cycle", "2025-07-10T00:00:00Z"),
        event("change_billing_plan", "2025-07-20", to="annual", to_unit_price="360.00"),
        term="P3Y",
    )

    last = found[-1]
    assert (last["order_date"], last["start"], last["end"]) == (
        "2025-08-10", "2025-08-10", "2026-06-09",
    )  # fmt: skip
    assert (last["months_used"], last["amounts"]["month_fraction"]) == (10, "3000.00")


def test_a_chosen_end_aligns_every_cycle_with_it() -> None:
    """Two months and a bit, then calendar months."""
    cycles = list(Term(date(2025, 7, 15), "P1Y", "monthly", date(2025, 9, 30)).cycles())

    assert [(str(c.start), str(c.end), c.full_days) for c in cycles] == [
        ("2025-07-15", "2025-07-31", 31),
        ("2025-08-01", "2025-08-31", 31),
        ("2025-09-01", "2025-09-30", 30),
    ]


def test_a_suspended_subscription_is_billed_and_never_renewed() -> None:
    """R-SUSP: after the term there is nothing."""
    found = brief(lines(bought(), event("suspend", "2025-06-10"), event("renew", "2025-07-01"),
                        term="P1M"))  # fmt: skip

    assert found[1:] == [("STATE", "suspended"), ("REJECTED", None)]


def test_yen_have_no_decimals() -> None:
    """ROUNDDOWN to the currency's own unit."""
    added = event("add_seats", "2025-06-21", qty=1)

    found = lines(bought(qty=3), added, unit_price="5125", currency="JPY")

    assert [x["amount"] for x in found] == ["15375", "-5125", "6833"]


def test_older_examples_round_the_line_to_the_nearest() -> None:
    """32 × 2.5415 = 81.328: truncated 81.32, printed by the provider as 81.33."""
    found = lines(bought(qty=32), unit_price="2.5415")

    assert found[0]["amounts"] == {
        "unit": "81.28", "line": "81.32", "month_fraction": "81.28", "half_up": "81.33",
    }  # fmt: skip


@pytest.mark.parametrize("title", ["Red Hat Enterprise Linux", "RHEL 9", "SLES for SAP", "SUSE"])
def test_linux_plans_cannot_be_cancelled(title: str) -> None:
    """Whatever the day."""
    found = lines(bought(), event("cancel", "2025-06-01T13:00:00Z"), sku_title=title)

    assert found[-1]["charge_type"] == "REJECTED"


def test_the_telecom_part_of_a_price_follows_a_new_one_in_proportion() -> None:
    """12.00 of 57.00; the renewal at 60.00 has 12.63, and both lines sum to the price."""
    found = lines(
        bought(qty=1, telecom_unit_price="12.00"),
        event("renew", "2025-07-01T00:00:00Z", to_unit_price="60.00"),
        term="P1M", unit_price="57.00",
    )  # fmt: skip

    assert [x["amount"] for x in found] == ["45.00", "12.00", "47.37", "12.63"]


def test_what_a_partial_upgrade_made_is_renewed_by_the_same_order() -> None:
    """R-SCHED: the order may be written a day late; then it is so for both, on one invoice."""
    found = lines(
        bought(qty=2),
        event("upgrade", "2025-06-16", qty=1, to_sku="E5", to_unit_price="60.00"),
        event("renew", "2025-07-01T00:00:00Z", completed_at="2025-07-02T02:00:00Z"),
        term="P1M",
    )

    renewals = [x for x in found if x["charge_type"] == "renew"]
    assert [(x["subscription"], x["order_date"], x["start"]) for x in renewals] == [
        ("S1", "2025-07-02", "2025-07-01"),
        ("S2", "2025-07-02", "2025-07-01"),
    ]


def test_what_a_partial_upgrade_made_is_not_renewed_twice() -> None:
    """An event that names a subscription renews that one; the other has an event of its own."""
    found = lines(
        bought(qty=2),
        event("upgrade", "2025-06-16", qty=1, to_sku="E5", to_unit_price="60.00"),
        event("renew", "2025-07-01T00:00:00Z", subscription="S1"),
        event("renew", "2025-07-01T00:00:00Z", subscription="S2"),
        term="P1M",
    )

    assert [x["subscription"] for x in found if x["charge_type"] == "renew"] == ["S1", "S2"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pc_to_bc_rates": {"2025-05": {"rate": "1.1", "billing_currency": "EUR"}}}, "no_fx_rate"),
        ({"events": [bought(telecom_unit_price="999.00")]}, "event_field_invalid"),
        ({"term": "P2Y"}, "case_field_invalid"),
        ({"unit_price": 30.5}, "case_field_invalid"),
        ({"unit_price": "NaN"}, "case_field_invalid"),
        ({"unit_price": "-1"}, "case_field_invalid"),
        ({"currency": "dollars"}, "currency_unknown"),
        ({"billing_plan": "triennial"}, "case_field_invalid"),
        ({"events": []}, "case_field_invalid"),
        ({"events": [event("purchase", "2025-06-01")]}, "event_field_missing"),
        ({"events": [event("purchase", "2025-06-01", qty="2.5")]}, "event_field_invalid"),
        ({"events": [event("teleport", "2025-06-01")]}, "event_type_unknown"),
        ({"events": [event("purchase", "2025-06-01T12:00:00", qty=1)]}, "case_field_invalid"),
        ({"events": [event("add_seats", "2025-06-01", qty=1)]}, "subscription_unknown"),
        ({"events": [bought(), event("cycle", "2025-06-09")]}, "cycle_not_due"),
    ],
)
def test_what_cannot_be_computed_says_why(changes: dict[str, Any], code: str) -> None:
    """A code for programs, a place for people."""
    with pytest.raises(Invalid) as refusal:
        lines(bought(), **changes)

    assert refusal.value.code == code


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A purchase and seats that come and go within a few weeks."""
    first = draw(st.datetimes(datetime(2023, 1, 1), datetime(2026, 12, 31)))  # noqa: DTZ001  # below
    at = first.replace(tzinfo=UTC)
    events = [event("purchase", at.isoformat(), qty=draw(st.integers(1, 500)))]
    for hours in draw(st.lists(st.integers(1, 200), max_size=8)):
        at += timedelta(hours=hours)
        kind = draw(st.sampled_from(["add_seats", "remove_seats"]))
        events.append(event(kind, at.isoformat(), qty=draw(st.integers(1, 50))))
    return events


@given(histories(), st.sampled_from([("P1M", "monthly"), ("P1Y", "monthly"), ("P1Y", "annual"),
                                     ("P3Y", "annual"), ("P3Y", "triennial")]))  # fmt: skip
def test_pairs_telescope_to_the_seats(events: list[dict[str, Any]], kind: tuple[str, str]) -> None:
    """R-SEATCOUNT, and no line is worth more than its seats at the full price."""
    term, plan = kind
    premises = {
        "term": term, "billing_plan": plan, "unit_price": "30.47", "currency": "EUR",
        "term_start": events[0]["at"][:10], "events": events,
    }  # fmt: skip
    outcomes = expected_lines(read_case(premises))
    found = [one for one in outcomes if isinstance(one, Line)]
    refused = {one.source for one in outcomes if not isinstance(one, Line)}

    seats = sum(
        e["qty"] * (-1 if e["type"] == "remove_seats" else 1)
        for number, e in enumerate(events)
        if number not in refused
    )
    since = max(n for n, x in enumerate(found) if x.charge_type in {"new", "renew", "cycleCharge"})
    assert sum(x.figure.quantity for x in found[since:]) == seats
    for one in found:
        for amount in one.figure.amounts.values():
            assert abs(amount) <= Decimal("30.47") * abs(one.figure.quantity)


@given(
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.sampled_from([("P1M", "monthly"), ("P1Y", "monthly"), ("P3Y", "monthly"), ("P1Y", "annual"),
                     ("P3Y", "annual"), ("P3Y", "triennial")]),
    st.none() | st.integers(1, 1_000),
)  # fmt: skip
def test_cycles_tile_the_term(start: date, kind: tuple[str, str], chosen: int | None) -> None:
    """No gap, no overlap, from the first day to the last."""
    term = Term(start, *kind)
    if chosen is not None:
        end = min(term.full_end, start + timedelta(days=chosen))
        term = Term(start, *kind, end)
    cycles = list(term.cycles())

    assert (cycles[0].start, cycles[-1].end) == (start, term.end)
    assert all(b.start == a.end + timedelta(days=1) for a, b in pairwise(cycles))
    assert all(0 < c.share_from(c.start) <= 1 for c in cycles)
