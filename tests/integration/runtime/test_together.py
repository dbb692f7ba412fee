"""Messages that share a transaction: nobody can tell afterwards, whatever goes wrong in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.payments import PaymentFailed
from shared.kernel.clock import FrozenClock
from shared.kernel.errors import Invalid
from shared.runtime.consumer import Consumer, Outcome
from shared.runtime.handlers import Handlers
from shared.runtime.kafka import Message, Subscription
from shared.runtime.postgres import Database, Transaction
from support.harness import Harness

EFFECTS = "SELECT object, correlation_id, causation_id FROM audit WHERE action = 'effect'"
TRANSACTIONS = "SELECT count(DISTINCT xmin::text) FROM inbox"
PUBLISHED = """
SELECT event_id FROM outbox WHERE topic LIKE 'tieout.payments.%' AND topic NOT LIKE '%.dlq'
ORDER BY event_id
"""
LETTERS = "SELECT event_id, error_code, attempts FROM dead_letter"


class World:
    """A consumer that is handed messages, and fails where it is told."""

    def __init__(self, database: Database, clock: FrozenClock) -> None:
        self.database = database
        self.broken: dict[str, Callable[[], Exception]] = {}
        handlers: Handlers = {PaymentFailed: self._handle}
        self._message = Harness(database, clock, handlers).message
        unused = Subscription({}, group="unused", client_id="unused")
        self.consumer = Consumer(database, unused, handlers)

    async def _handle(self, event: PaymentFailed, tx: Transaction) -> None:
        await tx.record("effect", event.attempt_id)
        await tx.publish(event)
        await tx.publish(event)
        if event.attempt_id in self.broken:
            raise self.broken[event.attempt_id]()

    def messages(self, *attempts: str) -> list[Message]:
        return [self._message(_failed(attempt), id=f"m-{attempt}") for attempt in attempts]

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.database.read() as reader:
            return [tuple(row) for row in await reader.fetch(sql)]

    async def published(self) -> list[tuple[Any, ...]]:
        return await self.rows(PUBLISHED)


def _failed(attempt: str) -> PaymentFailed:
    return PaymentFailed(
        attempt_id=attempt, invoice_id="i", invoice_number="n", account_id=attempt[0],
        amount=Decimal("1.10"), currency="EUR", provider="stripe", provider_payment_id=None,
        decline_code="card_declined", decline_class="hard",
    )  # fmt: skip


@pytest.fixture
def world(database: Database, clock: FrozenClock) -> World:
    return World(database, clock)


async def test_messages_that_wait_share_a_transaction(world: World) -> None:
    """One commit for all; each effect keeps the message that caused it."""
    assert await world.consumer.handle_together(world.messages("a1", "b1", "a2"))

    assert await world.rows(TRANSACTIONS) == [(1,)]
    assert sorted(await world.rows(EFFECTS)) == [
        ("a1", "harness", "m-a1"), ("a2", "harness", "m-a2"), ("b1", "harness", "m-b1"),
    ]  # fmt: skip


async def test_ids_are_those_of_messages_handled_singly(
    world: World, database: Database, clock: FrozenClock
) -> None:
    """Handled again, alone or in other company, a message announces nothing new."""
    messages = world.messages("a1", "b1")
    await world.consumer.handle_together(messages)
    together = await world.published()
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM inbox")
        await tx.execute("DELETE FROM outbox")

    singly = [await world.consumer.handle(message) for message in messages]

    assert singly == ["handled", "handled"]
    assert await world.published() == together


@pytest.mark.parametrize("error", [Invalid("not_yet", "a rule is missing"), ZeroDivisionError()])
async def test_one_that_fails_undoes_all_and_each_is_handled_alone(
    world: World, error: Exception
) -> None:
    """A poisonous message costs its neighbours nothing but time."""
    world.broken["b1"] = lambda: error
    messages = world.messages("a1", "b1", "a2")

    assert not await world.consumer.handle_together(messages)
    assert await world.rows(EFFECTS) == []
    assert await world.published() == []

    outcomes = [await world.consumer.handle(message) for message in messages]
    assert outcomes == ["handled", "dead", "handled"]
    assert [row[0] for row in await world.rows(LETTERS)] == ["m-b1"]


async def test_a_repeat_among_others_has_no_second_effect(world: World) -> None:
    """Also when both arrive in the same transaction."""
    first = world.messages("a1")[0]

    assert await world.consumer.handle_together([first, *world.messages("b1"), first])

    assert len(await world.rows(EFFECTS)) == 2


async def test_a_message_behind_a_dead_letter_is_parked_among_others(world: World) -> None:
    """Order per key holds in company, too."""
    world.broken["a1"] = lambda: Invalid("not_yet", "a rule is missing")
    assert await world.consumer.handle(world.messages("a1")[0]) is Outcome.DEAD

    assert await world.consumer.handle_together(world.messages("a2", "b1"))

    assert [row[0] for row in await world.rows(EFFECTS)] == ["b1"]
    assert await world.rows("SELECT key FROM parked_message") == [("a",)]


async def test_one_message_needs_no_company(world: World) -> None:
    """Alone it goes the ordinary way."""
    assert not await world.consumer.handle_together(world.messages("a1"))

    assert await world.rows(EFFECTS) == []


@pytest.mark.parametrize("attempts", [["a1"], ["a1", "b1"]])
async def test_a_message_that_fails_while_it_is_cancelled_is_not_tried_again(
    world: World, attempts: list[str]
) -> None:
    """A lost connection passes by itself, but a consumer that was told to end does not wait."""
    begun = asyncio.Event()

    async def handle(event: PaymentFailed, tx: Transaction) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError("the database went away") from None

    unused = Subscription({}, group="unused", client_id="unused")
    consumer = Consumer(world.database, unused, {PaymentFailed: handle})
    messages = world.messages(*attempts)
    one_way = consumer.handle_together(messages) if attempts[1:] else consumer.handle(messages[0])
    task: asyncio.Task[object] = asyncio.ensure_future(one_way)
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)

    assert {task} == done
    assert task.cancelled()
    assert await world.rows(LETTERS) == []
