"""One item into the books: at once, or as a change that waits for a second person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fastapi import Response

from rating.api.bodies import item_json
from rating.api.price_changes import change_json
from rating.domain.price_changes import ChangeState, Item
from rating.handlers import price_changes
from rating.handlers.price_book import latest_of
from rating.handlers.price_changes import Asked
from shared.runtime.auth import Caller
from shared.runtime.postgres import Database

REASON = "entered on its own"
ADMINISTRATOR = "platform:admin"


@dataclass(frozen=True, slots=True)
class Books:
    """Where items go, and how much revenue one person may move with them."""

    database: Database
    thresholds: Mapping[str, Decimal]

    async def enter(self, item: Item, caller: Caller, answer: Response) -> dict[str, Any]:
        """In the books at once for an administrator, and for everybody below the threshold; else a
        change that waits for a second person, with status 202."""
        if ADMINISTRATOR in caller.scopes:
            kept = await price_changes.put(self.database, item, caller.subject, REASON)
            return item_json(kept)
        asked = Asked((item,), REASON, caller.subject)
        change = await price_changes.propose(self.database, asked, self.thresholds)
        if change is not None and change.state is ChangeState.WAITING:
            answer.status_code = 202
            return change_json(change)
        async with self.database.read() as reader:
            latest = await latest_of(reader, item)
        assert latest is not None  # it is in the books now
        return item_json(latest)
