"""Accounts and contracts by name, and what waits for a mapping: the material of suggestions."""

from __future__ import annotations

from psa_connector.domain.suggesting import OurContract, OurProduct
from shared.contracts.invoicing import AccountChanged, ContractChanged
from shared.runtime.postgres import Reader, Transaction

PUT_ACCOUNT = """
INSERT INTO known_account (account_id, name) VALUES ($1, $2)
ON CONFLICT (account_id) DO UPDATE SET name = EXCLUDED.name
"""
# Versions of a contract arrive in order; a replayed older one must not win.
PUT_CONTRACT = """
INSERT INTO known_contract (contract_id, version, account_id, currency) VALUES ($1, $2, $3, $4)
ON CONFLICT (contract_id) DO UPDATE SET
    version = EXCLUDED.version, account_id = EXCLUDED.account_id, currency = EXCLUDED.currency
WHERE known_contract.version <= EXCLUDED.version
"""
# What an operator has said nothing about: known contracts, and those that only a fact names.
UNMAPPED_CONTRACTS = """
SELECT c.contract_id, c.account_id, coalesce(a.name, c.account_id) AS account_name, c.currency
FROM known_contract c LEFT JOIN known_account a USING (account_id)
WHERE NOT EXISTS (SELECT FROM contract_mapping m WHERE m.contract_id = c.contract_id)
UNION ALL
SELECT s.contract_id, '', s.contract_id, NULL
FROM (SELECT DISTINCT contract_id FROM source WHERE state = 'waiting') s
WHERE NOT EXISTS (SELECT FROM contract_mapping m WHERE m.contract_id = s.contract_id)
  AND NOT EXISTS (SELECT FROM known_contract c WHERE c.contract_id = s.contract_id)
ORDER BY 1
"""
# Products of facts that are not delivered yet, on contracts of this connection or of none.
UNMAPPED_PRODUCTS = """
WITH open AS (
    SELECT s.kind, s.body FROM source s
    LEFT JOIN contract_mapping m ON m.contract_id = s.contract_id
    WHERE s.state IN ('waiting', 'blocked')
      AND (m.contract_id IS NULL OR m.connection_id = $1)
), wanted AS (
    SELECT line ->> 'product_key' AS key, line ->> 'product_name' AS name, line ->> 'kind' AS kind
    FROM open, jsonb_array_elements(open.body -> 'lines') line WHERE open.kind = 'invoice'
    UNION ALL
    SELECT body -> 'product' ->> 'key', body -> 'product' ->> 'name', 'recurring'
    FROM open WHERE kind = 'licence_change'
)
SELECT DISTINCT ON (w.key, w.kind) w.key, w.name, w.kind FROM wanted w
WHERE NOT EXISTS (SELECT FROM product_mapping p
                  WHERE p.connection_id = $1 AND p.product_key IN (w.key, 'kind:' || w.kind))
ORDER BY w.key, w.kind, w.name
"""
CURRENCIES = "SELECT contract_id, currency FROM known_contract"
CONTRACT_NAMES = """
SELECT c.contract_id, a.name FROM known_contract c JOIN known_account a USING (account_id)
"""


async def put_account(tx: Transaction, account: AccountChanged) -> None:
    await tx.execute(PUT_ACCOUNT, account.account_id, account.name)


async def put_contract(tx: Transaction, contract: ContractChanged) -> None:
    await tx.execute(
        PUT_CONTRACT, contract.contract_id, contract.version, contract.account_id,
        contract.currency,
    )  # fmt: skip


async def unmapped_contracts(reader: Reader) -> list[OurContract]:
    """Contracts that nobody has mapped, nor said that they go nowhere."""
    return [
        OurContract(row["contract_id"], row["account_id"], row["account_name"], row["currency"])
        for row in await reader.fetch(UNMAPPED_CONTRACTS)
    ]


async def unmapped_products(reader: Reader, connection_id: str) -> list[OurProduct]:
    """Products that lines for this connection wait for, by the kind of the lines."""
    rows = await reader.fetch(UNMAPPED_PRODUCTS, connection_id)
    return [OurProduct(row["key"], row["name"], row["kind"]) for row in rows]


async def contract_names(reader: Reader) -> dict[str, str]:
    """Whose contract it is, by contract."""
    return {row["contract_id"]: row["name"] for row in await reader.fetch(CONTRACT_NAMES)}


async def contract_currencies(reader: Reader) -> dict[str, str]:
    return {row["contract_id"]: row["currency"] for row in await reader.fetch(CURRENCIES)}
