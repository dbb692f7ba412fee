"""Starting and ending the detached supervisor, from a command that itself returns at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import psutil

from stack.errors import StackError, explained
from stack.home import Home
from stack.pid_files import PidFiles
from stack.state import State, is_running, read_state, restart_request

_POLL_S = 0.1
_STOP_WITHIN_S = 90.0
_SAID_LINES = 12


def start(
    home: Home,
    environ: Mapping[str, str],
    *,
    arguments: Sequence[str] = (),
    report: Callable[[str], None] = lambda step: None,
) -> State:
    """Start the supervisor and wait until the stack is ready; what it does goes to `report`.

    `arguments` are those of `python -m stack.daemon`.

    Raises:
        StackError: as the supervisor said it.
    """
    home.prepare()
    process = _spawn(home, environ, arguments)
    try:
        return _follow(home, process, report)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise


def _spawn(
    home: Home, environ: Mapping[str, str], arguments: Sequence[str]
) -> subprocess.Popen[bytes]:
    with explained(home.root), home.log("supervisor").open("ab") as log:
        return subprocess.Popen(
            (sys.executable, "-P", "-m", "stack.daemon", *arguments),
            cwd="/",
            env={**environ, "TIEOUT_HOME": str(home.root)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _follow(home: Home, process: subprocess.Popen[bytes], report: Callable[[str], None]) -> State:
    while True:
        over = process.poll() is not None
        state = read_state(home)
        if state is not None and state.pid == process.pid:
            if state.phase == "running":
                return state
            if state.phase == "failed":
                raise StackError(state.error)
            report(state.step)
        if over:
            raise _died(home)
        time.sleep(_POLL_S)


def _died(home: Home) -> StackError:
    log = home.log("supervisor")
    lines = log.read_text(errors="replace").splitlines()[-_SAID_LINES:]
    return StackError(
        f"The supervisor ended unexpectedly; its log ({log}) says why. Run `tieout down`, then "
        "`tieout up` again." + "".join(f"\n    {line}" for line in lines)
    )


def stop(home: Home) -> bool:
    """Stop the supervisor, or what one that was killed left behind; False when nothing ran.

    Raises:
        StackError: when it does not end.
    """
    if not home.is_ours:
        return False
    state = read_state(home)
    was_running = is_running(home)
    if was_running and state is not None:
        _end(home, state.pid)
    leftovers = PidFiles(home.pids).stop_leftovers()
    return was_running or bool(leftovers)


def _end(home: Home, pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + _STOP_WITHIN_S
    while is_running(home):
        if time.monotonic() > deadline:
            raise StackError(
                f"The supervisor (pid {pid}) did not stop within {_STOP_WITHIN_S:.0f} s; "
                f"its log is {home.log('supervisor')}. End it with `kill -9 {pid}` and run "
                "`tieout down` once more."
            )
        time.sleep(_POLL_S)


def restart(home: Home, name: str) -> None:
    """Have the supervisor restart one child and wait until it is ready.

    Raises:
        StackError: when nothing runs, or the child does not come up.
    """
    state = read_state(home)
    if state is None or not is_running(home):
        raise StackError("Nothing is running; start it with `tieout up`.")
    restart_request(home).write_text(name)
    os.kill(state.pid, signal.SIGHUP)
    while restart_request(home).exists():
        if not psutil.pid_exists(state.pid):
            raise _died(home)
        time.sleep(_POLL_S)
    after = read_state(home)
    if after is not None and after.restart_error:
        raise StackError(after.restart_error)
