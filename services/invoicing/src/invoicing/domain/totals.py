"""Joins a draft with its tax: taxed lines, tax groups and the three totals, which must tie.

Tax is decided elsewhere and never recomputed here; but an answer whose parts do not add up to its
own total, or that speaks of other lines than the draft's, is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from shared.contracts.invoicing import InvoiceDrafted, TaxedLine, TaxMode, TaxTotal
from shared.contracts.tax import LineTax, TaxDetermined
from shared.kernel.errors import Invalid
from shared.kernel.money import Money

DOES_NOT_TIE = "tax_does_not_tie"


@dataclass(frozen=True, slots=True)
class Taxed:
    """An invoice's lines and totals, tax included."""

    lines: tuple[TaxedLine, ...]
    taxes: tuple[TaxTotal, ...]
    net: Decimal
    tax: Decimal
    total: Decimal


def merge(draft: InvoiceDrafted, determined: TaxDetermined) -> Taxed:
    """The draft with its tax.

    Raises:
        Invalid: `tax_does_not_tie` with the first pair of figures that disagrees.
    """
    _require_same_document(draft, determined)
    answers = {line.number: line for line in determined.lines}
    lines = tuple(
        TaxedLine(
            **dict(line),
            tax=answers[line.number].tax,
            tax_rate=answers[line.number].rate,
        )
        for line in draft.lines
    )
    _require_rounded(draft.currency, determined)
    _require_groups(lines, determined.taxes)
    groups = _sum(group.tax for group in determined.taxes)
    _require(groups == determined.tax, f"tax groups sum to {groups}, tax is {determined.tax}")
    if determined.mode is TaxMode.PER_LINE:
        by_line = _sum(line.tax or Decimal(0) for line in lines)
        _require(by_line == determined.tax, f"lines sum to {by_line}, tax is {determined.tax}")
    net = _sum(line.net for line in lines)
    _require(net == draft.net, f"lines sum to {net}, the draft says {draft.net}")
    return Taxed(lines, determined.taxes, net, determined.tax, net + determined.tax)


def _require_same_document(draft: InvoiceDrafted, determined: TaxDetermined) -> None:
    _require(
        determined.currency == draft.currency,
        f"tax is in {determined.currency}, the invoice in {draft.currency}",
    )
    _require(
        determined.mode == draft.tax_mode,
        f"tax was determined {determined.mode}, the seller's mode is {draft.tax_mode}",
    )
    asked = [line.number for line in draft.lines]
    answered = sorted(line.number for line in determined.lines)
    _require(asked == answered, f"lines {asked} were asked for, {answered} answered")


def _require_rounded(currency: str, determined: TaxDetermined) -> None:
    per_line = determined.mode is TaxMode.PER_LINE
    for line in determined.lines:
        _require(
            (line.tax is not None) == per_line,
            f"line {line.number} has {_told(line)} in mode {determined.mode}",
        )
    amounts = [line.tax for line in determined.lines if line.tax is not None]
    amounts += [group.tax for group in determined.taxes]
    for amount in amounts:
        money = Money(amount, currency)
        _require(money == money.rounded(), f"{money} has fractions of the minor unit")


def _require_groups(lines: tuple[TaxedLine, ...], groups: tuple[TaxTotal, ...]) -> None:
    """What each rate was applied to must be the lines with that rate. A group of rate zero may be
    left out: whether untaxed lines are listed is the tax service's choice."""
    for rate in {line.tax_rate for line in lines} | {group.rate for group in groups}:
        named = [group.taxable for group in groups if group.rate == rate]
        if rate == 0 and not named:
            continue
        taxable, net = _sum(named), _sum(line.net for line in lines if line.tax_rate == rate)
        _require(taxable == net, f"rate {rate} was applied to {taxable}, its lines sum to {net}")


def _told(line: LineTax) -> str:
    return "no tax of its own" if line.tax is None else "a tax of its own"


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _require(ties: bool, detail: str) -> None:
    if not ties:
        raise Invalid(DOES_NOT_TIE, detail)
