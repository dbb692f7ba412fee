"""Ends that must come: of a process that hangs, of a test that hangs, of a commit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from shared.runtime import kafka

TESTS = Path(__file__).parents[2]
PROCESS = """
import threading
from shared.runtime.service import exit_after
exit_after(0.05)
threading.Event().wait(30)
"""
WATCH = """
import asyncio, subprocess, sys
from support.time_limits import Watch

async def waits_for_ever():
    await asyncio.Event().wait()

async def hangs():
    await asyncio.gather(waits_for_ever())

server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(server.pid, flush=True)
Watch().expect("a test", within_s=0.5)
asyncio.run(hangs())
"""
SLOW_TESTS = """
import asyncio
import pytest

held = asyncio.Event()

@pytest.fixture
async def resource():
    yield
    async with asyncio.timeout(20):
        await held.wait()

@pytest.mark.timeout(1)
async def test_that_holds_what_the_teardown_waits_for(resource):
    try:
        await asyncio.Event().wait()
    finally:
        held.set()

async def test_after_it():
    pass
"""


def ended(*command: str) -> subprocess.CompletedProcess[str]:
    whole = (sys.executable, *command)
    return subprocess.run(whole, cwd=TESTS, capture_output=True, text=True, check=False, timeout=60)


def running(pid: int) -> bool:
    """Whether the process is there; one that nobody has waited for yet is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_process_that_does_not_stop_is_ended() -> None:
    """Whatever it waits for; what it waits for is shown."""
    done = ended("-c", PROCESS)

    assert done.returncode == 1
    assert "threading.py" in done.stderr


def test_a_test_that_does_not_end_ends_its_process() -> None:
    """With the servers it started, and what every thread and task waits for is shown."""
    done = ended("-c", WATCH)

    assert done.returncode == 1
    assert "a test does not end" in done.stderr
    assert "selectors.py" in done.stderr
    assert "waits_for_ever" in done.stderr
    assert not running(int(done.stdout))


def test_an_async_test_is_ended_in_its_own_task(tmp_path: Path) -> None:
    """So it lets go of what the teardown of its fixtures waits for."""
    file = tmp_path / "test_slow.py"
    file.write_text(SLOW_TESTS)
    options = ("-p", "support.time_limits", "-o", "asyncio_mode=auto", "-p", "no:randomly")

    done = ended("-m", "pytest", *options, "--rootdir", str(tmp_path), str(file))

    assert "1 failed, 1 passed" in done.stdout
    assert "the time of the test is over" in done.stdout


class NeverCommits:
    """A client whose broker is gone: it tries for ever."""

    async def commit(self, offsets: object) -> None:
        del offsets
        await asyncio.Event().wait()


async def test_a_commit_ends_when_the_broker_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not committed comes again; a consumer that waits for it never stops."""
    monkeypatch.setattr(kafka, "COMMIT_WITHIN_S", 0.01)
    partition = kafka.Partition("topic", 0)
    subscription = kafka.Subscription({}, group="group", client_id="test")
    monkeypatch.setattr(subscription, "_consumer", NeverCommits())
    subscription.assigned = {partition}

    with pytest.raises(kafka.BusError):
        await subscription.commit({partition: 7})
