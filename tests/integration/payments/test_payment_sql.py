"""The SQL of payments fits its schema, and the schema is the one in the snapshot.

After a migration: `TIEOUT_WRITE_SNAPSHOTS=1 pytest tests/integration/payments/test_payment_sql.py`.
"""

from __future__ import annotations

import asyncpg
import pytest

from payments.store import attempts, billing
from support.servers import FreshDatabase
from support.sql_checks import refusals, schema_text, snapshot, statements_of
from support.stripe_account import Collection, invoice


async def test_every_statement_prepares(world: Collection) -> None:
    """A misspelt column fails here, not when money is on its way."""
    statements = statements_of(attempts, billing)

    assert len(statements) > 25
    assert await refusals(world.ours.service.database, statements) == {}


async def test_the_schema_is_the_snapshot(fresh_database: FreshDatabase) -> None:
    """A change of the schema is seen in review as what it does to the tables."""
    found = await schema_text(await fresh_database("payments"))

    assert found == snapshot("payments", found)


async def test_the_fence_is_the_databases_own(world: Collection) -> None:
    """Whatever the code believes, two open attempts for one invoice cannot be written down."""
    await world.profile()
    await world.ours.harness.deliver(invoice())

    with pytest.raises(asyncpg.UniqueViolationError, match="attempt_fence"):
        async with world.ours.service.database.transaction() as tx:
            await tx.execute(
                "INSERT INTO attempt (attempt_id, invoice_id, seq, trigger, account_id,"
                " invoice_number, amount_minor, currency, idempotency_key, provider,"
                " provider_customer_id, provider_method_id, state, created_at, correlation_id)"
                " SELECT 'second', invoice_id, 2, 'manual', account_id, invoice_number,"
                " amount_minor, currency, 'pay_second', provider, provider_customer_id,"
                " provider_method_id, 'created', created_at, correlation_id FROM attempt"
            )
