"""Agreement invoicing of the simulated ConnectWise: periods, its own proration, re-opening."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from simulators.connectwise.invoicing import Due, Terms, lines_for, next_period, period_of

AGREEMENT = "/finance/agreements/70"
MARCH = date(2026, 3, 1)


def _due(**changes: Any) -> Due:
    given = {"quantity": Decimal(1), "unit_price": Decimal("22.00"), "effective": MARCH, **changes}
    return Due(id=1, **given)


def _amounts(terms: Terms, due: Due, month: int, billed: frozenset[date]) -> list[str]:
    period = period_of(terms, date(2026, month, 1))
    regular, apart = lines_for(terms, period, [due], {1: billed})
    return [str(line.amount) for line in (*regular, *apart)]


@pytest.mark.parametrize(
    ("cycle", "day", "start", "end"),
    [
        ("Monthly", date(2026, 3, 15), MARCH, date(2026, 4, 1)),
        ("Quarterly", date(2026, 3, 15), date(2026, 1, 1), date(2026, 4, 1)),
        ("BiMonthly", date(2026, 4, 15), MARCH, date(2026, 5, 1)),
        ("Yearly", date(2026, 3, 15), date(2026, 1, 1), date(2027, 1, 1)),
        ("BiWeekly", date(2026, 3, 20), date(2026, 3, 15), date(2026, 3, 29)),
    ],
)
def test_period_of_a_day(cycle: str, day: date, start: date, end: date) -> None:
    """Months are calendar months whatever the start date; weeks count from it."""
    period = period_of(Terms(cycle, MARCH), day)

    assert (period.start, period.end) == (start, end)


def test_proration_of_the_published_example() -> None:
    """22.00 a month from 15 March, billed on 1 April in advance: 22 × (1 + 17/31) = 34.06."""
    terms = Terms("Monthly", MARCH, prorate=True)
    due = _due(effective=date(2026, 3, 15))

    regular, apart = lines_for(terms, period_of(terms, date(2026, 4, 1)), [due], {})

    assert [(str(x.unit_price), str(x.amount)) for x in regular] == [("34.06", "34.06")]
    assert regular[0].description == (
        "This item has been prorated with a start date of 03/15/2026."
    )
    assert apart == []


def test_prorated_additions_on_an_invoice_of_their_own() -> None:
    """invoiceProratedAdditionsFlag splits the 34.06 into 12.06 apart and 22.00."""
    terms = Terms("Monthly", MARCH, prorate=True, prorated_apart=True)

    assert _amounts(terms, _due(effective=date(2026, 3, 15)), 4, frozenset()) == ["22.00", "12.06"]


@pytest.mark.parametrize(
    ("changes", "month", "billed", "expected"),
    [
        pytest.param({}, 3, frozenset(), ["22.00"], id="whole period"),
        pytest.param({"effective": date(2026, 3, 15)}, 3, frozenset(), ["22.00"], id="mid period"),
        pytest.param({"effective": date(2026, 3, 15)}, 4, frozenset(), ["22.00"], id="next period"),
        pytest.param({"effective": date(2026, 4, 1)}, 3, frozenset(), [], id="not yet"),
        pytest.param({"cancelled": date(2026, 3, 31)}, 3, frozenset(), ["22.00"], id="last day"),
        pytest.param({"cancelled": date(2026, 3, 31)}, 4, frozenset(), [], id="over"),
        pytest.param(
            {"cancelled": date(2026, 4, 1)}, 4, frozenset(), ["22.00"], id="a day too long"
        ),
        pytest.param({"cancelled": date(2026, 2, 1)}, 3, frozenset(), [], id="over before start"),
        pytest.param({}, 3, frozenset({MARCH}), [], id="on an invoice already"),
        pytest.param({"bills": "DoNotBill"}, 3, frozenset(), [], id="do not bill"),
        pytest.param({"bills": "NoCharge"}, 3, frozenset(), ["0"], id="no charge"),
        pytest.param({"quantity": Decimal(3)}, 3, frozenset(), ["66.00"], id="quantity"),
        pytest.param({"unit_price": Decimal("-19.54")}, 3, frozenset(), ["-19.54"], id="credit"),
    ],
)
def test_without_proration_a_line_bills_in_full_or_not_at_all(
    changes: dict[str, Any], month: int, billed: frozenset[date], expected: list[str]
) -> None:
    """The cancelled date is the last billed day; a period is billed once."""
    assert _amounts(Terms("Monthly", MARCH), _due(**changes), month, billed) == expected


def test_ended_agreement_has_no_next_period() -> None:
    """After the last day there is nothing left to invoice."""
    terms = Terms("Monthly", MARCH, ends_on=date(2026, 3, 31))

    assert next_period(terms, frozenset({MARCH}), MARCH) is None


async def _addition(client: Any, **changes: Any) -> dict[str, Any]:
    body = {
        "product": {"id": 5},
        "billCustomer": "Billable",
        "quantity": 43,
        "unitPrice": 22.55,
        "effectiveDate": "2026-03-01T00:00:00Z",
        "cancelledDate": "2026-03-31T00:00:00Z",
        **changes,
    }
    row: dict[str, Any] = await client.body("POST", f"{AGREEMENT}/additions", body)
    return row


async def test_invoice_bills_the_next_period_and_moves_it(client: Any) -> None:
    """One period per run; the date of the invoice is the first day of what it bills."""
    await _addition(client)
    before = await client.body("GET", AGREEMENT)

    id = await client.body("POST", f"{AGREEMENT}/invoice")

    after = await client.body("GET", AGREEMENT)
    invoice = await client.body("GET", f"/finance/invoices/{id}")
    assert (before["nextInvoiceDate"], after["nextInvoiceDate"]) == (
        "2026-03-01T00:00:00Z",
        "2026-04-01T00:00:00Z",
    )
    assert (str(invoice["total"]), invoice["date"]) == ("969.65", "2026-03-01T00:00:00Z")


async def test_invoices_of_an_agreement_are_found_by_date(client: Any) -> None:
    """Evidence that something was billed: type, agreement and date."""
    id = await client.body("POST", f"{AGREEMENT}/invoice")
    conditions = 'type="Agreement" and agreement/id=70 and date>=[2026-03-01T00:00:00Z]'

    found = await client.body("GET", "/finance/invoices", conditions=conditions)

    assert [i["id"] for i in found] == [id]


async def test_deleted_invoice_opens_its_period_again(client: Any) -> None:
    """`Was invoiced` can become false."""
    await _addition(client)
    id = await client.body("POST", f"{AGREEMENT}/invoice")

    status, _, _ = await client.api("DELETE", f"/finance/invoices/{id}")

    again = await client.body("POST", f"{AGREEMENT}/invoice")
    invoice = await client.body("GET", f"/finance/invoices/{again}")
    assert (status, str(invoice["total"])) == (204, "969.65")


async def test_one_time_agreement_bills_what_is_due_once(client: Any) -> None:
    """No periods: whatever is effective by today, each addition one time."""
    operations = [{"op": "replace", "path": "billingCycle", "value": {"id": 1}}]
    await client.body("PATCH", AGREEMENT, operations)
    day = "2026-04-01T00:00:00Z"
    await _addition(client, effectiveDate=day, cancelledDate=day)

    id = await client.body("POST", f"{AGREEMENT}/invoice")

    again, error, _ = await client.api("POST", f"{AGREEMENT}/invoice")
    invoice = await client.body("GET", f"/finance/invoices/{id}")
    assert (str(invoice["total"]), invoice["date"]) == ("969.65", day)
    assert (again, error["errors"][0]["message"]) == (400, "there is nothing to invoice")


async def test_prorating_agreement_shows_the_prorated_price(client: Any) -> None:
    """What must not happen to our lines is visible on the addition before it is billed."""
    await client.body("PATCH", AGREEMENT, [{"op": "replace", "path": "prorateFlag", "value": True}])

    row = await _addition(client, effectiveDate="2026-03-15T00:00:00Z", unitPrice=22, quantity=1)

    assert (str(row["proratePrice"]), str(row["extPrice"])) == ("12.06", "22.00")
