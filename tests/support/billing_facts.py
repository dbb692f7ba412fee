"""Hand-made facts for invoicing: charges, cycles and taxes with defaults that do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import (
    ContractChanged,
    InvoiceDrafted,
    InvoiceLine,
    TaxMode,
    TaxTotal,
    Timing,
)
from shared.contracts.rating import (
    ChargeKind,
    ChargeProduct,
    ChargeRated,
    CycleRated,
    PriceBasis,
    ProrationBasis,
)
from shared.contracts.tax import LineTax, TaxDetermined
from shared.kernel.ids import derived_id
from shared.kernel.money import EXACT, Rounding, exponent, round_to, to_decimal
from shared.kernel.periods import Period

PREMIUM = "Business Premium"


def day(text: str) -> date:
    return date.fromisoformat(text)


def period(start: str, end: str) -> PeriodField:
    return PeriodField(start=day(start), end=day(end))


def contract(contract_id: str = "ALD-1", **changes: Any) -> ContractChanged:
    terms: dict[str, Any] = {
        "contract_id": contract_id,
        "version": 1,
        "account_id": "alder",
        "currency": "USD",
        "timing": Timing.ADVANCE,
        "anchor_day": 1,
        "invoice_offset_days": 0,
        "starts_on": day("2026-04-01"),
        "billed_through": day("2026-05-01"),
        "ends_on": None,
        "provider_customer_id": "tenant-alder",
        "subscription_ids": None,
    }
    return ContractChanged(**terms | changes)


def charge(charge_id: str, amount: str | Decimal, **changes: Any) -> ChargeRated:
    """A purchase of one thing unless told otherwise."""
    facts: dict[str, Any] = {
        "charge_id": charge_id,
        "revision": 1,
        "kind": ChargeKind.PURCHASE,
        "contract_id": "ALD-1",
        "customer_id": "tenant-alder",
        "subscription_id": None,
        "product": ChargeProduct(key="thing", name="Thing", tax_category="licence"),
        "description": "Thing",
        "quantity": Decimal(1),
        "currency": "USD",
        "amount": Decimal(amount),
        "amount_exact": Decimal(amount),
        "cost": Decimal(0),
        "cost_currency": "USD",
        "service_period": period("2026-04-01", "2026-05-01"),
        "bill_on": day("2026-05-01"),
        "price": PriceBasis(
            rule_id="rule", rule_version=1, rule_text="fixed", unit_price=None, unit_cost=None
        ),
        "source_ids": (f"source-of-{charge_id}",),
    }
    return ChargeRated(**facts | changes)


def seats(
    charge_id: str,
    *,
    quantity: int,
    unit_price: str,
    service: tuple[str, str],
    term: str = "P1Y",
    **changes: Any,
) -> ChargeRated:
    """A recurring charge of one whole cycle."""
    currency = changes.get("currency", "USD")
    exact = Decimal(quantity) * Decimal(unit_price)
    facts: dict[str, Any] = {
        "kind": ChargeKind.RECURRING,
        "subscription_id": f"sub-{term}",
        "product": _premium(term),
        "description": f"{PREMIUM}, {service[0]} to {service[1]}",
        "quantity": Decimal(quantity),
        "amount": round_to(exact, exponent(currency), Rounding.HALF_AWAY),
        "amount_exact": exact,
        "service_period": period(*service),
        "bill_on": day(service[0]),
        "price": fixed(unit_price),
    }
    return charge(charge_id, **facts | changes)


def seats_changed(
    charge_id: str,
    *,
    added: int,
    unit_price: str,
    effective: str,
    cycle: tuple[str, str],
    **changes: Any,
) -> ChargeRated:
    """A proration: a change of quantity for the rest of its cycle, billed at the cycle's end."""
    currency, term = changes.get("currency", "USD"), changes.pop("term", "P1Y")
    whole = Period(day(cycle[0]), day(cycle[1]))
    share = whole.from_day(day(effective))
    exact = Fraction(added) * Fraction(unit_price) * share.share_of(whole)
    facts: dict[str, Any] = {
        "kind": ChargeKind.PRORATION,
        "subscription_id": f"sub-{term}",
        "product": _premium(term),
        "description": f"{PREMIUM} {added:+d}, {effective} to {cycle[1]}",
        "quantity": Decimal(added),
        "amount": round_to(exact, exponent(currency), Rounding.HALF_AWAY),
        "amount_exact": to_decimal(exact),
        "service_period": PeriodField.of(share),
        "bill_on": whole.end,
        "price": fixed(unit_price),
        "proration": ProrationBasis(
            days=share.days, cycle_days=whole.days, cycle=PeriodField.of(whole)
        ),
    }
    return charge(charge_id, **facts | changes)


def usage(charge_id: str, amount: str, *, azure: str, category: str, **changes: Any) -> ChargeRated:
    facts: dict[str, Any] = {
        "kind": ChargeKind.USAGE,
        "contract_id": "BIR-AZ",
        "customer_id": "tenant-birch",
        "subscription_id": azure,
        "product": ChargeProduct(key=f"azure:{category}", name=category, tax_category="usage"),
        "description": f"{azure} {category}, usage month 2026-04",
        "currency": "EUR",
        "cost_currency": "EUR",
        "amount": round_to(Decimal(amount), 2, Rounding.HALF_AWAY),
        "bill_on": day("2026-05-15"),
    }
    return charge(charge_id, **{"amount_exact": Decimal(amount)} | facts | changes)


def revised(before: ChargeRated, **changes: Any) -> ChargeRated:
    """The next revision of a charge; a new quantity of a recurring charge is priced."""
    if before.kind is ChargeKind.RECURRING and "amount" not in changes:
        quantity = Decimal(changes.get("quantity", before.quantity))
        price = changes.get("price", before.price).unit_price
        exact = EXACT.multiply(quantity, price)
        places = exponent(before.currency)
        changes |= {
            "quantity": quantity,
            "amount": round_to(exact, places, Rounding.HALF_AWAY),
            "amount_exact": exact,
        }
    return before.model_copy(update={"revision": before.revision + 1, **changes})


def cycle_rated(
    run_id: str, invoice_date: str, charges: Sequence[ChargeRated], /, **changes: Any
) -> CycleRated:
    """Rating's answer with the control total of these current charges."""
    due = [c for c in charges if c.bill_on <= day(invoice_date)]
    facts: dict[str, Any] = {
        "contract_id": charges[0].contract_id if charges else "ALD-1",
        "run_id": run_id,
        "invoice_date": day(invoice_date),
        "charges": len(due),
        "amount": reduce(EXACT.add, (c.amount for c in due), Decimal(0)),
        "holds": 0,
    }
    return CycleRated(**facts | changes)


def tax_of(draft: InvoiceDrafted, rates: dict[str, str], **changes: Any) -> TaxDetermined:
    """What tax answers when each place, or else each category, has one rate."""
    places = exponent(draft.currency)
    per_line = draft.tax_mode is TaxMode.PER_LINE
    answers: list[LineTax] = []
    groups: dict[Decimal, list[tuple[InvoiceLine, Decimal]]] = {}
    for line in draft.lines:
        place = line.site.tax_jurisdiction if line.site else draft.tax_jurisdiction
        rate = Decimal(rates[place if place in rates else line.tax_category])
        tax = round_to(EXACT.multiply(line.net, rate), places, Rounding.HALF_AWAY)
        answers.append(
            LineTax(
                number=line.number,
                rate=rate,
                rate_id=f"rate-{line.tax_category}",
                tax=tax if per_line else None,
            )
        )
        groups.setdefault(rate, []).append((line, tax))
    totals = tuple(_group(rate, lines, places, per_line) for rate, lines in groups.items())
    facts: dict[str, Any] = {
        "determination_id": derived_id("determination", draft.invoice_id, draft.revision),
        "invoice_id": draft.invoice_id,
        "revision": draft.revision,
        "account_id": draft.account_id,
        "currency": draft.currency,
        "tax_date": draft.invoice_date,
        "mode": draft.tax_mode,
        "engine": "embedded",
        "engine_version": "7",
        "lines": tuple(answers),
        "taxes": totals,
        "tax": sum((group.tax for group in totals), Decimal(0)),
    }
    return TaxDetermined(**facts | changes)


def _group(
    rate: Decimal, lines: list[tuple[InvoiceLine, Decimal]], places: int, per_line: bool
) -> TaxTotal:
    taxable = sum((line.net for line, _ in lines), Decimal(0))
    tax = (
        sum((tax for _, tax in lines), Decimal(0))
        if per_line
        else round_to(EXACT.multiply(taxable, rate), places, Rounding.HALF_AWAY)
    )
    return TaxTotal(name=f"tax {rate}", rate=rate, taxable=taxable, tax=tax)


def _premium(term: str) -> ChargeProduct:
    return ChargeProduct(
        key=f"CFQ7TTC0LCHC:0002:{term}:monthly",
        name=PREMIUM,
        tax_category="licence",
        term=term,
        billing_plan="monthly",
    )


def fixed(unit_price: str) -> PriceBasis:
    return PriceBasis(
        rule_id="ALD-PRICE",
        rule_version=3,
        rule_text=f"fixed {unit_price}",
        unit_price=Decimal(unit_price),
        unit_cost=None,
    )
