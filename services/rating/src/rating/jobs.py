"""Works off customers that are due: one at a time, in a transaction of its own."""

from __future__ import annotations

from functools import partial

import structlog

from rating.domain.desired import Hold
from rating.handlers.checking_log import LogCheck
from rating.handlers.rating_usage import CONCLUDE, rerate
from rating.handlers.settling import settle_customer
from rating.store import due, holds, locks
from rating.store.due import Due, DueKind
from rating.store.holds import Place
from shared.kernel.errors import DomainError
from shared.runtime.jobs import Job
from shared.runtime.postgres import Database, Transaction

LOG_CHECKED_EVERY_S = 60.0

log = structlog.get_logger()


def jobs(database: Database) -> tuple[Job, ...]:
    return (
        Job(CONCLUDE, partial(conclude_next, database), pending=due.count_due),
        Job("check licence log", LogCheck(database).step, every_s=LOG_CHECKED_EVERY_S),
    )


async def conclude_next(database: Database) -> bool:
    """Conclude about one customer. One that cannot be concluded is held; the others go on."""
    async with database.transaction() as tx:
        claimed = await due.claim_due(tx)
    if claimed is None:
        return False
    try:
        async with database.transaction() as tx:
            await _conclude(tx, claimed)
    except (DomainError, ArithmeticError) as error:
        log.exception("customer.not_concluded", customer_id=claimed.customer_id)
        async with database.transaction() as tx:
            await _give_up(tx, claimed, error)
    return True


async def _conclude(tx: Transaction, claimed: Due) -> None:
    customer_id = claimed.customer_id
    await locks.hold_customers(tx, [customer_id])
    if claimed.kind is DueKind.RERATE and await due.take_due(tx, DueKind.RERATE, customer_id):
        await rerate(tx, customer_id)
    await due.take_due(tx, DueKind.SETTLE, customer_id)
    await settle_customer(tx, customer_id)
    await holds.replace_holds(tx, _place(customer_id), [])


async def _give_up(tx: Transaction, claimed: Due, error: Exception) -> None:
    """Held until the next fact makes the customer due again, which it may have done already."""
    if not await due.drop_claimed(tx, claimed):
        return
    hold = Hold(
        "rating_failed",
        f"customer/{claimed.customer_id}",
        claimed.customer_id,
        f"{type(error).__name__}: {error}",
    )
    await holds.replace_holds(tx, _place(claimed.customer_id), [hold])


def _place(customer_id: str) -> Place:
    return Place(f"customer/{customer_id}/failed", customer_id=customer_id)
