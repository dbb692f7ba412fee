"""What every ConnectWise tenant of the simulator has from the start, and how references look."""

from __future__ import annotations

from typing import Any

from simulators.exact_json import Document

_CYCLES = (
    (1, "None", "Not Recurring", "NotRecurring"),
    (2, "Mon", "Monthly", "Monthly"),
    (3, "Qtr", "Quarterly", "Quarterly"),
    (4, "Yr", "Yearly", "Yearly"),
    (5, "Wk", "Weekly", "Weekly"),
    (6, "BiWk", "Bi-Weekly", "BiWeekly"),
    (7, "BiMon", "Bi-Monthly", "BiMonthly"),
    (8, "Semi", "Semi-Annual", "SemiAnnual"),
)
CYCLES: dict[int, Document] = {
    number: {
        "id": number,
        "identifier": identifier,
        "name": name,
        "billingOptions": options,
        "defaultFlag": options == "Monthly",
    }
    for number, identifier, name, options in _CYCLES
}
_CURRENCIES = (
    ("USD", "$", 2),
    ("EUR", "€", 2),
    ("GBP", "£", 2),
    ("AUD", "$", 2),
    ("CAD", "$", 2),
    ("CHF", "CHF", 2),
    ("DKK", "kr", 2),
    ("JPY", "¥", 0),
    ("KWD", "KD", 3),
    ("NOK", "kr", 2),
    ("NZD", "$", 2),
    ("PLN", "zł", 2),
    ("SEK", "kr", 2),
    ("SGD", "$", 2),
)
CURRENCIES: dict[int, Document] = {
    number: {
        "id": number,
        "currencyIdentifier": code,
        "name": code,
        "symbol": symbol,
        "displayIdFlag": False,
        "displaySymbolFlag": True,
        "thousandsSeparator": ",",
        "decimalSeparator": ".",
        "negativeParenthesesFlag": False,
        "rightAlign": False,
        "numberOfDecimals": decimals,
    }
    for number, (code, symbol, decimals) in enumerate(_CURRENCIES, start=1)
}


def cycle_options(agreement: Document) -> str:
    """The billingOptions of an agreement; one-time agreements do not recur."""
    if agreement.get("oneTimeFlag"):
        return "NotRecurring"
    cycle = CYCLES.get(agreement.get("billingCycle", {}).get("id", 0), CYCLES[1])
    return str(cycle["billingOptions"])


def currency_reference(code: str) -> Document:
    """The reference to a currency that companies, agreements and invoices carry."""
    found = next((c for c in CURRENCIES.values() if c["currencyIdentifier"] == code), None)
    if found is None:
        raise ValueError(f"the simulated tenant has no currency {code}")
    return {
        "id": found["id"],
        "symbol": found["symbol"],
        "currencyCode": code,
        "currencyIdentifier": code,
        "numberOfDecimals": 2,
        "name": code,
    }


COMPANY: Document = {
    "status": {"id": 1, "name": "Active"},
    "deletedFlag": False,
    "isVendorFlag": False,
    "types": [{"id": 1, "name": "Customer"}],
}
AGREEMENT: Document = {
    "type": {"id": 1, "name": "Managed Services"},
    "contact": {"id": 1, "name": "Primary Contact"},
    "noEndingDateFlag": True,
    "cancelledFlag": False,
    "oneTimeFlag": False,
    "billingCycle": {"id": 2, "name": "Monthly"},
    "billOneTimeFlag": False,
    "invoicingCycle": "CalendarYear",
    "billAmount": 0,
    "taxable": False,
    "prorateFlag": False,
    "invoiceProratedAdditionsFlag": False,
    "employeeCompRate": "Actual",
    "billTime": "DoNotBill",
    "billExpenses": "DoNotBill",
    "billProducts": "Billable",
    "periodType": "Current",
    "autoInvoiceFlag": False,
}
CATALOG: Document = {
    "inactiveFlag": False,
    "subcategory": {"id": 1, "name": "Cloud"},
    "type": {"id": 1, "name": "Licences"},
    "productClass": "Agreement",
    "serializedFlag": False,
    "unitOfMeasure": {"id": 1, "name": "Each"},
    "price": 0,
    "cost": 0,
    "taxableFlag": True,
    "billableOption": "Billable",
    "recurringFlag": False,
    "autoUpdateUnitPriceFlag": False,
    "autoUpdateUnitCostFlag": False,
}
ADDITION: Document = {
    "quantity": 1,
    "lessIncluded": 0,
    "purchaseItemFlag": False,
    "specialOrderFlag": False,
    "prorateCurrentPeriodFlag": False,
}


def with_defaults(defaults: Document, given: Document) -> Document:
    """A new record; fields that were sent as null are unset, as the vendor stores them."""
    merged: dict[str, Any] = {**defaults, **given}
    return {name: value for name, value in merged.items() if value is not None}
