"""Lines of the provider's invoice: what is a purchase, and which line is which."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ingest.domain.documents import Fields
from ingest.domain.reconciliation import (
    LineKind,
    kind_of,
    main_month,
    purchase_event,
    purchase_ids,
    read_invoice_line,
    withdrawn,
)
from shared.kernel.errors import Invalid
from shared.kernel.periods import Period
from unit.ingest.sample_files import sample

RESERVATION: dict[str, Any] = {
    "customerId": "0c39d6d5-c70d-4c55-bc02-f620844f3fd1",
    "invoiceNumber": "G000426001",
    "productId": "DZH318Z0RRRR",
    "skuId": "00A1",
    "skuName": "Reserved VM Instance, D4s v5, 1 Year",
    "chargeType": "cycleCharge",
    "unitPrice": "73.00",
    "effectiveUnitPrice": "61.90",
    "quantity": "1",
    "billableQuantity": "1",
    "subtotal": "56.84",
    "currency": "EUR",
    "pricingCurrency": "USD",
    "pcToBCExchangeRate": "0.9184",
    "pcToBCExchangeRateDate": "2026-04-30T00:00:00Z",
    "subscriptionId": "5f0c1a52-0000-4000-8000-000000000009",
    "chargeStartDate": "2026-04-01T00:00:00Z",
    "chargeEndDate": "2026-04-30T00:00:00Z",
    "reservationOrderId": "99f246cf-ed96-41b4-b0cd-0aa43eb1fe91",
    "referenceId": '{"id":"x","v":"1"}',
}
LICENCE = {
    **RESERVATION, "productId": "CFQ7TTC0LH0R", "skuName": "Business Premium",
    "reservationOrderId": "", "subscriptionEndDate": "2026-09-30", "billingFrequency": "Monthly",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, LineKind.RESERVATION),
        ({"productCategory": "Savings Plan"}, LineKind.SAVINGS_PLAN),
        ({"skuName": "Azure Savings Plan 1 Year"}, LineKind.SAVINGS_PLAN),
        ({"productId": "CFQ7TTC0LH0R"}, LineKind.LICENCE),
        ({"productId": "DG7GMGF0DVT7"}, LineKind.SOFTWARE),
        ({"skuName": "x", "productCategory": "Software"}, LineKind.SOFTWARE),
        ({"skuName": "x"}, LineKind.RESERVATION),
        ({"reservationOrderId": "", "skuName": "x", "meterDescription": "D4"}, LineKind.METER),
        (
            {"reservationOrderId": "", "skuName": "x", "subscriptionDescription": "Azure plan"},
            LineKind.METER,
        ),
        ({"chargeType": "customerCredit"}, LineKind.CREDIT),
        ({"reservationOrderId": "", "skuName": "Support"}, LineKind.OTHER),
        (
            {"productId": "OTHER", "reservationOrderId": "", "skuName": "SaaS",
             "subscriptionEndDate": "2026-09-30", "billingFrequency": "Monthly"},
            LineKind.LICENCE,
        ),
    ],
)  # fmt: skip
def test_a_line_is_what_its_product_says(changes: dict[str, Any], kind: LineKind) -> None:
    """Licences and meters are no purchases; reservations, plans and software are."""
    assert kind_of(Fields({**RESERVATION, **changes})) is kind


def test_a_reservation_becomes_a_purchase_with_exact_money() -> None:
    """Numbers as text, inclusive dates, the rate of the invoice."""
    line = read_invoice_line(RESERVATION, number=1)
    april = Period(date(2026, 4, 1), date(2026, 5, 1))

    event = purchase_event(
        line, purchase_id="p", billing=april, data_set="reconciliation/G000426001", version="v1"
    )

    assert line.charge == april
    assert (event.category, event.customer_id) == ("reservation", RESERVATION["customerId"])
    assert (event.unit_price, event.effective_unit_price) == (Decimal("73.00"), Decimal("61.90"))
    assert (event.provider_subtotal, event.billing_currency) == (Decimal("56.84"), "EUR")
    assert (event.provider_rate, event.provider_rate_on) == (Decimal("0.9184"), date(2026, 4, 30))


def test_numbers_may_be_numbers_or_text() -> None:
    """The export and the old interface differ."""
    as_numbers = {
        k: Decimal(v) if k in ("unitPrice", "effectiveUnitPrice", "subtotal") else v
        for k, v in RESERVATION.items()
    }

    assert read_invoice_line(as_numbers, number=1) == read_invoice_line(RESERVATION, number=1)


@pytest.mark.parametrize(
    "name",
    ["get-invoice-unbilled-recon-lineitems--02-response",
     "get-invoice-unbilled-recon-lineitems--04-response"],
)  # fmt: skip
def test_published_lines_read_and_keep_their_money(name: str) -> None:
    """Every published line, to the last digit."""
    for number, item in enumerate(sample(name)["items"], start=1):
        line = read_invoice_line(item, number=number)

        assert line.subtotal == Decimal(item["subtotal"])
        assert line.unit_price == Decimal(item["unitPrice"])
        assert line.known_charge_type is True


def test_exact_repeats_are_different_lines() -> None:
    """A charge split in two equal lines is not a duplicate."""
    lines = [read_invoice_line(RESERVATION, number=n) for n in (1, 2)]

    first, second = purchase_ids(lines)

    assert first != second
    assert purchase_ids(lines) == [first, second]


def test_the_identity_of_a_line_survives_another_way_of_printing_it() -> None:
    """A regenerated file may print 1 as 1.0; the purchase is the same."""
    again = {**RESERVATION, "billableQuantity": Decimal("1.0"), "chargeType": "CYCLECHARGE",
             "effectiveUnitPrice": "61.900000"}  # fmt: skip

    assert purchase_ids([read_invoice_line(again, number=9)]) == purchase_ids(
        [read_invoice_line(RESERVATION, number=1)]
    )


def test_an_unknown_charge_type_is_noticed() -> None:
    """The line keeps its money and is shown to a person."""
    line = read_invoice_line({**RESERVATION, "chargeType": "somethingNew"}, number=1)

    assert line.known_charge_type is False


@pytest.mark.parametrize(
    ("starts", "month"),
    [
        ((), None),
        (("2026-04-01", "2026-04-14", "2026-05-01"), "2026-04-01"),
        (("2026-05-02", "2026-04-01", "2026-05-01"), "2026-05-01"),
        (("2026-05-01", "2026-04-01"), "2026-05-01"),
    ],
)
def test_an_invoice_is_of_the_month_most_lines_are_charged_from(
    starts: tuple[str, ...], month: str | None
) -> None:
    """The later one of two months with equally many; none without lines."""
    lines = [
        read_invoice_line({**RESERVATION, "chargeStartDate": start, "chargeEndDate": ""}, number=n)
        for n, start in enumerate(starts)
    ]

    found = main_month(lines)

    assert month == (found.start.isoformat() if found else None)


def test_a_withdrawn_line_is_the_same_line_at_nothing() -> None:
    """Who bought what stays readable."""
    line = read_invoice_line(RESERVATION, number=1)

    gone = withdrawn(line)

    assert (gone.quantity, gone.subtotal) == (0, 0)
    assert (gone.description, gone.unit_price) == (line.description, line.unit_price)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"customerId": ""}, "customer_missing"),
        ({"subtotal": ""}, "number_missing"),
        ({"currency": ""}, "currency_malformed"),
        ({"chargeStartDate": "", "orderDate": ""}, "date_missing"),
    ],
)
def test_what_cannot_be_read_is_refused(changes: dict[str, Any], code: str) -> None:
    """With a code that a person can act on."""
    with pytest.raises(Invalid) as refusal:
        read_invoice_line({**RESERVATION, **changes}, number=1)

    assert refusal.value.code == code
