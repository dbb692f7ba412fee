"""The columns of the billing exports, and how a story's short line becomes a full one.

Names are those of Graph. What a story leaves out is derived (effective price, totals, customer
names, charge dates) or left empty as the vendor leaves it empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from shared.kernel.money import EXACT
from shared.kernel.periods import Period
from simulators.exact_json import Document, dumps
from simulators.partner_center.instants import midnight
from simulators.partner_center.records import Customer, Tenant, guid

_USAGE_DEFAULTS: Document = {
    "partnerId": "", "partnerName": "", "customerId": "", "customerName": "",
    "customerDomainName": "", "customerCountry": "", "mpnId": "", "resellerMpnId": "",
    "invoiceNumber": "", "productId": "DZH318Z0BPS6", "skuId": "0001",
    "availabilityId": "DZH318Z0BPS6A", "skuName": "", "productName": "Azure plan",
    "publisherName": "Microsoft", "publisherId": "", "subscriptionDescription": "Azure plan",
    "subscriptionId": "", "chargeStartDate": "", "chargeEndDate": "", "usageDate": "",
    "meterType": "", "meterCategory": "", "meterId": "", "meterSubCategory": "", "meterName": "",
    "meterRegion": "", "unitOfMeasure": "1 Hour", "resourceLocation": "", "consumedService": "",
    "resourceGroup": "", "resourceUri": "", "chargeType": "new", "unitPrice": Decimal(0),
    "quantity": Decimal(0), "unitType": "1 Hour", "billingPreTaxTotal": None,
    "billingCurrency": "USD", "pricingPreTaxTotal": None, "pricingCurrency": "USD",
    "serviceInfo1": "", "serviceInfo2": "", "tags": "", "additionalInfo": "",
    "effectiveUnitPrice": None, "pcToBCExchangeRate": Decimal(1), "pcToBCExchangeRateDate": "",
    "entitlementId": "", "entitlementDescription": "", "rateOfPartnerEarnedCredit": Decimal(0),
    "rateOfCredit": Decimal(0), "creditType": "Credit Not Applied", "benefitOrderId": "",
    "benefitId": "", "benefitType": "Charge",
}  # fmt: skip
_USAGE_BASIC = frozenset(
    {
        "partnerId", "partnerName", "customerId", "customerName", "invoiceNumber", "productId",
        "skuId", "skuName", "publisherName", "subscriptionId", "chargeStartDate", "chargeEndDate",
        "usageDate", "resourceUri", "chargeType", "unitPrice", "quantity", "unitType",
        "billingPreTaxTotal", "billingCurrency", "pricingPreTaxTotal", "pricingCurrency",
        "additionalInfo", "effectiveUnitPrice", "pcToBCExchangeRate", "pcToBCExchangeRateDate",
        "entitlementId", "rateOfCredit", "creditType", "benefitOrderId", "benefitType",
    }
)  # fmt: skip
_RECONCILIATION_DEFAULTS: Document = {
    "partnerId": "", "customerId": "", "customerName": "", "customerDomainName": "",
    "customerCountry": "", "invoiceNumber": "", "mpnId": "", "resellerMpnId": "", "orderId": "",
    "orderDate": "", "productId": "", "skuId": "", "availabilityId": "", "skuName": "",
    "productName": "", "chargeType": "new", "unitPrice": Decimal(0), "effectiveUnitPrice": None,
    "unitType": "", "quantity": Decimal(1), "subtotal": None, "taxTotal": Decimal(0),
    "totalForCustomer": None, "currency": "USD", "publisherName": "Microsoft Corporation",
    "publisherId": "", "subscriptionDescription": "", "subscriptionId": "",
    "subscriptionStartDate": "", "subscriptionEndDate": "", "chargeStartDate": "",
    "chargeEndDate": "", "termAndBillingCycle": "", "alternateId": "", "referenceId": "",
    "priceAdjustmentDescription": "[]", "discountDetails": "", "pricingCurrency": "USD",
    "pcToBCExchangeRate": Decimal(1), "pcToBCExchangeRateDate": "", "billableQuantity": None,
    "meterDescription": "", "billingFrequency": "", "reservationOrderId": "",
    "creditReasonCode": "", "promotionId": "", "productQualifiers": [], "productCategory": "",
}  # fmt: skip
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Header:
    """What all lines of one data set share."""

    tenant: Tenant
    customers: dict[str, Customer]
    invoice_number: str  # "" = unbilled
    currency: str
    month: Period
    rate: Decimal
    rate_date: date | None
    allow_unknown: bool = False


def usage_line(given: Document, header: Header) -> Document:
    """One daily rated line, every column of the full attribute set.

    A story may give a `lineId` of its own, which travels in `additionalInfo`.

    Raises:
        ValueError: a column that does not exist, or a number that is none.
    """
    given = dict(given)
    line_id = given.pop("lineId", None)
    if line_id is not None:
        given["additionalInfo"] = dumps({"lineId": line_id}).decode()
    line = _filled(_USAGE_DEFAULTS, given, header)
    line["billingCurrency"] = given.get("billingCurrency", header.currency)
    _numbers(line, ("unitPrice", "quantity", "rateOfPartnerEarnedCredit", "pcToBCExchangeRate"))
    if line["effectiveUnitPrice"] is None:
        share = 1 - line["rateOfPartnerEarnedCredit"]
        line["effectiveUnitPrice"] = EXACT.multiply(line["unitPrice"], share)
    _numbers(line, ("effectiveUnitPrice", "rateOfCredit"))
    if line["pricingPreTaxTotal"] is None:
        line["pricingPreTaxTotal"] = EXACT.multiply(line["effectiveUnitPrice"], line["quantity"])
    _numbers(line, ("pricingPreTaxTotal",))
    if line["billingPreTaxTotal"] is None:
        rate = line["pcToBCExchangeRate"]
        line["billingPreTaxTotal"] = EXACT.multiply(line["pricingPreTaxTotal"], rate)
    _numbers(line, ("billingPreTaxTotal",))
    if line["rateOfPartnerEarnedCredit"] and "creditType" not in given:
        line["creditType"] = "Azure Credit Applied"
    line["subscriptionId"] = line["subscriptionId"] or guid("azure-plan", line["customerId"])
    return line


def reconciliation_line(given: Document, header: Header) -> Document:
    """One line of the invoice; the subtotal follows the vendor's truncation when it is absent.

    Raises:
        ValueError: a column that does not exist, or a number that is none.
    """
    line = _filled(_RECONCILIATION_DEFAULTS, given, header)
    line["currency"] = given.get("currency", header.currency)
    if line["effectiveUnitPrice"] is None:
        line["effectiveUnitPrice"] = line["unitPrice"]
    if line["billableQuantity"] is None:
        line["billableQuantity"] = line["quantity"]
    numbers = ("unitPrice", "effectiveUnitPrice", "quantity", "billableQuantity", "taxTotal")
    _numbers(line, (*numbers, "pcToBCExchangeRate"))
    if line["subtotal"] is None:
        line["subtotal"] = _subtotal(line)
    _numbers(line, ("subtotal",))
    if line["totalForCustomer"] is None:
        line["totalForCustomer"] = line["subtotal"] + line["taxTotal"]
    line["orderDate"] = line["orderDate"] or line["chargeStartDate"]
    line["alternateId"] = line["alternateId"] or line["orderId"]
    line["referenceId"] = line["referenceId"] or guid("reference", sorted(line.items()))
    return line


def basic(line: Document) -> Document:
    return {name: value for name, value in line.items() if name in _USAGE_BASIC}


def _subtotal(line: Document) -> Decimal:
    """Usage and purchases: each multiplication is cut to cents, toward zero."""
    amount = (line["effectiveUnitPrice"] * line["billableQuantity"]).quantize(_CENT, "ROUND_DOWN")
    converted: Decimal = (amount * line["pcToBCExchangeRate"]).quantize(_CENT, "ROUND_DOWN")
    return converted


def _filled(defaults: Document, given: Document, header: Header) -> Document:
    unknown = set(given) - set(defaults)
    if unknown and not header.allow_unknown:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    derived: Document = {
        "partnerId": header.tenant.id,
        "mpnId": header.tenant.mpn_id,
        "invoiceNumber": header.invoice_number,
        "chargeStartDate": midnight(header.month.start),
        "chargeEndDate": midnight(header.month.last_day),
        "pcToBCExchangeRate": header.rate,
        "pcToBCExchangeRateDate": midnight(header.rate_date) if header.rate_date else "",
    }
    customer = header.customers.get(str(given.get("customerId", "")).lower())
    if customer is not None:
        derived |= {
            "customerName": customer.name,
            "customerDomainName": customer.domain,
            "customerCountry": customer.country,
        }
    return {**defaults, **derived, **_with_times(given)}


def _with_times(given: Document) -> Document:
    """A bare day becomes midnight UTC, as the vendor prints all dates of a line."""
    return {
        name: f"{value}T00:00:00Z"
        if name.endswith("Date") and isinstance(value, str) and len(value) == 10
        else value
        for name, value in given.items()
    }


def _numbers(line: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        value = line[name]
        if not isinstance(value, Decimal):
            try:
                line[name] = Decimal(str(value))
            except ArithmeticError as error:
                raise ValueError(f"{name}: {value!r} is not a number") from error
