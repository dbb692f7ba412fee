"""What waits for a fact, visibly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rating.domain.desired import Hold
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Reader, Record, Transaction

OPEN_IN = "SELECT hold_id FROM hold WHERE scope = ANY($1::text[]) AND released_at IS NULL"
OPEN_UNDER = """
SELECT DISTINCT scope FROM hold WHERE starts_with(scope, $1) AND released_at IS NULL
"""
PUT_HOLD = """
INSERT INTO hold (hold_id, scope, contract_id, customer_id, reason, object, key, detail, since)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (hold_id) DO UPDATE SET
    detail = excluded.detail, contract_id = excluded.contract_id, released_at = NULL,
    since = CASE WHEN hold.released_at IS NULL THEN hold.since ELSE excluded.since END
"""
OPEN_OF_CUSTOMER = """
SELECT DISTINCT scope FROM hold WHERE customer_id = $1 AND released_at IS NULL
"""
RELEASE = "UPDATE hold SET released_at = $2 WHERE hold_id = ANY($1::text[])"
COUNT_FOR = """
SELECT count(*) FROM hold
WHERE released_at IS NULL
  AND (contract_id = $1 OR (contract_id IS NULL AND customer_id = $2)
       OR starts_with(scope, 'file/'))
"""
WAITING_OF_CUSTOMER = """
SELECT * FROM hold WHERE customer_id = $1 AND released_at IS NULL ORDER BY since, hold_id
"""
LIST_HOLDS = """
SELECT * FROM hold
WHERE released_at IS NULL AND (since, hold_id) > ($1, $2)
ORDER BY since, hold_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a set of holds is about. Computing it again releases those that are gone."""

    scope: str
    contract_id: str | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class OpenHold:
    hold_id: str
    since: datetime
    hold: Hold


async def replace_holds(tx: Transaction, place: Place, holds: Iterable[Hold]) -> None:
    """Make the open holds of a place exactly these; the others are released."""
    wanted = {derived_id("hold", place.scope, h.reason, h.object, h.key): h for h in holds}
    known = {row["hold_id"] for row in await tx.fetch(OPEN_IN, [place.scope])}
    await tx.executemany(
        PUT_HOLD,
        [
            (
                hold_id, place.scope, place.contract_id, place.customer_id, hold.reason,
                hold.object, hold.key, hold.detail, tx.now,
            )
            for hold_id, hold in wanted.items()
        ],
    )  # fmt: skip
    if gone := sorted(known - wanted.keys()):
        await tx.execute(RELEASE, gone, tx.now)


async def open_scopes(reader: Reader, prefix: str) -> set[str]:
    """The scopes under a prefix that have open holds."""
    return {row["scope"] for row in await reader.fetch(OPEN_UNDER, prefix)}


async def open_of_customer(reader: Reader, customer_id: str) -> set[str]:
    """The scopes of a customer that have open holds."""
    return {row["scope"] for row in await reader.fetch(OPEN_OF_CUSTOMER, customer_id)}


async def waiting_of_customer(reader: Reader, customer_id: str) -> list[OpenHold]:
    """Whatever of a customer waits."""
    return [_open(row) for row in await reader.fetch(WAITING_OF_CUSTOMER, customer_id)]


async def count_for(reader: Reader, contract_id: str, customer_id: str) -> int:
    """Open holds that may touch a contract: its own, its customer's, and unfinished files."""
    return int(await reader.fetchval(COUNT_FOR, contract_id, customer_id))


async def list_holds(reader: Reader, *, after: tuple[datetime, str], limit: int) -> list[OpenHold]:
    """Open holds, oldest first."""
    return [_open(row) for row in await reader.fetch(LIST_HOLDS, *after, limit)]


def _open(row: Record) -> OpenHold:
    hold = Hold(row["reason"], row["object"], row["key"], row["detail"])
    return OpenHold(row["hold_id"], row["since"], hold)
