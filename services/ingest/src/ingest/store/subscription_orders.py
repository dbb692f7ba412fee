"""Orders to the provider: durable before they are answered, one writer a subscription, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest.domain.order_outcomes import Call
from ingest.domain.order_wishes import OrderKind, OrderState, Wish
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Reader, Record, Transaction

LEASE_S = 60.0

ADD_ORDER = """
INSERT INTO subscription_order (id, lane, customer_id, subscription_id, kind, wish, state,
                                correlation_id, requested_by, requested_at, due_at, account_id)
VALUES ($1, coalesce($3, $1), $2, $3, $4, $5, 'planned', $6, $7, $8, now(), $9)
"""
TELL = (
    "INSERT INTO subscription_order_history (order_id, state, detail, at) VALUES ($1, $2, $3, $4)"
)
CLAIM_ORDER = """
UPDATE subscription_order SET lease = $1, leased_until = now() + $2 * interval '1 second'
WHERE id = (
    SELECT o.id FROM subscription_order o
    WHERE o.account_id = $3
      AND o.state IN ('planned', 'checked', 'sending', 'unknown') AND o.due_at <= now()
      AND (o.leased_until IS NULL OR o.leased_until <= now())
      AND NOT EXISTS (
          SELECT 1 FROM subscription_order p
          WHERE p.lane = o.lane AND p.number < o.number
            AND p.state IN ('planned', 'checked', 'sending', 'unknown'))
    ORDER BY o.due_at, o.number LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, customer_id, subscription_id, kind, wish, state, round, correlation_id, baseline,
          body, accepted, restores, result, requested_at, checked_at, attempts, lease,
          coalesce(extract(epoch FROM now() - waiting_since), 0)::float8 AS waited_s,
          extract(epoch FROM now() - unsure_since)::float8 AS unsure_s
"""
# Never waits for the work's own transaction.
BEAT_ORDER = """
WITH held AS (
         SELECT id FROM subscription_order WHERE id = $1 AND lease = $2 FOR UPDATE SKIP LOCKED),
     renewed AS (
         UPDATE subscription_order o SET leased_until = now() + $3 * interval '1 second'
         FROM held WHERE o.id = held.id)
SELECT lease IS NULL OR lease = $2 FROM subscription_order WHERE id = $1
"""
MOVE_ORDER = """
UPDATE subscription_order
SET state = $3, round = round + $4, baseline = coalesce($5, baseline), body = coalesce($6, body),
    accepted = $7, restores = $8, result = coalesce($9, result),
    lease = CASE WHEN $10 THEN lease END, leased_until = CASE WHEN $10 THEN leased_until END,
    checked_at = CASE WHEN $5::jsonb IS NULL THEN checked_at ELSE $11 END,
    unsure_since = CASE WHEN $3 IN ('sending', 'unknown') THEN coalesce(unsure_since, now()) END
WHERE id = $1 AND lease = $2 RETURNING true
"""
RELEASE_ORDER = """
UPDATE subscription_order
SET state = $3, detail = $4, round = round + $5, attempts = attempts + 1,
    due_at = now() + $6 * interval '1 second', code = $7, provider_code = $8, provider_words = $9,
    waiting_since = coalesce(waiting_since, now()), lease = NULL, leased_until = NULL,
    unsure_since = CASE WHEN $10 THEN NULL WHEN $3 = 'unknown' THEN coalesce(unsure_since, now())
                        ELSE unsure_since END
WHERE id = $1 AND lease = $2 RETURNING true
"""
FINISH_ORDER = """
UPDATE subscription_order
SET state = $3, code = $4, detail = $5, offer = $6, provider_code = $7, provider_words = $8,
    result = coalesce($9, result), subscription_id = coalesce(subscription_id, $10),
    finished_at = $11, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2 RETURNING true
"""
CANCEL_ORDER = """
UPDATE subscription_order SET state = 'cancelled', finished_at = $2
WHERE id = $1 AND state IN ('planned', 'checked') AND NOT restores
  AND NOT EXISTS (SELECT FROM subscription_order_history WHERE order_id = $1 AND state = 'sending')
  AND (leased_until IS NULL OR leased_until <= now())
RETURNING true
"""
FIND_ORDER = "SELECT * FROM subscription_order WHERE id = $1"
HISTORY = """
SELECT state, detail, at FROM subscription_order_history WHERE order_id = $1 ORDER BY id
"""
LIST_ORDERS = """
SELECT * FROM subscription_order
WHERE ($1::bigint IS NULL OR number < $1) AND ($2::text IS NULL OR subscription_id = $2)
  AND ($3::text IS NULL OR state = $3)
ORDER BY number DESC LIMIT $4
"""
COUNT_OPEN_ORDERS = """
SELECT count(*) FROM subscription_order
WHERE account_id = $1 AND state IN ('planned', 'checked', 'sending', 'unknown')
"""
ORDER_BEHIND = "SELECT id FROM subscription_order WHERE correlation_id = $1"
# An order whose own record is known claims no other one.
ORDERS_SENT = """
SELECT o.id, o.customer_id, o.kind, o.wish, o.baseline, o.restores, o.correlation_id,
       o.requested_at, coalesce(o.finished_at, $2) AS until
FROM subscription_order o
WHERE o.subscription_id = $1 AND o.state IN ('sending', 'unknown', 'confirmed', 'unclear')
  AND EXISTS (SELECT FROM subscription_order_history h
              WHERE h.order_id = o.id AND h.state = 'sending')
  AND NOT EXISTS (SELECT FROM audit_record_subscription s JOIN audit_record r USING (record_id)
                  WHERE s.subscription_id = $1
                    AND lower(r.document ->> 'originalCorrelationId') = o.correlation_id)
"""


@dataclass(frozen=True, slots=True)
class Order:
    """A claimed order: nobody else works on it, or on its subscription."""

    id: str
    customer_id: str
    subscription_id: str | None
    kind: OrderKind
    wish: Wish
    state: OrderState
    round: int
    correlation_id: str
    baseline: Mapping[str, Any]
    body: Mapping[str, Any]
    accepted: bool
    restores: bool
    result: Mapping[str, Any]
    requested_at: datetime
    checked_at: datetime | None
    attempts: int
    lease: str
    waited_s: float
    unsure_s: float | None  # None: nothing is under way

    @property
    def unsure(self) -> bool:
        """A call went out, and nobody knows yet what came of it."""
        return self.unsure_s is not None

    @property
    def request_id(self) -> str:
        """The same for every repetition of a call that got no answer."""
        return derived_id("provider-request", self.id, self.restores, self.round)


@dataclass(frozen=True, slots=True)
class Move:
    """What a step leaves behind when the work goes on."""

    state: OrderState
    detail: str
    baseline: Mapping[str, Any] | None = None
    body: Mapping[str, Any] | None = None
    accepted: bool = False
    restores: bool = False
    answered: int = 0
    result: Mapping[str, Any] | None = None
    keeps: bool = False  # the lease: the same worker goes on


@dataclass(frozen=True, slots=True)
class End:
    """How an order ends."""

    state: OrderState
    detail: str
    code: str | None = None
    offer: Mapping[str, Any] | None = None
    provider_code: str | None = None
    provider_words: str | None = None
    result: Mapping[str, Any] | None = None
    subscription_id: str | None = None
    sure: bool = False  # of one that goes on: nothing that was sent is open any more


def call_of(order: Order, application_id: str, now: datetime) -> Call:
    """What of an order helps to know it again on the provider's record."""
    restored = order.restores  # the first call went out against a resource that is not kept
    return Call(
        correlation_id=order.correlation_id,
        application_id=application_id,
        customer_id=order.customer_id,
        subscription_id=order.subscription_id or "",
        kind=order.kind,
        wish=order.wish,
        before={} if restored else order.baseline,
        read_at=order.checked_at or order.requested_at,
        since=order.requested_at,
        until=now,
    )


@dataclass(frozen=True, slots=True)
class Target:
    """What an order is about, and through which account it goes out."""

    account_id: str
    customer_id: str
    subscription_id: str | None = None


async def add_order(tx: Transaction, kind: OrderKind, wish: Wish, target: Target) -> str:
    order_id = tx.new_id()
    correlation = derived_id("provider-correlation", order_id)
    await tx.execute(
        ADD_ORDER, order_id, target.customer_id, target.subscription_id, kind.value,
        wish.to_json(), correlation, tx.actor, tx.now, target.account_id,
    )  # fmt: skip
    await tx.execute(TELL, order_id, OrderState.PLANNED.value, "ordered", tx.now)
    return order_id


async def claim_order(tx: Transaction, lease: str, *, account_id: str) -> Order | None:
    row = await tx.fetchrow(CLAIM_ORDER, lease, LEASE_S, account_id)
    if row is None:
        return None
    given = dict(row)
    for name in ("baseline", "body", "result"):
        given[name] = given[name] or {}
    given |= {"kind": OrderKind(row["kind"]), "state": OrderState(row["state"])}
    return Order(**{**given, "wish": Wish(**row["wish"])})


async def beat_order(tx: Transaction, order: Order) -> bool:
    return await tx.fetchval(BEAT_ORDER, order.id, order.lease, LEASE_S) is True


async def move_order(tx: Transaction, order: Order, move: Move) -> bool:
    """False: the order went to another worker."""
    moved = await tx.fetchval(
        MOVE_ORDER, order.id, order.lease, move.state.value, move.answered, move.baseline,
        move.body, move.accepted, move.restores, move.result, move.keeps, tx.now,
    )  # fmt: skip
    if moved is True:
        await tx.execute(TELL, order.id, move.state.value, move.detail, tx.now)
    return moved is True


async def release_order(
    tx: Transaction, order: Order, end: End, *, after_s: float, answered: int
) -> None:
    """Come back later, in this state."""
    held = await tx.fetchval(
        RELEASE_ORDER, order.id, order.lease, end.state.value, end.detail, answered, after_s,
        end.code, end.provider_code, end.provider_words, end.sure,
    )  # fmt: skip
    if held is True:
        await tx.execute(TELL, order.id, end.state.value, end.detail, tx.now)


async def finish_order(tx: Transaction, order: Order, end: End) -> bool:
    held = await tx.fetchval(
        FINISH_ORDER, order.id, order.lease, end.state.value, end.code, end.detail, end.offer,
        end.provider_code, end.provider_words, end.result, end.subscription_id, tx.now,
    )  # fmt: skip
    if held is True:
        await tx.execute(TELL, order.id, end.state.value, end.detail, tx.now)
    return held is True


async def cancel_order(tx: Transaction, order_id: str) -> bool:
    """Take back an order that has not been sent."""
    done = await tx.fetchval(CANCEL_ORDER, order_id, tx.now)
    if done is True:
        await tx.execute(TELL, order_id, OrderState.CANCELLED.value, "taken back", tx.now)
    return done is True


async def find_order(reader: Reader, order_id: str) -> Record | None:
    return await reader.fetchrow(FIND_ORDER, order_id)


async def history_of(reader: Reader, order_id: str) -> Sequence[Record]:
    return await reader.fetch(HISTORY, order_id)


async def list_orders(
    reader: Reader, *, before: int | None, subscription_id: str | None, state: str | None,
    limit: int,
) -> list[Record]:  # fmt: skip
    return await reader.fetch(LIST_ORDERS, before, subscription_id, state, limit)


async def count_open_orders(reader: Reader, *, account_id: str) -> int:
    return int(await reader.fetchval(COUNT_OPEN_ORDERS, account_id))


async def order_behind(reader: Reader, correlation_id: str) -> str | None:
    """The order whose call the provider recorded under this correlation id."""
    found: str | None = await reader.fetchval(ORDER_BEHIND, correlation_id)
    return found


async def calls_sent(
    reader: Reader, subscription_id: str, application_id: str
) -> list[tuple[str, Call]]:
    """Orders that went out for a subscription and have no record under their correlation id."""
    rows = await reader.fetch(ORDERS_SENT, subscription_id, reader.now)
    return [
        (
            row["id"],
            Call(
                correlation_id=row["correlation_id"],
                application_id=application_id,
                customer_id=row["customer_id"],
                subscription_id=subscription_id,
                kind=OrderKind(row["kind"]),
                wish=Wish(**row["wish"]),
                before={} if row["restores"] else row["baseline"] or {},
                read_at=row["requested_at"],
                since=row["requested_at"],
                until=row["until"],
            ),
        )
        for row in rows
    ]
