"""Lines of the provider's invoice: which of them are purchases that usage does not show.

Reservations and savings plans are used at zero cost in the daily file; their money is a line here.
Licence and meter lines are kept for later reconciliation and published to nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ingest.domain.accounts import DEFAULT, scoped_id
from ingest.domain.documents import Fields, exact
from shared.contracts.envelope import PeriodField
from shared.contracts.ingest import ProviderPurchaseRecorded
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id
from shared.kernel.periods import Period, month_of

LICENCE_PREFIX, AZURE_PREFIX, SOFTWARE_PREFIX = "CFQ7TTC0", "DZH318Z0", "DG7GMGF0"
CHARGE_TYPES = frozenset(
    {
        "new", "renew", "cyclecharge", "addquantity", "removequantity", "movequantity",
        "cancelimmediate", "convert", "changebillingplan", "customercredit", "extendterm",
        "purchase", "refund", "cancel",
    }
)  # fmt: skip


class LineKind(StrEnum):
    """What a line is about."""

    LICENCE = "licence"
    METER = "meter"  # Azure consumption, summed per meter
    CREDIT = "credit"
    RESERVATION = "reservation"
    SAVINGS_PLAN = "savings_plan"
    SOFTWARE = "software"
    OTHER = "other"

    @property
    def is_purchase(self) -> bool:
        return self in (
            LineKind.RESERVATION, LineKind.SAVINGS_PLAN, LineKind.SOFTWARE, LineKind.OTHER
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line; the raw one is kept beside it by the store."""

    number: int
    kind: LineKind
    charge_type: str
    known_charge_type: bool
    customer_id: str
    subscription_id: str
    invoice_number: str
    product_id: str
    sku_id: str
    description: str
    reference_id: str
    reservation_order_id: str
    charge: Period
    quantity: Decimal
    unit_price: Decimal
    effective_unit_price: Decimal
    subtotal: Decimal
    currency: str
    pricing_currency: str
    provider_rate: Decimal
    provider_rate_on: date | None

    @property
    def identity(self) -> tuple[object, ...]:
        """Microsoft delivers no line id; these together are one, up to exact repeats."""
        sign = self.subtotal.compare(Decimal(0))
        return (
            self.invoice_number, self.subscription_id, self.product_id, self.sku_id,
            self.reference_id, self.charge_type.casefold(), self.charge.start, self.charge.end,
            sign, self.quantity.normalize(), self.effective_unit_price.normalize(),
        )  # fmt: skip


def read_invoice_line(document: Mapping[str, Any], *, number: int) -> InvoiceLine:
    """The typed form of a line, from JSON with numbers or with numbers as text.

    Raises:
        Invalid: with the reason why it cannot be used.
    """
    fields = Fields(document)
    customer_id = fields.ident("customerId")
    if not customer_id:
        raise Invalid("customer_missing", "the line names no customer")
    charge_type = fields.text("chargeType")
    effective = _number(fields, "effectiveUnitPrice", "unitPrice")
    return InvoiceLine(
        number=number,
        kind=kind_of(fields),
        charge_type=charge_type,
        known_charge_type=charge_type.casefold() in CHARGE_TYPES,
        customer_id=customer_id,
        subscription_id=fields.ident("subscriptionId"),
        invoice_number=fields.text("invoiceNumber"),
        product_id=fields.text("productId"),
        sku_id=fields.text("skuId"),
        description=_description(fields),
        reference_id=fields.text("referenceId"),
        reservation_order_id=fields.text("reservationOrderId"),
        charge=_charge_period(fields),
        quantity=_number(fields, "billableQuantity", "quantity"),
        unit_price=_number(fields, "unitPrice"),
        effective_unit_price=effective,
        subtotal=_number(fields, "subtotal"),
        currency=_currency(fields, "currency", "billingCurrency"),
        pricing_currency=_currency(fields, "pricingCurrency", "currency"),
        provider_rate=fields.decimal("pcToBCExchangeRate") or Decimal(1),
        provider_rate_on=fields.day("pcToBCExchangeRateDate"),
    )


def kind_of(fields: Fields) -> LineKind:
    """What a line is about, by product family first: names and order ids mislead in old data."""
    product = fields.text("productId").upper()
    if fields.text("chargeType").casefold() == "customercredit":
        return LineKind.CREDIT
    if product.startswith(LICENCE_PREFIX):
        return LineKind.LICENCE
    if product.startswith(SOFTWARE_PREFIX):
        return LineKind.SOFTWARE
    named = _named_kind(fields)
    if named is not None:
        return named
    has_term = bool(fields.text("subscriptionEndDate"))
    if product.startswith(AZURE_PREFIX) or not has_term or not fields.text("billingFrequency"):
        return LineKind.OTHER
    return LineKind.LICENCE


def _named_kind(fields: Fields) -> LineKind | None:
    """What the names of a line say; an order id alone stands for a reservation."""
    words = _words(fields)
    if "savings plan" in words or "savingsplan" in words:
        return LineKind.SAVINGS_PLAN
    if "reserv" in words:
        return LineKind.RESERVATION
    if "software" in words:
        return LineKind.SOFTWARE
    if fields.text("reservationOrderId"):
        return LineKind.RESERVATION
    if fields.text("meterDescription") or "azure plan" in words:
        return LineKind.METER
    return None


def purchase_ids(lines: list[InvoiceLine], account_id: str = DEFAULT) -> list[str]:
    """An id for each line: its identity and, for exact repeats, which one of them it is."""
    seen: Counter[tuple[object, ...]] = Counter()
    ids = []
    for line in lines:
        line_id = derived_id("provider-line", *line.identity, seen[line.identity])
        ids.append(scoped_id(account_id, line_id))
        seen[line.identity] += 1
    return ids


def purchase_event(
    line: InvoiceLine, *, purchase_id: str, billing: Period, data_set: str, version: str
) -> ProviderPurchaseRecorded:
    """The event that tells of a purchase."""
    return ProviderPurchaseRecorded(
        purchase_id=purchase_id,
        customer_id=line.customer_id,
        azure_subscription_id=None,
        invoice_number=line.invoice_number,
        billing_period=PeriodField.of(billing),
        charge_period=PeriodField.of(line.charge),
        category=line.kind.value,
        description=line.description,
        quantity=line.quantity,
        unit_price=line.unit_price,
        effective_unit_price=line.effective_unit_price,
        pricing_currency=line.pricing_currency,
        provider_rate=line.provider_rate,
        provider_rate_on=line.provider_rate_on,
        provider_subtotal=line.subtotal,
        billing_currency=line.currency,
        data_set=data_set,
        version=version,
    )


def withdrawn(line: InvoiceLine) -> InvoiceLine:
    """What remains of a line that a newer version of its data set has not: the line, at nothing."""
    return replace(line, quantity=Decimal(0), subtotal=Decimal(0))


def main_month(lines: Iterable[InvoiceLine]) -> Period | None:
    """The month that most lines are charged from, the latest of those with equally many."""
    months = Counter(month_of(line.charge.start) for line in lines)
    if not months:
        return None
    return max(months, key=lambda month: (months[month], month.start))


def _words(fields: Fields) -> str:
    names = ("productName", "skuName", "subscriptionDescription", "productCategory")
    return " ".join(fields.text(name) for name in names).casefold()


def _description(fields: Fields) -> str:
    names = ("skuName", "productName", "subscriptionDescription", "meterDescription")
    return next((text for name in names if (text := fields.text(name))), fields.text("productId"))


def _number(fields: Fields, *names: str) -> Decimal:
    value = next((v for name in names if (v := fields.value(name)) not in (None, "")), None)
    if value is None:
        raise Invalid("number_missing", f"{names[0]} is empty")
    return exact(value)


def _currency(fields: Fields, *names: str) -> str:
    text = next((t for name in names if (t := fields.text(name))), "").upper()
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise Invalid("currency_malformed", f"{names[0]} is {text[:20]!r}")
    return text


def _charge_period(fields: Fields) -> Period:
    """The inclusive dates as printed; one-time lines without dates are charged in their month."""
    first, last = fields.day("chargeStartDate"), fields.day("chargeEndDate")
    if first is None:
        ordered = fields.day("orderDate")
        if ordered is None:
            raise Invalid("date_missing", "neither chargeStartDate nor orderDate")
        return month_of(ordered)
    return Period.inclusive(first, max(first, last or first))
