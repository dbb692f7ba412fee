"""Shares subscriptions out among the contracts that share them, and holds what nobody claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rating.domain.allocations import Allocation, SiteSeats, require_sound, sharing
from rating.domain.desired import Desired, Hold
from rating.domain.licences import Terms
from rating.domain.sites import SharedOut, share_out
from rating.domain.timeline import Timeline
from rating.store import allocations, holds
from rating.store.holds import Place
from shared.contracts.invoicing import ContractChanged
from shared.kernel.errors import Conflict
from shared.runtime.postgres import Reader, Transaction

UNALLOCATED = "unallocated_seats"


async def keep_allocation(tx: Transaction, wanted: Allocation) -> tuple[Allocation, bool]:
    """Keep a new allocation; a repeat of a known one is that one, and no news.

    Raises:
        Invalid: what `require_sound` refuses.
        Conflict: `allocation_changed` when the id is that of another allocation.
    """
    require_sound(wanted)
    if not await allocations.add(tx, wanted):
        (known,) = await allocations.by_ids(tx, [wanted.allocation_id])
        same = replace(wanted, recorded_at=known.recorded_at, sites=_sorted(wanted))
        if replace(known, sites=_sorted(known)) != same:
            detail = (
                f"{wanted.allocation_id} is another allocation already; correct it by a new one"
            )
            raise Conflict("allocation_changed", detail)
        return known, False
    await tx.record(
        "allocation.entered",
        wanted.source,
        after={
            "subscription_id": wanted.subscription_id,
            "kind": wanted.kind.value,
            "effective_on": wanted.effective_on.isoformat(),
            "sites": {site.contract_id: site.seats for site in wanted.sites},
        },
        reason=wanted.cause,
    )
    return wanted, True


async def shared_out(
    reader: Reader, contracts: Sequence[ContractChanged], timelines: Mapping[str, Timeline]
) -> dict[str, SharedOut]:
    """Every subscription among these that some contract shares, shared out."""
    names = [name for name in timelines if sharing(contracts, name)]
    if not names:
        return {}
    known = await allocations.of_subscriptions(reader, names)
    return {name: share_out(timelines[name], known[name]) for name in names}


def as_site(terms: Terms) -> Terms:
    """The same terms for a part of a subscription: the allocations say what is the contract's, so
    no other contract competes for it."""
    alone = terms.contract.model_copy(update={"subscription_ids": None})
    return replace(terms, contract=alone, siblings=(alone,))


def settled(desired: Desired, shared: SharedOut) -> Desired:
    """A site's conclusion without the log entries that must wait; its charges do not wait."""
    since = shared.unsettled_from
    if since is None:
        return desired
    return replace(desired, entries=tuple(e for e in desired.entries if e.effective_on < since))


async def hold_unallocated(
    tx: Transaction, sites: Iterable[ContractChanged], line: Timeline
) -> None:
    """Seats that no site has claimed, or that a contract has which does not share them."""
    name = line.subscription_id
    known = await allocations.of_subscriptions(tx, [name])
    shared = share_out(line, known[name])
    place = Place(f"subscription/{name}", customer_id=line.customer_id)
    here = {contract.contract_id for contract in sites}
    await holds.replace_holds(tx, place, _holds(line, shared, here))


def _holds(line: Timeline, shared: SharedOut, here: set[str]) -> list[Hold]:
    object = f"subscription/{line.subscription_id}"
    found = [
        Hold(
            UNALLOCATED,
            object,
            gap.change_id,
            f"{gap.seats:+d} of the {gap.of:+d} seats of {gap.day} are no site's",
        )
        for gap in shared.gaps
    ]
    if shared.mismatch is not None:
        odd = shared.mismatch
        detail = f"on {odd.day} the provider has {odd.provider} seats, the sites {odd.sites}"
        found.append(Hold("sites_do_not_sum", object, odd.day.isoformat(), detail))
    for site, part in sorted(shared.timelines.items()):
        if site not in here and any(step.after.quantity for step in part.steps):
            detail = f"seats are allocated to {site}, which is no contract that shares this"
            found.append(Hold("site_unknown", object, site, detail))
    return found


def _sorted(fact: Allocation) -> tuple[SiteSeats, ...]:
    return tuple(sorted(fact.sites, key=lambda site: site.contract_id))
