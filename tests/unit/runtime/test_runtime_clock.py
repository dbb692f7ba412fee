"""Business time: the system's, or what a story wrote; never half of an instant."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from shared.kernel.clock import FrozenClock, today
from shared.runtime.clock import SimulatedClock, SystemClock, clock_from, write_instant

MAY = datetime(2026, 5, 1, 0, 30, tzinfo=UTC)


def test_what_a_story_writes_is_what_services_read(tmp_path: Path) -> None:
    """To the microsecond, and in UTC whatever zone it was written in."""
    path = tmp_path / "state" / "clock"
    clock = SimulatedClock(path)
    tokyo = timezone(timedelta(hours=9))

    write_instant(path, (MAY + timedelta(microseconds=1)).astimezone(tokyo))

    assert clock.now() == MAY + timedelta(microseconds=1)
    assert clock.now().tzinfo is UTC
    assert path.read_text() == "2026-05-01T00:30:00.000001Z\n"
    assert today(clock).isoformat() == "2026-05-01"


def test_time_stands_still_between_writes(tmp_path: Path) -> None:
    """A story decides when it is tomorrow."""
    path = tmp_path / "clock"
    write_instant(path, MAY)
    clock = SimulatedClock(path)

    assert {clock.now() for _ in range(100)} == {MAY}

    write_instant(path, MAY + timedelta(days=365))
    assert clock.now().year == 2027


def test_an_old_file_is_read_once_and_again_when_it_is_replaced(tmp_path: Path) -> None:
    """The clock is asked some thirty times for each change of a seat."""
    path = tmp_path / "clock"
    write_instant(path, MAY)
    long_ago = (1_000_000_000, 1_000_000_000)
    os.utime(path, long_ago)
    clock = SimulatedClock(path)
    assert clock.now() == MAY

    path.write_text("not looked at")
    os.utime(path, long_ago)
    assert clock.now() == MAY

    write_instant(path, MAY + timedelta(days=1))
    assert clock.now() == MAY + timedelta(days=1)
    write_instant(path, MAY + timedelta(days=2))
    assert clock.now() == MAY + timedelta(days=2)


def test_readers_never_see_half_an_instant(tmp_path: Path) -> None:
    """The file is replaced, not rewritten."""
    path = tmp_path / "clock"
    instants = [MAY + timedelta(days=day) for day in range(200)]
    write_instant(path, instants[0])
    clock = SimulatedClock(path)

    def tell() -> None:
        for instant in instants:
            write_instant(path, instant)

    writer = threading.Thread(target=tell)
    writer.start()
    seen = []
    while writer.is_alive():
        seen.append(clock.now())
    writer.join()

    assert set(seen) <= set(instants)
    assert seen == sorted(seen)
    assert [entry.name for entry in tmp_path.iterdir()] == ["clock"]


def test_an_instant_without_a_zone_is_refused(tmp_path: Path) -> None:
    """Whose midnight would it be?"""
    with pytest.raises(ValueError, match="aware"):
        write_instant(tmp_path / "clock", MAY.replace(tzinfo=None))
    with pytest.raises(ValueError, match="aware"):
        FrozenClock(MAY.replace(tzinfo=None))


def test_without_its_file_a_simulated_clock_has_no_time(tmp_path: Path) -> None:
    """Falling back to the real time would bill real days."""
    with pytest.raises(FileNotFoundError):
        SimulatedClock(tmp_path / "absent").now()


def test_the_setting_chooses_the_clock(tmp_path: Path) -> None:
    """No file, no simulation."""
    assert isinstance(clock_from(None), SystemClock)
    assert isinstance(clock_from(tmp_path / "clock"), SimulatedClock)
    assert SystemClock().now().tzinfo is UTC
