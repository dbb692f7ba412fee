"""A lease beside the work: renewed while it runs, and the work ends when it is lost."""

from __future__ import annotations

import asyncio

import pytest

from ingest.handlers.heartbeat import LeaseLost, kept

SOON_S = 0.001


class Lease:
    """Answers renewals as told, then for ever like the last time."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.renewals = 0
        self.renewed_twice = asyncio.Event()

    async def renew(self) -> bool:
        self.renewals += 1
        if self.renewals >= 2:
            self.renewed_twice.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_lease_is_renewed_as_long_as_the_work_runs() -> None:
    """And no longer."""
    lease = Lease(True)

    async with kept("work", lease.renew, every_s=SOON_S):
        await lease.renewed_twice.wait()
    others = asyncio.all_tasks() - {asyncio.current_task()}

    assert lease.renewals >= 2
    assert not [task for task in others if "beat" in repr(task)]


@pytest.mark.parametrize(
    ("refusal", "words"), [(False, "somebody else"), (OSError("no database"), "no database")]
)
async def test_work_ends_when_its_lease_cannot_be_renewed(
    refusal: bool | Exception, words: str
) -> None:
    """Whether it went to somebody else or the renewal broke."""
    lease = Lease(True, refusal)

    with pytest.raises(LeaseLost, match=words):
        async with kept("work", lease.renew, every_s=SOON_S):
            await asyncio.Event().wait()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_lost_lease_stays_one_where_the_clean_up_fails() -> None:
    """A rollback on a dead connection raises in place of the cancellation; the task goes on."""

    async def work() -> None:
        async with kept("work", Lease(False).renew, every_s=SOON_S):
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("no connection to roll back on")

    with pytest.raises(LeaseLost, match="somebody else"):
        await work()

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_what_the_work_raises_is_passed_on() -> None:
    """An error stays that error."""
    with pytest.raises(ValueError, match="mine"):
        async with kept("work", Lease(True).renew, every_s=SOON_S):
            raise ValueError("mine")


async def test_a_cancellation_from_outside_stays_one() -> None:
    """A service that stops is no lost lease."""
    lease = Lease(True)

    async def work() -> None:
        async with kept("work", lease.renew, every_s=SOON_S):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await lease.renewed_twice.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
