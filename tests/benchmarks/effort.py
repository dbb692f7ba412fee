"""How much processor time each program of the stack spends on a change."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import psutil

from stack.home import Home
from stack.pid_files import PidFiles


def processor_seconds(home: Home) -> dict[str, float]:
    """What every program has used so far; Postgres with its backends."""
    used = {}
    for entry in PidFiles(home.pids).entries():
        if entry.process is not None:
            family = [entry.process, *entry.process.children(recursive=True)]
            used[entry.name] = sum(_used(process) for process in family)
    return used


def busy_seconds() -> float:
    """What the whole machine has used so far, this benchmark's own work left out."""
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    return float(sum(times) - idle - getattr(times, "guest", 0.0) - own.user - own.system)


def per_change(
    before: Mapping[str, float], after: Mapping[str, float], changes: int
) -> dict[str, str]:
    """Milliseconds by program, the hungriest first."""
    spent = {name: (used - before.get(name, 0.0)) * 1000 / changes for name, used in after.items()}
    return {name: f"{ms:.1f}" for name, ms in sorted(spent.items(), key=lambda pair: -pair[1])}


def _used(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0
