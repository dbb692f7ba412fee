"""What reads the database: a connection with our codecs, and a handle that can only look."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

Record = asyncpg.Record
if TYPE_CHECKING:  # generic in the stubs only
    Connection = asyncpg.Connection[Record] | PoolConnectionProxy[Record]
else:
    Connection = asyncpg.Connection | PoolConnectionProxy


def json_text(value: object) -> str | None:
    """A value for a `text[]` that the statement casts to jsonb, element by element.

    As `jsonb[]` a list among the values would be taken for a further dimension.
    """
    return None if value is None else orjson.dumps(value, default=str).decode()


class Reader:
    """Looks at the database at one business instant (`now`)."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now

    async def fetch(self, sql: str, *args: object) -> list[Record]:
        return await self._connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> Record | None:
        return await self._connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self._connection.fetchval(sql, *args)
