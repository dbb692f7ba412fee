"""The inbox: a message's id commits with its effects, so effects happen once."""

from __future__ import annotations

from shared.contracts.envelope import Envelope
from shared.runtime.postgres import Transaction

CLAIM = """
INSERT INTO inbox (source, event_id) VALUES ($1, $2)
ON CONFLICT DO NOTHING RETURNING true
"""
CLAIM_IN_ORDER = """
WITH claimed AS (
    INSERT INTO inbox (source, event_id)
    SELECT $1, $2 WHERE NOT EXISTS (
        SELECT FROM dead_letter WHERE topic = $3 AND key = $4 AND status = 'pending'
    )
    ON CONFLICT DO NOTHING RETURNING true
)
SELECT EXISTS (SELECT FROM claimed)
"""
PRUNE = "DELETE FROM inbox WHERE received_at < now() - interval '21 days'"


async def first_time(tx: Transaction, envelope: Envelope) -> bool:
    """Whether this message has no effects yet. A concurrent twin waits here and then sees False."""
    return await tx.fetchval(CLAIM, envelope.source, envelope.id) is True


async def first_and_free(tx: Transaction, envelope: Envelope, topic: str) -> bool:
    """`first_time` for a key behind no dead letter. False says only that it is one or the other."""
    source, id, key = envelope.source, envelope.id, envelope.key
    return await tx.fetchval(CLAIM_IN_ORDER, source, id, topic, key) is True
