"""Background steps of a service: run at an interval, at once when a transaction wakes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from shared.runtime import telemetry
from shared.runtime.postgres import Reader
from shared.runtime.retry import Backoff

log = structlog.get_logger()

FAILURE = Backoff(first_s=0.2, longest_s=10.0)


@dataclass(frozen=True)
class Job:
    """`step` does one piece of work and says whether it found any; it is called again at once then.

    `pending` counts open work for `/activity`. A step keeps its progress in the database, so that a
    crash at any point is a repetition at worst.
    """

    name: str
    step: Callable[[], Awaitable[bool]]
    every_s: float = 0.5
    concurrency: int = 1
    pending: Callable[[Reader], Awaitable[int]] | None = None


class JobRunner:
    """Runs the jobs of a service until cancelled."""

    def __init__(self, jobs: tuple[Job, ...]) -> None:
        self._jobs = jobs
        self._bells = {job.name: [asyncio.Event() for _ in range(job.concurrency)] for job in jobs}
        self.running = 0

    def wake(self, names: set[str]) -> None:
        for name in names:
            if name not in self._bells:
                raise RuntimeError(f"a transaction woke {name!r}, which is no job of this service")
            for bell in self._bells[name]:
                bell.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for job in self._jobs:
                for bell in self._bells[job.name]:
                    group.create_task(self._loop(job, bell), name=f"job {job.name}")

    async def _loop(self, job: Job, bell: asyncio.Event) -> None:
        failures = 0
        while True:
            bell.clear()
            try:
                failures, worked = 0, await self._step(job)
            except Exception as error:  # a step that raises is tried again, visibly, never lost
                failures, worked = failures + 1, False
                telemetry.JOB_FAILURES.labels(job.name).inc()
                log.exception("job.failed", job=job.name, failures=failures, error=repr(error))
            if not worked:
                await _ring_or_timeout(bell, max(job.every_s, pause_after(failures)))

    async def _step(self, job: Job) -> bool:
        self.running += 1
        try:
            return await job.step()
        finally:
            self.running -= 1


def pause_after(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    doublings = min(failures, 16)  # a job may fail for days: 2**1100 is no float any more
    return min(FAILURE.longest_s, FAILURE.first_s * 2.0**doublings) if failures else 0.0


async def _ring_or_timeout(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass
