"""Computes published charges again by the code that bills, and keeps nothing but the difference.

One customer at a time, each in a transaction that is rolled back: memory is bounded by the largest
customer, and nobody waits for more than one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from rating.domain.price_changes import Proposed
from rating.domain.replay import Difference, Span, counted, differences
from rating.handlers.price_book import keep
from rating.handlers.rating_usage import rerate
from rating.handlers.settling import settle_customer
from rating.store import charges, due, facts, holds, locks
from rating.store.due import DueKind
from rating.store.holds import OpenHold
from rating.store.prices import Note
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.errors import DomainError
from shared.runtime.postgres import Database, Transaction

KINDS = tuple(ChargeKind)
REPLAY = Note("replay")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which charges are compared; customers are always computed as a whole."""

    span: Span
    contract_id: str | None = None
    prices: tuple[Proposed, ...] = ()  # entered first, and rolled back with everything else


@dataclass(frozen=True, slots=True)
class Replayed:
    """One customer. `waiting`: a fact had come that was not concluded about yet. `holds` are new
    ones: what they name was not computed again, whatever the charges say."""

    customer_id: str
    contracts: int = 0
    charges: int = 0
    differences: tuple[Difference, ...] = ()
    log_entries: tuple[str, ...] = ()  # that the log should have
    holds: tuple[OpenHold, ...] = ()
    waiting: bool = False
    failed: str | None = None


class _Undone(Exception):
    """Rolls a replay back; never leaves this module."""


async def replay_customer(database: Database, customer_id: str, scope: Scope) -> Replayed:
    """What the facts say now against what was published."""
    found: list[Replayed] = []
    try:
        with suppress(_Undone):
            async with database.transaction(actor="replay") as tx:
                await locks.hold_customers(tx, [customer_id])
                found.append(await _replayed(tx, customer_id, scope))
                raise _Undone
    except (DomainError, ArithmeticError) as error:
        return Replayed(customer_id, failed=f"{type(error).__name__}: {error}")
    return found[0]


async def _replayed(tx: Transaction, customer_id: str, scope: Scope) -> Replayed:
    known = (await facts.contracts_of(tx, [customer_id]))[customer_id]
    names = [c.contract_id for c in known if scope.contract_id in (None, c.contract_id)]
    published, logged = await _published(tx, names), await _logged(tx, names)
    held = {one.hold_id for one in await holds.waiting_of_customer(tx, customer_id)}
    for one in scope.prices:
        await keep(tx, one, REPLAY)
    waiting = [await due.take_due(tx, kind, customer_id) for kind in DueKind]
    await rerate(tx, customer_id)
    await settle_customer(tx, customer_id)
    recomputed = await _published(tx, names)
    after = await holds.waiting_of_customer(tx, customer_id)
    return Replayed(
        customer_id,
        len(names),
        counted(published, scope.span),
        tuple(differences(published, recomputed, scope.span)),
        tuple(sorted(await _logged(tx, names) - logged)),
        tuple(one for one in after if one.hold_id not in held),
        any(waiting),
    )


async def _published(tx: Transaction, contract_ids: Sequence[str]) -> dict[str, ChargeRated]:
    found: dict[str, ChargeRated] = {}
    for contract_id in contract_ids:
        found |= await charges.published(tx, contract_id, KINDS)
    return found


async def _logged(tx: Transaction, contract_ids: Sequence[str]) -> set[str]:
    return {one for name in contract_ids for one in await charges.logged(tx, name)}
