"""A test that takes too long fails, and nothing of it can hold up the tests after it.

pytest-timeout ends the whole process, and stops counting at the first failure: a teardown that
hangs after it (on a connection that the test still holds, say) hangs for ever. So an async test is
cancelled in its own task, a little before, lets go of what it holds, and the others go on; and a
thread ends the process, showing where it is, when a teardown or the end of the session hangs.
"""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import os
import threading
from collections.abc import Awaitable, Callable, Generator
from functools import wraps
from time import monotonic
from typing import Any

import pytest

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
            os.write(self._stderr, f"\n{self._what} does not end; where it is:\n".encode())
            faulthandler.dump_traceback(self._stderr)
            os._exit(1)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WATCH] = Watch()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """pytest-timeout begins to count; it has the limit from a marker, an option or the settings."""
    item.stash[DEADLINE] = monotonic() + SHARE_OF_BODY * settings.timeout
    item.config.stash[WATCH].expect(item.nodeid, within_s=settings.timeout + WAY_OUT_S)


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
            item.config.hook.pytest_timeout_cancel_timer(item=item)
            raise TimeoutError("the time of the test is over; it waited here:") from error

    return limited
