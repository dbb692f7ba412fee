"""Writes a calendar as RFC 5545 wants it: escaped, folded, with CRLF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

PRODUCT = "-//Tieout//Renewal desk//EN"
LINE_OCTETS = 75
_ESCAPES = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n", "\r": None})


@dataclass(frozen=True, slots=True)
class Event:
    """A whole day, or an instant, of which readers are reminded a day before. `uid` stays the same
    for the same cause, so that readers replace it."""

    uid: str
    on: date | datetime
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
            ("DTSTAMP", _instant(stamp)),
            *_when(one.on),
            ("SUMMARY", text(one.summary)),
            ("DESCRIPTION", text(one.description)),
            ("CATEGORIES", text(one.category)),
            ("TRANSP", "TRANSPARENT"),
            *(_reminder(one) if isinstance(one.on, datetime) else ()),
            ("END", "VEVENT"),
        )


def _when(on: date | datetime) -> Iterator[tuple[str, str]]:
    if isinstance(on, datetime):
        yield "DTSTART", _instant(on)
    else:
        yield "DTSTART;VALUE=DATE", on.strftime("%Y%m%d")
        yield "DTEND;VALUE=DATE", (on + timedelta(days=1)).strftime("%Y%m%d")


def _reminder(one: Event) -> Iterator[tuple[str, str]]:
    yield "BEGIN", "VALARM"
    yield "ACTION", "DISPLAY"
    yield "TRIGGER", "-P1D"
    yield "DESCRIPTION", text(one.summary)
    yield "END", "VALARM"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


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
