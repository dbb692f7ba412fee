"""Boundaries and cycles: when a service is billed, in advance or in arrears."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from fractions import Fraction
from itertools import islice

from golden.peer_cases.rows import Adapter, Row, days, span
from rating.domain import timeline
from rating.domain.cycles import ChargeCycle, charge_cycles
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook
from rating.domain.proration import whole_cycle
from shared.contracts.rating import ChargeKind
from shared.kernel.money import Rounding, round_to
from shared.kernel.periods import Period, boundary_on_or_after
from support.rating_facts import E3, change, contract, fixed, opening, sheet_row

MONTHS = {
    "MONTHLY": 1, "BIMESTRIAL": 2, "QUARTERLY": 3, "BIANNUAL": 6, "SEMIANNUAL": 6, "ANNUAL": 12,
    "BIENNIAL": 24, "TRIENNIAL": 36,
}  # fmt: skip
FOREVER = date(2999, 1, 1)
PLACES = 9  # the digits Kill Bill prints of a factor


def _cycles(
    row: Row, start: str, anchor: str, *, stop: date | None = None
) -> Iterator[ChargeCycle]:
    end = row.inputs.get("service_end")
    service = Period(row.day(start), date.fromisoformat(end) if end else FOREVER)
    months = MONTHS[row.inputs["period"]]
    return charge_cycles(service, int(row.inputs[anchor]), months, stop=stop)


def _pair(period: Period) -> list[str]:
    return [period.start.isoformat(), period.end.isoformat()]


def cycle_boundaries(row: Row) -> dict[str, object]:
    service = Period(row.day("from"), FOREVER)
    found = islice(charge_cycles(service, row.inputs["anchor_day"]), row.inputs["count"])
    return {"boundaries": [cycle.charged.end.isoformat() for cycle in found]}


def first_cycle_boundary(row: Row) -> dict[str, object]:
    start, anchor = row.day("service_start"), row.inputs["bill_cycle_day"]
    found = {name: boundary_on_or_after(start, anchor, months) for name, months in MONTHS.items()}
    return {"first_boundary_by_period": found}


def advance_period(row: Row) -> dict[str, object]:
    return {"interval": _pair(next(_cycles(row, "invoice_date", "billing_day")).charged)}


def arrears_period(row: Row) -> dict[str, object]:
    """The cycle that ended when the invoice is dated."""
    on = row.day("invoice_date")
    found = [c.charged for c in _cycles(row, "service_start", "billing_day", stop=on)]
    return {"interval": _pair([period for period in found if period.end <= on][-1])}


def completed_cycles(row: Row) -> dict[str, object]:
    now = row.day("as_of")
    found = _cycles(row, "service_start", "billing_day", stop=now)
    return {"completed": sum(1 for cycle in found if cycle.charged.end <= now)}


def billed_intervals(row: Row) -> dict[str, object]:
    """In arrears: what has ended by the day that is billed through."""
    through = row.day("bill_through")
    found = _cycles(row, "service_start", "bill_cycle_day", stop=through)
    return {"intervals": [_pair(c.charged) for c in found if c.charged.end <= through]}


def recurring_cycles_billed(row: Row) -> dict[str, object]:
    """In advance: what has begun by the day that is billed through."""
    after = row.day("bill_through") + timedelta(days=1)
    factors, told, run = Fraction(0), [], 0
    for cycle in _cycles(row, "service_start", "bill_cycle_day", stop=after):
        part = whole_cycle(cycle, row.convention)
        factors += Fraction(round_to(part.share, PLACES, Rounding.HALF_AWAY))
        if part.is_whole:
            run += 1
            continue
        told += [str(run)] if run else []
        told.append(f"{part.coefficient.numerator}/{part.coefficient.denominator}")
        run = 0
    return {"cycles": factors, "stubs_and_cycles": told + ([str(run)] if run else [])}


def arrears_stub_amount(row: Row) -> dict[str, object]:
    stub = span([row.inputs["stub_start"], row.inputs["stub_end"]])
    share = row.share(stub, days(row.inputs["full_period_days"])).share
    price = Fraction(row.number("price_per_period"))
    return {"amount": round_to(price * share, 2, Rounding.HALF_AWAY)}


def quantity_change_on_boundary(row: Row) -> dict[str, object]:
    """The licence engine itself: a change on the first day of a cycle is no proration."""
    first, *_, last = [span(pair) for pair in row.inputs["periods"]]
    terms = contract(anchor_day=first.start.day, starts_on=first.start, billed_through=first.start)
    facts = {"product": E3, "term_start": first.start, "term_end": FOREVER}
    before, after = row.inputs["quantity_before"], row.inputs["quantity_after"]
    changes = [
        opening("seats", before, **facts),
        change(
            "more", (before, after), f"{row.inputs['change_date']}T09:00:00", version=2, **facts
        ),
    ]
    price = row.inputs["unit_price"]
    book = PriceBook.of([fixed(E3, price)], [sheet_row(E3, price, price)])
    found = licence_charges(
        Terms(terms, [terms], book, last.start), timeline.build(changes)
    ).charges
    recurring = [c.amount for c in found if c.kind is ChargeKind.RECURRING]
    return {"amounts": recurring, "proration_lines": len(found) - len(recurring)}


ADAPTERS: Mapping[str, Adapter] = {
    "cycle_boundaries": cycle_boundaries,
    "first_cycle_boundary": first_cycle_boundary,
    "advance_period": advance_period,
    "arrears_period": arrears_period,
    "completed_cycles": completed_cycles,
    "billed_intervals": billed_intervals,
    "recurring_cycles_billed": recurring_cycles_billed,
    "arrears_stub_amount": arrears_stub_amount,
    "quantity_change_on_boundary": quantity_change_on_boundary,
}
