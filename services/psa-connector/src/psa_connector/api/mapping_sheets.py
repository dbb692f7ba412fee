"""Suggestions with a confidence, and mappings as a CSV sheet."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from psa_connector.clients.vendors import Clients
from psa_connector.domain.mapping_sheet import EXTERNAL_ID, ContractLine, ProductLine
from psa_connector.domain.suggesting import ContractSuggestion, ProductSuggestion
from psa_connector.handlers import sheets, suggesting
from psa_connector.handlers.sheets import Change
from psa_connector.handlers.suggesting import Confirmed
from shared.kernel.errors import Invalid
from shared.runtime.postgres import Database
from shared.runtime.web import Operates, Reads, decode_cursor, encode_cursor

SHEET_MAX_BYTES = 5_000_000
SuggestionId = Annotated[str, Path(min_length=1, max_length=2_000)]
AtLeast = Annotated[int, Query(ge=1, le=100, description="percent")]
_CSV = {"text/csv": {"schema": {"type": "string"}}}
CSV_BODY = {"requestBody": {"required": True, "content": _CSV}}


class Suggestion(BaseModel):
    """What a contract or product could be in the PSA. `:confirm` with its id maps it."""

    id: str | None  # None: something is missing that only a person can choose
    kind: str
    key: str
    name: str
    company_id: str | None = None
    company_name: str | None = None
    target_id: str | None = None
    target_name: str | None = None
    external_id: str | None = None
    external_name: str | None = None
    confidence: int
    ambiguous: bool
    because: str


class SheetChange(BaseModel):
    line: int
    kind: str
    key: str
    before: str | None
    after: str


class SheetError(BaseModel):
    line: int
    code: str
    detail: str


class SheetReport(BaseModel):
    """What a sheet changes. With errors nothing was applied."""

    applied: bool
    lines: int
    changes: list[SheetChange]
    errors: list[SheetError]


def add_routes(routes: APIRouter, database: Database, clients: Clients) -> None:
    @routes.get("/mappings/suggestions", operation_id="mapping-suggestions.list")
    async def suggestions(
        caller: Reads, connection_id: str, at_least: AtLeast = 60
    ) -> dict[str, Any]:
        """What is not mapped, beside what the PSA has that looks like it. Maps nothing."""
        found = await suggesting.suggest(database, clients, connection_id, at_least=at_least)
        rows = [
            *(_contract_row(connection_id, one) for one in found.contracts),
            *(_product_row(connection_id, one) for one in found.products),
        ]
        data = [row.model_dump() for row in rows]
        return {"data": data, "next_cursor": None, "without": list(found.without)}

    @routes.post("/mappings/suggestions/{id}:confirm", operation_id="mapping-suggestions.confirm")
    async def confirm(id: SuggestionId, caller: Operates) -> dict[str, Any]:
        """Map what a suggestion says, after looking that the PSA still has it."""
        wanted = _confirmed(id)
        await suggesting.require_still_there(database, clients, wanted)
        async with database.transaction(actor=caller.subject) as tx:
            await suggesting.confirm(tx, wanted)
        ids = list(wanted.ids)
        return {"kind": wanted.kind, "key": wanted.key, "ids": ids, "mapped": True}

    @routes.get(
        "/mappings/export.csv",
        operation_id="mappings.export",
        response_class=PlainTextResponse,
        responses={200: {"content": {"text/csv": {}}}},
    )
    async def export(caller: Reads) -> PlainTextResponse:
        """All mappings as a sheet that `mappings/import` takes back."""
        async with database.read() as reader:
            text = await sheets.exported(reader)
        name = 'attachment; filename="psa-mappings.csv"'
        return PlainTextResponse(text, media_type="text/csv", headers={"Content-Disposition": name})

    @routes.post("/mappings/import", operation_id="mappings.import", openapi_extra=CSV_BODY)
    async def take_in(request: Request, caller: Operates, dry_run: bool = False) -> SheetReport:
        """Apply a sheet, all lines or none; `dry_run=true` only says what it would change."""
        text = await _sheet(request)
        async with database.transaction(actor=caller.subject) as tx:
            report = await sheets.imported(tx, text, dry_run=dry_run)
        return SheetReport(
            applied=report.applied,
            lines=report.lines,
            changes=[_change_row(change) for change in report.changes],
            errors=[
                SheetError(line=fault.line, code=fault.code, detail=fault.detail)
                for fault in report.faults
            ],
        )


async def _sheet(request: Request) -> str:
    """The body as text, as far as anybody may send one.

    Raises:
        Invalid: `sheet_too_large`, `sheet_not_utf8`.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > SHEET_MAX_BYTES:
            raise Invalid("sheet_too_large", f"a sheet may have {SHEET_MAX_BYTES} bytes")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("sheet_not_utf8", "save the sheet as CSV in UTF-8") from error


def _contract_row(connection_id: str, one: ContractSuggestion) -> Suggestion:
    key, company, target = one.contract.id, one.company, one.target
    id = None
    if target is not None:
        id = encode_cursor("contract", connection_id, key, company.id, target.id, one.confidence)
    return Suggestion(
        id=id,
        kind="contract",
        key=key,
        name=one.contract.account_name,
        company_id=company.id,
        company_name=company.name,
        target_id=target.id if target else None,
        target_name=target.name if target else None,
        confidence=one.confidence,
        ambiguous=one.ambiguous,
        because=one.because if target else f"{one.because}; it has no agreement that fits",
    )


def _product_row(connection_id: str, one: ProductSuggestion) -> Suggestion:
    key, offer = one.product.key, one.offer
    return Suggestion(
        id=encode_cursor("product", connection_id, key, offer.external_id, "", one.confidence),
        kind="product",
        key=key,
        name=one.product.name,
        external_id=offer.external_id,
        external_name=offer.name,
        confidence=one.confidence,
        ambiguous=one.ambiguous,
        because=one.because,
    )


def _confirmed(id: str) -> Confirmed:
    """What an id of a suggestion says; it comes from outside and is checked like a body.

    Raises:
        Invalid: `cursor_invalid`, `suggestion_invalid`.
    """
    said = decode_cursor(id, parts=6) or []
    match said:
        case [
            "contract" | "product" as kind,
            str() as connection_id,
            str() as key,
            str() as first,
            str() as second,
            int() as confidence,
        ]:
            ids = (first, second) if kind == "contract" else (first,)
            if connection_id and key and all(EXTERNAL_ID.fullmatch(one) for one in ids):
                return Confirmed(kind, connection_id, key, ids, confidence)
    raise Invalid("suggestion_invalid", "this is no id of a suggestion")


def _change_row(change: Change) -> SheetChange:
    match change.what:
        case ContractLine(key):
            kind = "contract"
        case ProductLine(_, key):
            kind = "product"
    return SheetChange(
        line=change.line, kind=kind, key=key, before=change.before, after=change.after
    )
