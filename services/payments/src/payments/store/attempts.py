"""Attempts: written before anything is sent, claimed by one worker at a time, moved by rank."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from payments.domain.attempt import Attempt, Source, State, Step
from payments.store.billing import Invoice
from shared.contracts.envelope import Envelope
from shared.kernel.money import EXACT, Money, exponent
from shared.runtime.postgres import Reader, Record, Transaction

INSERT_ATTEMPT = """
INSERT INTO attempt (attempt_id, invoice_id, seq, trigger, account_id, invoice_number,
                     amount_minor, currency, idempotency_key, provider, provider_customer_id,
                     provider_method_id, state, reason, created_at, cause, correlation_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""
STATES_OF_INVOICE = "SELECT state FROM attempt WHERE invoice_id = $1 ORDER BY seq"
CLAIM_CREATED = """
UPDATE attempt SET state = 'in_flight', tries = tries + 1, sent_at = coalesce(sent_at, $1),
                   last_sent_at = $1, lease_until = clock_timestamp() + interval '2 minutes'
WHERE attempt_id = (
    SELECT attempt_id FROM attempt WHERE state = 'created' AND send_after <= clock_timestamp()
    ORDER BY send_after, created_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""
# Nothing was sent, so the life of the idempotency key has not begun either.
PUT_BACK = """
UPDATE attempt SET state = 'created', sent_at = NULL, last_sent_at = NULL, lease_until = NULL,
                   send_after = clock_timestamp() + least(interval '1 second' * 2 ^ least(tries, 9),
                                                          interval '5 minutes')
WHERE attempt_id = $1
"""
ABANDON_DEAD_SENDERS = """
UPDATE attempt SET state = 'unknown', lease_until = NULL, checks = 0, next_check_at = $1
WHERE state = 'in_flight' AND lease_until < clock_timestamp()
"""
CLAIM_CHECK = """
UPDATE attempt SET checks = checks + 1, lease_until = clock_timestamp() + interval '2 minutes'
WHERE attempt_id = (
    SELECT attempt_id FROM attempt
    WHERE state IN ('unknown', 'requires_action', 'pending') AND next_check_at <= $1
      AND (lease_until IS NULL OR lease_until < clock_timestamp())
    ORDER BY next_check_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""
NOTE_SENT_AGAIN = "UPDATE attempt SET last_sent_at = $2 WHERE attempt_id = $1"
# By its id at the provider first, else by the id in the payment's metadata.
FIND_BY_PAYMENT = """
SELECT * FROM attempt
WHERE (provider = $1 AND provider_payment_id = $2) OR attempt_id = $3
ORDER BY (provider_payment_id = $2) DESC NULLS LAST LIMIT 1
"""
LOCK_ATTEMPT = "SELECT * FROM attempt WHERE attempt_id = $1 FOR UPDATE"
MOVE = """
UPDATE attempt SET state = $2, provider_payment_id = $3, provider_status = $4, decline_code = $5,
                   decline_class = $6, confirmed_by = $7, ended_at = $8, next_check_at = $9,
                   checks = 0, lease_until = NULL, problem = NULL, problem_detail = NULL,
                   problem_since = NULL
WHERE attempt_id = $1
"""
SET_UNKNOWN = """
UPDATE attempt SET state = 'unknown', checks = 0, next_check_at = $2, lease_until = NULL
WHERE attempt_id = $1
"""
SCHEDULE = "UPDATE attempt SET next_check_at = $2, lease_until = NULL WHERE attempt_id = $1"
SET_PROBLEM = """
UPDATE attempt SET problem = $2, problem_detail = $3,
                   problem_since = CASE WHEN problem = $2 THEN problem_since ELSE $4 END
WHERE attempt_id = $1
"""
CHECK_NOW = """
UPDATE attempt SET checks = 0, next_check_at = $2, lease_until = NULL, problem = NULL,
                   problem_detail = NULL, problem_since = NULL
WHERE attempt_id = $1
"""
# An attempt that nobody sent yet has become pointless: the invoice was paid by an earlier one.
WITHDRAW_UNSENT = """
UPDATE attempt SET state = 'not_charged', reason = 'already_paid', ended_at = $3
WHERE invoice_id = $1 AND attempt_id <> $2 AND state = 'created'
"""
OTHER_SUCCESSES = """
SELECT count(*) FROM attempt WHERE invoice_id = $1 AND attempt_id <> $2 AND state = 'succeeded'
"""
FIND = "SELECT * FROM attempt WHERE attempt_id = $1"
LIST = """
SELECT * FROM attempt
WHERE ($1::text IS NULL OR invoice_id = $1) AND ($2::text IS NULL OR account_id = $2)
  AND ($3::timestamptz IS NULL OR (created_at, attempt_id) > ($3::timestamptz, $4::text))
ORDER BY created_at, attempt_id LIMIT $5
"""
PROBLEMS = """
SELECT *, coalesce(problem_since, created_at) AS since FROM attempt
WHERE problem IS NOT NULL OR state = 'requires_action'
ORDER BY since, attempt_id LIMIT 500
"""
COUNT_TO_SEND = "SELECT count(*) FROM attempt WHERE state IN ('created', 'in_flight')"
COUNT_TO_CHECK = """
SELECT count(*) FROM attempt
WHERE state IN ('unknown', 'requires_action', 'pending') AND next_check_at <= $1
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An attempt as stored, with what led to it."""

    attempt: Attempt
    seq: int
    cause: Envelope | None
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is written down when an attempt moves."""

    step: Step
    provider_status: str | None
    confirmed_by: Source | None
    ended_at: datetime | None
    next_check_at: datetime | None


async def add_attempt(tx: Transaction, attempt: Attempt, *, seq: int, trigger: str) -> None:
    """Write an attempt down; it may be sent once this is committed."""
    await tx.execute(
        INSERT_ATTEMPT, attempt.attempt_id, attempt.invoice_id, seq, trigger, attempt.account_id,
        attempt.invoice_number, attempt.amount.minor, attempt.amount.currency,
        attempt.idempotency_key, attempt.provider, attempt.provider_customer_id,
        attempt.provider_method_id, attempt.state.value, None, tx.now, _headers(tx.cause),
        tx.correlation_id,
    )  # fmt: skip


async def add_not_charged(
    tx: Transaction, invoice: Invoice, *, attempt_id: str, seq: int, reason: str
) -> None:
    """Write down why an invoice is not charged."""
    await tx.execute(
        INSERT_ATTEMPT, attempt_id, invoice.invoice_id, seq, "initial", invoice.account_id,
        invoice.number, invoice.total.minor, invoice.total.currency, f"pay_{attempt_id}", None,
        None, None, State.NOT_CHARGED.value, reason, tx.now, _headers(tx.cause),
        tx.correlation_id,
    )  # fmt: skip


async def states_of_invoice(reader: Reader, invoice_id: str) -> list[State]:
    """The states of all attempts of an invoice, first to last."""
    return [State(row["state"]) for row in await reader.fetch(STATES_OF_INVOICE, invoice_id)]


async def claim_to_send(tx: Transaction) -> Kept | None:
    """The next attempt to send, now in flight; the lease tells when its sender must be dead."""
    return _kept(await tx.fetchrow(CLAIM_CREATED, tx.now))


async def put_back(tx: Transaction, attempt_id: str) -> None:
    """Nothing was sent: send it again after a pause that grows with the tries."""
    await tx.execute(PUT_BACK, attempt_id)


async def abandon_dead_senders(tx: Transaction) -> None:
    """Whoever was sending died before the answer: the outcome is unknown."""
    await tx.execute(ABANDON_DEAD_SENDERS, tx.now)


async def claim_to_check(tx: Transaction) -> Kept | None:
    """The next attempt whose outcome is due to be looked for."""
    return _kept(await tx.fetchrow(CLAIM_CHECK, tx.now))


async def note_sent_again(tx: Transaction, attempt_id: str) -> None:
    await tx.execute(NOTE_SENT_AGAIN, attempt_id, tx.now)


async def lock(tx: Transaction, attempt_id: str) -> Kept | None:
    return _kept(await tx.fetchrow(LOCK_ATTEMPT, attempt_id))


async def find_by_payment(
    reader: Reader, provider: str, *, payment_id: str, attempt_id: str | None
) -> Kept | None:
    return _kept(await reader.fetchrow(FIND_BY_PAYMENT, provider, payment_id, attempt_id))


async def move(tx: Transaction, attempt_id: str, outcome: Outcome) -> None:
    step = outcome.step
    decline = step.decline
    await tx.execute(
        MOVE, attempt_id, step.state.value, step.provider_payment_id, outcome.provider_status,
        decline and decline.code, decline and decline.decline_class,
        outcome.confirmed_by and outcome.confirmed_by.value, outcome.ended_at,
        outcome.next_check_at,
    )  # fmt: skip


async def set_unknown(tx: Transaction, attempt_id: str, next_check_at: datetime) -> None:
    await tx.execute(SET_UNKNOWN, attempt_id, next_check_at)


async def schedule(tx: Transaction, attempt_id: str, next_check_at: datetime | None) -> None:
    await tx.execute(SCHEDULE, attempt_id, next_check_at)


async def set_problem(tx: Transaction, attempt_id: str, *, problem: str, detail: str) -> None:
    """Something a person has to look at."""
    await tx.execute(SET_PROBLEM, attempt_id, problem, detail, tx.now)


async def check_now(tx: Transaction, attempt_id: str) -> None:
    await tx.execute(CHECK_NOW, attempt_id, tx.now)


async def withdraw_unsent(tx: Transaction, invoice_id: str, paid_by: str) -> None:
    await tx.execute(WITHDRAW_UNSENT, invoice_id, paid_by, tx.now)


async def is_paid_twice(reader: Reader, invoice_id: str, attempt_id: str) -> bool:
    return int(await reader.fetchval(OTHER_SUCCESSES, invoice_id, attempt_id)) > 0


async def find(reader: Reader, attempt_id: str) -> Record | None:
    return await reader.fetchrow(FIND, attempt_id)


async def listing(
    reader: Reader,
    *,
    invoice_id: str | None,
    account_id: str | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Record]:
    since, last = after or (None, "")
    return await reader.fetch(LIST, invoice_id, account_id, since, last, limit)


async def problems(reader: Reader) -> list[Record]:
    return await reader.fetch(PROBLEMS)


async def count_to_send(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_TO_SEND))


async def count_to_check(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_TO_CHECK, reader.now))


def amount_of(row: Record) -> Money:
    """The amount of a stored attempt."""
    places = exponent(row["currency"])
    return Money(Decimal(row["amount_minor"]).scaleb(-places, context=EXACT), row["currency"])


def _headers(cause: Envelope | None) -> list[list[str]] | None:
    return None if cause is None else [[n, value.decode()] for n, value in cause.headers()]


def _kept(row: Record | None) -> Kept | None:
    if row is None:
        return None
    attempt = Attempt(
        attempt_id=row["attempt_id"],
        invoice_id=row["invoice_id"],
        invoice_number=row["invoice_number"],
        account_id=row["account_id"],
        amount=amount_of(row),
        provider=row["provider"],
        provider_customer_id=row["provider_customer_id"],
        provider_method_id=row["provider_method_id"],
        state=State(row["state"]),
        provider_payment_id=row["provider_payment_id"],
        sent_at=row["sent_at"],
        last_sent_at=row["last_sent_at"],
        checks=row["checks"],
    )
    cause = row["cause"] and Envelope.from_headers((n, text.encode()) for n, text in row["cause"])
    return Kept(attempt, row["seq"], cause or None, row["correlation_id"])
