"""What killed test runs leave is found again, wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from support import servers


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Memory and disk, the memory without room for another cluster."""
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    memory.mkdir()
    disk.mkdir()
    monkeypatch.setattr(servers, "_MEMORY", memory)
    monkeypatch.setattr(servers, "_DISK", disk)
    monkeypatch.setattr(servers, "_MEMORY_NEEDED", 1 << 62)
    return memory, disk


def test_a_full_memory_is_swept_too(places: tuple[Path, Path]) -> None:
    """What fills it is what a killed run left; who still runs keeps its own."""
    gone = max(psutil.pids()) + 100_000
    left = [place / f"tieout-postgres-{gone}-left" for place in places]
    living = places[0] / f"tieout-postgres-{os.getpid()}-living"
    for directory in (*left, living):
        directory.mkdir()

    made = servers._reachable_directory()

    assert made.parent == places[1]
    assert living.exists()
    assert not [directory for directory in left if directory.exists()]
