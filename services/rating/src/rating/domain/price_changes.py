"""Rules, promotions and rates that are proposed together: what is new in them, how much revenue
they move, and whether a second person has to approve.

`at_stake` is an amount a month: of every contract the largest that the change moves in any month
(charges of the past are corrected, terms and usage to come are priced anew), summed without sign,
so that a rise for one customer does not hide a fall for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from rating.domain.promotions import Promotion
from rating.domain.rules import Rule
from shared.contracts.rating import ChargeRated
from shared.kernel.errors import Conflict
from shared.kernel.fx import FxRate
from shared.kernel.money import EXACT

Item = Rule | Promotion | FxRate
ANY = "*"  # in thresholds: every currency that has none of its own
NOTHING = Decimal(0)


class ChangeState(StrEnum):
    WAITING = "waiting"  # a draft until a second person approves or rejects it
    ACTIVE = "active"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Proposed:
    """One version that would be entered; `item.version` is its number, `base` the one before."""

    item: Item
    base: int  # 0: there is none yet

    @property
    def name(self) -> str:
        return name_of(self.item)


def name_of(item: Item) -> str:
    """`price-rule/ALD-PREMIUM`, as the audit trail has it."""
    match item:
        case Rule():
            return f"price-rule/{item.rule_id}"
        case Promotion():
            return f"promotion/{item.promotion_id}"
        case FxRate():
            return f"fx-rate/{item.source_currency}-{item.target_currency}/{item.on}"


def numbered(item: Item, latest: Item | None) -> Proposed | None:
    """The item as the version after the latest; None where it is the latest."""
    if latest is not None and replace(item, version=latest.version) == latest:
        return None
    base = latest.version if latest else 0
    return Proposed(replace(item, version=base + 1), base)


@dataclass(frozen=True, slots=True)
class Moved:
    """A charge before and after; None where it does not exist."""

    before: ChargeRated | None
    after: ChargeRated | None

    @property
    def known(self) -> ChargeRated:
        found = self.after or self.before
        assert found is not None  # a pair has at least one side
        return found

    @property
    def difference(self) -> Decimal:
        after = self.after.amount if self.after else NOTHING
        return EXACT.subtract(after, self.before.amount if self.before else NOTHING)


def moved(before: Mapping[str, ChargeRated], after: Mapping[str, ChargeRated]) -> list[Moved]:
    """The charges whose amounts differ, by date and id."""
    pairs = [Moved(before.get(one), after.get(one)) for one in {*before, *after}]
    return sorted(
        (pair for pair in pairs if pair.difference),
        key=lambda pair: (pair.known.bill_on, pair.known.charge_id),
    )


@dataclass(frozen=True, slots=True)
class Monthly:
    """What a subscription brings in a month at the prices of a day, before and after a change.
    `held`: why nothing can be charged after it."""

    contract_id: str
    subscription_id: str
    product: str
    currency: str
    quantity: int
    before: Decimal
    after: Decimal
    held: str | None = None

    @property
    def difference(self) -> Decimal:
        return EXACT.subtract(self.after, self.before)


def at_stake(
    charges: Iterable[Moved], monthly: Iterable[Monthly], past_month: Iterable[Moved] = ()
) -> dict[str, Decimal]:
    """The revenue a month that a change moves, by currency. `past_month` are the charges that it
    would have moved in the last month, had it been in force: what comes will be like it."""
    contracts: dict[tuple[str, str], Decimal] = {}
    for sums in (_by_month(charges), _by_month(past_month)):
        for (currency, contract_id, _), amount in sums.items():
            key = (currency, contract_id)
            contracts[key] = max(contracts.get(key, NOTHING), abs(amount))
    rates: dict[tuple[str, str], Decimal] = {}
    for one in monthly:
        key = (one.currency, one.contract_id)
        rates[key] = EXACT.add(rates.get(key, NOTHING), one.difference)
    for key, amount in rates.items():
        contracts[key] = max(contracts.get(key, NOTHING), abs(amount))
    found: dict[str, Decimal] = {}
    for (currency, _), amount in contracts.items():
        found[currency] = EXACT.add(found.get(currency, NOTHING), amount)
    return {currency: amount for currency, amount in sorted(found.items()) if amount}


def needs_second_person(stake: Mapping[str, Decimal], thresholds: Mapping[str, Decimal]) -> bool:
    """Whether in some currency more is at stake than one person may move. A currency without a
    threshold has that of `*`; without either, any amount needs two."""
    return any(
        amount > thresholds.get(currency, thresholds.get(ANY, NOTHING))
        for currency, amount in stake.items()
    )


def decide(state: ChangeState, author: str, by: str) -> None:
    """Whether `by` may approve or reject.

    Raises:
        Conflict: `price_change_decided`, `approver_is_author`.
    """
    if state is not ChangeState.WAITING:
        raise Conflict("price_change_decided", f"the change is {state.value} already")
    if author == by:
        raise Conflict("approver_is_author", f"{author} proposed it; a second person decides")


def require_current(proposed: Proposed, latest: Item | None) -> None:
    """Refuse to enter a version whose predecessor is not the one it was made for.

    Raises:
        Conflict: `price_change_stale`.
    """
    if (latest.version if latest else 0) != proposed.base:
        raise Conflict(
            "price_change_stale",
            f"{proposed.name} has changed since this was proposed; propose it again",
        )


def _by_month(charges: Iterable[Moved]) -> dict[tuple[str, str, date], Decimal]:
    found: dict[tuple[str, str, date], Decimal] = {}
    for pair in charges:
        charge = pair.known
        key = (charge.currency, charge.contract_id, charge.bill_on.replace(day=1))
        found[key] = EXACT.add(found.get(key, NOTHING), pair.difference)
    return found
