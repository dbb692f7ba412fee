"""Every SQL statement of the service fits the schema the migrations make."""

from __future__ import annotations

import asyncpg

from psa_connector.store import connections, intents, mappings, queue, sources
from support.psa_world import PsaWorld

STATEMENTS = {
    f"{module.__name__}.{name}": value
    for module in (connections, intents, mappings, queue, sources)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}


async def test_every_statement_prepares(world: PsaWorld) -> None:
    """A misspelt column fails here, not during an invoice run."""
    broken = {}
    async with world.psa.service.database.dedicated() as connection:
        for name, sql in STATEMENTS.items():
            try:
                await connection.prepare(sql)
            except asyncpg.PostgresError as error:
                broken[name] = str(error)

    assert broken == {}
    assert len(STATEMENTS) > 35
