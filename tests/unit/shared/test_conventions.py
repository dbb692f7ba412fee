"""Conventions: what they count, how they are written, and what is refused with a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.kernel.conventions import DEFAULT, NOT_OFFERED, OFFERED, parse
from shared.kernel.errors import Invalid
from shared.kernel.money import Rounding

NAMES = [*OFFERED, *(f"{scheme};zone=America/New_York" for scheme in OFFERED)]
DAYS = st.dates(date(2019, 1, 1), date(2033, 1, 1))


def test_the_default_is_utc_days_rounded_away_from_zero() -> None:
    """What every contract had before there was a choice."""
    found = parse(DEFAULT)

    assert (found.unit, found.zone, found.month_days) == ("day", "UTC", None)
    assert found.rounding is Rounding.HALF_AWAY
    assert "civil days, over the days of the whole cycle" in found.text


@pytest.mark.parametrize(
    "text", [*NAMES, "days/v1;rounding=down", "days/v1;zone=Asia/Tokyo;rounding=half_even"]
)
def test_a_name_reads_back_as_itself(text: str) -> None:
    """The text on a line finds the rule that made it."""
    assert parse(text).name == text


@pytest.mark.parametrize(
    "text",
    ["", "days", "days/v2", "days/v1;", "days/v1;zone=Mars/Olympus", "days/v1;zone=../etc",
     "days/v1;rounding=up", "days/v1;zone=UTC;zone=UTC", "days/v1;colour=red", "days/v1;zone="],
)  # fmt: skip
def test_an_unknown_convention_is_refused(text: str) -> None:
    """No silent default for a setting that moves money."""
    with pytest.raises(Invalid) as refused:
        parse(text)

    assert refused.value.code == "convention_unknown"


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_a_convention_of_the_trade_is_refused_with_the_reason(name: str) -> None:
    """Whoever asks for it learns why it is not there."""
    with pytest.raises(Invalid) as refused:
        parse(f"{name}/v1")

    assert NOT_OFFERED[name] in refused.value.detail


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("days/v1", date(2026, 4, 14), date(2026, 5, 1), 17),
        ("days/v1", datetime(2026, 3, 9, 3, 59, tzinfo=UTC), date(2026, 3, 10), 1),
        ("days/v1;zone=America/New_York", datetime(2026, 3, 9, 3, 59, tzinfo=UTC),
         date(2026, 3, 10), 2),
        ("days-of-30/v1", date(2023, 5, 23), date(2023, 6, 15), 22),
        ("days-of-30/v1", date(2026, 2, 1), date(2026, 3, 1), 30),
        ("days-of-30/v1", date(2026, 1, 31), date(2026, 2, 1), 0),
        ("seconds/v1", date(2026, 4, 1), date(2026, 5, 1), 30 * 86400),
        ("seconds/v1;zone=America/New_York", date(2026, 3, 8), date(2026, 3, 9), 23 * 3600),
        ("seconds/v1;zone=America/New_York", date(2026, 11, 1), date(2026, 11, 2), 25 * 3600),
    ],
)  # fmt: skip
def test_a_convention_counts(text: str, start: date, end: date, expected: int) -> None:
    """Days of the zone, months of thirty days, or seconds."""
    assert parse(text).count(start, end) == expected


@pytest.mark.parametrize("text", NAMES)
@given(days=st.lists(DAYS, min_size=3, max_size=3))
def test_what_is_split_adds_up(text: str, days: list[date]) -> None:
    """Counts are differences of positions: no day is lost at a seam or counted twice."""
    first, middle, last = days
    convention = parse(text)

    whole = convention.count(first, last)

    assert whole == convention.count(first, middle) + convention.count(middle, last)


@given(day=DAYS, hours=st.integers(0, 23))
def test_no_convention_counts_less_than_nothing_within_a_day(day: date, hours: int) -> None:
    """An instant never lies before the midnight of its own day."""
    for text in NAMES:
        convention = parse(text)
        instant = datetime(day.year, day.month, day.day, hours, tzinfo=UTC)
        assert convention.count(convention.day_of(instant), instant) >= 0
        assert convention.count(instant, convention.day_of(instant) + timedelta(days=1)) >= 0


def test_a_naive_instant_is_refused() -> None:
    """Which day it falls on cannot be known."""
    with pytest.raises(Invalid):
        parse(DEFAULT).day_of(datetime.fromisoformat("2026-01-01T00:00:00"))
