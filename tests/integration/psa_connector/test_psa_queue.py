"""Whose turn it is: leases, fences, order, limits per connection, on the database alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from psa_connector.domain.intents import State
from psa_connector.store import connections, queue
from psa_connector.store.queue import Claim, Pace, Settlement
from shared.contracts.ingest import ChangeKind
from shared.runtime.postgres import Database
from support.psa_facts import E5, change
from support.psa_world import PsaWorld

PACE = Pace(writers_per_connection=3, lease_s=30, settle_s=0)


@pytest.fixture
async def database(world: PsaWorld) -> Database:
    """Six subscriptions with a linked service each, two changes planned for each."""
    await world.elm()
    facts = [
        change(
            f"{subscription}/{step}", step, step + 1, "2026-06-09",
            subscription_id=f"sub-{subscription}", product_key=E5,
        )
        for step in range(2)
        for subscription in "abcdef"
    ]  # fmt: skip
    for fact in facts:
        await world.psa.harness.deliver(fact)
    found = world.psa.service.database
    async with found.transaction() as tx:
        await tx.execute("UPDATE target SET external_id = name")
    return found


async def claimed(database: Database, *, limit: int = 10, pace: Pace = PACE) -> list[Claim]:
    async with database.transaction() as tx:
        ids = await queue.claim(tx, pace, limit=limit)
        return await queue.details(tx, ids, pace)


async def settled(database: Database, held: Claim, state: State, **more: object) -> bool:
    async with database.transaction() as tx:
        return await queue.settle(tx, held, replace(Settlement(state), **more))  # type: ignore[arg-type]  # test shorthand


def sources(claims: list[Claim]) -> list[str]:
    return [claim.intent.source_id for claim in claims]


async def test_a_connection_has_so_many_writers_a8(database: Database) -> None:
    """Three at a time over all replicas, oldest facts first; the next when one is done."""
    first = await claimed(database)
    none = await claimed(database)
    await settled(database, first[0], State.CONFIRMED)
    following = await claimed(database)

    assert sources(first) == ["a/0", "b/0", "c/0"]
    assert none == []
    assert sources(following) == ["d/0"]


async def test_claims_at_the_same_time_never_overlap(database: Database) -> None:
    """Eight claimers at once: three claims, three targets."""
    rounds = await asyncio.gather(*[claimed(database, limit=2) for _ in range(6)])

    together = [name for claims in rounds for name in sources(claims)]
    assert sorted(together) == ["a/0", "b/0", "c/0"]


async def test_a_targets_second_change_waits_for_its_first(database: Database) -> None:
    """Also while the first is blocked, rejected or drifted."""
    for state in (State.BLOCKED, State.REJECTED, State.DRIFTED):
        (held, *_) = await claimed(database, limit=1)
        await settled(database, held, state)

    left = await claimed(database)

    assert sources(left) == ["d/0", "e/0", "f/0"]


async def test_a_lease_that_ran_out_is_taken_over_for_reading_g3(database: Database) -> None:
    """The dead writer's intent is unknown; its own verdict is not accepted any more."""
    dead = (await claimed(database, limit=1, pace=replace(PACE, lease_s=0)))[0]
    heir = (await claimed(database, limit=1))[0]

    assert (dead.intent.state, heir.intent.state) == (State.SENDING, State.UNKNOWN)
    assert heir.intent.id == dead.intent.id
    assert heir.resolves
    assert heir.settled
    assert not await settled(database, dead, State.CONFIRMED)
    assert await settled(database, heir, State.CONFIRMED)


async def test_a_back_off_is_one_targets_own(database: Database) -> None:
    """The others go on; a retry by a person forgets it."""
    (held, *_) = await claimed(database, limit=1)
    await settled(database, held, State.PLANNED, wait_s=60.0, failures=4)

    assert sources(await claimed(database, limit=1)) == ["b/0"]

    async with database.transaction() as tx:
        await queue.go_now(tx, held.intent)
    (again, *_) = await claimed(database, limit=1)
    assert (again.intent.source_id, again.failures) == ("a/0", 0)


async def test_a_paused_connection_rests_for_everybody_g3(database: Database) -> None:
    """The longer wish wins; what is under way may end."""
    (held, *_) = await claimed(database, limit=1)
    async with database.transaction() as tx:
        await connections.pause(tx, "autotask", 60, reason="throttled", detail="later")
        await connections.pause(tx, "autotask", 1, reason="throttled", detail="later")

    assert await claimed(database) == []
    assert await settled(database, held, State.CONFIRMED)
    async with database.read() as reader:
        assert await queue.count_moving(reader) == 6


async def test_first_services_of_a_product_go_one_by_one_a1(world: PsaWorld) -> None:
    """Until the first is linked: in flight, or with an outcome nobody saw."""
    await world.elm()
    for name in "ab":
        purchase = change(
            f"{name}/0", 0, 8, "2026-06-09", kind=ChangeKind.PURCHASED, product_key=E5,
            subscription_id=f"sub-{name}",
        )  # fmt: skip
        await world.psa.harness.deliver(purchase)
    database = world.psa.service.database

    first = await claimed(database)
    in_flight = await claimed(database)
    await settled(database, first[0], State.UNKNOWN, wait_s=60.0)
    unknown = await claimed(database)
    async with database.transaction() as tx:
        await queue.go_now(tx, first[0].intent)
    (look, *_) = await claimed(database)
    await settled(database, look, State.CONFIRMED, service="9100")
    linked = await claimed(database)

    assert (sources(first), in_flight, unknown) == (["a/0"], [], [])
    assert sources(linked) == ["b/0"]
    assert linked[0].taken == {"9100"}
