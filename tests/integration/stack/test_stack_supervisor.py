"""The supervisor with small real processes: ready, crashed, stopped, restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stack import children
from stack.children import Child
from stack.errors import StackError
from stack.home import Home
from stack.pid_files import PidFiles
from stack.ports import Ports, free_base, require_free
from stack.processes import Supervisor
from stack.readiness import AtOnce, HttpOk, Readiness, TcpOpen

SERVE = """
import http.server, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""
FALL = "import sys; print('cannot find the price sheet'); sys.exit(78)"
NO_ROOM = "import sys; print('write failed: No space left on device'); sys.exit(1)"
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
async def supervisor(home: Home) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(home, os.environ)
    yield supervisor
    await supervisor.stop_all()


def child(name: str, program: str, *arguments: str, ready: Readiness | None = None) -> Child:
    return Child(
        name=name,
        command=(sys.executable, "-c", program, *arguments),
        ready=ready or AtOnce(),
        ports=tuple(int(a) for a in arguments),
        ready_within_s=20,
        stop_within_s=5,
    )


def web(name: str, port: int) -> Child:
    return child(name, SERVE, str(port), ready=HttpOk(port))


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the test's own time limit ends a wait that is in vain."""
    while not condition():
        await asyncio.sleep(0.02)


async def test_a_wave_is_ready_when_each_of_its_children_says_so(supervisor: Supervisor) -> None:
    """Readiness is the child's own word on /readyz, not the open port."""
    base = free_base()

    await supervisor.start(web("rating", base), web("tax", base + 1))

    assert [await HttpOk(base).holds(), await HttpOk(base + 1).holds()] == [True, True]


async def test_a_child_that_ends_while_starting_is_reported_in_its_own_last_words(
    supervisor: Supervisor, home: Home
) -> None:
    """The sentence names the child, its exit code, its log, and what to do."""
    with pytest.raises(StackError) as told:
        await supervisor.start(child("rating", FALL, ready=TcpOpen(free_base())))

    assert "rating stopped while starting with exit code 78" in str(told.value)
    assert "cannot find the price sheet" in str(told.value)
    assert str(home.log("rating")) in str(told.value)
    assert "`tieout up`" in str(told.value)


async def test_a_full_disk_is_named_as_the_cause(supervisor: Supervisor) -> None:
    """Servers bury it in their logs; a person wants it in the sentence."""
    with pytest.raises(StackError, match="the disk is full"):
        await supervisor.start(child("kafka", NO_ROOM, ready=TcpOpen(free_base())))


async def test_a_child_that_dies_later_is_noticed_and_the_others_go_on(
    supervisor: Supervisor,
) -> None:
    """Nothing restarts by itself: a crash is something to look at."""
    base = free_base()
    await supervisor.start(web("rating", base), web("tax", base + 1))

    os.kill(supervisor.pid("rating"), signal.SIGKILL)
    await until(lambda: supervisor.crashes)

    assert "rating was ended while it ran by SIGKILL" in str(supervisor.crashes["rating"])
    assert "`tieout restart rating`" in str(supervisor.crashes["rating"])
    assert await HttpOk(base + 1).holds()


async def test_a_killed_child_comes_back_on_restart_and_is_no_crash(
    supervisor: Supervisor,
) -> None:
    """What fault tests do to a service."""
    base = free_base()
    await supervisor.start(web("rating", base))
    before = supervisor.pid("rating")

    await supervisor.kill("rating")
    down = await HttpOk(base).holds()
    await supervisor.restart("rating")

    assert (down, await HttpOk(base).holds()) == (False, True)
    assert supervisor.pid("rating") != before
    assert supervisor.crashes == {}


async def test_a_child_that_ignores_the_request_to_stop_is_killed(
    supervisor: Supervisor, home: Home
) -> None:
    """`tieout down` ends, whatever a child does."""
    deaf = child("tax", DEAF)
    await supervisor.start(replace(deaf, stop_within_s=0.3))
    pid = supervisor.pid("tax")
    await until(lambda: "deaf" in home.log("tax").read_text())

    await supervisor.stop_all()

    assert not psutil.pid_exists(pid)


def test_a_short_program_that_does_not_end_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first start on a machine that is too busy must not wait for ever."""
    monkeypatch.setattr(children, "_RUN_WITHIN_S", 0.2)

    with pytest.raises(StackError, match=r"python\S* did not end within"):
        children.run([sys.executable, "-c", "import time; time.sleep(60)"])


async def test_what_a_killed_supervisor_left_running_is_found_and_ended(
    supervisor: Supervisor, home: Home
) -> None:
    """The next start must not trip over its predecessor's children."""
    base = free_base()
    await supervisor.start(web("rating", base))

    left = await asyncio.to_thread(PidFiles(home.pids).stop_leftovers)

    assert left == ["rating"]
    assert not await HttpOk(base).holds()


async def test_a_pid_that_belongs_to_another_program_by_now_is_left_alone(home: Home) -> None:
    """After a reboot the number may be anybody's."""
    files = PidFiles(home.pids)
    files.write(child("rating", SERVE), os.getpid())
    path = home.pids / "rating.json"
    created = psutil.Process().create_time()
    path.write_text(path.read_text().replace(str(created), str(created - 1000)))

    assert files.stop_leftovers() == []


async def test_a_port_in_use_is_refused_with_its_number_its_holder_and_the_way_out(
    supervisor: Supervisor,
) -> None:
    """The commonest reason why a first start fails."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]

        with pytest.raises(StackError) as told:
            await supervisor.start(web("rating", port))

    assert f"Port {port}, wanted for rating, is in use by" in str(told.value)
    assert f"(pid {os.getpid()})" in str(told.value)
    assert "TIEOUT_PORT_BASE=" in str(told.value)


def test_a_free_port_is_accepted_also_just_after_its_listener_ended() -> None:
    """Connections that linger in TIME_WAIT must not block a restart."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()

    require_free(port, "rating")


@pytest.mark.parametrize("given", ["80", "65530", "many", ""])
def test_a_port_base_without_room_for_the_plan_is_refused(given: str) -> None:
    """The message says which numbers do."""
    with pytest.raises(StackError, match="from 1024 to 65509"):
        Ports.from_environment({"TIEOUT_PORT_BASE": given})
