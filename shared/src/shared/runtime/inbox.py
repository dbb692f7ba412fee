"""The inbox: a message's id commits with its effects, so effects happen once."""

from __future__ import annotations

from shared.contracts.envelope import Envelope
from shared.runtime.postgres import Transaction

CLAIM = """
INSERT INTO inbox (source, event_id) VALUES ($1, $2)
ON CONFLICT DO NOTHING RETURNING true
"""
PRUNE = "DELETE FROM inbox WHERE received_at < now() - interval '21 days'"


async def first_time(tx: Transaction, envelope: Envelope) -> bool:
    """Whether this message has no effects yet. A concurrent twin waits here and then sees False."""
    return await tx.fetchval(CLAIM, envelope.source, envelope.id) is True
