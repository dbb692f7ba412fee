"""Which contract a subscription is billed under on a day: exactly one, or none.

A contract that names the subscription goes before one that takes all of the customer's; then the
one that started later, then the smaller id. So a day is never billed to two payers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime

from shared.contracts.invoicing import ContractChanged
from shared.kernel import conventions
from shared.kernel.periods import utc_day

Since = Callable[[ContractChanged], date]


def owner_of_change(
    contracts: Iterable[ContractChanged], subscription_id: str | None, day: date
) -> ContractChanged | None:
    """The contract that bills a change or a usage line of `day`."""
    return _owner(contracts, subscription_id, lambda _: day, lambda contract: contract.starts_on)


def owner_of_instant(
    contracts: Iterable[ContractChanged], subscription_id: str | None, instant: datetime
) -> ContractChanged | None:
    """The contract that bills a change at an instant; each reads the clock of its own zone. Hours
    that fall between the midnights of two zones go by UTC, so that somebody has them."""

    def day_of(contract: ContractChanged) -> date:
        return conventions.parse(contract.convention).day_of(instant)

    known = [contract for contract in contracts if covers(contract, subscription_id)]
    owner = _owner(known, subscription_id, day_of, lambda contract: contract.starts_on)
    zones = {conventions.parse(contract.convention).zone for contract in known}
    if owner is None and len(zones) > 1:
        return owner_of_change(known, subscription_id, utc_day(instant))
    return owner


def owner_of_cycle(
    contracts: Iterable[ContractChanged], subscription_id: str, start: date
) -> ContractChanged | None:
    """The contract that bills the recurring cycle which starts on `start`."""
    return _owner(
        contracts, subscription_id, lambda _: start, lambda contract: contract.billed_through
    )


def owner_of_opening(
    contracts: Iterable[ContractChanged], subscription_id: str, day: date
) -> ContractChanged | None:
    """The contract that takes over a subscription that was there on `day`: the first that has it
    from then on."""
    known = list(contracts)
    days = {max(day, contract.starts_on) for contract in known if covers(contract, subscription_id)}
    owners = (owner_of_change(known, subscription_id, first) for first in sorted(days))
    return next((owner for owner in owners if owner is not None), None)


def is_before_all(
    contracts: Iterable[ContractChanged], subscription_id: str | None, day: date
) -> bool:
    """Whether contracts cover the subscription, and every one of them starts later."""
    covering = [c for c in contracts if covers(c, subscription_id)]
    return bool(covering) and all(day < contract.starts_on for contract in covering)


def covers(contract: ContractChanged, subscription_id: str | None) -> bool:
    """Whether the contract is about this subscription at all, on whatever day.

    What belongs to no subscription (a purchase for the whole tenant) belongs to any contract.
    """
    if contract.subscription_ids is None or subscription_id is None:
        return True
    return subscription_id in contract.subscription_ids


def _owner(
    contracts: Iterable[ContractChanged], subscription_id: str | None, day_of: Since, since: Since
) -> ContractChanged | None:
    def rank(contract: ContractChanged) -> tuple[bool, date]:
        takes_all = contract.subscription_ids is None
        return (takes_all if subscription_id is None else not takes_all, since(contract))

    candidates = [
        contract
        for contract in contracts
        if covers(contract, subscription_id)
        and since(contract) <= day_of(contract)
        and (contract.ends_on is None or day_of(contract) < contract.ends_on)
    ]
    best = max(map(rank, candidates), default=None)
    return min(
        (contract for contract in candidates if rank(contract) == best),
        key=lambda contract: contract.contract_id,
        default=None,
    )
