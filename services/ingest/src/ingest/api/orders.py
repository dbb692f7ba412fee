"""Orders for work. Each answers 202 with the row that will say how it went."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, StringConstraints, model_validator

from ingest.clients.errors import ProviderError
from ingest.clients.partner_center import LICENCE_VIEW
from ingest.handlers import EXPORTS, PRICE_SHEETS, SYNCS
from ingest.handlers.context import Accounts, Context
from ingest.store import checks, exports, price_sheets, syncs
from ingest.store.exports import Order
from ingest.store.price_sheets import Wish
from shared.contracts.envelope import Currency
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.runtime.postgres import Record, Transaction
from shared.runtime.web import (
    CursorParam,
    Limit,
    Operates,
    Prices,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)

InvoiceNumber = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,40}$")]
Market = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
USAGE, RECONCILIATION = "usage", "reconciliation"


class _Body(BaseModel):
    """`account_id` names the partner tenant that the work is for; default: the default one."""

    model_config = ConfigDict(extra="forbid")

    account_id: str | None = None


class UsageExportOrder(_Body):
    """Billed usage of an invoice, or the open usage of a period (a preview, never invoiced)."""

    kind: Literal["billed", "unbilled"]
    invoice_number: InvoiceNumber | None = None
    currency: Currency | None = None
    period: Literal["current", "last"] | None = None

    @model_validator(mode="after")
    def _complete(self) -> UsageExportOrder:
        billed = self.invoice_number is not None and self.currency is None and self.period is None
        open_ = self.invoice_number is None and None not in (self.currency, self.period)
        if (self.kind == "billed" and not billed) or (self.kind == "unbilled" and not open_):
            raise ValueError("billed takes invoice_number; unbilled takes currency and period")
        return self


class ReconciliationExportOrder(_Body):
    invoice_number: InvoiceNumber


class PriceSheetOrder(_Body):
    market: Market
    currency: Currency


class SyncOrder(_Body):
    """All customers of an account; there is nothing else to choose."""


class RegistrationOrder(_Body):
    """Where the provider shall post its notifications; default: the configured address."""

    callback_url: AnyHttpUrl | None = None


def router(accounts: Accounts) -> APIRouter:
    routes = APIRouter(prefix="/v1", tags=["work"])
    _exports(routes, accounts)
    _price_sheets(routes, accounts)
    _syncs(routes, accounts)
    _registrations(routes, accounts)
    return routes


def _exports(routes: APIRouter, accounts: Accounts) -> None:
    database = accounts.database

    @routes.post("/usage-exports", status_code=202, operation_id="usage-exports.create")
    async def export_usage(body: UsageExportOrder, caller: Operates) -> dict[str, Any]:
        """Export daily rated usage and publish it. A version that is loaded already is skipped."""
        context = accounts.of(body.account_id)
        order = Order(
            USAGE, body.invoice_number, body.currency, body.period, account_id=context.account.id
        )
        async with database.transaction(actor=caller.subject) as tx:
            return await _order_export(context, tx, order)

    @routes.post(
        "/reconciliation-exports", status_code=202, operation_id="reconciliation-exports.create"
    )
    async def export_reconciliation(
        body: ReconciliationExportOrder, caller: Operates
    ) -> dict[str, Any]:
        """Export the lines of an invoice; purchases among them are published."""
        context = accounts.of(body.account_id)
        order = Order(RECONCILIATION, body.invoice_number, account_id=context.account.id)
        async with database.transaction(actor=caller.subject) as tx:
            return await _order_export(context, tx, order)

    @routes.get("/usage-exports", operation_id="usage-exports.list")
    async def list_usage_exports(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Usage exports, newest first."""
        async with database.read() as reader:
            rows = await exports.list_exports(reader, USAGE, before=_before(cursor), limit=limit)
        return _page(rows, limit)

    @routes.get("/usage-exports/{export_id}", operation_id="usage-exports.get")
    async def get_usage_export(export_id: str, caller: Reads) -> dict[str, Any]:
        """One export: its state, and why it waits or failed."""
        async with database.read() as reader:
            return _found(await exports.find_export(reader, export_id, USAGE), "export")

    @routes.get("/reconciliation-exports", operation_id="reconciliation-exports.list")
    async def list_reconciliation_exports(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Invoice exports, newest first."""
        async with database.read() as reader:
            rows = await exports.list_exports(
                reader, RECONCILIATION, before=_before(cursor), limit=limit
            )
        return _page(rows, limit)

    @routes.get("/reconciliation-exports/{export_id}", operation_id="reconciliation-exports.get")
    async def get_reconciliation_export(export_id: str, caller: Reads) -> dict[str, Any]:
        """One export: its state, and why it waits or failed."""
        async with database.read() as reader:
            return _found(await exports.find_export(reader, export_id, RECONCILIATION), "export")


def _price_sheets(routes: APIRouter, accounts: Accounts) -> None:
    database = accounts.database

    @routes.post("/price-sheets:import", status_code=202, operation_id="price-sheets.import")
    async def import_price_sheet(body: PriceSheetOrder, caller: Prices) -> dict[str, Any]:
        """Fetch the licence price sheet of a market and publish the rows of one currency."""
        context = accounts.of(body.account_id)
        wish = Wish(context.account.id, body.market, body.currency, LICENCE_VIEW)
        async with database.transaction(actor=caller.subject) as tx:
            import_id = tx.new_id()
            await price_sheets.add_import(tx, import_id, wish)
            await tx.record(
                "price-sheet.import-ordered",
                f"price-sheet-import/{import_id}",
                after=body.model_dump() | {"account_id": wish.account_id},
            )
            tx.wake(context.job(PRICE_SHEETS))
        return {"id": import_id, "state": "pending"}

    @routes.get("/price-sheets", operation_id="price-sheets.list")
    async def list_imports(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Imports, newest first, with what was published."""
        async with database.read() as reader:
            rows = await price_sheets.list_imports(reader, before=_before(cursor), limit=limit)
        return _page(rows, limit)

    @routes.get("/price-sheets/{import_id}", operation_id="price-sheets.get")
    async def get_import(import_id: str, caller: Reads) -> dict[str, Any]:
        """One import."""
        async with database.read() as reader:
            rows = await price_sheets.list_imports(reader, import_id=import_id)
        return _found(rows[0] if rows else None, "import")


def _syncs(routes: APIRouter, accounts: Accounts) -> None:
    database = accounts.database

    @routes.post("/syncs", status_code=202, operation_id="syncs.create")
    async def sync(body: SyncOrder, caller: Operates) -> dict[str, Any]:
        """Pull the activity records and compare every subscription with its mirror.

        The first one divides history from news: what exists then opens with its running term.
        """
        context = accounts.of(body.account_id)
        account_id = context.account.id
        async with database.transaction(actor=caller.subject) as tx:
            sync_id = tx.new_id()
            await syncs.add_sync(tx, sync_id, account_id=account_id)
            await tx.record("sync.ordered", f"sync/{sync_id}", after={"account_id": account_id})
            tx.wake(context.job(SYNCS))
        return {"id": sync_id, "state": "pending"}

    @routes.get("/syncs", operation_id="syncs.list")
    async def list_syncs(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Syncs, newest first."""
        async with database.read() as reader:
            rows = await syncs.list_syncs(reader, before=_before(cursor), limit=limit)
        return _page(rows, limit)

    @routes.get("/syncs/{sync_id}", operation_id="syncs.get")
    async def get_sync(sync_id: str, caller: Reads) -> dict[str, Any]:
        """One sync."""
        async with database.read() as reader:
            return _found(await syncs.find_sync(reader, sync_id), "sync")

    @routes.get("/subscription-checks", operation_id="subscription-checks.list")
    async def list_checks(
        caller: Reads,
        still_open: bool | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Looks at single subscriptions: what waits, what failed, and why."""
        subscription_id, account_id = decode_cursor(cursor, parts=2) or ["", ""]
        after = (str(subscription_id), str(account_id))
        async with database.read() as reader:
            rows = await checks.list_checks(reader, after=after, still_open=still_open, limit=limit)
        last = rows[-1] if len(rows) == limit else None
        more = encode_cursor(last["subscription_id"], last["account_id"]) if last else None
        return page([dict(row) for row in rows], next_cursor=more)


def _registrations(routes: APIRouter, accounts: Accounts) -> None:
    @routes.post("/webhook-registrations", operation_id="webhook-registrations.create")
    async def register(body: RegistrationOrder, caller: Operates) -> dict[str, Any]:
        """Register the receiver with the provider; there is one registration a tenant."""
        context = accounts.of(body.account_id)
        url = str(body.callback_url or context.account.callback_url or "")
        if not url:
            raise Invalid("callback_url_missing", "name a callback_url, or configure one")
        try:
            found = await context.partner_center.register_webhook(url)
        except ProviderError as error:
            raise Conflict("provider_refused", f"{error.code} {error.words}".strip()) from error
        shown: dict[str, Any] = {
            "account_id": context.account.id,
            "subscriber_id": found.subscriber_id,
            "callback_url": found.callback_url,
            "events": list(found.events),
        }
        async with context.database.transaction(actor=caller.subject) as tx:
            thing = f"webhook-registration/{found.subscriber_id}"
            await tx.record("webhook.registered", thing, after=shown)
        return shown


async def _order_export(context: Context, tx: Transaction, order: Order) -> dict[str, Any]:
    export_id = tx.new_id()
    await exports.add_export(tx, export_id, order)
    await tx.record(
        "export.ordered",
        f"export/{export_id}",
        after={"kind": order.kind, "data_set": order.data_set},
    )
    tx.wake(context.job(EXPORTS))
    return {"id": export_id, "state": "pending"}


def _before(cursor: str | None) -> tuple[datetime, str] | None:
    """The position after which a newest-first page goes on."""
    position = decode_cursor(cursor)
    if position is None:
        return None
    try:
        at, key = position
        return datetime.fromisoformat(at), str(key)
    except (ValueError, TypeError) as error:
        raise Invalid("cursor_invalid", "the cursor is not one of ours") from error


def _page(rows: list[Record], limit: int) -> dict[str, Any]:
    last = rows[-1] if len(rows) == limit else None
    more = encode_cursor(last["requested_at"], last["id"]) if last is not None else None
    return page([dict(row) for row in rows], next_cursor=more)


def _found(row: Record | None, what: str) -> dict[str, Any]:
    if row is None:
        raise NotFound(f"{what}_unknown", f"there is no such {what}")
    return dict(row)
