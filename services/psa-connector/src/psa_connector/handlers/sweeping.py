"""Asking for sweeps, and taking in what one step of a sweep has read."""

from __future__ import annotations

from collections.abc import Sequence

from psa_connector.domain.drift import FieldDrift
from psa_connector.domain.snapshots import Words
from psa_connector.handlers import drifting
from psa_connector.handlers.drifting import Found
from psa_connector.store import connections, drifts, sweeps
from psa_connector.store.drifts import Drift
from psa_connector.store.sweeps import Sweep
from shared.kernel.errors import NotFound
from shared.kernel.ids import new_id
from shared.runtime.postgres import Transaction

SCHEDULE_SWEEPS = "schedule_sweeps"
SWEEP = "sweep"


async def request(tx: Transaction, connection_id: str, *, by: str) -> Sweep:
    """Read a connection back now; a sweep that is not done yet answers for it.

    Raises:
        NotFound: `connection_unknown`.
    """
    if await connections.get(tx, connection_id) is None:
        raise NotFound("connection_unknown", f"there is no connection {connection_id}")
    sweep = await sweeps.request(tx, _id(tx), connection_id, by=by)
    tx.wake(SWEEP)
    return sweep


def _id(tx: Transaction) -> str:
    return new_id(int(tx.now.timestamp() * 1000))


def last_seen(known: Sequence[Drift]) -> dict[str, Words]:
    """By record key, the fields that an open drift showed when it was found."""
    prefix = "record/"
    return {
        drift.object.removeprefix(prefix): {one.field: one.found for one in drift.fields}
        for drift in known
        if drift.object.startswith(prefix)
    }


async def take_in(
    tx: Transaction, found: Sequence[Found], known: Sequence[Drift], swept: Sequence[str]
) -> int:
    """What one step found on the targets that it read; returns how much of it is news."""
    open_ones = {(drift.object, drift.kind): drift for drift in known}
    news = 0
    for one in found:
        old = open_ones.pop((one.finding.object, one.finding.kind), None)
        news += await drifting.take(tx, one, old)
    for old in open_ones.values():
        if old.target_id in swept:
            await drifting.gone(tx, old)
    return news


async def reload(tx: Transaction, connection_id: str, targets: Sequence[str]) -> list[Drift]:
    """The open drifts of these targets as they are in this transaction."""
    return await drifts.open_of(tx, connection_id, targets)


def is_same(one: Sequence[FieldDrift], other: Sequence[FieldDrift]) -> bool:
    return [(a.field, a.found) for a in one] == [(b.field, b.found) for b in other]
