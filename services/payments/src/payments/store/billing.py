"""Profiles, invoices to collect, and signed events of the provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from payments.domain.profiles import Profile
from shared.kernel.money import Money
from shared.runtime.postgres import Reader, Record, Transaction

FIND_PROFILE = "SELECT * FROM profile WHERE account_id = $1"
LOCK_PROFILE = "SELECT * FROM profile WHERE account_id = $1 FOR UPDATE"
PUT_PROFILE = """
INSERT INTO profile (account_id, provider, provider_customer_id, provider_method_id, usable,
                     unusable_reason, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (account_id) DO UPDATE SET
    provider = excluded.provider, provider_customer_id = excluded.provider_customer_id,
    provider_method_id = excluded.provider_method_id, usable = excluded.usable,
    unusable_reason = excluded.unusable_reason, updated_at = excluded.updated_at
"""
INSERT_INVOICE = """
INSERT INTO invoice (invoice_id, number, account_id, currency, total, invoice_date, due_on,
                     received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING RETURNING true
"""
LOCK_INVOICE = "SELECT * FROM invoice WHERE invoice_id = $1 FOR UPDATE"

INSERT_EVENT = """
INSERT INTO provider_event (provider, event_id, type, payment_id, attempt_id, body_sha256,
                            occurred_at, received_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING RETURNING true
"""
# Claiming an event puts it off, so that a crash or an outage needs no further bookkeeping. The
# pause outlasts the longest read.
CLAIM_EVENT = """
UPDATE provider_event SET tries = tries + 1, retry_at = clock_timestamp() + interval '45 seconds'
WHERE (provider, event_id) = (
    SELECT provider, event_id FROM provider_event
    WHERE state = 'pending' AND retry_at <= clock_timestamp()
    ORDER BY retry_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""
CLOSE_EVENT = "UPDATE provider_event SET state = $3 WHERE provider = $1 AND event_id = $2"
COUNT_EVENTS = "SELECT count(*) FROM provider_event WHERE state = 'pending'"
UNMATCHED_EVENTS = """
SELECT * FROM provider_event WHERE state = 'unmatched' ORDER BY received_at, event_id LIMIT 500
"""


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice to collect."""

    invoice_id: str
    number: str
    account_id: str
    total: Money
    invoice_date: date
    due_on: date


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """A signed webhook, by reference."""

    provider: str
    event_id: str
    type: str
    payment_id: str | None
    attempt_id: str | None
    body_sha256: str
    occurred_at: datetime


async def find_profile(reader: Reader, account_id: str) -> Profile | None:
    row = await reader.fetchrow(FIND_PROFILE, account_id)
    return None if row is None else _profile(row)


async def lock_profile(tx: Transaction, account_id: str) -> Profile | None:
    row = await tx.fetchrow(LOCK_PROFILE, account_id)
    return None if row is None else _profile(row)


async def put_profile(tx: Transaction, profile: Profile) -> None:
    await tx.execute(
        PUT_PROFILE, profile.account_id, profile.provider, profile.provider_customer_id,
        profile.provider_method_id, profile.usable, profile.unusable_reason, tx.now,
    )  # fmt: skip


async def add_invoice(tx: Transaction, invoice: Invoice) -> bool:
    """Whether it is new."""
    return (
        await tx.fetchval(
            INSERT_INVOICE, invoice.invoice_id, invoice.number, invoice.account_id,
            invoice.total.currency, invoice.total.amount, invoice.invoice_date, invoice.due_on,
            tx.now,
        )
        is True
    )  # fmt: skip


async def lock_invoice(tx: Transaction, invoice_id: str) -> Invoice | None:
    """Nobody else begins an attempt for this invoice before the transaction ends."""
    row = await tx.fetchrow(LOCK_INVOICE, invoice_id)
    if row is None:
        return None
    return Invoice(
        invoice_id=row["invoice_id"],
        number=row["number"],
        account_id=row["account_id"],
        total=Money(row["total"], row["currency"]),
        invoice_date=row["invoice_date"],
        due_on=row["due_on"],
    )


async def add_event(tx: Transaction, event: ProviderEvent, *, state: str) -> bool:
    """Whether it is new."""
    return (
        await tx.fetchval(
            INSERT_EVENT, event.provider, event.event_id, event.type, event.payment_id,
            event.attempt_id, event.body_sha256, event.occurred_at, tx.now, state,
        )
        is True
    )  # fmt: skip


async def claim_event(tx: Transaction) -> ProviderEvent | None:
    """The next event to act on; it comes back by itself unless it is closed."""
    row = await tx.fetchrow(CLAIM_EVENT)
    if row is None:
        return None
    return ProviderEvent(
        provider=row["provider"],
        event_id=row["event_id"],
        type=row["type"],
        payment_id=row["payment_id"],
        attempt_id=row["attempt_id"],
        body_sha256=row["body_sha256"],
        occurred_at=row["occurred_at"],
    )


async def close_event(tx: Transaction, event: ProviderEvent, state: str) -> None:
    await tx.execute(CLOSE_EVENT, event.provider, event.event_id, state)


async def count_events(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_EVENTS))


async def unmatched_events(reader: Reader) -> Sequence[Record]:
    return await reader.fetch(UNMATCHED_EVENTS)


def _profile(row: Record) -> Profile:
    return Profile(
        account_id=row["account_id"],
        provider=row["provider"],
        provider_customer_id=row["provider_customer_id"],
        provider_method_id=row["provider_method_id"],
        usable=row["usable"],
        unusable_reason=row["unusable_reason"],
    )
