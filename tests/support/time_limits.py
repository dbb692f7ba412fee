"""A test that takes too long fails, and nothing of it can hold up the tests after it.

pytest-timeout only says how long a test may take. An async test is cancelled in its own task a
little before, so it lets go of what it holds, its fixtures end in order, and the others go on.
Whatever hangs all the same (a teardown, a thread, the end of the session) is shown with every
thread and task, and the process is ended with the servers it started; xdist replaces it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import suppress
from functools import wraps
from time import monotonic
from typing import Any

import psutil
import pytest

from support import shared_broker

SHARE_OF_BODY = 0.9  # of a test's time; the rest is for the way out
WAY_OUT_S = 120.0  # for teardown after the time is over, and for the end of the session
DEADLINE = pytest.StashKey[float]()
WATCH = pytest.StashKey["Watch"]()


class Watch:
    """Ends the process when it is not told in time that all is well."""

    def __init__(self) -> None:
        self._stderr = os.dup(2)  # later on, 2 is what pytest captures
        self._changed = threading.Condition()
        self._what, self._until = "", float("inf")
        threading.Thread(target=self._look, name="time-limits", daemon=True).start()

    def expect(self, what: str, *, within_s: float) -> None:
        self._set(what, monotonic() + within_s)

    def all_is_well(self) -> None:
        self._set("", float("inf"))

    def _set(self, what: str, until: float) -> None:
        with self._changed:
            self._what, self._until = what, until
            self._changed.notify()

    def _look(self) -> None:
        with self._changed:
            while (left := self._until - monotonic()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
        try:
            self._say(f"\n{self._what} does not end; where it is:\n")
            faulthandler.dump_traceback(self._stderr)
            self._say("".join(f"task {line}\n" for line in _waiting_tasks()))
            _end_own_servers()
        finally:
            os._exit(1)

    def _say(self, text: str) -> None:
        os.write(self._stderr, text.encode())


def _end_own_servers() -> None:
    """Else they would slow down the tests that go on; the broker is everybody's."""
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if not any(f"/{shared_broker.HOME}/" in part for part in child.cmdline()):
                child.kill()


def _waiting_tasks() -> Iterator[str]:
    """Each task with the chain of what it awaits."""
    for task in gc.get_objects():
        if isinstance(task, asyncio.Task) and not task.done():
            yield f"{task.get_name()}: " + " → ".join(_awaited(task.get_coro()))


def _awaited(step: Any) -> Iterator[str]:
    while (frame := getattr(step, "cr_frame", None)) is not None:
        yield f"{frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
        step = step.cr_await


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WATCH] = Watch()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """pytest-timeout wants to count; it has the limit from a marker, an option or the settings."""
    item.stash[DEADLINE] = monotonic() + SHARE_OF_BODY * settings.timeout
    is_async = inspect.iscoroutinefunction(getattr(item, "obj", None))
    way_out = WAY_OUT_S if is_async else 0.0
    item.config.stash[WATCH].expect(item.nodeid, within_s=settings.timeout + way_out)
    return True  # nobody else counts


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    try:
        return (yield)
    finally:
        item.config.stash[WATCH].all_is_well()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    is_limited = isinstance(item, pytest.Function) and DEADLINE in item.stash
    if is_limited and inspect.iscoroutinefunction(item.obj):
        item.obj = _limited(item)


def pytest_enter_pdb(config: pytest.Config) -> None:
    """Who debugs has time."""
    config.stash[WATCH].all_is_well()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Threads that never end would keep the interpreter."""
    session.config.stash[WATCH].expect("the end of the session", within_s=WAY_OUT_S)


def _limited(item: pytest.Function) -> Callable[..., Awaitable[None]]:
    test = item.obj

    @wraps(test)
    async def limited(*args: object, **fixtures: object) -> None:
        limit = asyncio.timeout(item.stash[DEADLINE] - monotonic())
        try:
            async with limit:
                await test(*args, **fixtures)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError("the time of the test is over; it waited here:") from error

    return limited
