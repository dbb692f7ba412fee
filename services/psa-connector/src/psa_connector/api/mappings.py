"""Mappings of contracts and products."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, StringConstraints

from psa_connector.domain.mapping import ContractMapping
from psa_connector.handlers import mapping
from psa_connector.store import mappings
from shared.runtime.postgres import Database
from shared.runtime.web import (
    CursorParam,
    Limit,
    Operates,
    Reads,
    decode_cursor,
    encode_cursor,
    page,
)

ContractId = Annotated[str, Path(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
# What goes into a vendor's paths and filters: no slashes, no quotes.
ExternalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]


class ContractBody(BaseModel):
    """Where a contract goes. `connection_id: null`: to no PSA, on purpose."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"connection_id": "cw-main", "company_id": "250", "target_id": "7001"}]
        },
    )

    connection_id: Text | None
    company_id: ExternalId | None = None
    target_id: ExternalId | None = None


class ProductBody(BaseModel):
    """What a product is called in a PSA. `kind:usage` maps usage without a mapping of its own;
    `billing_code:7` makes Autotask charges go to a billing code instead of a product."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "connection_id": "cw-main",
                    "product_key": "CFQ7TTC0LCHC:0002:P1Y:monthly",
                    "external_id": "501",
                }
            ]
        },
    )

    connection_id: Text
    product_key: Text
    external_id: ExternalId


def add_routes(routes: APIRouter, database: Database) -> None:
    @routes.put("/mappings/contracts/{contract_id}", operation_id="contract-mappings.put")
    async def put_contract(
        contract_id: ContractId, body: ContractBody, caller: Operates
    ) -> dict[str, str | None]:
        """Map a contract; what waited for it is planned at once."""
        wanted = ContractMapping(body.connection_id, body.company_id, body.target_id)
        async with database.transaction(actor=caller.subject) as tx:
            await mapping.map_contract(tx, contract_id, wanted)
        return {"contract_id": contract_id, **body.model_dump()}

    @routes.get("/mappings/contracts", operation_id="contract-mappings.list")
    async def list_contracts(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """All contract mappings, by contract."""
        after = (decode_cursor(cursor) or [""])[0]
        async with database.read() as reader:
            rows = await mappings.list_contracts(reader, after=after, limit=limit)
        following = encode_cursor(rows[-1]["contract_id"]) if len(rows) == limit else None
        return page([dict(row) for row in rows], next_cursor=following)

    @routes.put("/mappings/products", operation_id="product-mappings.put")
    async def put_product(body: ProductBody, caller: Operates) -> ProductBody:
        """Map a product; what missed it is planned at once."""
        async with database.transaction(actor=caller.subject) as tx:
            await mapping.map_product(tx, body.connection_id, body.product_key, body.external_id)
        return body

    @routes.get("/mappings/products", operation_id="product-mappings.list")
    async def list_products(
        caller: Reads,
        connection_id: str | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Product mappings, by connection and product."""
        after = decode_cursor(cursor, parts=2) or ["", ""]
        async with database.read() as reader:
            rows = await mappings.list_products(
                reader, connection_id=connection_id, after=(after[0], after[1]), limit=limit
            )
        last = rows[-1] if len(rows) == limit else None
        following = encode_cursor(last["connection_id"], last["product_key"]) if last else None
        return page([dict(row) for row in rows], next_cursor=following)
