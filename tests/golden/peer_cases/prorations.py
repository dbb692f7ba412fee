"""Prorations: whatever the peer calls the change, a share of a whole cycle by one function."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from golden.peer_cases.rows import (
    Adapter,
    Row,
    cents,
    closed,
    days,
    inclusive,
    span,
    wall,
)
from rating.domain import reductions
from rating.domain.proration import Span
from shared.kernel.money import Money, Rounding, round_to
from shared.kernel.periods import add_months, start_of

PLACES = 9  # the digits Kill Bill prints of a factor


def calendar_days_between(row: Row) -> dict[str, object]:
    zone = row.inputs["time_zone"]
    start, end = wall(row.inputs["start_wall"], zone), wall(row.inputs["end_wall"], zone)
    return {"days": row.convention.count(start, end)}


def change_mid_period(row: Row) -> dict[str, object]:
    """The old quantity credited, the new one charged, each a line."""
    given = row.inputs
    whole = inclusive(row.day("period_start"), row.day("period_end"))
    share = row.share(Span(row.day("change_date"), whole.end), whole).share
    amounts = []
    for side in ("old", "new"):
        price, quantity = given[f"{side}_unit_price"], given[f"{side}_quantity"]
        exact = Fraction(price or 0) * (quantity or 0) * share
        amounts.append(Money(closed(exact, given["currency"]), given["currency"]))
    credit, charge = amounts
    if given.get("credit_capped_at_paid") and given.get("amount_already_paid") is not None:
        paid = Money(Decimal(str(given["amount_already_paid"])), given["currency"])
        credit = reductions.credit(credit, paid=paid, given=Money.zero(paid.currency))
    net = charge - credit
    return {"credit": -credit.amount, "charge": charge.amount, "net": net.amount}


def _second_early(row: Row, name: str) -> Span:
    """The peer's period ends a second before ours; ours is given what the peer means."""
    end = row.instant("period_end") - timedelta(seconds=1)
    at = min(row.instant(name), end)
    return Span(at, end)


def _whole_of(part: Span, row: Row) -> Span:
    return Span(row.instant("period_start"), part.end)


def add_item_mid_period(row: Row) -> dict[str, object]:
    part = _second_early(row, "added_at")
    share = row.share(part, _whole_of(part, row)).share
    exact = Fraction(row.number("price_per_period")) * int(row.inputs.get("quantity", 1)) * share
    return {"charge": closed(exact)}


def remove_item_mid_period(row: Row) -> dict[str, object]:
    part = _second_early(row, "removed_at")
    share = row.share(part, _whole_of(part, row)).share
    wanted = closed(Fraction(row.number("price_per_period")) * share)
    paid, given = row.number("billed_this_period"), row.number("credited_this_period")
    usd = "USD"
    credit = reductions.credit(Money(wanted, usd), paid=Money(paid, usd), given=Money(given, usd))
    return {"credit": -credit.amount}


def inclusive_fee_cents(row: Row) -> dict[str, object]:
    served = inclusive(row.day("first_day"), row.day("last_day"))
    counted = row.share(served, days(row.inputs["period_days"]))
    fee = cents(row.inputs["plan_price_cents"] * counted.share)
    return {"days": counted.numerator, "fee_cents": fee}


def replace_prepaid_add_on_cents(row: Row) -> dict[str, object]:
    left = inclusive(row.day("change_day"), row.day("last_day"))
    share = row.share(left, days(row.inputs["period_days"])).share
    new, old = (cents(row.inputs[f"{side}_price_cents"] * share) for side in ("new", "old"))
    return {"new_stub": new, "old_unused": old, "fee_cents": new - old}


def flat_fee_for_part_period(row: Row) -> dict[str, object]:
    """A fee of no length is no period's fee: it is charged as it is."""
    served, whole = span(row.inputs["service"]), span(row.inputs["full_period"])
    empty = served.start == served.end or whole.start == whole.end
    share = Fraction(1) if empty else row.share(served, whole).share
    return {"amount": closed(Fraction(row.number("price")) * share, row.inputs["currency"])}


def _running(row: Row, months: int = 1) -> tuple[Fraction, datetime]:
    """The share of the running period that is left, and when the change happened."""
    start, changed = row.day("cycle_start"), row.instant("changed_at")
    whole = Span(start_of(start), start_of(add_months(start, months)))
    return row.share(Span(changed, whole.end), whole).share, changed


def plan_change_cents(row: Row) -> dict[str, object]:
    """Two notations of one thing: lists of components, or one price with a cadence on each side."""
    given = row.inputs
    if isinstance(given["old_price_cents"], list):
        return _components(row)
    months = given["old_period_months"]
    share, _ = _running(row, months)
    restarts = months != given["new_period_months"]
    charge = given["new_price_cents"] * (Fraction(1) if restarts else share)
    return {"credit_cents": cents(given["old_price_cents"] * share), "charge_cents": cents(charge)}


def _components(row: Row) -> dict[str, object]:
    given: dict[str, Any] = row.inputs
    whole = Span(row.day("period_start"), row.day("period_end"))
    share = row.share(Span(row.day("change_date"), whole.end), whole).share
    prices: list[int] = []
    pairs = zip(given["old_price_cents"], given["new_price_cents"], strict=True)
    for old, new in pairs:
        prices += [-old, new]
    prices += [-gone for gone in given.get("removed_cents", ())]
    prices += given.get("added_cents", ())
    lines = [cents(price * share) for price in prices]
    lines = [line for line in lines if line] + list(given.get("one_time_cents", ()))
    return {"lines_cents": lines, "net_cents": sum(lines)}


def plan_change_with_discounts_cents(row: Row) -> dict[str, object]:
    """The whole price is discounted first, then prorated."""
    share, _ = _running(row)
    sides = {}
    for side, name in (("old", "credit_cents"), ("new", "charge_cents")):
        price = Money(Decimal(row.inputs[f"{side}_price_cents"]), "JPY")  # cents: no digits
        found = row.inputs[f"{side}_discount"]
        off = [_discount(found)] if found else []
        net = price - reductions.discount(price, off)
        sides[name] = cents(Fraction(net.amount) * share)
    return dict(sides)


def _discount(given: Mapping[str, Any]) -> reductions.Discount:
    if "percent" in given:
        return reductions.PercentOff(Decimal(str(given["percent"])))
    return reductions.AmountOff(Money(Decimal(given["fixed_cents"]), "JPY"))


def seat_change_with_scheduled_plan_change_cents(row: Row) -> dict[str, object]:
    """Seats move now at the running price; the new price comes with the next period."""
    given = row.inputs
    share, _ = _running(row)
    delta = given["seats_after"] - given["seats_before"]
    return {
        "proration_cents": cents(given["seat_price_cents"] * delta * share),
        "next_period_cents": given["next_period_seat_price_cents"] * given["seats_after"],
    }


def stub_factor(row: Row) -> dict[str, object]:
    """Months of a fixed length: any whole month is the denominator."""
    month = row.day("stub_start").replace(day=1)
    stub = span([row.inputs["stub_start"], row.inputs["stub_end"]])
    counted = row.share(stub, Span(month, add_months(month, 1)))
    price = Fraction(row.number("price_per_month")) if "price_per_month" in row.inputs else 0
    return {
        "days": counted.numerator,
        "factor": round_to(counted.share, PLACES, Rounding.HALF_AWAY),
        "amount": closed(price * counted.share, row.inputs.get("currency", "USD")),
    }


def credit_grant_stub(row: Row) -> dict[str, object]:
    whole = Span(row.instant("period_start"), row.instant("period_end"))
    share = row.share(Span(row.instant("grant_at"), whole.end), whole).share
    granted = Fraction(row.number("credits_per_period")) * share
    return {"granted": round_to(granted, 8, Rounding.HALF_AWAY)}


ADAPTERS: Mapping[str, Adapter] = {
    "calendar_days_between": calendar_days_between,
    "change_mid_period": change_mid_period,
    "add_item_mid_period": add_item_mid_period,
    "remove_item_mid_period": remove_item_mid_period,
    "advance_first_fee_cents": inclusive_fee_cents,
    "arrears_last_fee_cents": inclusive_fee_cents,
    "replace_prepaid_add_on_cents": replace_prepaid_add_on_cents,
    "flat_fee_for_part_period": flat_fee_for_part_period,
    "plan_change_cents": plan_change_cents,
    "plan_change_with_discounts_cents": plan_change_with_discounts_cents,
    "seat_change_with_scheduled_plan_change_cents": seat_change_with_scheduled_plan_change_cents,
    "stub_factor": stub_factor,
    "stub_days": stub_factor,
    "stub_amount": stub_factor,
    "credit_grant_stub": credit_grant_stub,
}
