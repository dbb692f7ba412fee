"""Lines of several contracts on one invoice, in the currency of whoever gets it.

Each line was closed in its contract's currency; it is converted from there by a pinned rate and
rounded once. Both amounts stay on the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shared.contracts.invoicing import AccountChanged, ContractChanged, InvoiceLine, SiteAmount
from shared.kernel.fx import FxRate, rate_on
from shared.kernel.money import EXACT, Rounding, exponent, round_to


@dataclass(frozen=True, slots=True)
class Part:
    """One contract with the account it is for, and its open lines in its own currency."""

    contract: ContractChanged
    account: AccountChanged
    lines: tuple[InvoiceLine, ...]


def pinned(rates: Iterable[FxRate], source: str, target: str, *, on: date) -> FxRate | None:
    """The latest rate of a pair on or before a day; None where no conversion is needed.

    Raises:
        Held: `no_fx_rate`.
    """
    return None if source == target else rate_on(on, rates, source=source, target=target)


def converted(amount: Decimal, rate: FxRate | None, currency: str) -> tuple[Decimal, Decimal]:
    """A closed amount in another currency: exact, and rounded to the minor unit."""
    exact = amount if rate is None else EXACT.multiply(amount, rate.rate)
    return exact, round_to(exact, exponent(currency), Rounding.HALF_AWAY)


def consolidated(
    parts: Sequence[Part], currency: str, rates: Sequence[FxRate], *, on: date
) -> tuple[InvoiceLine, ...]:
    """All lines in the order of the contracts, numbered through.

    Raises:
        Held: `no_fx_rate`.
    """
    lines = []
    for part in sorted(parts, key=lambda part: part.contract.contract_id):
        for line in part.lines:
            rate = pinned(rates, part.contract.currency, currency, on=on)
            lines.append(_line(part, line, currency, rate))
    return tuple(
        line.model_copy(update={"number": number}) for number, line in enumerate(lines, start=1)
    )


def _line(part: Part, line: InvoiceLine, currency: str, rate: FxRate | None) -> InvoiceLine:
    exact, net = converted(line.net, rate, currency)
    site = SiteAmount(
        contract_id=part.contract.contract_id,
        account_id=part.account.account_id,
        account_name=part.account.name,
        tax_jurisdiction=part.account.tax_jurisdiction,
        currency=part.contract.currency,
        net=line.net,
        unit_price=line.unit_price,
        fx_rate=rate.rate if rate else Decimal(1),
        fx_on=rate.on if rate else None,
        fx_source=rate.source if rate else None,
    )
    told: dict[str, object] = {"site": site}
    if rate is not None:  # a converted unit price would not multiply out
        told |= {"net": net, "net_exact": exact, "unit_price": None}
    return line.model_copy(update=told)
