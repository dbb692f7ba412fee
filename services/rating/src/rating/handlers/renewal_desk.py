"""Brings the facts of one customer before the renewal desk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from rating.domain.licences import Terms
from rating.domain.ownership import owner_of_change, owner_of_cycle
from rating.domain.renewals import (
    PriceChange,
    Renewal,
    Window,
    price_changes,
    renewal,
    windows,
)
from rating.domain.sites import SharedOut
from rating.domain.timeline import Timeline
from rating.handlers.allocating import shared_out
from rating.handlers.settling import covered_by
from rating.handlers.terms import licence_book
from rating.store import facts, schedules
from shared.contracts.ingest import RenewalScheduled
from shared.contracts.invoicing import ContractChanged
from shared.kernel.periods import Period
from shared.runtime.postgres import Reader

Owner = ContractChanged | None


@dataclass(frozen=True, slots=True)
class Desk:
    """One customer; each row with the contract that bills it, if one does."""

    customer_id: str
    renewals: tuple[tuple[Owner, Renewal], ...]
    windows: tuple[tuple[Owner, Window], ...]
    price_changes: tuple[tuple[ContractChanged, PriceChange], ...]


async def desk_of(
    reader: Reader, customer_id: str, within: Period, contract_id: str | None = None
) -> Desk:
    """What of a customer (or of one of its contracts) is due in the period."""
    contracts = (await facts.contracts_of(reader, [customer_id]))[customer_id]
    timelines = await facts.timelines(reader, customer_id)
    shared = await shared_out(reader, contracts, timelines)
    said = await schedules.of_customer(reader, customer_id)
    terms = {c.contract_id: await _terms(reader, c, contracts, timelines, said) for c in contracts}
    work = _Work(contracts, terms, within, said)
    parts = _parts(contracts, timelines, shared)
    ends = [
        (work.owner(site, line, one.on), one)
        for site, line in parts
        if (one := work.renewal(site, line))
    ]
    closing = [
        (work.owner(site, line, one.opened.date()), one)
        for site, line in parts
        for one in windows(line, within)
    ]
    prices = [
        (terms[c.contract_id].contract, one)
        for c in contracts
        for one in price_changes(terms[c.contract_id], work.billed(c, timelines, shared), within)
    ]
    return Desk(
        customer_id,
        tuple(row for row in ends if _is_of(row[0], contract_id)),
        tuple(row for row in closing if _is_of(row[0], contract_id)),
        tuple(row for row in prices if _is_of(row[0], contract_id)),
    )


@dataclass(frozen=True, slots=True)
class _Work:
    contracts: Sequence[ContractChanged]
    terms: Mapping[str, Terms]
    within: Period
    schedules: Mapping[str, RenewalScheduled]

    def renewal(self, site: Owner, line: Timeline) -> Renewal | None:
        on = line.steps[-1].after.term_end
        before, after = (site or self._owner_on(line, day) for day in (on - timedelta(days=1), on))
        schedule = self.schedules.get(line.subscription_id)
        if site and schedule and schedule.next_term:
            # Whose seats will come or go, nobody has said.
            wanted = schedule.next_term.model_copy(update={"quantity": None})
            schedule = schedule.model_copy(update={"next_term": wanted})
        return renewal(
            line,
            self.within,
            now=self._terms_of(before),
            following=self._terms_of(after),
            schedule=schedule,
        )

    def owner(self, site: Owner, line: Timeline, day: date) -> Owner:
        return site or self._owner_on(line, day) or self._owner_on(line, day - timedelta(days=1))

    def billed(
        self,
        contract: ContractChanged,
        timelines: Mapping[str, Timeline],
        shared: Mapping[str, SharedOut],
    ) -> list[Timeline]:
        """What the contract bills at the beginning of the period, or later if it begins later."""
        day = max(self.within.start, contract.starts_on)
        found = []
        for name, line in covered_by(contract, timelines, shared).items():
            owner = self._owner_on(line, day)
            if name in shared or (owner and owner.contract_id == contract.contract_id):
                found.append(line)
        return found

    def _owner_on(self, line: Timeline, day: date) -> Owner:
        name = line.subscription_id
        return owner_of_change(self.contracts, name, day) or owner_of_cycle(
            self.contracts, name, day
        )

    def _terms_of(self, contract: Owner) -> Terms | None:
        return self.terms[contract.contract_id] if contract else None


def _parts(
    contracts: Sequence[ContractChanged],
    timelines: Mapping[str, Timeline],
    shared: Mapping[str, SharedOut],
) -> list[tuple[Owner, Timeline]]:
    """Whole subscriptions, and each site's part of a shared one."""
    by_id = {contract.contract_id: contract for contract in contracts}
    found: list[tuple[Owner, Timeline]] = []
    for name, line in sorted(timelines.items()):
        if name not in shared:
            found.append((None, line))
            continue
        sites = sorted(shared[name].timelines.items())
        found += [(by_id[site], part) for site, part in sites if site in by_id and part.steps]
    return found


async def _terms(
    reader: Reader,
    contract: ContractChanged,
    siblings: Sequence[ContractChanged],
    timelines: Mapping[str, Timeline],
    said: Mapping[str, RenewalScheduled],
) -> Terms:
    wanted = [one.next_term.product for one in said.values() if one.next_term]
    more = [product.key for product in wanted if product]
    book = await licence_book(reader, contract, timelines.values(), more)
    return Terms(contract, siblings, book)


def _is_of(owner: Owner, contract_id: str | None) -> bool:
    return contract_id is None or (owner is not None and owner.contract_id == contract_id)
