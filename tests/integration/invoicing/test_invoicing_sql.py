"""Every SQL statement of the service fits the schema that the migrations make."""

from __future__ import annotations

import asyncpg

from invoicing.store import charges, invoices, parties, runs
from support.invoicing_world import World

STATEMENTS = {
    f"{module.__name__}.{name}": value
    for module in (charges, invoices, parties, runs)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}


async def test_every_statement_prepares(world: World) -> None:
    """A misspelt column fails here, not at the end of a month."""
    refused = {}
    async with world.database.dedicated() as connection:
        for name, sql in STATEMENTS.items():
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                refused[name] = str(error)

    assert len(STATEMENTS) > 50
    assert refused == {}
