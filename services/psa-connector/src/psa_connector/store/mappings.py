"""Which contract and which product is what in which PSA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psa_connector.domain.connection import Connection
from psa_connector.domain.mapping import ContractMapping
from psa_connector.store.connections import connection_of
from shared.runtime.postgres import Reader, Record, Transaction

PUT_CONTRACT = """
INSERT INTO contract_mapping (contract_id, connection_id, company_id, target_id, changed_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (contract_id) DO UPDATE SET
    connection_id = EXCLUDED.connection_id, company_id = EXCLUDED.company_id,
    target_id = EXCLUDED.target_id, changed_at = EXCLUDED.changed_at
"""
GET_CONTRACT = """
SELECT connection_id, company_id, target_id FROM contract_mapping WHERE contract_id = $1
"""
GET_CONTRACT_AND_CONNECTION = """
SELECT m.connection_id, m.company_id, m.target_id,
       c.id, c.vendor, c.base_url, c.credentials, c.settings, c.version
FROM contract_mapping m LEFT JOIN connection c ON c.id = m.connection_id
WHERE m.contract_id = $1
"""
LIST_CONTRACTS = """
SELECT contract_id, connection_id, company_id, target_id FROM contract_mapping
WHERE contract_id > $1 ORDER BY contract_id LIMIT $2
"""
PUT_PRODUCT = """
INSERT INTO product_mapping (connection_id, product_key, external_id, changed_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (connection_id, product_key) DO UPDATE SET
    external_id = EXCLUDED.external_id, changed_at = EXCLUDED.changed_at
"""
GET_PRODUCTS = """
SELECT product_key, external_id FROM product_mapping
WHERE connection_id = $1 AND product_key = ANY($2::text[])
"""
EVERY_CONTRACT = """
SELECT contract_id, connection_id, company_id, target_id FROM contract_mapping
ORDER BY connection_id NULLS LAST, contract_id
"""
EVERY_PRODUCT = """
SELECT connection_id, product_key, external_id FROM product_mapping
ORDER BY connection_id, product_key
"""
LIST_PRODUCTS = """
SELECT connection_id, product_key, external_id FROM product_mapping
WHERE ($1::text IS NULL OR connection_id = $1) AND (connection_id, product_key) > ($2, $3)
ORDER BY connection_id, product_key LIMIT $4
"""


async def put_contract(tx: Transaction, contract_id: str, mapping: ContractMapping) -> None:
    await tx.execute(
        PUT_CONTRACT, contract_id, mapping.connection_id, mapping.company_id, mapping.target_id,
        tx.now,
    )  # fmt: skip


async def contract(reader: Reader, contract_id: str) -> ContractMapping | None:
    row = await reader.fetchrow(GET_CONTRACT, contract_id)
    return None if row is None else ContractMapping(**row)


async def contract_and_connection(
    reader: Reader, contract_id: str
) -> tuple[ContractMapping | None, Connection | None]:
    """Where a contract goes, with the connection that leads there."""
    row = await reader.fetchrow(GET_CONTRACT_AND_CONNECTION, contract_id)
    if row is None:
        return None, None
    mapping = ContractMapping(row["connection_id"], row["company_id"], row["target_id"])
    return mapping, connection_of(row) if row["connection_id"] else None


async def list_contracts(reader: Reader, *, after: str, limit: int) -> list[Record]:
    return await reader.fetch(LIST_CONTRACTS, after, limit)


async def put_product(
    tx: Transaction, connection_id: str, product_key: str, external_id: str
) -> None:
    await tx.execute(PUT_PRODUCT, connection_id, product_key, external_id, tx.now)


async def products(reader: Reader, connection_id: str, keys: Iterable[str]) -> Mapping[str, str]:
    """The mapped ones among these product keys."""
    rows = await reader.fetch(GET_PRODUCTS, connection_id, sorted(keys))
    return {row["product_key"]: row["external_id"] for row in rows}


async def list_products(
    reader: Reader, *, connection_id: str | None, after: tuple[str, str], limit: int
) -> list[Record]:
    return await reader.fetch(LIST_PRODUCTS, connection_id, *after, limit)


async def every_contract(reader: Reader) -> dict[str, ContractMapping]:
    """All contract mappings, those of one connection together."""
    return {
        row["contract_id"]: ContractMapping(
            row["connection_id"], row["company_id"], row["target_id"]
        )
        for row in await reader.fetch(EVERY_CONTRACT)
    }


async def every_product(reader: Reader) -> dict[tuple[str, str], str]:
    """All product mappings: external id by connection and product key."""
    rows = await reader.fetch(EVERY_PRODUCT)
    return {(row["connection_id"], row["product_key"]): row["external_id"] for row in rows}
