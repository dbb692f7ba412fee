"""Selling entities, accounts, contracts with their versions, one-time items."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from invoicing.domain.collect import OneTimeItem
from invoicing.domain.parties import SellingEntity
from shared.contracts.invoicing import AccountChanged, ContractChanged, TaxMode
from shared.kernel.errors import Conflict, NotFound
from shared.runtime.postgres import Reader, Record, Transaction

# For rows that may not exist yet; key 2 is apart from the locks of the runtime.
LOCK_NAME = "SELECT pg_advisory_xact_lock(hashtextextended($1, 2))"

FIND_SELLER = "SELECT * FROM selling_entity WHERE selling_entity_id = $1"
LIST_SELLERS = """
SELECT * FROM selling_entity WHERE selling_entity_id > $1 ORDER BY selling_entity_id LIMIT $2
"""
PREFIX_OWNER = """
SELECT selling_entity_id FROM selling_entity
WHERE invoice_prefix = $1 AND selling_entity_id <> $2
"""
PUT_SELLER = """
INSERT INTO selling_entity (selling_entity_id, name, country, tax_mode, invoice_prefix,
                            payment_terms_days, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (selling_entity_id) DO UPDATE
SET (name, country, tax_mode, invoice_prefix, payment_terms_days, changed_at)
  = (excluded.name, excluded.country, excluded.tax_mode, excluded.invoice_prefix,
     excluded.payment_terms_days, excluded.changed_at)
"""
START_SEQUENCE = """
INSERT INTO invoice_sequence (selling_entity_id) VALUES ($1) ON CONFLICT DO NOTHING
"""
INVOICES_ISSUED = "SELECT last_count FROM invoice_sequence WHERE selling_entity_id = $1"
TAKE_COUNT = """
UPDATE invoice_sequence SET last_count = last_count + 1 WHERE selling_entity_id = $1
RETURNING last_count
"""

FIND_ACCOUNT = "SELECT * FROM account WHERE account_id = $1"
LOCK_ACCOUNT = "SELECT * FROM account WHERE account_id = $1 FOR NO KEY UPDATE"
PUT_ACCOUNT = """
INSERT INTO account (account_id, name, selling_entity_id, country, tax_jurisdiction, currency,
                     parent_account_id, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (account_id) DO UPDATE
SET (name, selling_entity_id, country, tax_jurisdiction, currency, parent_account_id, changed_at)
  = (excluded.name, excluded.selling_entity_id, excluded.country, excluded.tax_jurisdiction,
     excluded.currency, excluded.parent_account_id, excluded.changed_at)
"""
LIST_ACCOUNTS = "SELECT * FROM account WHERE account_id > $1 ORDER BY account_id LIMIT $2"

FIND_CONTRACT = "SELECT * FROM contract WHERE contract_id = $1"
# FOR UPDATE also waits for requests of runs, which rely on the terms they read (KEY SHARE).
LOCK_CONTRACT_TO_CHANGE = "SELECT * FROM contract WHERE contract_id = $1 FOR UPDATE"
# With every contract that is invoiced together with it: all at once and in one order.
LOCK_CONTRACT = """
SELECT contract_id FROM contract
WHERE contract_id = $1
   OR bill_to_account_id = (SELECT bill_to_account_id FROM contract WHERE contract_id = $1)
ORDER BY contract_id FOR NO KEY UPDATE
"""
LOCK_CONTRACTS = """
SELECT contract_id FROM contract
WHERE contract_id = ANY($1::text[])
   OR bill_to_account_id IN (SELECT bill_to_account_id FROM contract
                             WHERE contract_id = ANY($1::text[]))
ORDER BY contract_id FOR NO KEY UPDATE
"""
BILLED_TOGETHER = """
SELECT contract_id FROM contract
WHERE bill_to_account_id IN (SELECT bill_to_account_id FROM contract
                             WHERE contract_id = ANY($1::text[]))
ORDER BY contract_id
"""
ANCESTORS = """
WITH RECURSIVE up AS (
    SELECT account_id, parent_account_id FROM account WHERE account_id = $1
    UNION
    SELECT a.account_id, a.parent_account_id FROM account a JOIN up
        ON a.account_id = up.parent_account_id)
SELECT account_id FROM up
"""
CONTRACTS_TO_BILL = """
SELECT * FROM contract
WHERE ($1::text[] IS NULL OR contract_id = ANY($1::text[]))
ORDER BY contract_id FOR KEY SHARE
"""
PUT_CONTRACT = """
INSERT INTO contract (contract_id, version, account_id, currency, timing, anchor_day,
                      invoice_offset_days, starts_on, billed_through, ends_on,
                      provider_customer_id, subscription_ids, convention, shared_subscription_ids,
                      bill_to_account_id, market, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (contract_id) DO UPDATE
SET (version, account_id, currency, timing, anchor_day, invoice_offset_days, starts_on,
     billed_through, ends_on, provider_customer_id, subscription_ids, convention,
     shared_subscription_ids, bill_to_account_id, market, changed_at)
  = (excluded.version, excluded.account_id, excluded.currency, excluded.timing,
     excluded.anchor_day, excluded.invoice_offset_days, excluded.starts_on,
     excluded.billed_through, excluded.ends_on, excluded.provider_customer_id,
     excluded.subscription_ids, excluded.convention, excluded.shared_subscription_ids,
     excluded.bill_to_account_id, excluded.market, excluded.changed_at)
"""
ADD_VERSION = """
INSERT INTO contract_version (contract_id, version, terms, changed_at, changed_by)
VALUES ($1, $2, $3, $4, $5)
"""
HAS_RUNS = "SELECT EXISTS (SELECT FROM invoice_run WHERE contract_id = $1)"
LIST_CONTRACTS = """
SELECT * FROM contract
WHERE ($1::text IS NULL OR account_id = $1) AND contract_id > $2
ORDER BY contract_id LIMIT $3
"""

FIND_ITEM = "SELECT * FROM one_time_item WHERE contract_id = $1 AND item_id = $2"
ADD_ITEM = """
INSERT INTO one_time_item (contract_id, item_id, product_key, name, tax_category, quantity,
                           unit_price, bill_on, cost, cost_currency, added_at, added_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT DO NOTHING RETURNING item_id
"""
ITEMS_DUE = """
SELECT * FROM one_time_item
WHERE contract_id = $1 AND bill_on <= $2 AND billed_line IS NULL
ORDER BY bill_on, item_id
"""
ITEM_BILLED = """
UPDATE one_time_item SET billed_line = $3
WHERE contract_id = $1 AND item_id = $2 AND billed_line IS NULL RETURNING item_id
"""
LIST_ITEMS = """
SELECT * FROM one_time_item
WHERE contract_id = $1 AND item_id > $2 ORDER BY item_id LIMIT $3
"""


async def find_seller(reader: Reader, selling_entity_id: str) -> SellingEntity | None:
    row = await reader.fetchrow(FIND_SELLER, selling_entity_id)
    return None if row is None else _seller(row)


async def list_sellers(reader: Reader, *, after: str, limit: int) -> list[SellingEntity]:
    return [_seller(row) for row in await reader.fetch(LIST_SELLERS, after, limit)]


async def get_seller(reader: Reader, selling_entity_id: str) -> SellingEntity:
    """Raises NotFound: `selling_entity_unknown`."""
    seller = await find_seller(reader, selling_entity_id)
    if seller is None:
        raise NotFound("selling_entity_unknown", f"there is no selling entity {selling_entity_id}")
    return seller


async def lock_seller_to_change(tx: Transaction, wanted: SellingEntity) -> SellingEntity | None:
    """The entity as it is; nobody else changes any until this transaction ends, so two cannot take
    one prefix at the same time.

    Raises:
        Conflict: `invoice_prefix_taken` when another entity has the prefix.
    """
    await tx.fetchval(LOCK_NAME, "selling-entities")
    owner = await tx.fetchval(PREFIX_OWNER, wanted.invoice_prefix, wanted.selling_entity_id)
    if owner is not None:
        raise Conflict("invoice_prefix_taken", f"{wanted.invoice_prefix} is the prefix of {owner}")
    return await find_seller(tx, wanted.selling_entity_id)


async def has_invoices(reader: Reader, selling_entity_id: str) -> bool:
    return bool(await reader.fetchval(INVOICES_ISSUED, selling_entity_id))


async def put_seller(tx: Transaction, seller: SellingEntity) -> None:
    await tx.execute(
        PUT_SELLER, seller.selling_entity_id, seller.name, seller.country, seller.tax_mode.value,
        seller.invoice_prefix, seller.payment_terms_days, tx.now,
    )  # fmt: skip
    await tx.execute(START_SEQUENCE, seller.selling_entity_id)


async def take_count(tx: Transaction, selling_entity_id: str) -> int:
    """The next number of the entity. Others wait for it until this transaction ends, so a rollback
    gives it back and the sequence has no gap."""
    return int(await tx.fetchval(TAKE_COUNT, selling_entity_id))


async def find_account(reader: Reader, account_id: str) -> AccountChanged | None:
    row = await reader.fetchrow(FIND_ACCOUNT, account_id)
    return None if row is None else _account(row)


async def lock_account(tx: Transaction, account_id: str) -> AccountChanged | None:
    """The account as it is; a twin request to create it waits here."""
    await tx.fetchval(LOCK_NAME, f"account/{account_id}")
    row = await tx.fetchrow(LOCK_ACCOUNT, account_id)
    return None if row is None else _account(row)


async def put_account(tx: Transaction, account: AccountChanged) -> None:
    await tx.execute(
        PUT_ACCOUNT, account.account_id, account.name, account.selling_entity_id, account.country,
        account.tax_jurisdiction, account.currency, account.parent_account_id, tx.now,
    )  # fmt: skip


async def list_accounts(reader: Reader, *, after: str, limit: int) -> list[AccountChanged]:
    return [_account(row) for row in await reader.fetch(LIST_ACCOUNTS, after, limit)]


async def get_account(reader: Reader, account_id: str) -> AccountChanged:
    """Raises NotFound: `account_unknown`."""
    account = await find_account(reader, account_id)
    if account is None:
        raise NotFound("account_unknown", f"there is no account {account_id}")
    return account


async def find_contract(reader: Reader, contract_id: str) -> ContractChanged | None:
    row = await reader.fetchrow(FIND_CONTRACT, contract_id)
    return None if row is None else _contract(row)


async def get_contract(reader: Reader, contract_id: str) -> ContractChanged:
    """Raises NotFound: `contract_unknown`."""
    contract = await find_contract(reader, contract_id)
    if contract is None:
        raise NotFound("contract_unknown", f"there is no contract {contract_id}")
    return contract


async def lock_contract_to_change(tx: Transaction, contract_id: str) -> ContractChanged | None:
    """The contract as it is; a twin request to create it, and requests for runs, wait here."""
    await tx.fetchval(LOCK_NAME, f"contract/{contract_id}")
    row = await tx.fetchrow(LOCK_CONTRACT_TO_CHANGE, contract_id)
    return None if row is None else _contract(row)


async def ancestors(reader: Reader, account_id: str) -> set[str]:
    """The account and the groups it belongs to; empty when there is no such account."""
    return {row["account_id"] for row in await reader.fetch(ANCESTORS, account_id)}


async def billed_together(reader: Reader, contract_ids: Sequence[str]) -> list[str]:
    """The contracts that share a consolidated invoice with one of these."""
    rows = await reader.fetch(BILLED_TOGETHER, list(contract_ids))
    return [row["contract_id"] for row in rows]


async def lock_contract(tx: Transaction, contract_id: str) -> bool:
    """One at a time works on the runs of a contract, and of those invoiced with it. Returns whether
    the contract is known."""
    return await tx.fetchval(LOCK_CONTRACT, contract_id) is not None


async def lock_contracts(tx: Transaction, contract_ids: Sequence[str]) -> None:
    """All of them, in one order, before anything else is locked."""
    await tx.fetch(LOCK_CONTRACTS, list(contract_ids))


async def contracts_to_bill(
    tx: Transaction, contract_ids: Sequence[str] | None
) -> list[ContractChanged]:
    """These contracts, or all; their terms stay as they are until this transaction ends."""
    wanted = None if contract_ids is None else list(contract_ids)
    return [_contract(row) for row in await tx.fetch(CONTRACTS_TO_BILL, wanted)]


async def has_runs(reader: Reader, contract_id: str) -> bool:
    return bool(await reader.fetchval(HAS_RUNS, contract_id))


async def put_contract(tx: Transaction, contract: ContractChanged) -> None:
    """Keep a new version of a contract, and the version itself for good."""
    subscriptions = contract.subscription_ids
    await tx.execute(
        PUT_CONTRACT, contract.contract_id, contract.version, contract.account_id,
        contract.currency, contract.timing.value, contract.anchor_day,
        contract.invoice_offset_days, contract.starts_on, contract.billed_through,
        contract.ends_on, contract.provider_customer_id,
        None if subscriptions is None else list(subscriptions), contract.convention,
        list(contract.shared_subscription_ids), contract.bill_to_account_id,
        contract.market, tx.now,
    )  # fmt: skip
    terms = contract.model_dump(mode="json")
    await tx.execute(ADD_VERSION, contract.contract_id, contract.version, terms, tx.now, tx.actor)


async def list_contracts(
    reader: Reader, *, account_id: str | None, after: str, limit: int
) -> list[ContractChanged]:
    rows = await reader.fetch(LIST_CONTRACTS, account_id, after, limit)
    return [_contract(row) for row in rows]


async def add_item(tx: Transaction, contract_id: str, item: OneTimeItem) -> bool:
    """Keep a one-time item. False when its id is there already."""
    added = await tx.fetchval(
        ADD_ITEM, contract_id, item.item_id, item.product_key, item.name, item.tax_category,
        item.quantity, item.unit_price, item.on, item.cost, item.cost_currency, tx.now, tx.actor,
    )  # fmt: skip
    return added is not None


async def find_item(reader: Reader, contract_id: str, item_id: str) -> OneTimeItem | None:
    row = await reader.fetchrow(FIND_ITEM, contract_id, item_id)
    return None if row is None else _item(row)


async def items_due(reader: Reader, contract_id: str, invoice_date: date) -> list[OneTimeItem]:
    """Items that no finalised invoice carries yet."""
    return [_item(row) for row in await reader.fetch(ITEMS_DUE, contract_id, invoice_date)]


async def item_billed(tx: Transaction, contract_id: str, item_id: str, line: str) -> None:
    if await tx.fetchval(ITEM_BILLED, contract_id, item_id, line) is None:
        raise RuntimeError(f"item {item_id} of {contract_id} is billed twice")


async def list_items(
    reader: Reader, contract_id: str, *, after: str, limit: int
) -> list[tuple[OneTimeItem, str | None]]:
    """Items of a contract, each with the line that billed it."""
    rows = await reader.fetch(LIST_ITEMS, contract_id, after, limit)
    return [(_item(row), row["billed_line"]) for row in rows]


def _seller(row: Record) -> SellingEntity:
    return SellingEntity(
        selling_entity_id=row["selling_entity_id"],
        name=row["name"],
        country=row["country"],
        tax_mode=TaxMode(row["tax_mode"]),
        invoice_prefix=row["invoice_prefix"],
        payment_terms_days=row["payment_terms_days"],
    )


def _account(row: Record) -> AccountChanged:
    return AccountChanged.model_validate(dict(row))


def _contract(row: Record) -> ContractChanged:
    return ContractChanged.model_validate(dict(row))


def _item(row: Record) -> OneTimeItem:
    return OneTimeItem(
        item_id=row["item_id"],
        product_key=row["product_key"],
        name=row["name"],
        tax_category=row["tax_category"],
        quantity=row["quantity"],
        unit_price=row["unit_price"],
        on=row["bill_on"],
        cost=row["cost"],
        cost_currency=row["cost_currency"],
    )
