"""Selling entities, accounts, contracts and one-time items over HTTP."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from invoicing.api.fields import Amount, Country, Day, Key, KeyPath, KeyQuery, Words, after_key
from invoicing.domain.collect import OneTimeItem
from invoicing.domain.cycles import next_invoice_date
from invoicing.domain.parties import SellingEntity
from invoicing.domain.terms import terms_of
from invoicing.handlers import parties as handlers
from invoicing.store import parties as store
from shared.contracts.envelope import Currency, Exact
from shared.contracts.invoicing import AccountChanged, ContractChanged, TaxMode, Timing
from shared.kernel import conventions
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Operates, Reads, encode_cursor, page


class SellingEntityBody(BaseModel):
    """A legal entity that issues invoices. Its numbers are the prefix and a gapless count."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Harbor Cloud Inc.",
                    "country": "US",
                    "tax_mode": "per_line",
                    "invoice_prefix": "HUS-",
                    "payment_terms_days": 15,
                }
            ]
        },
    )

    name: Words
    country: Country
    tax_mode: TaxMode
    invoice_prefix: Annotated[str, Field(max_length=20)]
    payment_terms_days: Annotated[int, Field(ge=0, le=365)]


class SellingEntityRow(SellingEntityBody):
    selling_entity_id: str


class AccountBody(BaseModel):
    """Who pays: a customer of one selling entity, taxed in one jurisdiction."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Alder Dental",
                    "selling_entity_id": "harbor-us",
                    "country": "US",
                    "tax_jurisdiction": "US-NY",
                    "currency": "USD",
                }
            ]
        },
    )

    name: Words
    selling_entity_id: Key
    country: Country
    tax_jurisdiction: Key
    currency: Currency
    parent_account_id: Key | None = None


class ContractBody(BaseModel):
    """Terms of billing. `billed_through` defaults to `starts_on`; without `subscription_ids` the
    contract covers everything the provider customer has. `convention` says how a part of a cycle
    is counted and a line rounded: `days/v1`, `days/v1;zone=Europe/Paris;rounding=half_even`.
    `market` says whose price sheets count, where several markets are sold to in one currency."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "account_id": "alder",
                    "currency": "USD",
                    "timing": "advance",
                    "anchor_day": 1,
                    "invoice_offset_days": 0,
                    "starts_on": "2026-04-01",
                    "billed_through": "2026-05-01",
                    "provider_customer_id": "5f2b1c3a-0000-4000-8000-000000000001",
                }
            ]
        },
    )

    account_id: Key
    currency: Currency
    timing: Timing
    anchor_day: Annotated[int, Field(ge=1, le=31)]
    invoice_offset_days: Annotated[int, Field(ge=0, le=60)] = 0
    starts_on: Day
    billed_through: Day | None = None
    ends_on: Day | None = None
    provider_customer_id: Key
    subscription_ids: Annotated[list[Key], Field(max_length=10_000)] | None = None
    shared_subscription_ids: Annotated[list[Key], Field(max_length=10_000)] = []
    bill_to_account_id: Key | None = None
    convention: Annotated[str, Field(max_length=200)] = conventions.DEFAULT
    market: Country | None = None


class ContractRow(ContractChanged):
    """A contract as published, and when it is invoiced next."""

    next_invoice_date: date | None


class ItemBody(BaseModel):
    """Something sold once. `cost` is for the whole quantity; its currency defaults to the
    contract's. A negative unit price is a credit."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "item_id": "o1",
                    "product_key": "onboarding",
                    "name": "Onboarding",
                    "tax_category": "service",
                    "quantity": "1",
                    "unit_price": "150.00",
                    "on": "2026-04-22",
                }
            ]
        },
    )

    item_id: Key
    product_key: Key
    name: Words
    tax_category: Key
    quantity: Annotated[Amount, Field(gt=0)]
    unit_price: Amount
    on: Day
    cost: Amount = Decimal(0)
    cost_currency: Currency | None = None


class ItemRow(BaseModel):
    contract_id: str
    item_id: str
    product_key: str
    name: str
    tax_category: str
    quantity: Exact
    unit_price: Exact
    on: date
    cost: Exact
    cost_currency: str
    billed_line: str | None = None  # <invoice number>/<line>


def router(database: Database) -> APIRouter:
    """Routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["parties"])
    _selling_entities(routes, database)
    _accounts(routes, database)
    _contracts(routes, database)
    _items(routes, database)
    return routes


def _selling_entities(routes: APIRouter, database: Database) -> None:
    @routes.put("/selling-entities/{selling_entity_id}", operation_id="selling-entities.put")
    async def put_selling_entity(
        selling_entity_id: KeyPath, body: SellingEntityBody, caller: Operates
    ) -> SellingEntityRow:
        """Create or change; the prefix is fixed once an invoice was issued under it."""
        wanted = SellingEntity(selling_entity_id=selling_entity_id, **dict(body))
        async with database.transaction(actor=caller.subject) as tx:
            kept = await handlers.put_seller(tx, wanted)
        return _seller_row(kept)

    @routes.get("/selling-entities", operation_id="selling-entities.list")
    async def list_selling_entities(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Selling entities by id, each with the prefix of its invoice numbers."""
        async with database.read() as reader:
            rows = await store.list_sellers(reader, after=after_key(cursor), limit=limit)
        more = encode_cursor(rows[-1].selling_entity_id) if len(rows) == limit else None
        data = [_seller_row(row).model_dump(mode="json") for row in rows]
        return page(data, next_cursor=more)

    @routes.get("/selling-entities/{selling_entity_id}", operation_id="selling-entities.get")
    async def get_selling_entity(selling_entity_id: KeyPath, caller: Reads) -> SellingEntityRow:
        """One selling entity."""
        async with database.read() as reader:
            return _seller_row(await store.get_seller(reader, selling_entity_id))


def _accounts(routes: APIRouter, database: Database) -> None:
    @routes.put("/accounts/{account_id}", operation_id="accounts.put")
    async def put_account(
        account_id: KeyPath, body: AccountBody, caller: Operates
    ) -> AccountChanged:
        """Create or change; published only if something changed. A new tax jurisdiction asks tax
        again about drafts that wait for it."""
        wanted = AccountChanged(account_id=account_id, **dict(body))
        async with database.transaction(actor=caller.subject) as tx:
            return await handlers.put_account(tx, wanted)

    @routes.get("/accounts", operation_id="accounts.list")
    async def list_accounts(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Accounts by id."""
        async with database.read() as reader:
            rows = await store.list_accounts(reader, after=after_key(cursor), limit=limit)
        more = encode_cursor(rows[-1].account_id) if len(rows) == limit else None
        return page([row.model_dump(mode="json") for row in rows], next_cursor=more)

    @routes.get("/accounts/{account_id}", operation_id="accounts.get")
    async def get_account(account_id: KeyPath, caller: Reads) -> AccountChanged:
        """One account."""
        async with database.read() as reader:
            return await store.get_account(reader, account_id)


def _contracts(routes: APIRouter, database: Database) -> None:
    @routes.put("/contracts/{contract_id}", operation_id="contracts.put")
    async def put_contract(
        contract_id: KeyPath, body: ContractBody, caller: Operates
    ) -> ContractRow:
        """Create or change; a new version is published only if something changed. Terms that
        invoices rest on are fixed by the first run."""
        wanted = _wanted(contract_id, body)
        async with database.transaction(actor=caller.subject) as tx:
            kept = await handlers.put_contract(tx, wanted)
            return _contract_row(kept, utc_day(tx.now))

    @routes.get("/contracts", operation_id="contracts.list")
    async def list_contracts(
        caller: Reads,
        account_id: KeyQuery = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Contracts by id."""
        async with database.read() as reader:
            today = utc_day(reader.now)
            rows = await store.list_contracts(
                reader, account_id=account_id, after=after_key(cursor), limit=limit
            )
        more = encode_cursor(rows[-1].contract_id) if len(rows) == limit else None
        data = [_contract_row(row, today).model_dump(mode="json") for row in rows]
        return page(data, next_cursor=more)

    @routes.get("/contracts/{contract_id}", operation_id="contracts.get")
    async def get_contract(contract_id: KeyPath, caller: Reads) -> ContractRow:
        """One contract, and the date of its next invoice."""
        async with database.read() as reader:
            contract = await store.get_contract(reader, contract_id)
            return _contract_row(contract, utc_day(reader.now))


def _items(routes: APIRouter, database: Database) -> None:
    @routes.post(
        "/contracts/{contract_id}/one-time-items",
        operation_id="one-time-items.add",
        status_code=201,
        responses={200: {"model": ItemRow, "description": "It was added before"}},
    )
    async def add_item(
        contract_id: KeyPath, body: ItemBody, caller: Operates, response: Response
    ) -> ItemRow:
        """Bill something on the first invoice dated on or after `on`. The item's own id makes a
        repeat harmless: 201 the first time, 200 after that, 409 for other content."""
        async with database.transaction(actor=caller.subject) as tx:
            contract = await store.get_contract(tx, contract_id)
            facts = dict(body) | {"cost_currency": body.cost_currency or contract.currency}
            item = OneTimeItem(**facts)
            added = await handlers.add_item(tx, contract_id, item)
        response.status_code = 201 if added else 200
        return _item_row(contract_id, item, None)

    @routes.get("/contracts/{contract_id}/one-time-items", operation_id="one-time-items.list")
    async def list_items(
        contract_id: KeyPath, caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """One-time items of a contract by id, each with the line that billed it."""
        async with database.read() as reader:
            await store.get_contract(reader, contract_id)
            rows = await store.list_items(reader, contract_id, after=after_key(cursor), limit=limit)
        more = encode_cursor(rows[-1][0].item_id) if len(rows) == limit else None
        data = [_item_row(contract_id, item, line).model_dump(mode="json") for item, line in rows]
        return page(data, next_cursor=more)


def _wanted(contract_id: str, body: ContractBody) -> ContractChanged:
    facts = body.model_dump()
    facts["billed_through"] = body.billed_through or body.starts_on
    facts["convention"] = conventions.parse(body.convention).name
    return ContractChanged(contract_id=contract_id, version=0, **facts)


def _contract_row(contract: ContractChanged, today: date) -> ContractRow:
    upcoming = next_invoice_date(terms_of(contract), after=today)
    return ContractRow(**contract.model_dump(), next_invoice_date=upcoming)


def _seller_row(seller: SellingEntity) -> SellingEntityRow:
    return SellingEntityRow(
        selling_entity_id=seller.selling_entity_id,
        name=seller.name,
        country=seller.country,
        tax_mode=seller.tax_mode,
        invoice_prefix=seller.invoice_prefix,
        payment_terms_days=seller.payment_terms_days,
    )


def _item_row(contract_id: str, item: OneTimeItem, billed_line: str | None) -> ItemRow:
    return ItemRow(
        contract_id=contract_id,
        item_id=item.item_id,
        product_key=item.product_key,
        name=item.name,
        tax_category=item.tax_category,
        quantity=item.quantity,
        unit_price=item.unit_price,
        on=item.on,
        cost=item.cost,
        cost_currency=item.cost_currency,
        billed_line=billed_line,
    )
