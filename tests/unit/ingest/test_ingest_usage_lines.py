"""Daily rated lines from JSON and CSV: exact numbers, partner credit, reasons for refusals."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.documents import plain_name
from ingest.domain.usage_lines import (
    NEEDED,
    Totals,
    billing_month_of,
    read_usage_line,
    row_of_csv,
)
from shared.contracts.usage_frame import FrameHeader, encode, lines_of, open_frame
from shared.kernel.errors import Invalid
from shared.kernel.periods import Period
from unit.ingest.sample_files import sample

LINE: dict[str, Any] = {
    "customerId": "0C39D6D5-C70D-4C55-BC02-F620844F3FD1",
    "invoiceNumber": "G000000001",
    "productId": "DZH318Z0BPS6",
    "skuId": "0001",
    "entitlementId": "AZ-1",
    "chargeStartDate": "2026-04-01T00:00:00Z",
    "usageDate": "2026-04-03T00:00:00Z",
    "meterCategory": "Virtual Machines",
    "meterId": "vm-d4",
    "meterName": "D4 v5",
    "unitOfMeasure": "1 Hour",
    "resourceUri": "/subscriptions/az-1/vm1",
    "chargeType": "new",
    "unitPrice": "0.2304",
    "effectiveUnitPrice": "0.19584",
    "quantity": "72.000000",
    "pricingCurrency": "USD",
    "billingPreTaxTotal": "12.949856256",
    "billingCurrency": "EUR",
    "pcToBCExchangeRate": "0.91840",
    "pcToBCExchangeRateDate": "2026-04-30T00:00:00Z",
    "rateOfPartnerEarnedCredit": "0.15",
}


def row(**changes: Any) -> dict[str, str]:
    document = {**LINE, **changes}
    return {plain_name(name): str(value) for name, value in document.items() if value is not None}


def test_a_line_reads_completely_and_exactly() -> None:
    """Every figure with the digits it was printed with."""
    line = read_usage_line(row(), number=7)

    assert (line.line_number, line.customer_id) == (7, "0c39d6d5-c70d-4c55-bc02-f620844f3fd1")
    assert (line.azure_subscription_id, line.product_key) == ("AZ-1", "DZH318Z0BPS6:0001")
    assert (str(line.quantity), str(line.unit_price)) == ("72.000000", "0.2304")
    assert (str(line.pec_rate), str(line.provider_rate)) == ("0.15", "0.91840")
    assert (line.usage_date, line.provider_rate_on) == (date(2026, 4, 3), date(2026, 4, 30))
    assert str(line.billing_pretax) == "12.949856256"


def test_a_line_of_the_csv_download_is_the_same_line() -> None:
    """Byte order mark, US dates, apostrophes, percent instead of rate, `Unit` for the unit."""
    as_csv = {
        "\ufeffCustomerId": LINE["customerId"], "ProductId": "DZH318Z0BPS6", "SkuId": "0001",
        "EntitlementId": "AZ-1", "ChargeStartDate": "4/1/2026", "UsageDate": "4/3/2026",
        "MeterCategory": "Virtual Machines", "MeterId": "vm-d4", "MeterName": "D4 v5",
        "Unit": "1 Hour", "ResourceURI": "/subscriptions/az-1/vm1", "ChargeType": "new",
        "UnitPrice": "0.2304", "EffectiveUnitPrice": "0.19584", "Quantity": "'72.000000",
        "PricingCurrency": "USD", "BillingPreTaxTotal": "12.949856256", "BillingCurrency": "EUR",
        "PCToBCExchangeRate": "0.91840", "PCToBCExchangeRateDate": "4/30/2026",
        "PartnerEarnedCreditPercentage": "15", "SomethingNew": "x",
    }  # fmt: skip

    line = read_usage_line(row_of_csv(as_csv.keys(), as_csv.values()), number=7)

    assert line == read_usage_line(row(), number=7)


@pytest.mark.parametrize(
    ("name", "printed", "credit"),
    [
        ("rateOfPartnerEarnedCredit", "0.15", "0.15"),
        ("rateOfPartnerEarnedCredit", "15", "0.15"),
        ("rateOfPartnerEarnedCredit", "0", "0"),
        ("rateOfPartnerEarnedCredit", "1", "1"),
        ("partnerEarnedCreditPercentage", "15", "0.15"),
        ("partnerEarnedCreditPercentage", "15.0", "0.150"),
        ("partnerEarnedCreditPercentage", "0.15", "0.15"),
        ("partnerEarnedCreditPercentage", "1", "0.01"),
        ("partnerEarnedCreditPercentage", "0", "0"),
        ("partnerEarnedCreditPercentage", "100", "1.00"),
    ],
)
def test_the_partner_credit_is_a_fraction_whichever_way_it_is_printed(
    name: str, printed: str, credit: str
) -> None:
    """The CSV prints 15, JSON 0.15."""
    line = read_usage_line(
        row(rateOfPartnerEarnedCredit=None) | {plain_name(name): printed}, number=1
    )

    assert line.pec_rate == Decimal(credit)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"customerId": ""}, "customer_missing"),
        ({"quantity": ""}, "number_missing"),
        ({"unitPrice": None}, "number_missing"),
        ({"quantity": "NaN"}, "number_not_finite"),
        ({"billingPreTaxTotal": "Infinity"}, "number_not_finite"),
        ({"quantity": "1e999"}, "number_digits"),
        ({"unitPrice": "abc"}, "number_malformed"),
        ({"usageDate": ""}, "date_missing"),
        ({"usageDate": "2026-13-01"}, "time_malformed"),
        ({"billingCurrency": "EURO"}, "currency_malformed"),
        ({"pcToBCExchangeRate": ""}, "number_missing"),
        ({"pcToBCExchangeRate": "0"}, "rate_not_positive"),
        ({"rateOfPartnerEarnedCredit": "-0.15"}, "credit_out_of_range"),
        ({"rateOfPartnerEarnedCredit": "150"}, "credit_out_of_range"),
    ],
)
def test_what_cannot_be_billed_is_refused_with_its_reason(
    changes: dict[str, Any], code: str
) -> None:
    """No silent zero: the line goes to quarantine with the code."""
    with pytest.raises(Invalid) as refusal:
        read_usage_line(row(**changes), number=1)

    assert refusal.value.code == code


def test_equal_currencies_need_no_rate() -> None:
    """A dollar partner's file may leave it empty."""
    line = read_usage_line(row(billingCurrency="USD", pcToBCExchangeRate=None), number=1)

    assert line.provider_rate == 1


@pytest.mark.parametrize(
    ("changes", "reference"),
    [
        ({}, ""),
        ({"lineId": "u1"}, "u1"),
        ({"additionalInfo": '{"lineId": "u2", "x": null}'}, "u2"),
        ({"additionalInfo": '{"lineId": broken'}, ""),
        ({"additionalInfo": '{"UsageType": "ComputeHR"}'}, ""),
    ],
)
def test_a_line_keeps_the_reference_it_came_with(changes: dict[str, Any], reference: str) -> None:
    """In a column of its own, or in its additional info."""
    assert read_usage_line(row(**changes), number=1).line_id == reference


@pytest.mark.parametrize(
    "name",
    ["get-invoice-billed-consumption-lineitems--02-response",
     "get-invoice-unbilled-consumption-lineitems--02-response"],
)  # fmt: skip
def test_published_lines_read_with_every_digit(name: str) -> None:
    """The published lines hide their customer; with one filled in they read to the last digit."""
    for item in sample(name)["items"]:
        texts = {plain_name(k): str(v) for k, v in item.items()} | {"customerid": "c"}

        line = read_usage_line(texts, number=1)

        assert line.unit_price == item["unitPrice"]
        assert line.billing_pretax == item["billingPreTaxTotal"]
        assert line.azure_subscription_id == item["entitlementId"]


def test_the_billing_month_is_that_of_the_charge() -> None:
    """Late usage of April in the May file is charged in May."""
    late = row(chargeStartDate="2026-05-01T00:00:00Z", usageDate="2026-04-29T00:00:00Z")

    assert billing_month_of(late) == Period(date(2026, 5, 1), date(2026, 6, 1))
    assert billing_month_of({}) is None


NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=12
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=20), st.integers(1, 7))
def test_totals_do_not_depend_on_how_lines_are_cut(
    figures: list[tuple[Decimal, Decimal]], size: int
) -> None:
    """Adding chunk by chunk equals adding at once."""
    lines = [
        read_usage_line(row(quantity=f"{q:f}", billingPreTaxTotal=f"{b:f}"), number=n)
        for n, (q, b) in enumerate(figures)
    ]
    chunked = Totals()
    for start in range(0, len(lines), size):
        chunked = chunked.plus(lines[start : start + size])

    assert chunked == Totals().plus(lines)
    assert chunked.billing_pretax == sum((b for _, b in figures), Decimal(0))


@given(NUMBERS, NUMBERS)
def test_a_line_survives_its_frame(quantity: Decimal, price: Decimal) -> None:
    """What rating reads is what the provider printed."""
    line = read_usage_line(row(quantity=f"{quantity:f}", unitPrice=f"{price:f}"), number=1)
    header = FrameHeader("f", "billed/G1", 0, 1, "G1", "2026-04", False)

    _, table = open_frame(encode(header, [line]))

    assert lines_of(table) == [line]


def test_only_needed_columns_are_named() -> None:
    """The plain names of the reader are the names it asks for."""
    assert {plain_name(name) for name in LINE} - NEEDED == {"invoicenumber"}
    assert json.dumps(sorted(NEEDED))
