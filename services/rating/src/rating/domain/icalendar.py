"""Writes a calendar of whole days as RFC 5545 wants it: escaped, folded, with CRLF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

PRODUCT = "-//Tieout//Renewal desk//EN"
LINE_OCTETS = 75
_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": None})


@dataclass(frozen=True, slots=True)
class Event:
    """One whole day. `uid` stays the same for the same cause, so that readers replace it."""

    uid: str
    day: date
    summary: str
    description: str
    category: str


def head(name: str) -> Iterator[str]:
    """What a calendar begins with."""
    yield from _lines(
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", PRODUCT),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
        ("X-WR-CALNAME", text(name)),
    )


def entries(events: Iterable[Event], stamp: datetime) -> Iterator[str]:
    """The events, each as it was known at `stamp`."""
    for one in events:
        yield from _lines(
            ("BEGIN", "VEVENT"),
            ("UID", one.uid),
            ("DTSTAMP", stamp.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")),
            ("DTSTART;VALUE=DATE", one.day.strftime("%Y%m%d")),
            ("DTEND;VALUE=DATE", (one.day + timedelta(days=1)).strftime("%Y%m%d")),
            ("SUMMARY", text(one.summary)),
            ("DESCRIPTION", text(one.description)),
            ("CATEGORIES", text(one.category)),
            ("TRANSP", "TRANSPARENT"),
            ("END", "VEVENT"),
        )


def tail() -> Iterator[str]:
    """What a calendar ends with."""
    yield from _lines(("END", "VCALENDAR"))


def text(value: str) -> str:
    """A TEXT value: no control characters, and what separates values is escaped."""
    kept = "".join(c for c in value.replace("\t", " ") if c in "\r\n" or c.isprintable())
    return kept.translate(_ESCAPES)


def folded(line: str) -> str:
    """At most 75 octets a line, never cut inside a character; the rest goes on after a space."""
    parts, part, room = [], "", LINE_OCTETS
    for character in line:
        size = len(character.encode())
        if size > room:
            parts.append(part)
            part, room = "", LINE_OCTETS - 1  # the space counts
        part += character
        room -= size
    return "\r\n ".join([*parts, part])


def _lines(*properties: tuple[str, str]) -> Iterator[str]:
    for name, value in properties:
        yield folded(f"{name}:{value}") + "\r\n"
