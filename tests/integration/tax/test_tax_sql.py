"""What the schema of tax refuses."""

from __future__ import annotations

import asyncpg
import pytest

from support.in_process import InProcess


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
