"""Every SQL statement of the service fits the schema that the migrations make."""

from __future__ import annotations

import asyncpg

from rating.store import charges, due, facts, holds, locks, prices, usage, usage_files
from support.in_process import InProcess

STATEMENTS = {
    f"{module.__name__}.{name}": value
    for module in (charges, due, facts, holds, locks, prices, usage, usage_files)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}


async def test_every_statement_prepares(rating: InProcess) -> None:
    """A misspelt column fails here, not at the end of a month."""
    refused = {}
    async with rating.service.database.dedicated() as connection:
        for name, sql in STATEMENTS.items():
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                refused[name] = str(error)
    assert len(STATEMENTS) > 60
    assert refused == {}
