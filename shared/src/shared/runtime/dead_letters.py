"""Dead letters: messages that could not be handled, kept with their reason until a person decides.

A dead letter is a row of the consuming service, written in the transaction that marks the message
as seen, and announced on `<topic>.dlq`. Where order per key matters, later messages of the key are
parked behind it until it is replayed or discarded, unreadable bodies too; one of those that cannot
be handled then is the next dead letter of the key. Limits per partition tell one bad message from
broken code: past them the consumer stops instead of emptying the topic.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import datetime

import structlog

from shared.contracts import registry
from shared.contracts.envelope import Envelope, Event
from shared.kernel.errors import Conflict, DomainError, Invalid, NotFound
from shared.runtime import inbox, outbox
from shared.runtime.faults import is_transient
from shared.runtime.handlers import Handlers, dispatch
from shared.runtime.kafka import Message, Partition
from shared.runtime.postgres import Reader, Record, Transaction

log = structlog.get_logger()

INSERT = """
INSERT INTO dead_letter (topic, partition, "offset", key, source, event_id, event_type, headers,
                         value, error_class, error_code, error, first_failed_at, attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (topic, partition, "offset") DO NOTHING
"""
KEY_IS_PARKED = """
SELECT EXISTS (SELECT FROM dead_letter WHERE topic = $1 AND key = $2 AND status = 'pending')
"""
# Parking and releasing a key exclude each other: else a message may be parked behind a letter that
# is being closed, and nobody would ever release it.
LOCK_KEY = "SELECT pg_advisory_xact_lock(hashtextextended('dead-letter/' || $1 || '/' || $2, 0))"
KEY_OF_ONE = "SELECT topic, key FROM dead_letter WHERE id = $1"
PARK = """
INSERT INTO parked_message (topic, partition, "offset", key, headers, value, parked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
PARKED_OF_KEY = "SELECT * FROM parked_message WHERE topic = $1 AND key = $2 ORDER BY id FOR UPDATE"
UNPARK = "DELETE FROM parked_message WHERE id = $1"
LOCK_ONE = "SELECT * FROM dead_letter WHERE id = $1 FOR UPDATE"
OLDER_OF_KEY = """
SELECT id FROM dead_letter
WHERE topic = $1 AND key = $2 AND status = 'pending' AND id < $3 ORDER BY id LIMIT 1
"""
CLOSE = """
UPDATE dead_letter SET status = $2, resolved_by = $3, resolved_at = $4, reason = $5 WHERE id = $1
"""
FAILED_AGAIN = """
UPDATE dead_letter SET attempts = attempts + 1, error_code = $2, error = $3 WHERE id = $1
"""
LIST = """
SELECT id, topic, partition, "offset", key, event_id, event_type, error_class, error_code, error,
       first_failed_at, attempts, status, resolved_by, resolved_at, reason
FROM dead_letter
WHERE ($1::text IS NULL OR status = $1) AND id > $2
ORDER BY id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be handled."""

    error_class: str  # malformed, permanent, defect, exhausted
    code: str
    detail: str
    attempts: int
    first_failed_at: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """Past these the consumer stops: the code is broken, not the messages."""

    consecutive: int = 10
    ratio_percent: int = 5
    window: int = 200


class LimitState:
    """Counts failures per partition."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent: dict[Partition, deque[bool]] = defaultdict(
            lambda: deque(maxlen=limits.window)
        )

    def record(self, partition: Partition, *, failed: bool) -> str | None:
        """Count one message. Returns the reason to stop, if its limit is passed."""
        recent = self._recent[partition]
        recent.append(failed)
        run = 0
        for outcome in reversed(recent):
            if not outcome:
                break
            run += 1
        if run > self._limits.consecutive:
            return f"{run} messages in a row of {partition} became dead letters"
        full = len(recent) == self._limits.window
        if full and sum(recent) * 100 > self._limits.ratio_percent * self._limits.window:
            return f"{sum(recent)} of the last {len(recent)} of {partition} became dead letters"
        return None


async def bury(tx: Transaction, message: Message, envelope: Envelope | None, why: Failure) -> None:
    """Record a message as dead, mark it seen, announce it, and put it into the audit trail."""
    where = f"{message.partition.topic}/{message.partition.number}/{message.offset}"
    source = envelope.source if envelope else "unreadable"
    event_id = envelope.id if envelope else where
    if envelope is not None:
        await inbox.first_time(tx, envelope)
    headers = _texts(message.headers)
    await tx.execute(
        INSERT, message.partition.topic, message.partition.number, message.offset, message.key,
        source, event_id, envelope.type if envelope else "unreadable", headers, message.value,
        why.error_class, why.code, why.detail, why.first_failed_at, why.attempts,
    )  # fmt: skip
    facts = {
        "dlq_reason": f"{why.code}: {why.detail}"[:500],
        "dlq_consumer": tx.service,
        "dlq_partition": str(message.partition.number),
        "dlq_offset": str(message.offset),
        "dlq_attempts": str(why.attempts),
        "dlq_first_failed_at": why.first_failed_at.isoformat(),
    }
    await tx.forward(
        outbox.Row(
            topic=f"{message.partition.topic}.dlq",
            key=message.key,
            event_id=event_id,
            headers=[*headers, *([name, text] for name, text in facts.items())],
            value=message.value,
        )
    )
    await tx.record(
        "message.dead-lettered",
        f"message/{where}",
        after={"event_id": event_id, "code": why.code, "attempts": why.attempts},
        reason=why.detail[:500],
    )


async def park_behind(tx: Transaction, message: Message, envelope: Envelope) -> bool:
    """Park this message if a dead letter of its key is pending. Returns whether it was parked."""
    topic = message.partition.topic
    if not await tx.fetchval(KEY_IS_PARKED, topic, envelope.key):
        return False
    await tx.execute(LOCK_KEY, topic, envelope.key)
    if not await tx.fetchval(KEY_IS_PARKED, topic, envelope.key):
        return False  # released while this waited for the lock
    if await inbox.first_time(tx, envelope):
        await tx.execute(
            PARK, topic, message.partition.number, message.offset, envelope.key,
            _texts(message.headers), message.value, tx.now,
        )  # fmt: skip
    return True


async def replay(tx: Transaction, letter_id: int, handlers: Handlers) -> Failure | None:
    """Handle a dead letter again, then the messages parked behind it; all in this transaction.

    Returns why it failed again, if it did: then it stays pending with the new reason.

    Raises:
        NotFound, Conflict: no such letter, already closed, or an older one of its key comes first.
    """
    letter = await _lock_pending(tx, letter_id)
    older = await tx.fetchval(OLDER_OF_KEY, letter["topic"], letter["key"], letter_id)
    if older is not None:
        raise Conflict("older_dead_letter_first", f"dead letter {older} of the same key is older")
    failure = await _try_again(tx, letter, handlers)
    if failure is not None:
        await tx.execute(FAILED_AGAIN, letter_id, failure.code, failure.detail)
        return failure
    await _close(tx, letter, "resolved", reason="replayed")
    await _release(tx, letter, handlers)
    return None


async def discard(tx: Transaction, letter_id: int, *, reason: str, handlers: Handlers) -> None:
    """Give a message up, with a reason; what was parked behind it is handled now."""
    letter = await _lock_pending(tx, letter_id)
    await _close(tx, letter, "discarded", reason=reason)
    await _release(tx, letter, handlers)


async def listing(reader: Reader, *, status: str | None, after: int, limit: int) -> list[Record]:
    return await reader.fetch(LIST, status, after, limit)


async def _lock_pending(tx: Transaction, letter_id: int) -> Record:
    """Lock the letter's key, then the letter: the order in which every transaction takes them."""
    of_one = await tx.fetchrow(KEY_OF_ONE, letter_id)
    if of_one is not None:
        await tx.execute(LOCK_KEY, of_one["topic"], of_one["key"])
    letter = await tx.fetchrow(LOCK_ONE, letter_id)
    if letter is None:
        raise NotFound("dead_letter_unknown", f"there is no dead letter {letter_id}")
    if letter["status"] != "pending":
        raise Conflict("dead_letter_closed", f"dead letter {letter_id} is {letter['status']}")
    return letter


def _read_stored(stored: Record) -> tuple[Envelope, Event]:
    envelope = Envelope.from_headers((name, text.encode()) for name, text in stored["headers"])
    if stored["value"] is None:
        raise Invalid("event_without_data", "a message without a value cannot be handled")
    return envelope, registry.decode(envelope, stored["value"])


async def _try_again(tx: Transaction, stored: Record, handlers: Handlers) -> Failure | None:
    """Handle a stored message; a failure is undone and told."""
    try:
        envelope, event = _read_stored(stored)
    except Invalid as error:
        return Failure("malformed", error.code, error.detail, 1, tx.now)
    try:
        async with tx.savepoint():
            with tx.caused_by(envelope):
                await dispatch(handlers, event, tx)
    except DomainError as error:
        return Failure("permanent", error.code, error.detail, 1, tx.now)
    except Exception as error:  # in the consumer's place, who would bury a defect as well
        if is_transient(error):
            raise
        log.exception("dead_letter.defect", topic=stored["topic"], key=stored["key"])
        return Failure("defect", "defect", f"{type(error).__name__}: {error}", 1, tx.now)
    return None


async def _release(tx: Transaction, letter: Record, handlers: Handlers) -> None:
    """Handle what is parked, up to the first that cannot be: that one is the key's next letter."""
    if await tx.fetchval(KEY_IS_PARKED, letter["topic"], letter["key"]):
        return
    for parked in await tx.fetch(PARKED_OF_KEY, letter["topic"], letter["key"]):
        failure = await _try_again(tx, parked, handlers)
        await tx.execute(UNPARK, parked["id"])
        if failure is not None:
            message = _message(parked)
            await bury(tx, message, Envelope.from_headers(message.headers), failure)
            return


def _message(parked: Record) -> Message:
    return Message(
        partition=Partition(parked["topic"], parked["partition"]),
        offset=parked["offset"],
        key=parked["key"],
        value=parked["value"],
        headers=tuple((name, text.encode()) for name, text in parked["headers"]),
    )


async def _close(tx: Transaction, letter: Record, status: str, *, reason: str) -> None:
    await tx.execute(CLOSE, letter["id"], status, tx.actor, tx.now, reason)
    await tx.record(
        f"dead-letter.{status}",
        f"dead-letter/{letter['id']}",
        before={"status": "pending", "error_code": letter["error_code"]},
        after={"status": status},
        reason=reason,
    )


def _texts(headers: tuple[tuple[str, bytes], ...]) -> list[list[str]]:
    return [[name, value.decode(errors="replace")] for name, value in headers]
