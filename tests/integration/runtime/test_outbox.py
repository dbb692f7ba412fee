"""The outbox: rows commit with their state, in key order, and the relay loses and reorders none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

import pytest

from shared.contracts.envelope import Envelope
from shared.contracts.payments import PaymentFailed
from shared.kernel.errors import Invalid
from shared.runtime import audit, outbox, postgres
from shared.runtime.connection import Connection
from shared.runtime.kafka import BusError, Producer
from shared.runtime.outbox import Relay
from shared.runtime.postgres import Commit, Database
from support.harness import START, opened
from support.servers import ServiceDatabase

UNSENT = "SELECT event_id FROM outbox WHERE sent_at IS NULL ORDER BY id"
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def event(number: int, account: str = "a") -> PaymentFailed:
    return PaymentFailed(
        attempt_id=f"{account}{number}", invoice_id="i", invoice_number="n",
        account_id=account, amount=Decimal("1.10"), currency="EUR", provider="stripe",
        provider_payment_id=None, decline_code="card_declined", decline_class="hard",
    )  # fmt: skip


async def publish(database: Database, number: int, account: str = "a") -> None:
    async with database.transaction() as tx:
        await tx.publish(event(number, account), id=f"{account}{number}")


class Broker(Producer):
    """Takes messages, or fails as it is told."""

    def __init__(self) -> None:
        super().__init__({}, client_id="test")
        self.received: list[str] = []
        self.failures: list[BusError] = []  # of deliveries, in the order of sending
        self.refusals: list[BusError | None] = []  # of the sending itself
        self.slow = asyncio.Event()
        self.slow.set()

    async def send(
        self,
        topic: str,
        *,
        key: bytes,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
    ) -> Awaitable[None]:
        del topic, key, value
        event_id = dict(headers)["ce_id"].decode()
        if self.refusals and (refusal := self.refusals.pop(0)) is not None:
            raise refusal
        return self._deliver(event_id, self.failures.pop(0) if self.failures else None)

    async def _deliver(self, event_id: str, failure: BusError | None) -> None:
        if failure is not None:
            raise failure
        await self.slow.wait()
        self.received.append(event_id)


@asynccontextmanager
async def relaying(database: Database, broker: Broker) -> AsyncIterator[Relay]:
    relay = Relay(database, broker)

    def on_commit(commit: Commit) -> None:
        if commit.published:
            relay.wake()

    database.on_commit = on_commit
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def unsent(database: Database) -> list[str]:
    async with database.read() as reader:
        return [row["event_id"] for row in await reader.fetch(UNSENT)]


@pytest.fixture
def no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    """The safety net is taken away: what happens now happens because somebody was woken."""
    monkeypatch.setattr(outbox, "POLL_S", 3600.0)


async def test_a_business_transaction_does_not_notify(database: Database) -> None:
    """NOTIFY serialises every commit of the database; the relay sends it on its own connection."""
    heard: list[object] = []
    async with database.dedicated() as listener:
        await listener.add_listener(outbox.CHANNEL, lambda *message: heard.append(message[-1]))
        for number in range(3):
            await publish(database, number)
        async with database.dedicated() as other:
            await other.execute("SELECT pg_notify($1, 'end')", outbox.CHANNEL)
        await until(lambda: "end" in heard)

    assert heard == ["end"]
    assert await unsent(database) == ["a0", "a1", "a2"]


@pytest.mark.usefixtures("no_poll")
async def test_a_commit_wakes_the_relay_of_its_process(database: Database) -> None:
    """Milliseconds, not the poll interval."""
    broker = Broker()
    async with relaying(database, broker) as relay:
        await until(lambda: relay.state.leading)
        await publish(database, 1)
        await until(lambda: broker.received == ["a1"])
        await until(lambda: relay.state.published == 1)

    assert await unsent(database) == []


@pytest.mark.usefixtures("no_poll")
async def test_a_commit_of_another_replica_wakes_the_leading_relay(
    database: Database, made: ServiceDatabase
) -> None:
    """The one that does not lead passes the word on."""
    leader, follower = Broker(), Broker()
    async with (
        opened(made.app_dsn, "tax") as replica,
        relaying(database, leader) as first,
    ):
        await until(lambda: first.state.leading)
        async with relaying(replica, follower) as second:
            await publish(replica, 1)
            await publish(replica, 2)
            await until(lambda: leader.received == ["a1", "a2"])

            assert not second.state.leading
    assert follower.received == []


async def test_another_relay_takes_over_from_one_that_ends(
    database: Database, made: ServiceDatabase
) -> None:
    """Nobody has to be told who leads."""
    first, second = Broker(), Broker()
    async with opened(made.app_dsn, "tax") as replica:
        async with relaying(database, first) as leading:
            await until(lambda: leading.state.leading)
            await publish(database, 1)
            await until(lambda: leading.state.published == 1)
        async with relaying(replica, second):
            await publish(database, 2)
            await until(lambda: second.received == ["a2"])


async def test_what_the_broker_did_not_take_is_sent_again_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are marked only after the broker has them."""
    monkeypatch.setattr(outbox, "POLL_S", 0.01)
    broker = Broker()
    broker.failures = [BusError("no leader")] * 2
    for number in (1, 2):
        await publish(database, number)
    async with relaying(database, broker) as relay:
        await until(lambda: relay.state.published == 2)

    assert broker.received == ["a1", "a2"]
    assert await unsent(database) == []


async def test_a_repeat_does_not_overtake_what_is_under_way(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second row is refused while the first is still on its way: both wait for its end."""
    monkeypatch.setattr(outbox, "POLL_S", 0.01)
    broker = Broker()
    broker.refusals = [None, BusError("no room")]
    broker.slow.clear()
    for number in (1, 2):
        await publish(database, number)
    async with relaying(database, broker) as relay:
        await until(lambda: not broker.refusals)
        assert broker.received == []
        broker.slow.set()
        await until(lambda: relay.state.published == 2)

    assert broker.received == ["a1", "a1", "a2"]


async def test_a_transaction_that_fails_publishes_nothing(database: Database) -> None:
    """State and event, or neither."""

    async def failing() -> None:
        async with database.transaction() as tx:
            await tx.publish(event(1))
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await failing()

    assert await unsent(database) == []


async def test_rows_of_one_key_are_numbered_in_commit_order(database: Database) -> None:
    """The second writer of a key waits for the first to commit; other keys do not wait."""
    async with database.transaction() as first:
        await first.publish(event(1), id="first")
        await first.finish()  # written, which is when its key is locked, and not yet committed
        second = asyncio.create_task(publish(database, 2))
        await publish(database, 1, "b")
        async with database.read() as reader, asyncio.timeout(10):
            while not await reader.fetchval(WAITING):
                await asyncio.sleep(0.002)
        assert not second.done()
    await second

    assert await unsent(database) == ["first", "b1", "a2"]


async def test_a_transaction_that_wrote_early_and_one_that_did_not_never_deadlock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys come before the audit trail's end, whenever rows are written; so the trail is locked by
    nobody who waits for a key."""

    async def change() -> None:
        async with database.transaction() as second:
            await second.record("changed", "b")
            await second.publish(event(2))

    async with database.transaction() as first:
        with monkeypatch.context() as patched:
            patched.setattr(outbox, "BATCH", 1)
            await first.publish(event(1))  # written at once, as a large transaction does
        await first.record("changed", "a")
        changing = asyncio.create_task(change())
        async with database.read() as reader, asyncio.timeout(10):
            while not await reader.fetchval(WAITING):
                await asyncio.sleep(0.002)
    await changing

    async with database.snapshot() as reader:
        assert (await audit.verify(reader)).links == 2


async def test_an_event_the_broker_would_refuse_is_refused_here(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row too large would block the relay for everybody."""
    large = event(1)
    monkeypatch.setattr(outbox, "MAX_VALUE_BYTES", len(large.encode()) - 1)

    with pytest.raises(Invalid) as refused:
        async with database.transaction() as tx:
            await tx.publish(large)

    assert refused.value.code == "event_too_large"
    assert await unsent(database) == []


async def test_the_same_cause_publishes_the_same_ids(database: Database) -> None:
    """Handled again after a crash, a message announces nothing that is new to its readers."""
    cause = Envelope(
        id="c", source="/tieout/x", type="t", subject="s", time=START, key="k",
        correlation_id="trigger",
    )  # fmt: skip

    async def handle() -> list[str]:
        async with database.transaction(cause=cause) as tx:
            async with tx.savepoint():
                ids = [await tx.publish(event(n)) for n in (1, 2)]
            assert tx.correlation_id == "trigger"
            return ids

    once, again = await handle(), await handle()

    assert once == again
    assert len(set(once)) == 2
    async with database.transaction() as tx:
        assert await tx.publish(event(1)) not in once


async def test_sent_rows_can_be_published_anew(database: Database) -> None:
    """A topic that was lost is filled again from the rows that are kept."""
    broker = Broker()
    async with relaying(database, broker) as relay:
        await publish(database, 1)
        await until(lambda: relay.state.published == 1)
        async with database.transaction() as tx:
            count = await tx.fetchval(outbox.REPUBLISH, event(1).TOPIC, START.replace(year=2000))
        assert count == 1
        relay.wake()
        await until(lambda: broker.received == ["a1", "a1"])


class LostWhileEnding:
    """Connects to something whose connections are gone when they are to be closed."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator[Connection]:
        self.begun.set()
        try:
            await asyncio.Event().wait()
            raise AssertionError("never")
            yield
        finally:
            raise ConnectionResetError("the database went away")


async def test_a_relay_that_loses_its_connection_while_it_is_cancelled_ends_all_the_same() -> None:
    """Else a service that stops while its database stops would never end."""
    database = LostWhileEnding()
    task = asyncio.create_task(Relay(database, Broker()).run())
    await database.begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)

    assert {task} == done
    assert task.cancelled()


async def test_closing_does_not_wait_for_ever_for_a_transaction_that_hangs(
    made: ServiceDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut off and rolls back; what it wrote is not there."""
    monkeypatch.setattr(postgres, "CLOSE_WITHIN_S", 0.05)
    written = asyncio.Event()

    async def hanging(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.publish(event(1))
            await tx.finish()
            written.set()
            await asyncio.Event().wait()

    async with opened(made.app_dsn, made.service) as database:
        task = asyncio.create_task(hanging(database))
        await until(written.is_set)
        async with asyncio.timeout(10):
            await database.close()
        task.cancel()
        await asyncio.wait([task], timeout=5)

    async with opened(made.app_dsn, made.service) as database:
        assert await unsent(database) == []
