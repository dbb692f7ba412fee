"""A person works a key's dead letters off one by one; nothing is lost and nothing gets stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import httpx
import pytest

from shared.contracts.payments import PaymentFailed
from shared.kernel.clock import FrozenClock
from shared.kernel.errors import Conflict, DomainError, Invalid
from shared.runtime import audit, dead_letters, operations
from shared.runtime.auth import Caller
from shared.runtime.consumer import Consumer, Outcome
from shared.runtime.handlers import Handlers
from shared.runtime.kafka import Message, Partition, Subscription
from shared.runtime.postgres import Database, Record, Transaction
from shared.runtime.web import create_app
from support.harness import Harness
from support.in_process import EverybodyIs

LETTERS = "SELECT * FROM dead_letter ORDER BY id"
PARKED = "SELECT * FROM parked_message ORDER BY id"
EFFECTS = "SELECT object FROM audit WHERE action = 'effect' ORDER BY seq"
ANNOUNCED = "SELECT * FROM outbox WHERE topic LIKE '%.dlq' ORDER BY id"


def payment(number: int, account: str = "a") -> PaymentFailed:
    return PaymentFailed(
        attempt_id=f"{account}{number}", invoice_id="i", invoice_number="n", account_id=account,
        amount=Decimal("1.10"), currency="EUR", provider="stripe", provider_payment_id=None,
        decline_code="card_declined", decline_class="hard",
    )  # fmt: skip


@dataclass
class World:
    """A consumer whose handler fails for the attempts in `broken`, and its operators' API."""

    database: Database
    clock: FrozenClock
    broken: dict[str, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.handlers: Handlers = {PaymentFailed: self._handle}
        self.message = Harness(self.database, self.clock, self.handlers).message
        self.consumer = self.consume(order_matters=True)
        app = create_app(
            "test",
            version="1",
            routers=[operations.router(self.database, self.handlers)],
            verifier=EverybodyIs(Caller("operator", frozenset({"platform:admin"}))),
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"Authorization": "Bearer x"}
        self.http = httpx.AsyncClient(transport=transport, base_url="http://s", headers=headers)

    def consume(self, *, order_matters: bool) -> Consumer:
        """A consumer without a bus: messages are handed to it."""
        unused = Subscription({}, group="unused", client_id="unused")
        return Consumer(self.database, unused, self.handlers, order_matters=order_matters)

    async def _handle(self, event: PaymentFailed, tx: Transaction) -> None:
        await tx.record("effect", event.attempt_id)
        if event.attempt_id in self.broken:
            raise self.broken[event.attempt_id]

    async def deliver(self, *numbers: int, account: str = "a") -> list[Outcome]:
        messages = [self.message(payment(number, account)) for number in numbers]
        return [await self.consumer.handle(message) for message in messages]

    async def rows(self, sql: str) -> list[Record]:
        async with self.database.read() as reader:
            return await reader.fetch(sql)

    async def effects(self) -> list[str]:
        return [row["object"] for row in await self.rows(EFFECTS)]

    async def letters(self) -> list[tuple[str, str]]:
        return [(row["status"], row["error_code"]) for row in await self.rows(LETTERS)]

    async def post(self, action: str, number: int = 0, **body: str) -> httpx.Response:
        """Replay or discard the letter at this position."""
        letter = (await self.rows(LETTERS))[number]
        return await self.http.post(f"/v1/dead-letters/{letter['id']}:{action}", json=body or None)


@pytest.fixture
async def world(database: Database, clock: FrozenClock) -> AsyncIterator[World]:
    made = World(database, clock)
    yield made
    await made.http.aclose()


def refuse(code: str = "not_yet") -> DomainError:
    return Invalid(code, "a rule is missing")


async def test_later_messages_of_a_key_wait_behind_a_dead_letter(world: World) -> None:
    """Order per key survives; other keys do not wait; a repeat is not parked twice."""
    world.broken["a1"] = refuse()

    outcomes = await world.deliver(1, 2, 3, 2) + await world.deliver(1, account="b")

    assert outcomes == ["dead", "parked", "parked", "parked", "handled"]
    assert await world.effects() == ["b1"]
    assert len(await world.rows(PARKED)) == 2


async def test_a_replay_handles_what_waited_in_order(world: World) -> None:
    """Under the same event ids, in one transaction."""
    world.broken["a1"] = refuse()
    await world.deliver(1, 2, 3)
    world.broken.clear()

    answer = await world.post("replay")

    assert (answer.status_code, answer.json()) == (200, {"status": "resolved"})
    assert await world.effects() == ["a1", "a2", "a3"]
    assert await world.rows(PARKED) == []
    assert await world.deliver(1, 2, 3, 4) == [*["duplicate"] * 3, "handled"]


async def test_a_replay_that_fails_again_keeps_the_new_reason(world: World) -> None:
    """The letter stays, its effects do not, and the operator reads why."""
    world.broken["a1"] = refuse("not_yet")
    await world.deliver(1, 2)
    world.broken["a1"] = refuse("still_not")

    answer = await world.post("replay")

    assert (answer.status_code, answer.json()["code"]) == (409, "still_not")
    letter = (await world.rows(LETTERS))[0]
    assert (
        letter["status"],
        letter["error_code"],
        letter["attempts"],
    ) == ("pending", "still_not", 2)
    assert await world.effects() == []
    assert len(await world.rows(PARKED)) == 1


async def test_a_defect_in_a_replay_is_a_reason_too(world: World) -> None:
    """Not an error 500 that leaves no trace on the letter."""
    world.broken["a1"] = refuse()
    await world.deliver(1)
    world.broken["a1"] = KeyError("price")

    answer = await world.post("replay")

    assert (answer.status_code, answer.json()["code"]) == (409, "defect")
    assert "KeyError" in (await world.rows(LETTERS))[0]["error"]


@pytest.mark.parametrize("action", ["replay", "discard"])
@pytest.mark.parametrize("trouble", [refuse("also_bad"), KeyError("price")])
async def test_a_parked_message_that_fails_is_the_next_dead_letter(
    world: World, action: str, trouble: Exception
) -> None:
    """Otherwise neither it nor the letter before it could ever be closed."""
    world.broken |= {"a1": refuse(), "a3": trouble}
    await world.deliver(1, 2, 3, 4)
    del world.broken["a1"]

    answer = await world.post(action, reason="wrong customer")

    code = trouble.code if isinstance(trouble, DomainError) else "defect"
    closed = {"replay": "resolved", "discard": "discarded"}[action]
    assert answer.status_code == 200
    assert await world.letters() == [(closed, "not_yet"), ("pending", code)]
    assert await world.effects() == (["a1"] if action == "replay" else []) + ["a2"]
    assert [row["offset"] + 1 for row in await world.rows(PARKED)] == [4]

    world.broken.clear()
    again = await world.post("replay", 1)

    assert again.status_code == 200
    assert (await world.effects())[-3:] == ["a2", "a3", "a4"]
    assert await world.rows(PARKED) == []


@pytest.mark.parametrize("action", ["replay", "discard"])
async def test_a_message_that_meets_a_letter_being_closed_is_handled(
    world: World, action: str
) -> None:
    """Parked behind a letter that is closed meanwhile, nobody would ever release it."""
    world.broken["a1"] = refuse()
    await world.deliver(1)
    world.broken.clear()
    letter = (await world.rows(LETTERS))[0]["id"]
    async with world.database.transaction(actor="operator") as tx:
        if action == "replay":
            await dead_letters.replay(tx, letter, world.handlers)
        else:
            await dead_letters.discard(tx, letter, reason="not ours", handlers=world.handlers)
        meanwhile = asyncio.create_task(world.deliver(2))
        await asyncio.wait({meanwhile}, timeout=0.3)

        assert not meanwhile.done()

    assert await meanwhile == ["handled"]
    assert (await world.effects())[-1] == "a2"
    assert await world.rows(PARKED) == []


async def test_a_parked_dead_letter_is_announced_where_it_came_from(world: World) -> None:
    """Topic, partition and offset are those of the message, not of its turn to be handled."""
    world.broken |= {"a1": refuse(), "a2": refuse("also_bad")}
    await world.deliver(1, 2)
    del world.broken["a1"]
    await world.post("replay")

    announced = [dict(row["headers"]) for row in await world.rows(ANNOUNCED)]

    assert [headers["dlq_offset"] for headers in announced] == ["0", "1"]
    assert [headers["dlq_reason"] for headers in announced] == [
        "not_yet: a rule is missing",
        "also_bad: a rule is missing",
    ]


async def test_a_discarded_letter_needs_a_reason_and_keeps_it(world: World) -> None:
    """Giving up is a decision that somebody answers for."""
    world.broken["a1"] = refuse()
    await world.deliver(1, 2)

    refused = await world.post("discard", reason="x")
    accepted = await world.post("discard", reason="test data of ours")

    assert (refused.status_code, accepted.status_code) == (422, 200)
    letter = (await world.rows(LETTERS))[0]
    assert (
        letter["status"],
        letter["resolved_by"],
        letter["reason"],
    ) == ("discarded", "operator", "test data of ours")
    assert await world.effects() == ["a2"]


@pytest.mark.parametrize("action", ["replay", "discard"])
async def test_a_closed_letter_stays_as_it_was_closed(world: World, action: str) -> None:
    """A second click changes nothing, not even the count of attempts."""
    world.broken["a1"] = refuse()
    await world.deliver(1)
    world.broken.clear()
    await world.post("replay")
    closed = (await world.rows(LETTERS))[0]

    answer = await world.post(action, reason="again please")

    assert (answer.status_code, answer.json()["code"]) == (409, "dead_letter_closed")
    assert [closed] == await world.rows(LETTERS)


async def test_the_older_letter_of_a_key_comes_first(world: World) -> None:
    """Replaying out of order is refused and is no attempt."""
    world.consumer = world.consume(order_matters=False)
    world.broken |= {"a1": refuse(), "a2": refuse("other")}
    await world.deliver(1, 2)
    before = await world.rows(LETTERS)

    answer = await world.post("replay", 1)

    assert (answer.status_code, answer.json()["code"]) == (409, "older_dead_letter_first")
    assert before == await world.rows(LETTERS)


async def test_a_letter_that_does_not_exist_is_not_found(world: World) -> None:
    """A typo in an id."""
    answer = await world.http.post("/v1/dead-letters/99:replay")

    assert (answer.status_code, answer.json()["code"]) == (404, "dead_letter_unknown")


async def test_trouble_that_passes_leaves_the_letter_alone(world: World) -> None:
    """A lost connection during a replay says nothing about the message."""
    world.broken["a1"] = refuse()
    await world.deliver(1)
    before = await world.rows(LETTERS)
    world.broken["a1"] = ConnectionResetError()

    answer = await world.post("replay")

    assert answer.status_code == 503
    assert before == await world.rows(LETTERS)


async def test_what_operators_did_is_in_the_trail(world: World) -> None:
    """Who, what and why; and the chain holds."""
    world.broken["a1"] = refuse()
    await world.deliver(1)
    await world.post("discard", reason="wrong customer")

    rows = (await world.http.get("/v1/audit")).json()["data"]
    verdict = (await world.http.post("/v1/audit:verify")).json()

    assert [(row["actor"], row["action"]) for row in rows] == [
        ("system", "message.dead-lettered"),
        ("operator", "dead-letter.discarded"),
    ]
    assert rows[1]["reason"] == "wrong customer"
    assert verdict == {"intact": True, "links": 2, "broken_at": None, "reason": None}
    async with world.database.snapshot() as reader:
        assert (await audit.verify(reader)).intact


async def test_an_unreadable_message_has_a_letter_as_well(world: World) -> None:
    """Even without an envelope there is a place, a reason and the bytes."""
    unreadable = Message(Partition("tieout.test", 3), 7, "a", b"\xff", ())

    outcome = await world.consumer.handle(unreadable)

    letter = (await world.rows(LETTERS))[0]
    assert outcome is Outcome.DEAD
    assert (
        letter["error_class"],
        letter["error_code"],
        letter["value"],
        letter["offset"],
    ) == ("malformed", "envelope_malformed", b"\xff", 7)


def torn(whole: Message) -> Message:
    """Its envelope can be read and its body cannot."""
    return replace(whole, value=(whole.value or b"")[:9])


@pytest.mark.parametrize("together", [False, True])
async def test_a_torn_message_waits_behind_a_letter_like_any_other(
    world: World, together: bool
) -> None:
    """Dead at once, it would hold back what was parked before it, and be replayed before that."""
    world.broken["a1"] = refuse()
    await world.deliver(1)
    second, third = (world.message(payment(number)) for number in (2, 3))
    waiting = [second, torn(third), world.message(payment(4))]
    if together:
        assert not await world.consumer.handle_together(waiting)
    outcomes = [await world.consumer.handle(message) for message in [*waiting, torn(third)]]
    world.broken.clear()

    assert outcomes == ["parked"] * 4
    assert await world.letters() == [("pending", "not_yet")]
    assert (await world.post("replay")).status_code == 200

    letter = (await world.rows(LETTERS))[1]
    assert (letter["error_class"], letter["error_code"]) == ("malformed", "event_malformed")
    assert await world.effects() == ["a1", "a2"]
    assert (await world.post("discard", 1, reason="it is torn")).status_code == 200
    assert await world.effects() == ["a1", "a2", "a4"]


async def test_a_torn_message_waits_for_nobody_where_order_does_not_matter(world: World) -> None:
    """Each message stands for itself there."""
    world.consumer = world.consume(order_matters=False)
    world.broken["a1"] = refuse()
    await world.deliver(1)

    assert await world.consumer.handle(torn(world.message(payment(2)))) is Outcome.DEAD


async def test_a_refusal_of_a_handler_is_recorded_with_its_code(world: World) -> None:
    """At once, without a retry: repeating a contradiction cannot help."""
    world.broken["a1"] = Conflict("already_final", "too late")
    await world.deliver(1)

    letter = (await world.rows(LETTERS))[0]

    assert (
        letter["error_class"],
        letter["error_code"],
        letter["attempts"],
    ) == ("permanent", "already_final", 1)
