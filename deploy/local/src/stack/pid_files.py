"""Who runs: one small file per child, so that `status`, `down` and a start after a crash know.

A pid alone may long belong to somebody else; the time the process was created tells them apart.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from stack.children import Child

_SAME_INSTANT_S = 1.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """One child that was started, and perhaps still runs."""

    name: str
    pid: int
    created: float
    ports: tuple[int, ...]
    stop_signal: int

    @property
    def process(self) -> psutil.Process | None:
        """The live process, or None when it is gone or the pid is another's."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.created) < _SAME_INSTANT_S
            return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def send(self, signal_number: signal.Signals) -> None:
        process = self.process
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal_number)


class PidFiles:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write(self, child: Child, pid: int) -> None:
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return  # already over; whoever waits for it sees why
        entry = {
            "pid": pid,
            "created": created,
            "ports": child.ports,
            "stop_signal": int(child.stop_signal),
        }
        (self._directory / f"{child.name}.json").write_text(json.dumps(entry))

    def remove(self, name: str) -> None:
        (self._directory / f"{name}.json").unlink(missing_ok=True)

    def entries(self) -> Iterator[Entry]:
        for path in sorted(self._directory.glob("*.json")):
            try:
                found = json.loads(path.read_text())
            except (FileNotFoundError, ValueError):
                continue  # removed or being written at this moment
            yield Entry(
                name=path.stem,
                pid=found["pid"],
                created=found["created"],
                ports=tuple(found["ports"]),
                stop_signal=found["stop_signal"],
            )

    def stop_leftovers(self, *, within_s: float = 15) -> list[str]:
        """End what a supervisor that was itself killed left running; returns the names."""
        left = [entry for entry in self.entries() if entry.process is not None]
        for entry in left:
            entry.send(signal.Signals(entry.stop_signal))
        if not _all_over(left, within_s):
            for entry in left:
                entry.send(signal.SIGKILL)
            _all_over(left, within_s)
        for entry in self.entries():
            self.remove(entry.name)
        return [entry.name for entry in left]


def _all_over(entries: Sequence[Entry], within_s: float) -> bool:
    """Wait for the end. A zombie counts as over: its own parent may be slow to notice."""
    deadline = time.monotonic() + within_s
    while any(entry.process is not None for entry in entries):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
