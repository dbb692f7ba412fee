"""The License Change Log as it is read: each entry beside the provider's fact it came from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime

from shared.contracts.ingest import ChangeSource, SubscriptionChanged
from shared.contracts.rating import LicenceChangeRated
from shared.runtime.postgres import Database, Reader, Record

PAGE = 1_000

LIST_LOG = """
SELECT l.seq, l.body, l.logged_at, c.body AS fact,
    ARRAY(SELECT r.entry_id FROM licence_change r WHERE r.subscription_id = l.subscription_id
          AND r.body -> 'supersedes' ? l.entry_id ORDER BY r.seq) AS superseded_by,
    (SELECT r.entry_id FROM licence_change r WHERE r.subscription_id = l.subscription_id
     AND r.body ->> 'reverses' = l.entry_id) AS reversed_by
FROM licence_change l LEFT JOIN subscription_change c USING (change_id)
WHERE ($1::text IS NULL OR l.subscription_id = $1) AND ($2::text IS NULL OR l.contract_id = $2)
  AND ($3::text IS NULL OR l.body ->> 'customer_id' = $3)
  AND ($4::date IS NULL OR (l.body ->> 'effective_on')::date >= $4)
  AND ($5::date IS NULL OR (l.body ->> 'effective_on')::date < $5)
  AND l.seq > $6
ORDER BY l.seq LIMIT $7
"""
FIND_LOGGED = """
SELECT l.seq, l.body, l.logged_at, c.body AS fact,
    ARRAY(SELECT r.entry_id FROM licence_change r WHERE r.subscription_id = l.subscription_id
          AND r.body -> 'supersedes' ? l.entry_id ORDER BY r.seq) AS superseded_by,
    (SELECT r.entry_id FROM licence_change r WHERE r.subscription_id = l.subscription_id
     AND r.body ->> 'reverses' = l.entry_id) AS reversed_by
FROM licence_change l LEFT JOIN subscription_change c USING (change_id)
WHERE l.entry_id = $1
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; None is any. `effective_until` is exclusive."""

    subscription_id: str | None = None
    contract_id: str | None = None
    customer_id: str | None = None
    effective_from: date | None = None
    effective_until: date | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry, when it was written, and what the provider said happened."""

    seq: int
    entry: LicenceChangeRated
    logged_at: datetime
    effective_at: datetime | None
    source: ChangeSource | None  # None for what no provider fact caused
    superseded_by: tuple[str, ...]  # entries that tell what this one should have
    reversed_by: str | None  # the entry that took it back


async def listing(reader: Reader, wanted: Wanted, *, after: int, limit: int) -> list[Logged]:
    """In the order in which the log was written."""
    rows = await reader.fetch(
        LIST_LOG, wanted.subscription_id, wanted.contract_id, wanted.customer_id,
        wanted.effective_from, wanted.effective_until, after, limit,
    )  # fmt: skip
    return [_logged(row) for row in rows]


async def every(database: Database, wanted: Wanted) -> AsyncIterator[Logged]:
    """All of them, a page in memory at a time."""
    after = 0
    while True:
        async with database.read() as reader:
            page = await listing(reader, wanted, after=after, limit=PAGE)
        for one in page:
            yield one
        if len(page) < PAGE:
            return
        after = page[-1].seq


async def find(reader: Reader, entry_id: str) -> Logged | None:
    row = await reader.fetchrow(FIND_LOGGED, entry_id)
    return None if row is None else _logged(row)


def _logged(row: Record) -> Logged:
    fact = None if row["fact"] is None else SubscriptionChanged.model_validate(row["fact"])
    return Logged(
        seq=row["seq"],
        entry=LicenceChangeRated.model_validate(row["body"]),
        logged_at=row["logged_at"],
        effective_at=fact.effective_at if fact else None,
        source=fact.source if fact else None,
        superseded_by=tuple(row["superseded_by"]),
        reversed_by=row["reversed_by"],
    )
