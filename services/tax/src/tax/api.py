"""Rates, determinations and holds over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from shared.contracts.envelope import Exact
from shared.kernel.errors import Invalid, NotFound
from shared.runtime.postgres import Database, Record
from shared.runtime.web import (
    CursorParam,
    Limit,
    Prices,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)
from tax import handlers, store
from tax.clients.table import Shipped
from tax.domain.rates import Rate


def _exact(value: object) -> object:
    """JSON numbers pass through binary floats on their way here; strings do not."""
    if not isinstance(value, str | Decimal):
        raise ValueError("send a decimal as a string")
    return value


def _text(value: object) -> object:
    """A number would be taken for seconds since 1970."""
    if not isinstance(value, str | date):
        raise ValueError("send a date as a string")
    return value


_PRINTABLE = r"^[^\x00-\x1f\x7f]{1,200}$"  # the database stores no NUL, people read no controls
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
RateId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Printable = Annotated[str, StringConstraints(pattern=_PRINTABLE, strip_whitespace=True)]
PrintablePath = Annotated[str, Path(pattern=_PRINTABLE)]
PrintableQuery = Annotated[str | None, Query(pattern=_PRINTABLE)]
Day = Annotated[date, BeforeValidator(_text), Field(ge=date(1900, 1, 1), le=date(2199, 12, 31))]
Fraction = Annotated[Exact, BeforeValidator(_exact), Field(ge=0, le=1, max_digits=20)]


class RateBody(BaseModel):
    """A rate from a day on. `rate` is a fraction as a string: "0.08875" is 8.875 %."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "jurisdiction": "US-NY",
                    "category": "licence",
                    "name": "Sales tax",
                    "rate": "0.08875",
                    "valid_from": "2026-01-01",
                }
            ]
        },
    )

    jurisdiction: Code
    category: Code
    name: Printable
    rate: Fraction
    valid_from: Day


class RateRow(BaseModel):
    """One row of the rate table."""

    rate_id: str
    version: int
    jurisdiction: str
    category: str
    name: str
    rate: Exact
    valid_from: date
    origin: str


def routers(database: Database, shipped: Shipped) -> list[APIRouter]:
    """All routes of the service."""
    return [_rates(database, shipped), _answers(database)]


def _rates(database: Database, shipped: Shipped) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["rates"])

    @routes.put("/rates/{rate_id}", operation_id="rates.put")
    async def put_rate(rate_id: RateId, body: RateBody, caller: Prices) -> RateRow:
        """Enter a rate. Rows never change: other content for the same day is a new version, and
        repeating a row makes none. Drafts held for want of a rate are determined again."""
        rate = Rate(
            rate_id, body.jurisdiction, body.category, body.name, body.rate, body.valid_from
        )
        async with database.transaction(actor=caller.subject) as tx:
            return _row(await handlers.enter_rate(tx, rate))

    @routes.get("/rates", operation_id="rates.list")
    async def list_rates(
        caller: Reads,
        jurisdiction: PrintableQuery = None,
        category: PrintableQuery = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Every row, entered and shipped, by id, day and version."""
        async with database.read() as reader:
            entered = await store.list_rates(reader, jurisdiction=jurisdiction, category=category)
        wanted = [
            row
            for row in shipped.rows
            if jurisdiction in (None, row.jurisdiction) and category in (None, row.category)
        ]
        after = _after(cursor, str, str, int) or ("", "", 0)
        rows = sorted((r for r in (*entered, *wanted) if _position(r) > after), key=_position)
        more = encode_cursor(*_position(rows[limit - 1])) if len(rows) > limit else None
        return page([_row(row).model_dump(mode="json") for row in rows[:limit]], next_cursor=more)

    return routes


def _answers(database: Database) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["determinations"])

    @routes.get("/determinations/{invoice_id}", operation_id="determinations.get")
    async def get_determination(
        invoice_id: PrintablePath,
        caller: Reads,
        revision: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    ) -> dict[str, Any]:
        """What was decided for a draft and by which rows of the table; the latest revision unless
        one is named. A draft without an answer shows its state and, if held, the reason."""
        async with database.read() as reader:
            found = await store.find_answer(reader, invoice_id, revision)
        if found is None:
            raise NotFound("determination_unknown", f"no draft of {invoice_id} came here")
        return _answer(found)

    @routes.get("/holds", operation_id="holds.list")
    async def list_holds(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Drafts that wait for a fact, oldest first."""
        since, invoice_id = _holds_after(cursor)
        async with database.read() as reader:
            rows = await store.list_holds(reader, since=since, after=invoice_id, limit=limit)
        last = rows[-1] if len(rows) == limit else None
        more = encode_cursor(last["held_since"], last["invoice_id"]) if last else None
        return page([_hold(row) for row in rows], next_cursor=more)

    return routes


def _after(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """The position in a cursor, if it has the shape of this list's."""
    position = decode_cursor(cursor)
    if position is None:
        return None
    if len(position) != len(kinds) or not all(map(isinstance, position, kinds)):
        raise Invalid("cursor_invalid", "the cursor belongs to another list")
    return tuple(position)


def _holds_after(cursor: str | None) -> tuple[datetime | None, str]:
    since, invoice_id = _after(cursor, str, str) or (None, "")
    try:
        return since and datetime.fromisoformat(since), invoice_id
    except ValueError as error:
        raise Invalid("cursor_invalid", "the cursor belongs to another list") from error


def _position(rate: Rate) -> tuple[str, str, int]:
    return rate.rate_id, rate.valid_from.isoformat(), rate.version


def _row(rate: Rate) -> RateRow:
    return RateRow(
        rate_id=rate.rate_id,
        version=rate.version,
        jurisdiction=rate.jurisdiction,
        category=rate.category,
        name=rate.name,
        rate=rate.rate,
        valid_from=rate.valid_from,
        origin=rate.origin.value,
    )


def _hold(row: Record) -> dict[str, Any]:
    return {
        "id": f"{row['invoice_id']}/{row['revision']}",
        "reason": row["reason"],
        "detail": row["detail"],
        "object": f"invoice/{row['invoice_id']}",
        "since": row["held_since"],
        "key": row["jurisdiction"],
    }


def _answer(found: Record) -> dict[str, Any]:
    asked = {
        "invoice_id": found["invoice_id"],
        "revision": found["revision"],
        "account_id": found["account_id"],
        "state": found["state"],
        "jurisdiction": found["jurisdiction"],
        "tax_date": found["tax_date"],
        "mode": found["mode"],
        "currency": found["currency"],
        "net": f"{found['net']:f}",
    }
    if found["determination_id"] is None:
        return asked | {"reason": found["reason"], "detail": found["detail"]}
    nets = {number: (category, net) for number, category, net, *_ in found["lines"]}
    return asked | {
        "determination_id": found["determination_id"],
        "engine": found["engine"],
        "engine_version": found["decided_with"],
        "determined_at": found["determined_at"],
        "lines": [
            {**line, "category": nets[line["number"]][0], "net": nets[line["number"]][1]}
            for line in found["taxed_lines"]
        ],
        "taxes": found["totals"],
        "tax": f"{found['tax']:f}",
    }
