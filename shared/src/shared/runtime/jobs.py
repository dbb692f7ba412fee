"""Background steps of a service: run at an interval, at once when a transaction wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

import structlog

from shared.runtime import telemetry
from shared.runtime.cancellation import end_if_cancelled
from shared.runtime.postgres import Reader
from shared.runtime.retry import Backoff

log = structlog.get_logger()

FAILURE = Backoff(first_s=0.2, longest_s=10.0)


class Work(Enum):
    """A step's answer besides True and False. It counts as true: something was done."""

    ALL_DONE = "all done"  # and nothing was left; what came since has rung the bell


Step = Callable[[], Awaitable[bool | Work]]


@dataclass(frozen=True)
class Job:
    """`step` does one piece of work and says whether it found any; it is called again at once then.

    An event wakes all who wait, or `one_by_one` a single one: for steps that take several pieces.
    `pending` counts open work for `/activity`. A step keeps its progress in the database, so that a
    crash at any point is a repetition at worst.
    """

    name: str
    step: Step
    every_s: float = 0.5
    concurrency: int = 1
    one_by_one: bool = False
    pending: Callable[[Reader], Awaitable[int]] | None = None


class JobRunner:
    """Runs the jobs of a service until cancelled."""

    def __init__(self, jobs: tuple[Job, ...]) -> None:
        self._jobs = jobs
        self._bells = {job.name: [_Bell() for _ in range(job.concurrency)] for job in jobs}
        self._one_by_one = {job.name for job in jobs if job.one_by_one}
        self.running = 0

    def wake(self, names: set[str]) -> None:
        for name in names:
            if name not in self._bells:
                raise RuntimeError(f"a transaction woke {name!r}, which is no job of this service")
            self._ring(name)

    def _ring(self, name: str) -> None:
        """Who is at work looks again afterwards: what is new may be behind what it holds."""
        idle = [bell for bell in self._bells[name] if bell.waited_for]
        for bell in self._bells[name]:
            if name in self._one_by_one and bell in idle[1:]:
                continue
            bell.set()

    async def run(self) -> None:
        """Until cancelled.

        Raises:
            ExceptionGroup: a job ended by itself; the process has to be started again.
        """
        runner = asyncio.current_task()
        assert runner is not None
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                for bell in self._bells[job.name]:
                    group.create_task(self._kept_up(job, bell, runner), name=f"job {job.name}")

    async def _kept_up(self, job: Job, bell: _Bell, runner: asyncio.Task[object]) -> None:
        """A cancellation that is not the runner's would end the job for ever, and the group would
        take it for meant."""
        try:
            await self._loop(job, bell)
        except asyncio.CancelledError as cancelled:
            if runner.cancelling():
                raise
            log.critical("job.ended", job=job.name, exc_info=True)
            raise RuntimeError(f"job {job.name}: cancelled, and not by its runner") from cancelled

    async def _loop(self, job: Job, bell: _Bell) -> None:
        failures = 0
        worked: bool | Work
        while True:
            bell.clear()
            try:
                failures, worked = 0, await self._step(job)
            except Exception as error:  # a step that raises is tried again, visibly, never lost
                failures, worked = failures + 1, False
                telemetry.JOB_FAILURES.labels(job.name).inc()
                log.exception("job.failed", job=job.name, failures=failures, error=repr(error))
            end_if_cancelled()
            if worked is not True:
                await bell.rung(max(job.every_s, pause_after(failures)))

    async def _step(self, job: Job) -> bool | Work:
        self.running += 1
        try:
            return await job.step()
        finally:
            self.running -= 1


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    doublings = min(failures, 16)  # a job may fail for days: 2**1100 is no float any more
    return min(FAILURE.longest_s, FAILURE.first_s * 2.0**doublings) if failures else 0.0


class _Bell(asyncio.Event):
    """Of one worker."""

    waited_for = False

    async def rung(self, within_s: float) -> None:
        """Return when it rings, or after so many seconds."""
        self.waited_for = True
        try:
            async with asyncio.timeout(within_s):
                await self.wait()
        except TimeoutError:
            pass
        finally:
            self.waited_for = False
