"""The SQL of tax fits its schema, and the schema is the one in the snapshot.

After a migration: `TIEOUT_WRITE_SNAPSHOTS=1 pytest tests/integration/tax/test_tax_sql.py`.
"""

from __future__ import annotations

import asyncpg
import pytest

from support.in_process import InProcess
from support.servers import FreshDatabase
from support.sql_checks import refusals, schema_text, snapshot, statements_of
from tax import store


async def test_every_statement_prepares(tax: InProcess) -> None:
    """A misspelt column fails here, not at the end of a month."""
    statements = statements_of(store)

    assert len(statements) > 15
    assert await refusals(tax.service.database, statements) == {}


async def test_the_schema_is_the_snapshot(fresh_database: FreshDatabase) -> None:
    """A change of the schema is seen in review as what it does to the tables."""
    found = await schema_text(await fresh_database("tax"))

    assert found == snapshot("tax", found)


@pytest.mark.parametrize(
    "sql", ["UPDATE rate SET rate = 0", "DELETE FROM rate", "DELETE FROM determination"]
)
async def test_what_decided_an_invoice_cannot_be_rewritten(tax: InProcess, sql: str) -> None:
    """The rows a determination names are there for ever."""
    async with tax.service.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO rate VALUES ('r', '2026-01-01', 1, 'XX', 'licence', 'VAT', 0.1, 1, now(),"
            " 'tester')"
        )
        await tx.execute(
            "INSERT INTO draft (invoice_id, revision, account_id, jurisdiction, mode, currency,"
            " tax_date, net, lines, cause, received_at, state) VALUES ('i', 1, 'a', 'XX',"
            " 'per_line', 'EUR', '2026-01-01', 0, '[]', '[]', now(), 'determined')"
        )
        await tx.execute(
            "INSERT INTO determination VALUES ('d', 'i', 1, 'e', 'v', '[]', '[]', 0, now())"
        )

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        async with tax.service.database.transaction() as tx:
            await tx.execute(sql)
