"""Price changes: what was proposed together, by whom, its effect, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rating.domain.price_changes import ChangeState, Proposed
from rating.store.price_json import item_from_json, item_to_json
from shared.runtime.postgres import Reader, Record, Transaction

ADD_CHANGE = """
INSERT INTO price_change (change_id, state, items, fingerprint, reason, author, created_at, effect)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
FIND_CHANGE = "SELECT * FROM price_change WHERE change_id = $1"
HOLD_CHANGE = "SELECT * FROM price_change WHERE change_id = $1 FOR UPDATE"
FIND_WAITING = "SELECT * FROM price_change WHERE fingerprint = $1 AND state = 'waiting'"
DECIDE = """
UPDATE price_change SET state = $2, decided_by = $3, decided_at = $4, decision = $5
WHERE change_id = $1
"""
LIST_CHANGES = """
SELECT * FROM price_change
WHERE ($1::text IS NULL OR state = $1) AND (created_at, change_id) > ($2, $3)
ORDER BY created_at, change_id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class PriceChange:
    """Versions that were proposed together; `effect` is what the dry run said then."""

    change_id: str
    state: ChangeState
    items: tuple[Proposed, ...]
    fingerprint: str
    reason: str
    author: str
    created_at: datetime
    effect: dict[str, Any]
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision: str | None = None


async def add_change(tx: Transaction, change: PriceChange) -> None:
    await tx.execute(
        ADD_CHANGE, change.change_id, change.state.value, items_to_json(change.items),
        change.fingerprint, change.reason, change.author, change.created_at, change.effect,
    )  # fmt: skip


async def find_change(reader: Reader, change_id: str) -> PriceChange | None:
    row = await reader.fetchrow(FIND_CHANGE, change_id)
    return _change(row) if row else None


async def hold_change(tx: Transaction, change_id: str) -> PriceChange | None:
    """The change, nobody else's to decide until commit."""
    row = await tx.fetchrow(HOLD_CHANGE, change_id)
    return _change(row) if row else None


async def find_waiting(reader: Reader, fingerprint: str) -> PriceChange | None:
    """The same proposal, if it waits for a second person."""
    row = await reader.fetchrow(FIND_WAITING, fingerprint)
    return _change(row) if row else None


async def decide(tx: Transaction, change_id: str, state: ChangeState, reason: str | None) -> None:
    await tx.execute(DECIDE, change_id, state.value, tx.actor, tx.now, reason)


async def list_changes(
    reader: Reader, *, state: str | None, after: tuple[datetime, str], limit: int
) -> list[PriceChange]:
    return [_change(row) for row in await reader.fetch(LIST_CHANGES, state, *after, limit)]


def items_to_json(items: Sequence[Proposed]) -> list[dict[str, Any]]:
    return [{"base": one.base, "item": item_to_json(one.item)} for one in items]


def _change(row: Record) -> PriceChange:
    items = tuple(Proposed(item_from_json(one["item"]), one["base"]) for one in row["items"])
    kept = {name: row[name] for name in PriceChange.__dataclass_fields__}
    return PriceChange(**kept | {"state": ChangeState(row["state"]), "items": items})
