"""Files of the provider: their totals, their lines as sent, and what was refused."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from ingest.store import provider_files, provider_lines, quarantine
from ingest.store.quarantine import readable
from shared.kernel.errors import Invalid, NotFound
from shared.runtime.http import loads
from shared.runtime.postgres import Database, Record
from shared.runtime.web import CursorParam, Limit, Reads, decode_cursor, encode_cursor, page

LineNumber = Annotated[int, Path(ge=1, le=10**12)]


def router(database: Database) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["files"])

    @routes.get("/usage-files/{file_id}", operation_id="usage-files.get")
    async def get_file(file_id: str, caller: Reads) -> dict[str, Any]:
        """One version of a data set: accepted and refused lines, control totals, state."""
        async with database.read() as reader:
            row = await provider_files.show_file(reader, file_id)
        if row is None:
            raise NotFound("usage_file_unknown", "no such file was loaded")
        return _file(row)

    @routes.get("/usage-files/{file_id}/lines/{line_number}", operation_id="usage-files.get-line")
    async def get_line(file_id: str, line_number: LineNumber, caller: Reads) -> dict[str, Any]:
        """A line exactly as the provider sent it, and read as JSON."""
        async with database.read() as reader:
            raw = await provider_lines.raw_line(reader, file_id, line_number)
        if raw is None:
            raise NotFound("usage_line_unknown", "the file has no such line")
        return {
            "file_id": file_id,
            "line_number": line_number,
            "raw": readable(raw),
            "line": _json(raw),
        }

    @routes.get("/provider-lines/{line_id}", operation_id="provider-lines.get")
    async def get_invoice_line(line_id: str, caller: Reads) -> dict[str, Any]:
        """A line of a provider invoice, as sent; `line_id` is a purchase's id."""
        async with database.read() as reader:
            row = await provider_lines.find_line(reader, line_id)
            if row is None:
                raise NotFound("provider_line_unknown", "no such invoice line was loaded")
            raw = await provider_lines.raw_line(reader, row["file_id"], row["line_number"])
        money = {"quantity": f"{row['quantity']:f}", "subtotal": f"{row['subtotal']:f}"}
        return dict(row) | money | {"line": _json(raw) if raw else None}

    @routes.get("/quarantine", operation_id="quarantine.list")
    async def list_quarantine(
        caller: Reads,
        source: str | None = None,
        source_id: str | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """What could not be used, oldest first, each with its reason and its own text."""
        async with database.read() as reader:
            rows = await quarantine.list_quarantine(
                reader, after=_after(cursor), source=source, source_id=source_id, limit=limit
            )
        more = encode_cursor(rows[-1]["id"]) if len(rows) == limit else None
        return page([dict(row) for row in rows], next_cursor=more)

    return routes


def _after(cursor: str | None) -> int:
    position = decode_cursor(cursor) or [0]
    if not isinstance(position[0], int):
        raise Invalid("cursor_invalid", "the cursor is not one of ours")
    return position[0]


def _file(row: Record) -> dict[str, Any]:
    start, end = row["billing_period_start"], row["billing_period_end"]
    return dict(row) | {
        "billing_period": {"start": start, "end": end} if start else None,
        "quantity": f"{row['quantity']:f}",
        "billing_pretax": f"{row['billing_pretax']:f}",
    }


def _json(raw: bytes) -> Any:
    """The line as a document, numbers as the texts they were; None when it is no JSON."""
    try:
        return _texts(loads(raw))
    except ValueError:
        return None


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value if isinstance(value, str | bool | int | type(None)) else str(value)
