"""A daily rated line, from a Graph export or a downloaded CSV, as the line that rating reads.

A row comes as texts by plain column name, numbers included, so that every digit is the provider's.
Columns are found by name; unknown ones are ignored here and kept in the raw file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from ingest.domain.documents import day_of, exact, identifier, plain_name
from shared.contracts.usage_frame import UsageLine
from shared.kernel.errors import Invalid
from shared.kernel.money import EXACT
from shared.kernel.periods import Period, month_of

Row = Mapping[str, str]

_UNIT = ("unitofmeasure", "unit")
_PEC_RATE, _PEC_PERCENT = "rateofpartnerearnedcredit", "partnerearnedcreditpercentage"
NEEDED = frozenset(
    {
        "customerid", "entitlementid", "entitlementdescription", "usagedate", "chargestartdate",
        "metercategory", "meterid",
        "metername", "productid", "skuid", "resourceuri", "chargetype", "quantity", "unitprice",
        "effectiveunitprice", "pricingcurrency", "billingcurrency", "pctobcexchangerate",
        "pctobcexchangeratedate", "billingpretaxtotal", "lineid", "additionalinfo",
        *_UNIT, _PEC_RATE, _PEC_PERCENT,
    }
)  # fmt: skip
"""The plain names of the columns that are read; everything else can stay undecoded."""


def read_usage_line(row: Row, *, number: int) -> UsageLine:
    """The line in a row of texts; `number` is its place in the file, from 1.

    Raises:
        Invalid: with the reason why the line cannot be billed. The caller quarantines it.
    """
    customer_id = row.get("customerid", "").strip()
    if not customer_id:
        raise Invalid("customer_missing", "the line names no customer")
    pricing, billing = _currency(row, "pricingcurrency"), _currency(row, "billingcurrency")
    return UsageLine(
        line_id=_reference(row),
        line_number=number,
        customer_id=identifier(customer_id),
        azure_subscription_id=identifier(row.get("entitlementid", "").strip()),
        azure_subscription_name=row.get("entitlementdescription", "").strip(),
        usage_date=_required_day(row, "usagedate"),
        meter_category=row.get("metercategory", "").strip(),
        meter_id=row.get("meterid", "").strip(),
        meter_name=row.get("metername", "").strip(),
        product_key=f"{row.get('productid', '').strip()}:{row.get('skuid', '').strip()}",
        resource_uri=row.get("resourceuri", "").strip(),
        unit=_first(row, _UNIT),
        charge_type=row.get("chargetype", "").strip(),
        quantity=_number(row, "quantity"),
        unit_price=_number(row, "unitprice"),
        effective_unit_price=_number(row, "effectiveunitprice"),
        pricing_currency=pricing,
        billing_currency=billing,
        provider_rate=_rate(row, same=pricing == billing),
        provider_rate_on=_optional_day(row, "pctobcexchangeratedate"),
        pec_rate=_partner_credit(row),
        billing_pretax=_number(row, "billingpretaxtotal"),
    )


def billing_month_of(row: Row) -> Period | None:
    """The provider's billing month, as far as a line tells: the month its charge begins."""
    day = _optional_day(row, "chargestartdate") or _optional_day(row, "usagedate")
    return month_of(day) if day else None


def row_of_csv(header: Iterable[str], values: Iterable[str]) -> Row:
    """A CSV row by plain column name; a byte order mark and the apostrophes of spreadsheets go."""
    return {
        plain_name(name.lstrip("\ufeff")): value.strip()
        for name, value in zip(header, values, strict=False)
    }


@dataclass(frozen=True, slots=True)
class Totals:
    """What has been accepted of a file so far, for the control total that closes it."""

    lines: int = 0
    quantity: Decimal = Decimal(0)
    billing_pretax: Decimal = Decimal(0)

    def plus(self, lines: Iterable[UsageLine]) -> Totals:
        count, quantity, billed = self.lines, self.quantity, self.billing_pretax
        for line in lines:
            count += 1
            quantity = EXACT.add(quantity, line.quantity)
            billed = EXACT.add(billed, line.billing_pretax)
        return Totals(count, quantity, billed)


def _reference(row: Row) -> str:
    """The provider's own reference of a line: a column, or an entry in its additional info."""
    own = row.get("lineid", "").strip()
    info = row.get("additionalinfo", "")
    if own or "lineId" not in info:
        return own
    try:
        document = json.loads(info)
    except ValueError:
        return ""
    return str(document.get("lineId", "")) if isinstance(document, dict) else ""


def _first(row: Row, names: Iterable[str]) -> str:
    return next((value for name in names if (value := row.get(name, "").strip())), "")


def _number(row: Row, name: str) -> Decimal:
    text = row.get(name, "").strip()
    if not text:
        raise Invalid("number_missing", f"{name} is empty")
    try:
        return exact(text)
    except Invalid as error:
        raise Invalid(error.code, f"{name}: {error.detail}") from error


def _currency(row: Row, name: str) -> str:
    text = row.get(name, "").strip().upper()
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise Invalid("currency_malformed", f"{name} is {text[:20]!r}")
    return text


def _rate(row: Row, *, same: bool) -> Decimal:
    """Pricing to billing currency; only two equal currencies need none."""
    if not row.get("pctobcexchangerate", "").strip() and same:
        return Decimal(1)
    rate = _number(row, "pctobcexchangerate")
    if rate <= 0:
        raise Invalid("rate_not_positive", f"the exchange rate is {rate}")
    return rate


def _partner_credit(row: Row) -> Decimal:
    """The partner earned credit as a fraction: the CSV prints 15, JSON prints 0.15.

    The column's name decides; only a value that its name makes absurd is read the other way.
    """
    if row.get(_PEC_PERCENT, "").strip():
        value = _number(row, _PEC_PERCENT)
        credit = value if 0 < value < 1 else value.scaleb(-2)
    elif row.get(_PEC_RATE, "").strip():
        value = _number(row, _PEC_RATE)
        credit = value.scaleb(-2) if value > 1 else value
    else:
        return Decimal(0)
    if not 0 <= credit <= 1:
        raise Invalid("credit_out_of_range", f"a partner earned credit of {value}")
    return credit


def _required_day(row: Row, name: str) -> date:
    found = _optional_day(row, name)
    if found is None:
        raise Invalid("date_missing", f"{name} is empty")
    return found


def _optional_day(row: Row, name: str) -> date | None:
    text = row.get(name, "").strip()
    return _day(text) if text else None


@lru_cache(maxsize=4_096)
def _day(text: str) -> date:
    return day_of(text)
