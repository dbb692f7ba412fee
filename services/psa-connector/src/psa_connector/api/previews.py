"""Previews: what a push would write, without writing."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from psa_connector.clients.vendors import Clients
from psa_connector.domain.operations import kind_of
from psa_connector.domain.previewing import Action
from psa_connector.handlers import previewing
from psa_connector.handlers.previewing import Line, Window
from psa_connector.store import operations
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Reads, decode_cursor, encode_cursor, page

Name = Annotated[str, Path(min_length=1, max_length=200)]
Few = Annotated[int, Query(ge=1, le=200, description="each line costs a call to the PSA")]


class PreviewLine(BaseModel):
    """One line, and what pushing it now would do."""

    source_id: str
    contract_id: str
    connection_id: str | None
    target_id: str | None
    kind: str | None
    operation: dict[str, Any] | None
    action: Action
    reason: str
    detail: str
    external_id: str | None


def add_routes(routes: APIRouter, database: Database, clients: Clients) -> None:
    @routes.get("/previews/invoices/{invoice}", operation_id="previews.invoice")
    async def invoice(
        invoice: Name, caller: Reads, limit: Few = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """What pushing an invoice (by number or id) would do. Nothing is written."""
        window = _window(cursor, limit)
        return _page(await previewing.preview_invoice(database, clients, invoice, window), window)

    @routes.get("/previews/contracts/{contract_id}", operation_id="previews.contract")
    async def contract(
        contract_id: Name, caller: Reads, limit: Few = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """What is still to be pushed for a contract, and what that would do. Nothing is written."""
        window = _window(cursor, limit)
        found = await previewing.preview_contract(database, clients, contract_id, window)
        return _page(found, window)


def _window(cursor: str | None, limit: int) -> Window:
    after = (decode_cursor(cursor, parts=1) or [0])[0]
    return Window(after if isinstance(after, int) else 0, limit)


def _page(lines: list[Line], window: Window) -> dict[str, Any]:
    full = len(lines) == window.count
    following = encode_cursor(window.start + window.count) if full else None
    counted = Counter(line.foreseen.action.value for line in lines)
    rows = [_row(line).model_dump(mode="json") for line in lines]
    actions = {action.value: counted[action.value] for action in Action}
    return page(rows, next_cursor=following) | {"actions": actions}


def _row(line: Line) -> PreviewLine:
    operation, place, foreseen = line.operation, line.place, line.foreseen
    kind = None if operation is None else kind_of(operation)
    return PreviewLine(
        source_id=line.source_id,
        contract_id=line.contract_id,
        connection_id=place.connection_id if place else None,
        target_id=place.target_id if place else None,
        kind=kind,
        operation=None if operation is None or kind is None else operations.to_row(kind, operation),
        action=foreseen.action,
        reason=foreseen.reason,
        detail=foreseen.detail,
        external_id=foreseen.external_id,
    )
