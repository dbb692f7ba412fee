"""Where the local stack keeps its state, and that it never touches anything else.

The directory (`TIEOUT_HOME`, default `.tieout` in the project root) carries a marker file; without
the marker nothing is written into a directory that has content, and nothing is removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.errors import StackError, disk_full, explained
from stack.unprivileged import remove_data_directory

VARIABLE = "TIEOUT_HOME"
FREE_BYTES_NEEDED = 1_000_000_000
_MARKER = "tieout-state"
_TRAVERSABLE = 0o711  # the unprivileged user that runs Postgres for root must get through
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """One state directory and the places inside it."""

    root: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Home:
        given = environ.get(VARIABLE)
        return cls(Path(given).expanduser().resolve() if given else project_root() / ".tieout")

    @property
    def pgdata(self) -> Path:
        return self.root / "pgdata"

    @property
    def kafka(self) -> Path:
        return self.root / "kafka"

    @property
    def simulators(self) -> Path:
        return self.root / "simulators"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def pids(self) -> Path:
        return self.root / "pids"

    @property
    def clock(self) -> Path:
        return self.root / "clock"

    @property
    def is_ours(self) -> bool:
        return (self.root / _MARKER).is_file()

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the directories.

        Raises:
            StackError: when the place has other content, cannot be written or has no room.
        """
        if self.root.is_dir() and not self.is_ours and any(self.root.iterdir()):
            raise StackError(
                f"{self.root} has files in it that are not Tieout's; "
                f"set {VARIABLE} to a new or empty directory."
            )
        with explained(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(_TRAVERSABLE)
            (self.root / _MARKER).write_text("State of a local Tieout stack. Safe to remove.\n")
            for place in (self.kafka, self.simulators, self.logs, self.pids):
                place.mkdir(exist_ok=True)
            self.keys.mkdir(exist_ok=True)
            self.keys.chmod(_PRIVATE)
        if shutil.disk_usage(self.root).free < FREE_BYTES_NEEDED:
            raise disk_full(self.root)

    def remove(self) -> None:
        """Drop the whole state, wherever parts of it had to live."""
        if not self.root.exists():
            return
        if not self.is_ours:
            raise StackError(f"{self.root} is not a Tieout state directory; nothing was removed.")
        with explained(self.root):
            remove_data_directory(self.pgdata)
            shutil.rmtree(self.root)


def project_root() -> Path:
    """The checkout this package runs from, or the working directory when it is installed."""
    checkout = Path(__file__).resolve().parents[4]
    return checkout if (checkout / "deploy" / "local").is_dir() else Path.cwd()


def cache_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Downloads that outlive `reset`: the per-user cache directory."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tieout"
