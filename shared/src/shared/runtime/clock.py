"""Where business time comes from: the system, or a file that a story moves.

The simulated clock is one small file with an RFC 3339 instant that all processes of the local stack
read; time stands still between writes. Token lifetimes and back-off never use it.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from shared.kernel.clock import Clock

_SETTLED_NS = 1_000_000_000  # a younger file may be replaced again without looking different


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SimulatedClock:
    """The instant in a file, read again when it was replaced; no file, no time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[tuple[int, int], datetime] | None = None

    def now(self) -> datetime:
        file = self._path.stat()
        version = (file.st_ino, file.st_mtime_ns)
        if self._seen is not None and self._seen[0] == version:
            return self._seen[1]
        instant = datetime.fromisoformat(self._path.read_text().strip()).astimezone(UTC)
        settled = time.time_ns() - file.st_mtime_ns > _SETTLED_NS
        self._seen = (version, instant) if settled else None
        return instant


def write_instant(path: Path, instant: datetime) -> None:
    """Move the simulated clock; readers see the old or the new instant, never half of one."""
    if instant.tzinfo is None:
        raise ValueError("the clock takes an aware instant")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ\n"))
    temporary.replace(path)


def clock_from(path: Path | None) -> Clock:
    return SimulatedClock(path) if path else SystemClock()
