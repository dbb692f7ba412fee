"""Names and cursors in paths and queries: checked before the database sees them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import Path, Query

from shared.kernel.errors import Invalid
from shared.runtime.web import decode_cursor

_TEXT = r"^[^\x00]*$"  # Postgres takes no zero byte
Named = Annotated[str, Path(min_length=1, max_length=200, pattern=_TEXT)]
Filter = Annotated[str, Query(min_length=1, max_length=200, pattern=_TEXT)]
OptionalFilter = Annotated[str | None, Query(max_length=200, pattern=_TEXT)]

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


def after_day(cursor: str | None) -> tuple[date, str]:
    """Behind a (day, id). Raises Invalid: `cursor_invalid`."""
    parts = _parts(cursor, 2)
    if not parts:
        return (date.min, "")
    try:
        return (date.fromisoformat(_text(parts[0])), _text(parts[1]))
    except ValueError as error:
        raise _invalid() from error


def after_instant(cursor: str | None) -> tuple[datetime, str]:
    """Behind an (instant, id). Raises Invalid: `cursor_invalid`."""
    parts = _parts(cursor, 2)
    if not parts:
        return (BEGINNING, "")
    try:
        return (datetime.fromisoformat(_text(parts[0])), _text(parts[1]))
    except ValueError as error:
        raise _invalid() from error


def after_numbers(cursor: str | None, *, start: tuple[int, ...]) -> tuple[int, ...]:
    """Behind some numbers; `start` is before the first row. Raises Invalid: `cursor_invalid`."""
    parts = _parts(cursor, len(start))
    if not parts:
        return start
    if not all(isinstance(part, int) and abs(part) < 2**62 for part in parts):
        raise _invalid()
    return tuple(int(str(part)) for part in parts)


def after_version(cursor: str | None) -> tuple[str, int]:
    """Behind an (id, version). Raises Invalid: `cursor_invalid`."""
    parts = _parts(cursor, 2)
    if not parts:
        return ("", 0)
    if not isinstance(parts[1], int) or abs(parts[1]) > 2**31 - 1:
        raise _invalid()
    return (_text(parts[0]), parts[1])


def _parts(cursor: str | None, count: int) -> list[object] | None:
    parts = decode_cursor(cursor)
    if parts is not None and len(parts) != count:
        raise _invalid()
    return parts


def _text(part: object) -> str:
    if not isinstance(part, str) or "\x00" in part:
        raise _invalid()
    return part


def _invalid() -> Invalid:
    return Invalid("cursor_invalid", "the cursor is not one of ours")
