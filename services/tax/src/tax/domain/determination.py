"""How much tax a document carries, and which rows of the rate table say so.

The two modes differ only in where the one rounding happens: on each line, or on each rate's sum of
lines. There is no path from a missing rate to a tax of zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shared.contracts.invoicing import TaxMode
from shared.kernel.errors import Held
from shared.kernel.money import EXACT, Rounding, exponent, round_to
from tax.domain.rates import Rate, RateTable


@dataclass(frozen=True, slots=True)
class Line:
    """What tax needs to know of an invoice line; `net` is rounded to the currency."""

    number: int
    category: str
    net: Decimal
    jurisdiction: str | None = None  # of its own site; None: the document's


@dataclass(frozen=True, slots=True)
class Document:
    """A priced draft. Tax never changes its amounts."""

    invoice_id: str
    revision: int
    account_id: str
    jurisdiction: str
    mode: TaxMode
    currency: str
    tax_date: date
    lines: tuple[Line, ...]
    net: Decimal

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Every place that taxes a line, in order."""
        return tuple(sorted({self.place_of(line) for line in self.lines}))

    def place_of(self, line: Line) -> str:
        return line.jurisdiction or self.jurisdiction


@dataclass(frozen=True, slots=True)
class TaxedLine:
    """`tax` is None in per-group mode, where tax belongs to the document."""

    number: int
    rate: Rate
    tax: Decimal | None


@dataclass(frozen=True, slots=True)
class RateTotal:
    """Everything taxed at one rate."""

    name: str
    rate: Decimal
    taxable: Decimal
    tax: Decimal


@dataclass(frozen=True, slots=True)
class Determination:
    """The answer for one document; `tax` is the sum of the totals."""

    engine: str
    engine_version: str
    lines: tuple[TaxedLine, ...]
    totals: tuple[RateTotal, ...]
    tax: Decimal


def determine(document: Document, table: RateTable, *, engine: str) -> Determination:
    """Tax every line by the row in force on the tax date.

    Raises:
        Held: `amount_mismatch` when the draft contradicts itself, and what `RateTable.find`
            raises; the detail then names every line that has no rate.
    """
    _check_amounts(document)
    rates = _rates(document, table)
    lines = tuple(
        TaxedLine(line.number, rates[line.number], _line_tax(document, line, rates[line.number]))
        for line in document.lines
    )
    totals = _totals(document, lines)
    return Determination(engine, table.version, lines, totals, _sum(total.tax for total in totals))


def _check_amounts(document: Document) -> None:
    """Law: totals are sums of rounded lines. A draft that breaks it is not taxed."""
    numbers = [line.number for line in document.lines]
    if len(set(numbers)) != len(numbers):
        raise Held("amount_mismatch", "two lines of the draft have the same number")
    for line in document.lines:
        if _rounded(line.net, document.currency) != line.net:
            raise Held(
                "amount_mismatch",
                f"line {line.number} has fractions of {document.currency}'s minor unit",
            )
    lines_net = _sum(line.net for line in document.lines)
    if lines_net != document.net:
        raise Held("amount_mismatch", f"the lines add up to {lines_net}, not to {document.net}")


def _rates(document: Document, table: RateTable) -> dict[int, Rate]:
    found: dict[int, Rate] = {}
    missing: list[tuple[int, Held]] = []
    for line in document.lines:
        try:
            place = document.place_of(line)
            found[line.number] = table.find(place, line.category, document.tax_date)
        except Held as held:
            missing.append((line.number, held))
    if missing:
        code = missing[0][1].code
        raise Held(code, "; ".join(f"line {number}: {held.detail}" for number, held in missing))
    return found


def _line_tax(document: Document, line: Line, rate: Rate) -> Decimal | None:
    if document.mode is TaxMode.PER_GROUP:
        return None
    return _rounded(EXACT.multiply(line.net, rate.rate), document.currency)


def _totals(document: Document, lines: Iterable[TaxedLine]) -> tuple[RateTotal, ...]:
    """One total per rate of a place, in the order in which they first appear on the document."""
    nets = {line.number: line.net for line in document.lines}
    groups: dict[tuple[str, Decimal], list[TaxedLine]] = {}
    for line in lines:
        groups.setdefault((line.rate.jurisdiction, line.rate.rate), []).append(line)
    return tuple(_total(document, rate, group, nets) for (_, rate), group in groups.items())


def _total(
    document: Document, rate: Decimal, group: list[TaxedLine], nets: dict[int, Decimal]
) -> RateTotal:
    taxable = _sum(nets[line.number] for line in group)
    if document.mode is TaxMode.PER_GROUP:
        tax = _rounded(EXACT.multiply(taxable, rate), document.currency)
    else:
        tax = _sum(line.tax for line in group if line.tax is not None)
    names = dict.fromkeys(line.rate.name for line in group)
    return RateTotal(" / ".join(names), rate, taxable, tax)


def _rounded(amount: Decimal, currency: str) -> Decimal:
    return round_to(amount, exponent(currency), Rounding.HALF_AWAY)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    result = Decimal(0)
    for amount in amounts:
        result = EXACT.add(result, amount)
    return result
