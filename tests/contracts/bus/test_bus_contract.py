"""What the runtime promises on real Kafka: effects once, order per key, poison contained."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from shared.contracts.envelope import Envelope
from shared.contracts.payments import PaymentFailed
from shared.contracts.topics import Topic
from shared.kernel.errors import Conflict, Invalid
from shared.runtime import audit, dead_letters, outbox
from shared.runtime.clock import SystemClock
from shared.runtime.consumer import Consumer
from shared.runtime.dead_letters import Limits
from shared.runtime.handlers import Handler, Handlers
from shared.runtime.kafka import Producer, Subscription
from shared.runtime.kafka_admin import create_topics
from shared.runtime.postgres import Database, Transaction
from support.bus_worker import record_effect
from support.servers import FreshDatabase, KafkaServer

pytestmark = [pytest.mark.bus, pytest.mark.xdist_group("bus")]

PARTITIONS = 3
EFFECTS = "SELECT object, after FROM audit WHERE action = 'effect' ORDER BY seq"
TESTS = Path(__file__).parents[2]


@dataclass
class Bus:
    """One topic, one group and one database of a test's own."""

    database: Database
    dsn: str
    options: dict[str, object]
    topic: str
    group: str
    producer: Producer
    running: list[asyncio.Task[None]] = field(default_factory=list)
    workers: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def send(self, key: str, number: int, **changes: object) -> None:
        """One event; `changes` replace its id, value or headers."""
        event = failed(key, number)
        envelope = Envelope(
            id=str(changes.get("id", f"{key}-{number}")),
            source="/tieout/test",
            type=str(changes.get("type", event.TYPE)),
            subject=event.subject(),
            time=datetime(2026, 5, 1, tzinfo=UTC),
            key=key,
            correlation_id="test",
        )
        value = changes.get("value", event.encode())
        assert isinstance(value, bytes)
        headers = changes.get("headers", envelope.headers())
        assert isinstance(headers, list)
        await (await self.producer.send(self.topic, key=key.encode(), value=value, headers=headers))

    def consume(self, handler: Handler = record_effect, **options: object) -> Consumer:
        """Start another member of the group."""
        subscription = Subscription(self.options, group=self.group, client_id="test")
        handlers: Handlers = {PaymentFailed: handler}
        consumer = Consumer(self.database, subscription, handlers, topics=[self.topic], **options)  # type: ignore[arg-type]  # options of the constructor
        self.running.append(asyncio.create_task(consumer.run()))
        return consumer

    async def work_elsewhere(self) -> asyncio.subprocess.Process:
        """A member of the group in a process of its own; what still runs is killed at the end."""
        arguments = (self.dsn, str(self.options["bootstrap_servers"]), self.topic, self.group)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "support.bus_worker", *arguments, cwd=TESTS
        )
        self.workers.append(process)
        return process

    async def effects(self) -> list[tuple[str, str]]:
        async with self.database.read() as reader:
            rows = await reader.fetch(EFFECTS)
        return [(row["object"], row["after"]["attempt"]) for row in rows]

    async def letters(self) -> list[dict[str, object]]:
        async with self.database.read() as reader:
            rows = await dead_letters.listing(reader, status=None, after=0, limit=500)
        return [dict(row) for row in rows]


def failed(key: str, number: int) -> PaymentFailed:
    return PaymentFailed(
        attempt_id=f"{number:04d}", invoice_id="i", invoice_number="n", account_id=key,
        amount=Decimal("1.10"), currency="EUR", provider="stripe", provider_payment_id=None,
        decline_code="card_declined", decline_class="hard",
    )  # fmt: skip


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 30) -> None:
    """Wait for a condition; the test fails when it does not come true."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn, service="payments", clock=SystemClock(), pool_size=8)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def bus(kafka_server: KafkaServer, fresh_database: FreshDatabase) -> AsyncIterator[Bus]:
    dsn = (await fresh_database("payments")).app_dsn
    options: dict[str, object] = {"bootstrap_servers": kafka_server.bootstrap_servers}
    topic = f"bus-{uuid4().hex[:12]}"
    await create_topics(options, [Topic(topic, "test", "key", PARTITIONS)], replication=1)
    producer = Producer(options, client_id="test")
    await producer.start()
    async with opened(dsn) as database:
        made = Bus(database, dsn, options, topic, f"group-{topic}", producer)
        try:
            yield made
        finally:
            await ended(made)
            await producer.stop()


async def ended(bus: Bus) -> None:
    """Nothing of a test goes on behind it."""
    for process in bus.workers:
        if process.returncode is None:
            process.kill()
            await process.wait()
    for task in bus.running:
        task.cancel()
    if bus.running:
        _, left = await asyncio.wait(bus.running, timeout=30)
        assert left == set()


def in_order(effects: list[tuple[str, str]]) -> bool:
    by_key: dict[str, list[str]] = defaultdict(list)
    for key, number in effects:
        by_key[key].append(number)
    return all(numbers == sorted(numbers) for numbers in by_key.values())


async def test_a_message_delivered_twice_has_one_effect(bus: Bus) -> None:
    """The inbox recognises the id, whatever the offset."""
    for number in (1, 1, 2, 1, 2):
        await bus.send("a", number)
    consumer = bus.consume()

    await until(lambda: _is(consumer.state.handled == 5))

    assert await bus.effects() == [("a", "0001"), ("a", "0002")]


async def test_a_group_that_starts_over_repeats_nothing(bus: Bus) -> None:
    """Lost offsets cost time, not correctness."""
    for number in range(20):
        await bus.send(f"k{number % 4}", number)
    first = bus.consume()
    await until(lambda: _is(first.state.handled == 20))
    bus.group += "-again"

    second = bus.consume()
    await until(lambda: _is(second.state.handled == 20))

    assert len(await bus.effects()) == 20


async def test_members_that_come_and_go_keep_order_and_lose_nothing(bus: Bus) -> None:
    """Rebalances in the middle of a stream."""
    bus.consume()
    for number in range(150):
        await bus.send(f"k{number % 7}", number)
        if number == 40:
            bus.consume()
        if number == 100:
            bus.running[0].cancel()

    async def all_there() -> bool:
        return len(await bus.effects()) == 150

    await until(all_there, seconds=60)

    assert in_order(await bus.effects())


async def test_a_consumer_killed_at_any_moment_doubles_and_loses_nothing(bus: Bus) -> None:
    """SIGKILL between effect and offset, several times over."""
    for number in range(300):
        await bus.send(f"k{number % 5}", number)

    for reached in (20, 110, 200):
        process = await bus.work_elsewhere()

        async def far_enough(goal: int = reached) -> bool:
            return len(await bus.effects()) >= goal

        await until(far_enough, seconds=60)
        process.kill()
        await process.wait()
    last = await bus.work_elsewhere()

    async def all_there() -> bool:
        return len(await bus.effects()) >= 300

    await until(all_there, seconds=60)
    last.kill()
    await last.wait()
    effects = await bus.effects()
    assert 300 == len(effects) == len(set(effects))
    assert in_order(effects)


async def test_poison_is_kept_with_its_reason_while_other_keys_flow(bus: Bus) -> None:
    """Unreadable headers, unknown types and malformed bodies."""
    await bus.send("bad", 1, headers=[("ce_id", b"x")])
    await bus.send("odd", 2, type="tieout.nobody.nothing.v1")
    await bus.send("torn", 3, value=b'{"attempt_id":')
    await bus.send("good", 4)
    consumer = bus.consume()

    await until(lambda: _is(consumer.state.handled == 4))

    assert await bus.effects() == [("good", "0004")]
    assert {"envelope_malformed", "event_type_unknown", "event_malformed"} == {
        letter["error_code"] for letter in await bus.letters()
    }


async def test_a_dead_letter_parks_its_key_until_it_is_replayed(bus: Bus) -> None:
    """Order per key survives a failure; other keys do not wait."""
    broken = True

    async def handler(event: PaymentFailed, tx: Transaction) -> None:
        if broken and event.attempt_id == "0001":
            raise Invalid("not_yet", "a rule is missing")
        await record_effect(event, tx)

    for number in (1, 2, 3):
        await bus.send("a", number)
    await bus.send("b", 9)
    consumer = bus.consume(handler)
    await until(lambda: _is(consumer.state.handled == 4))
    assert await bus.effects() == [("b", "0009")]
    broken = False
    letter = (await bus.letters())[0]

    async with bus.database.transaction(actor="somebody") as tx:
        await dead_letters.replay(tx, int(str(letter["id"])), {PaymentFailed: handler})

    assert await bus.effects() == [("b", "0009"), ("a", "0001"), ("a", "0002"), ("a", "0003")]
    async with bus.database.transaction(actor="somebody") as tx:
        with pytest.raises(Conflict, match="dead_letter_closed"):
            await dead_letters.replay(tx, int(str(letter["id"])), {PaymentFailed: handler})


async def test_a_discarded_letter_lets_its_key_go_on(bus: Bus) -> None:
    """Giving up is a decision with a reason, and what waited is handled."""

    async def handler(event: PaymentFailed, tx: Transaction) -> None:
        if event.attempt_id == "0001":
            raise Invalid("never", "a fact that cannot be")
        await record_effect(event, tx)

    for number in (1, 2):
        await bus.send("a", number)
    consumer = bus.consume(handler)
    await until(lambda: _is(consumer.state.handled == 2))
    letter_id = int(str((await bus.letters())[0]["id"]))

    async with bus.database.transaction(actor="somebody") as tx:
        handlers: Handlers = {PaymentFailed: handler}
        await dead_letters.discard(tx, letter_id, reason="wrong customer", handlers=handlers)

    assert await bus.effects() == [("a", "0002")]
    letter = (await bus.letters())[0]
    assert (letter["status"], letter["reason"]) == ("discarded", "wrong customer")


async def test_a_defect_is_tried_three_times_before_it_is_dead(bus: Bus) -> None:
    """An unexpected exception may be a race; three in a row are a defect."""
    tries = 0

    async def handler(event: PaymentFailed, tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("surprise")

    await bus.send("a", 1)
    consumer = bus.consume(handler)
    await until(lambda: _is(consumer.state.handled == 1))

    letter = (await bus.letters())[0]
    assert (tries, letter["error_class"]) == (3, "defect")
    assert "surprise" in str(letter["error"])


async def test_trouble_that_passes_is_waited_out_in_place(bus: Bus) -> None:
    """A connection lost twice is no dead letter, and other partitions go on meanwhile."""
    tries = 0

    async def handler(event: PaymentFailed, tx: Transaction) -> None:
        nonlocal tries
        if event.account_id == "slow":
            tries += 1
            if tries < 3:
                raise ConnectionResetError("the database went away")
        await record_effect(event, tx)

    for number in range(6):
        await bus.send(f"k{number}", number)
    await bus.send("slow", 7)
    bus.consume(handler)

    async def all_there() -> bool:
        return len(await bus.effects()) == 7

    await until(all_there)

    assert tries == 3
    assert await bus.letters() == []


async def test_a_run_of_bad_messages_stops_the_consumer(bus: Bus) -> None:
    """Past the limit the code is broken, not the messages; the rest stays on the topic."""
    for number in range(40):
        await bus.send(f"k{number}", number, value=b"{}")
    consumer = bus.consume(limits=Limits(consecutive=4))

    await until(lambda: _is(consumer.state.stopped is not None))

    assert "in a row" in str(consumer.state.stopped)
    assert max(Counter(letter["partition"] for letter in await bus.letters()).values()) == 5


async def test_a_torn_message_is_handled_in_its_turn(bus: Bus) -> None:
    """Behind a dead letter of its key it waits, and what waited before it comes first."""
    broken = True

    async def handler(event: PaymentFailed, tx: Transaction) -> None:
        if broken and event.attempt_id == "0001":
            raise Invalid("not_yet", "a rule is missing")
        await record_effect(event, tx)

    for number in (1, 2):
        await bus.send("a", number)
    await bus.send("a", 3, value=b'{"attempt_id":')
    await bus.send("a", 4)
    consumer = bus.consume(handler)
    await until(lambda: _is(consumer.state.handled == 4))
    broken = False

    [letter] = await bus.letters()
    async with bus.database.transaction(actor="somebody") as tx:
        await dead_letters.replay(tx, int(str(letter["id"])), {PaymentFailed: handler})

    assert await bus.effects() == [("a", "0001"), ("a", "0002")]
    assert [one["error_code"] for one in await bus.letters()] == ["not_yet", "event_malformed"]


async def test_a_dead_letter_is_announced_with_its_reason(bus: Bus) -> None:
    """Same key, value and id on `<topic>.dlq`, plus why."""
    await bus.send("a", 1, value=b"{}")
    consumer = bus.consume()
    await until(lambda: _is(consumer.state.handled == 1))

    async with bus.database.read() as reader:
        rows = await reader.fetch(outbox.UNSENT, 10)

    announced = next(row for row in rows if row["topic"] == f"{bus.topic}.dlq")
    headers = dict(announced["headers"])
    assert (announced["value"], announced["key"], headers["ce_id"]) == (b"{}", "a", "a-1")
    assert headers["dlq_reason"].startswith("event_malformed")
    assert headers["dlq_consumer"] == "payments"


async def test_the_relay_publishes_in_key_order_and_marks_after_the_broker_has_it(
    bus: Bus,
) -> None:
    """Two relays of one service: one leads, the other takes over; nothing out of order."""
    async with bus.database.transaction() as tx:
        for number in range(60):
            event = failed(f"k{number % 3}", number)
            envelope = Envelope(
                f"e{number}", "/t", event.TYPE, "s/1", tx.now, f"k{number % 3}", "c"
            )
            headers = [[n, v.decode()] for n, v in envelope.headers()]
            row = outbox.Row(bus.topic, envelope.key, envelope.id, headers, event.encode())
            await tx.forward(row)
    relays = [outbox.Relay(bus.database, bus.producer) for _ in range(2)]
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    bus.running += tasks
    consumer = bus.consume()

    await until(lambda: _is(consumer.state.handled == 60))

    leading = [relay.state.leading for relay in relays]
    assert sum(leading) == 1
    tasks[leading.index(True)].cancel()
    other = relays[leading.index(False)]
    await until(lambda: _is(other.state.leading))
    tasks[leading.index(False)].cancel()
    assert in_order(await bus.effects())
    async with bus.database.read() as reader:
        assert await reader.fetchval(outbox.COUNT_UNSENT) - await _audit_rows(bus) == 0
        assert (await audit.verify(reader)).intact


async def _audit_rows(bus: Bus) -> int:
    """Audit records written after the relays stopped publishing still wait in the outbox."""
    async with bus.database.read() as reader:
        rows = await reader.fetch(outbox.UNSENT, 500)
    return sum(row["topic"].endswith("audit.v1") for row in rows)


async def _is(value: bool) -> bool:
    return value
