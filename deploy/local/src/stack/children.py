"""What the supervisor needs to know of a child, and how one is spawned and asked to end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import psutil

from stack.errors import StackError, explained
from stack.readiness import Readiness
from stack.unprivileged import User

_LOG_KEPT_BYTES = 20_000_000
_TAIL_BYTES = 6_000
_TAIL_LINES = 12
_POLL_S = 0.02
_RUN_WITHIN_S = 120


class Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def identity(user: User | None) -> Identity:
    """The arguments that make `subprocess` start a program as `user`."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def run(
    command: Sequence[str],
    *,
    user: User | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a short program to its end, from a directory that everybody may enter.

    Raises:
        StackError: when it does not end.
    """
    try:
        return subprocess.run(
            command,
            cwd="/",
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_RUN_WITHIN_S,
            **identity(user),
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"{Path(command[0]).name} did not end within {_RUN_WITHIN_S} s; this machine may be "
            "too busy. Run `tieout up` again."
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One program of the stack."""

    name: str
    command: tuple[str, ...]
    ready: Readiness
    environment: Mapping[str, str] = field(default_factory=dict)  # added to the common one
    ports: tuple[int, ...] = ()
    ready_within_s: float = 60
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 15
    user: User | None = None


class Running:
    """A spawned child: its process, its log since this start, and whether its end was wanted."""

    def __init__(self, child: Child, *, log: Path, environment: Mapping[str, str]) -> None:
        self.child = child
        self.log = log
        self.end_is_wanted = False
        self.is_ready = False
        self._log_start = 0
        self._killed_with_it: list[psutil.Process] = []
        self._process = self._spawn(environment)

    def _spawn(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with explained(self.log):
            if self.log.exists() and self.log.stat().st_size > _LOG_KEPT_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))
            with self.log.open("ab") as file:
                self._log_start = file.tell()
                return subprocess.Popen(
                    self.child.command,
                    cwd="/",
                    env={**environment, **self.child.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone
                    **identity(self.child.user),
                )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def send(self, signal_number: signal.Signals) -> None:
        """Signal the child; SIGKILL takes everything it started with it."""
        if self.exit_code is not None:
            return
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if signal_number == signal.SIGKILL:
                process.suspend()  # else it could start one more between the look and the kill
                self._killed_with_it = process.children(recursive=True)
            process.send_signal(signal_number)
            for descendant in self._killed_with_it:
                with suppress(psutil.NoSuchProcess):
                    descendant.kill()

    def ended(self, within_s: float) -> bool:
        """Wait for the end, also of what was killed with it; False when it does not come in time.

        A Postgres whose backends are not all gone refuses to start again.
        """
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        deadline = time.monotonic() + within_s
        while any(_lives(process) for process in self._killed_with_it):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def disown(self) -> None:
        """Leave the child to another process, which will end it; nothing waits for it here."""
        self._process.returncode = 0  # else Popen warns of a child that outlives it

    def last_lines(self) -> list[str]:
        """The end of what this run of the child wrote."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(self._log_start, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-_TAIL_LINES:]

    def crash(self) -> StackError:
        """Why the child is not there, in its own last words."""
        code = self.exit_code
        when = "while it ran" if self.is_ready else "while starting"
        if code is None:
            what = f"was not ready within {self.child.ready_within_s:.0f} s"
        elif code < 0:
            what = f"was ended {when} by {signal.Signals(-code).name}"
        else:
            what = f"stopped {when} with exit code {code}"
        lines = self.last_lines()
        return StackError(
            f"{self.child.name} {what}{_cause(lines)}. Put right what its log says ({self.log}), "
            f"then run {self._way_out()}." + "".join(f"\n    {line}" for line in lines)
        )

    def _way_out(self) -> str:
        if self.is_ready:
            return f"`tieout restart {self.child.name}`"
        return "`tieout up` again; `tieout reset` starts over with empty data"


def _lives(process: psutil.Process) -> bool:
    """A zombie does not: it holds nothing any more, and its parent may be slow to notice."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _cause(lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    if "No space left on device" in text:
        return ": the disk is full"
    if "Cannot allocate memory" in text or "OutOfMemoryError" in text:
        return ": it had too little memory"
    return ""
