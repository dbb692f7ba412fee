"""What the detached supervisor tells the commands, and how they know that it lives.

It holds a lock on a file while it runs; the lock ends with the process, however that ends.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal

from stack.home import Home

Phase = Literal["starting", "running", "stopping", "failed"]


@dataclass
class State:
    """What the commands may know of the supervisor."""

    pid: int
    port_base: int
    phase: Phase = "starting"
    step: str = "starting"
    error: str = ""
    crashes: dict[str, str] = field(default_factory=dict)
    restart_error: str = ""  # of the last restart that was asked for


def write_state(home: Home, state: State) -> None:
    """Readers see the old or the new state, never half of one."""
    path = _state_file(home)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state)))
    fresh.replace(path)


def read_state(home: Home) -> State | None:
    """The last state a supervisor of this home wrote; it may be long gone."""
    try:
        return State(**json.loads(_state_file(home).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget_state(home: Home) -> None:
    """After a clean stop there is nothing to tell."""
    _state_file(home).unlink(missing_ok=True)


@contextmanager
def only_supervisor(home: Home) -> Iterator[bool]:
    """Be the supervisor of this home for the block; False when another one is."""
    with _lock_file(home).open("a+") as file:
        yield _take(file)


def is_running(home: Home) -> bool:
    """Whether a supervisor of this home is alive."""
    try:
        with _lock_file(home).open("r+") as file:
            return not _take(file)
    except FileNotFoundError:
        return False


def restart_request(home: Home) -> Path:
    """Holds the name of a child to restart; the supervisor removes it when that is done."""
    return home.root / "restart"


def _state_file(home: Home) -> Path:
    return home.root / "supervisor.json"


def _lock_file(home: Home) -> Path:
    return home.root / "supervisor.lock"


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
