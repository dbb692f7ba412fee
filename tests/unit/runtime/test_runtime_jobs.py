"""Jobs: repeated while there is work, woken at once, and never dead because of a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from shared.runtime.jobs import FAILURE, Job, JobRunner, Work, pause_after

NEVER_BY_ITSELF_S = 3600.0


@asynccontextmanager
async def running(*jobs: Job) -> AsyncIterator[JobRunner]:
    runner = JobRunner(jobs)
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(0)
    try:
        yield runner
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


def stepping(answers: list[bool | Exception]) -> tuple[list[int], Callable[[], Awaitable[bool]]]:
    """A step that follows a script and counts; after the script there is nothing to do."""
    steps: list[int] = []

    async def step() -> bool:
        steps.append(len(steps))
        answer = answers.pop(0) if answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    return steps, step


async def test_a_step_is_repeated_until_nothing_is_left() -> None:
    """Work is not spread over ticks."""
    steps, step = stepping([True, True, True])
    async with running(Job("work", step, every_s=NEVER_BY_ITSELF_S)):
        await until(lambda: len(steps) == 4)


async def test_a_step_that_left_nothing_is_not_asked_again() -> None:
    """To ask in vain costs as much as to find something."""
    steps: list[int] = []

    async def step() -> Work:
        steps.append(len(steps))
        return Work.ALL_DONE

    async with running(Job("work", step, every_s=NEVER_BY_ITSELF_S)) as runner:
        await until(lambda: len(steps) == 1)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(steps) == 1
        runner.wake({"work"})
        await until(lambda: len(steps) == 2)


async def test_one_waiting_worker_is_woken_and_every_busy_one_looks_again() -> None:
    """One takes several pieces; who is at work may hold what the new piece waits for."""
    gates = [asyncio.Event() for _ in range(6)]
    begun: list[int] = []

    async def step() -> bool:
        begun.append(len(begun))
        await gates[len(begun) - 1].wait()
        return False

    job = Job("work", step, every_s=NEVER_BY_ITSELF_S, concurrency=3, one_by_one=True)
    async with running(job) as runner:
        await until(lambda: len(begun) == 3)
        for gate in gates[:2]:
            gate.set()
        await until(lambda: runner.running == 1)  # two wait for their bells, the third is at work
        runner.wake({"work"})
        await until(lambda: len(begun) == 4)
        gates[2].set()
        await until(lambda: len(begun) == 5)
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(begun) == 5


async def test_a_woken_job_does_not_wait_for_its_tick() -> None:
    """What a transaction leaves to do is done now."""
    steps, step = stepping([])
    async with running(Job("work", step, every_s=NEVER_BY_ITSELF_S)) as runner:
        await until(lambda: len(steps) == 1)
        runner.wake({"work"})
        await until(lambda: len(steps) == 2)


async def test_a_wake_during_a_step_is_not_lost() -> None:
    """The step may have looked before the work was there."""
    steps: list[int] = []
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def step() -> bool:
        steps.append(1)
        looked.set()
        await go_on.wait()
        return False

    async with running(Job("work", step, every_s=NEVER_BY_ITSELF_S)) as runner:
        await looked.wait()
        runner.wake({"work"})
        go_on.set()
        await until(lambda: len(steps) == 2)


async def test_a_failing_step_is_tried_again_and_others_go_on() -> None:
    """One broken job does not take the process down."""
    failing, fail = stepping([ValueError("broken"), ValueError("broken")])
    working, work = stepping([])
    jobs = (Job("bad", fail, every_s=NEVER_BY_ITSELF_S), Job("good", work, every_s=0.001))
    async with running(*jobs) as runner:
        await until(lambda: len(failing) == 1)
        for tries in (2, 3):
            runner.wake({"bad"})
            await until(lambda tries=tries: len(failing) == tries)  # type: ignore[misc]  # bound now
        before = len(working)
        await until(lambda: len(working) > before)


async def test_a_step_that_fails_while_it_is_cancelled_ends_all_the_same() -> None:
    """A rollback on a lost connection raises in the place of the cancellation."""
    begun = asyncio.Event()

    async def step() -> bool:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError("the database went away") from None
        return True

    task = asyncio.create_task(JobRunner((Job("work", step),)).run())
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)

    assert {task} == done
    assert task.cancelled()


async def by_itself() -> None:
    """As a future does that somebody else cancelled."""
    raise asyncio.CancelledError


async def by_its_own_task() -> None:
    """As a timeout or a lease does that is not taken back."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


@pytest.mark.parametrize("cancelled", [by_itself, by_its_own_task])
async def test_a_cancellation_that_nobody_asked_for_ends_the_service(
    cancelled: Callable[[], Awaitable[None]],
) -> None:
    """A group of tasks takes a cancelled one for one that was meant to end: the job would never
    run again, and nobody would know. A process that ends is started again."""
    other, patient = stepping([])

    async def step() -> bool:
        await cancelled()
        return True

    jobs = (Job("other", patient, every_s=NEVER_BY_ITSELF_S), Job("work", step))
    task = asyncio.create_task(JobRunner(jobs).run())
    done, _ = await asyncio.wait([task], timeout=5)

    assert {task} == done
    ended = task.exception()
    assert isinstance(ended, ExceptionGroup)
    assert [str(e) for e in ended.exceptions] == ["job work: cancelled, and not by its runner"]
    assert other == [0]


async def test_running_steps_are_counted() -> None:
    """`/activity` says whether the process is idle."""
    go_on = asyncio.Event()

    async def step() -> bool:
        await go_on.wait()
        return False

    async with running(Job("work", step, every_s=NEVER_BY_ITSELF_S, concurrency=3)) as runner:
        await until(lambda: runner.running == 3)
        go_on.set()
        await until(lambda: runner.running == 0)


async def test_waking_an_unknown_job_is_a_programming_error() -> None:
    """A misspelt name must not mean "some time later"."""
    async with running() as runner:
        with pytest.raises(RuntimeError, match="'reprize'"):
            runner.wake({"reprize"})


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.0), (1, 0.4), (2, 0.8), (5, 6.4), (6, 10.0), (10**6, 10.0)]
)
def test_the_pause_grows_and_stays_bounded(failures: int, seconds: float) -> None:
    """After a week of failures as after a minute."""
    assert pytest.approx(seconds) == pause_after(failures)
    assert pause_after(failures) <= FAILURE.longest_s
