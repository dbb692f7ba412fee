"""What the schema of payments refuses."""

from __future__ import annotations

import asyncpg
import pytest

from support.stripe_account import Collection, invoice


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
