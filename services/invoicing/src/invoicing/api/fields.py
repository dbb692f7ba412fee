"""What may stand in a request: plain names, decimals as strings, dates within reach."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator, Field, StringConstraints

from shared.contracts.envelope import Exact
from shared.kernel.errors import Invalid
from shared.runtime.web import decode_cursor

_KEY = r"^[A-Za-z0-9][A-Za-z0-9._:@+ -]{0,198}[A-Za-z0-9._@+-]?$"

Key = Annotated[str, StringConstraints(pattern=_KEY)]
KeyPath = Annotated[str, Path(pattern=_KEY)]
KeyQuery = Annotated[str | None, Query(pattern=_KEY)]
Words = Annotated[
    str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", min_length=1, max_length=300)
]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


def _as_string(value: object) -> object:
    """JSON numbers pass through binary floats on their way here; strings and integers do not."""
    if isinstance(value, float | bool):
        raise ValueError("send a decimal as a string")
    return value


Amount = Annotated[Exact, BeforeValidator(_as_string), Field(max_digits=33, decimal_places=18)]
# Far enough for any contract, near enough that calendar arithmetic cannot leave the calendar.
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2199, 12, 31))]
DayQuery = Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(2199, 12, 31))]


def after_day(cursor: str | None) -> tuple[date, str] | None:
    """The position in the cursor of a list ordered by date and id."""
    position = _pair(cursor)
    return position and (_parsed(date.fromisoformat, position[0]), position[1])


def after_instant(cursor: str | None) -> tuple[datetime, str] | None:
    """The position in the cursor of a list ordered by instant and id."""
    position = _pair(cursor)
    return position and (_parsed(datetime.fromisoformat, position[0]), position[1])


def after_key(cursor: str | None) -> str:
    """The position in the cursor of a list ordered by id; empty at the beginning."""
    position = decode_cursor(cursor) or [""]
    if len(position) != 1 or not isinstance(position[0], str):
        raise Invalid("cursor_invalid", "the cursor belongs to another list")
    return _clean(position[0])


def _pair(cursor: str | None) -> tuple[str, str] | None:
    position = decode_cursor(cursor)
    if position is None:
        return None
    if len(position) != 2 or not all(isinstance(part, str) for part in position):
        raise Invalid("cursor_invalid", "the cursor belongs to another list")
    return position[0], _clean(position[1])


def _clean(text: str) -> str:
    if "\x00" in text:
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    return text


def _parsed(parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise Invalid("cursor_invalid", "the cursor belongs to another list") from error
