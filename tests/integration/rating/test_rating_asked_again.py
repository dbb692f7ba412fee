"""A run or a fact that asks again is answered again, whatever was under way when it asked."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from rating import jobs
from rating.store import due
from rating.store.due import DueKind
from shared.contracts.envelope import Envelope
from shared.contracts.rating import CycleRated
from shared.kernel.errors import Invalid
from shared.runtime.consumer import Outcome
from shared.runtime.postgres import Transaction
from support.in_process import InProcess
from support.rating_facts import PREMIUM, contract, cycle_closed, opening, sheet
from support.rating_service import amounts, holds, tell

ALDER = contract()
TENANT = ALDER.provider_customer_id
SHEET = sheet([(PREMIUM, "18.04", "22.55")])
RUN = cycle_closed(ALDER, "2026-05-01")
FIRST = [SHEET, ALDER, opening("o", 40)]

HEADERS = "SELECT headers FROM outbox ORDER BY id"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"


async def answer_ids(rating: InProcess) -> list[str]:
    async with rating.service.database.read() as reader:
        rows = await reader.fetch(HEADERS)
    found = [Envelope.from_headers((n, text.encode()) for n, text in row[0]) for row in rows]
    return [envelope.id for envelope in found if envelope.type == CycleRated.TYPE]


async def answers(rating: InProcess) -> list[tuple[int, Decimal]]:
    return [(one.charges, one.amount) for one in await rating.harness.published(CycleRated)]


async def test_a_run_that_asks_again_gets_an_answer_of_its_own(rating: InProcess) -> None:
    """Under another id than the first, which the asker has seen: it would be dropped as a copy."""
    await tell(rating, [*FIRST, RUN])

    assert await rating.harness.deliver(RUN, id="question-2") is Outcome.HANDLED

    assert await answers(rating) == [(1, Decimal("902.00"))] * 2
    assert len(set(await answer_ids(rating))) == 2


async def test_the_second_answer_has_the_figures_of_now(rating: InProcess) -> None:
    """What came after the first question is in the second answer."""
    await tell(rating, [ALDER, opening("o", 40), RUN, SHEET])

    await rating.harness.deliver(RUN, id="question-2")

    assert await answers(rating) == [(0, Decimal(0)), (1, Decimal("902.00"))]


async def test_a_redelivered_question_is_answered_once(rating: InProcess) -> None:
    """The same message again is a copy, the first as well as the second question."""
    await tell(rating, [*FIRST, RUN])
    await rating.harness.deliver(RUN, id="question-2")

    again = [await rating.harness.deliver(RUN), await rating.harness.deliver(RUN, id="question-2")]

    assert again == [Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert len(await answers(rating)) == 2


async def test_a_run_that_asks_twice_before_its_contract(rating: InProcess) -> None:
    """Both questions wait; the contract brings one answer with everything in it."""
    await tell(rating, [SHEET, RUN])
    await rating.harness.deliver(RUN, id="question-2")
    assert await answers(rating) == []

    await tell(rating, [opening("o", 40), ALDER])

    assert await answers(rating) == [(1, Decimal("902.00"))]
    assert await holds(rating) == set()


async def test_a_wake_up_that_finds_its_row_keeps_it_until_the_fact_is_there(
    rating: InProcess,
) -> None:
    """Who would work it off waits for the new fact: without it, nobody would look again."""
    database = rating.service.database

    async def take() -> bool:
        async with database.transaction() as tx:
            return await due.take_due(tx, DueKind.SETTLE, TENANT)

    async with database.transaction() as earlier:
        await due.make_due(earlier, DueKind.SETTLE, [TENANT])
    async with database.transaction() as asking:
        await due.make_due(asking, DueKind.SETTLE, [TENANT])
        taking = asyncio.create_task(take())
        await _until_it_waits(rating, taking)

    assert await taking


async def _until_it_waits(rating: InProcess, task: asyncio.Task[bool]) -> None:
    async with asyncio.timeout(20), rating.service.database.read() as reader:
        name = await reader.fetchval("SELECT current_database()")
        while not await reader.fetchval(WAITING, name):
            assert not task.done(), "it did not wait"


@pytest.mark.parametrize("taken", [False, True])
async def test_giving_up_leaves_a_newer_wake_up(
    rating: InProcess, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """A fact that comes while a conclusion fails is concluded about; no hold is left behind.

    `taken`: the row the job claimed was worked off meanwhile, and the fact made another.
    """
    database = rating.service.database
    await tell(rating, [ALDER, opening("o", 40), RUN])

    async def settle(tx: Transaction, customer_id: str) -> None:
        raise Invalid("broken", "on purpose")

    give_up = jobs._give_up

    async def give_up_late(tx: Transaction, claimed: due.Due, error: Exception) -> None:
        async with database.transaction() as other:
            if taken:
                await due.take_due(other, claimed.kind, claimed.customer_id)
        async with database.transaction() as other:
            await due.make_due(other, claimed.kind, [claimed.customer_id])
        await give_up(tx, claimed, error)

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "settle_customer", settle)
        patched.setattr(jobs, "_give_up", give_up_late)
        await rating.harness.deliver(SHEET)
        assert await jobs.conclude_next(database)

    assert ("rating_failed", f"customer/{TENANT}") not in await holds(rating)
    assert await jobs.conclude_next(database)
    assert await amounts(rating) == [Decimal("902.00")]
    assert await holds(rating) == set()
