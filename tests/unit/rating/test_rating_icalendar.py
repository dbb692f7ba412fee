"""A calendar that every reader of RFC 5545 takes: octets, escapes, folds, whole days."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import icalendar
from rating.domain.icalendar import Event
from support.rating_facts import at

EVENT = Event(
    "0198@tieout", date(2026, 12, 31), "Renewal: 30 × E3; a, b", "one\\two\nthree", "Renewal"
)


def test_an_event_is_a_whole_day() -> None:
    """The end is the next day, as the standard counts; the stamp is in UTC."""
    lines = "".join(icalendar.entries([EVENT], at("2026-07-12T02:00:00+02:00"))).split("\r\n")
    assert lines == [
        "BEGIN:VEVENT",
        "UID:0198@tieout",
        "DTSTAMP:20260712T000000Z",
        "DTSTART;VALUE=DATE:20261231",
        "DTEND;VALUE=DATE:20270101",
        "SUMMARY:Renewal: 30 × E3\\; a\\, b",
        "DESCRIPTION:one\\\\two\\nthree",
        "CATEGORIES:Renewal",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
        "",
    ]


def test_an_instant_is_told_in_utc_and_reminded_of_a_day_before() -> None:
    """A window that closes at midnight is no whole day on which seats may still go back."""
    closing = Event("w@tieout", at("2026-07-08T00:00:00"), "Window closes", "until then", "Window")
    lines = "".join(icalendar.entries([closing], at("2026-07-01T00:00:00"))).split("\r\n")
    assert lines[3:-2] == [
        "DTSTART:20260708T000000Z",
        "SUMMARY:Window closes",
        "DESCRIPTION:until then",
        "CATEGORIES:Window",
        "TRANSP:TRANSPARENT",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        "TRIGGER:-P1D",
        "DESCRIPTION:Window closes",
        "END:VALARM",
    ]


def test_a_calendar_begins_and_ends() -> None:
    """Version and product are required; nothing follows the end."""
    whole = "".join([*icalendar.head("Renewals, all"), *icalendar.tail()])
    assert whole.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Tieout//")
    assert "X-WR-CALNAME:Renewals\\, all\r\n" in whole
    assert whole.endswith("END:VCALENDAR\r\n")


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [("a\r\nb", "a\\nb"), ("a\tb", "a b"), ("bell\x07", "bell"), ("BEGIN:X\nEND", "BEGIN:X\\nEND")],
)
def test_no_text_can_end_its_line(given_text: str, expected: str) -> None:
    """A name with a line break or a control character stays one value."""
    assert icalendar.text(given_text) == expected


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=400))
def test_folding_keeps_the_text_and_the_limit(value: str) -> None:
    """No line has more than 75 octets, and unfolding gives back what was folded."""
    folded = icalendar.folded(value)
    assert all(len(part.encode()) <= 75 for part in folded.split("\r\n"))
    assert folded.replace("\r\n ", "") == value
