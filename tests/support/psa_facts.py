"""The invoices and licence changes of scenarios 1, 2 and 5, as psa-connector receives them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from shared.contracts.envelope import PeriodField
from shared.contracts.ingest import ChangeKind
from shared.contracts.invoicing import (
    AccountChanged,
    ContractChanged,
    InvoiceFinalised,
    TaxedLine,
    TaxTotal,
    Timing,
)
from shared.contracts.rating import ChargeProduct, LicenceChangeRated

ANNUAL = "CFQ7TTC0LCHC:0002:P1Y:monthly"
MONTHLY = "CFQ7TTC0LCHC:0002:P1M:monthly"
E3, E5 = "CFQ7TTC0LF8R:0001:P1Y:monthly", "CFQ7TTC0LF8S:0001:P1Y:monthly"
MAY = ("2026-05-01", "2026-06-01")


def day(text: str) -> date:
    return date.fromisoformat(text)


def line(number: int, net: str, **changes: Any) -> TaxedLine:
    """A one-time line of one thing unless told otherwise."""
    start, end = changes.pop("service", MAY)
    facts: dict[str, Any] = {
        "number": number,
        "charge_id": f"charge-{number}",
        "charge_revision": 1,
        "item_id": None,
        "kind": "one_time",
        "product_key": "thing",
        "product_name": "Thing",
        "tax_category": "service",
        "description": f"Thing {number}",
        "subscription_id": None,
        "quantity": Decimal(1),
        "unit_price": None,
        "net": Decimal(net),
        "net_exact": Decimal(net),
        "cost": Decimal(0),
        "cost_currency": "USD",
        "service_period": PeriodField(start=day(start), end=day(end)),
        "recurring": False,
        "tax": Decimal(0),
        "tax_rate": Decimal(0),
    }
    return TaxedLine(**facts | changes)


def recurring(number: int, quantity: int, price: str, **changes: Any) -> TaxedLine:
    net = quantity * Decimal(price)
    facts: dict[str, Any] = {
        "kind": "recurring",
        "recurring": True,
        "product_key": ANNUAL,
        "product_name": "Business Premium",
        "subscription_id": "sub-A",
        "quantity": Decimal(quantity),
        "unit_price": Decimal(price),
        "tax_category": "licence",
        "tax_rate": Decimal("0.08875"),
    }
    return line(number, f"{net:f}", **facts | changes)


def invoice(number: str, invoice_date: str, *lines: TaxedLine, **changes: Any) -> InvoiceFinalised:
    net = sum((one.net for one in lines), Decimal(0))
    taxes: tuple[TaxTotal, ...] = changes.get("taxes", ())
    tax = sum((total.tax for total in taxes), Decimal(0))
    facts: dict[str, Any] = {
        "invoice_id": f"id-{number}",
        "number": number,
        "account_id": "alder",
        "contract_id": "ALD-1",
        "selling_entity_id": "HC-US",
        "currency": "USD",
        "invoice_date": day(invoice_date),
        "due_on": day(invoice_date),
        "lines": lines,
        "taxes": taxes,
        "net": net,
        "tax": tax,
        "total": net + tax,
    }
    return InvoiceFinalised(**facts | changes)


def alder_may(**changes: Any) -> InvoiceFinalised:
    """Scenario 1: the invoice of 2026-05-01."""
    proration: dict[str, Any] = {
        "kind": "proration",
        "product_key": ANNUAL,
        "product_name": "Business Premium",
        "subscription_id": "sub-A",
        "tax_category": "licence",
        "tax_rate": Decimal("0.08875"),
        "unit_price": Decimal("22.55"),
    }
    lines = (
        recurring(1, 43, "22.55", cost=Decimal("775.72")),
        recurring(
            2, 6, "27.06", product_key=MONTHLY, subscription_id="sub-B", cost=Decimal("129.90")
        ),
        line(
            3, "63.89", quantity=Decimal(5), service=("2026-04-14", "2026-05-01"),
            description="Business Premium +5, 2026-04-14 to 2026-05-01, 17/30 days", **proration,
        ),
        line(
            4, "-19.54", quantity=Decimal(-2), service=("2026-04-18", "2026-05-01"),
            description="Business Premium -2, 2026-04-18 to 2026-05-01, 13/30 days", **proration,
        ),
        line(
            5, "150.00", product_key="onboarding", product_name="Onboarding",
            service=("2026-04-22", "2026-04-23"), unit_price=Decimal("150.00"),
        ),
    )  # fmt: skip
    taxes = (
        TaxTotal(
            name="NY sales tax",
            rate=Decimal("0.08875"),
            taxable=Decimal("1176.36"),
            tax=Decimal("104.41"),
        ),
    )
    return invoice("ALD-0002", "2026-05-01", *lines, **{"taxes": taxes} | changes)


def account(account_id: str, name: str, currency: str = "USD") -> AccountChanged:
    return AccountChanged(
        account_id=account_id,
        name=name,
        selling_entity_id="HC-US",
        country="US",
        tax_jurisdiction="US-NY",
        currency=currency,
    )


def contract(contract_id: str, account_id: str, currency: str = "USD") -> ContractChanged:
    return ContractChanged(
        contract_id=contract_id,
        version=1,
        account_id=account_id,
        currency=currency,
        timing=Timing.ADVANCE,
        anchor_day=1,
        invoice_offset_days=0,
        starts_on=day("2026-04-01"),
        billed_through=day("2026-04-01"),
        ends_on=None,
        provider_customer_id=f"tenant-{account_id}",
        subscription_ids=None,
    )


BIRCH_LINES = (
    ("AZ-1", "usage", "Virtual Machines", "53.18", "43.24"),
    ("AZ-1", "usage", "Storage", "30.38", "24.60"),
    ("AZ-1", "usage", "Bandwidth", "7.60", "7.03"),
    ("AZ-1", "usage", "SQL Database", "58.94", "48.82"),
    ("AZ-2", "usage", "Virtual Machines", "4.50", "4.08"),
    ("AZ-2", "usage", "Storage", "3.11", "2.70"),
    ("AZ-2", "minimum", "Top-up to minimum", "17.39", "0"),
    (None, "purchase", "Reservation", "67.04", "56.84"),
)


def birch_may(number: str = "BIR-0001") -> InvoiceFinalised:
    """Scenario 2: the invoice of 2026-05-15 for April's usage."""
    lines = [
        line(
            at, net, kind=kind, product_key=f"azure:{name}", product_name=name,
            subscription_id=azure, cost=Decimal(cost), cost_currency="EUR",
            description=f"{azure or 'Purchase'} {name}, usage month 2026-04",
            service=("2026-04-01", "2026-05-01"),
        )
        for at, (azure, kind, name, net, cost) in enumerate(BIRCH_LINES, start=1)
    ]  # fmt: skip
    return invoice(
        number, "2026-05-15", *lines, contract_id="BIR-AZ", account_id="birch", currency="EUR"
    )


def change(entry_id: str, before: int, after: int, effective: str, **changes: Any) -> Any:
    """An entry of Elm Legal's licence change log."""
    product_key = changes.pop("product_key", E3)
    facts: dict[str, Any] = {
        "entry_id": entry_id,
        "change_id": f"change-{entry_id}",
        "kind": ChangeKind.QUANTITY_CHANGED,
        "contract_id": "ELM-1",
        "customer_id": "tenant-elm",
        "subscription_id": "sub-E3",
        "product": ChargeProduct(key=product_key, name="Office 365 E3", tax_category="licence"),
        "quantity_before": before,
        "quantity_after": after,
        "effective_on": day(effective),
        "recorded_at": datetime.fromisoformat(f"{effective}T07:30:00+00:00"),
        "currency": "AUD",
        "unit_price": Decimal("36.80"),
        "unit_cost": Decimal("30.20"),
        "cost_currency": "AUD",
        "price_changed": False,
        "prorated_amount": Decimal(0),
        "charge_id": None,
    }
    return LicenceChangeRated(**facts | changes)


def elm_changes() -> tuple[LicenceChangeRated, ...]:
    """Scenario 5: e1 (two sides of the upgrade), e2, e3. The rejected e4 has no entry."""
    renewed: dict[str, Any] = {"unit_price": Decimal("37.42"), "unit_cost": Decimal("31.71")}
    return (
        change("e1-E3", 30, 22, "2026-06-09"),
        change(
            "e1-E5", 0, 8, "2026-06-09", kind=ChangeKind.PURCHASED, product_key=E5,
            subscription_id="sub-E5", unit_price=Decimal("59.90"), unit_cost=Decimal("49.10"),
            price_changed=True,
        ),
        change("e2", 22, 19, "2026-07-12", kind=ChangeKind.RENEWED, price_changed=True, **renewed),
        change("e3", 19, 17, "2026-07-15", **renewed),
    )  # fmt: skip
