"""Rounding, discounts and tax: whole minor units, each step rounded where its owner rounds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from golden.peer_cases.rows import Adapter, Row, closed
from rating.domain import reductions
from shared.contracts.invoicing import TaxMode
from shared.kernel.money import Money, total
from tax.domain.determination import Document, Line, determine
from tax.domain.rates import Rate, RateTable

PLACE, CATEGORY, DAY = "somewhere", "something", date(2026, 1, 1)


def _money(row: Row, name: str) -> Money:
    return Money(row.number(name), row.inputs["currency"])


def round_line(row: Row) -> dict[str, object]:
    return {"rounded": _money(row, "amount").rounded().amount}


def subtotal(row: Row) -> dict[str, object]:
    currency = row.inputs["currency"]
    lines = [Money(Decimal(text), currency).rounded() for text in row.inputs["line_amounts"]]
    return {"subtotal": total(lines, currency).amount}


def usage_line(row: Row) -> dict[str, object]:
    exact = Fraction(row.number("units")) * Fraction(row.number("unit_price"))
    return {"amount": closed(exact, row.inputs["currency"])}


def _taxes(net: Decimal, currency: str, percents: Sequence[Decimal]) -> list[Decimal]:
    """The tax service's own answer, one rate after the other."""
    found = []
    for percent in percents:
        rate = Rate("r", PLACE, CATEGORY, "tax", percent / 100, DAY)
        table = RateTable("v1", (rate,), frozenset({CATEGORY}))
        document = Document(
            "i", 1, "a", PLACE, TaxMode.PER_GROUP, currency, DAY, (Line(1, CATEGORY, net),), net
        )
        found.append(determine(document, table, engine="embedded").tax)
    return found


def tax(row: Row) -> dict[str, object]:
    percents = [row.number("rate_percent")]
    return {"tax": _taxes(row.number("taxable"), row.inputs["currency"], percents)[0]}


def taxes_stacked(row: Row) -> dict[str, object]:
    percents = [Decimal(percent) for percent in row.inputs["rates_percent"]]
    found = _taxes(row.number("taxable"), row.inputs["currency"], percents)
    return {"taxes": found, "total_tax": sum(found)}


def credit_note_tax_cents(row: Row) -> dict[str, object]:
    """Cents, written as a currency without digits."""
    item = row.number("item_cents")
    found = _taxes(item, "JPY", [row.number("tax_percent")])[0]
    return {"tax": found, "total": item + found}


def percent_discount(row: Row) -> dict[str, object]:
    return _discounted(row, reductions.PercentOff(row.number("percent_off")))


def fixed_discount(row: Row) -> dict[str, object]:
    return _discounted(row, reductions.AmountOff(_money(row, "amount_off")))


def _discounted(row: Row, off: reductions.Discount) -> dict[str, object]:
    price = _money(row, "price")
    found = reductions.discount(price, [off])
    return {"discount": found.amount, "final": (price - found).amount}


def stacked_discounts_cents(row: Row) -> dict[str, object]:
    price = Money(row.number("subtotal_cents"), "JPY")
    offs: list[reductions.Discount] = []
    for given in row.inputs["discounts"]:
        if "percent" in given:
            offs.append(reductions.PercentOff(Decimal(str(given["percent"]))))
        else:
            offs.append(reductions.AmountOff(Money(Decimal(given["fixed_cents"]), "JPY")))
    return {"discount_cents": reductions.discount(price, offs).amount}


def spread_discount_cents(row: Row) -> dict[str, object]:
    lines = [Money(Decimal(line), "JPY") for line in row.inputs["lines_cents"]]
    left = reductions.spread(lines, Money(row.number("discount_cents"), "JPY"))
    return {"taxable_cents": [line.amount for line in left]}


ADAPTERS: Mapping[str, Adapter] = {
    "round_line": round_line,
    "subtotal": subtotal,
    "usage_line": usage_line,
    "tax": tax,
    "taxes_stacked": taxes_stacked,
    "credit_note_tax_cents": credit_note_tax_cents,
    "percent_discount": percent_discount,
    "fixed_discount": fixed_discount,
    "stacked_discounts_cents": stacked_discounts_cents,
    "spread_discount_cents": spread_discount_cents,
}
