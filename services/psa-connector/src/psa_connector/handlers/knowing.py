"""Remembers accounts and contracts by name, so that a mapping can be suggested before the first
push; nothing is planned from them."""

from __future__ import annotations

from psa_connector.store import known
from shared.contracts.invoicing import AccountChanged, ContractChanged
from shared.runtime.postgres import Transaction


async def on_account(account: AccountChanged, tx: Transaction) -> None:
    await known.put_account(tx, account)


async def on_contract(contract: ContractChanged, tx: Transaction) -> None:
    await known.put_contract(tx, contract)
