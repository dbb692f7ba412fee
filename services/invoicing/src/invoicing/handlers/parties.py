"""Keeps selling entities, accounts, contracts and one-time items; tells others when they change."""

from __future__ import annotations

from dataclasses import asdict

from invoicing.domain.collect import AMOUNT_BOUND, OneTimeItem
from invoicing.domain.numbering import require_prefix
from invoicing.domain.parties import SellingEntity, require_seller
from invoicing.domain.terms import next_version, require_valid
from invoicing.handlers.invoices import redraft
from invoicing.store import invoices, parties
from shared.contracts.invoicing import AccountChanged, ContractChanged
from shared.kernel.errors import Conflict, Invalid
from shared.kernel.money import EXACT, exponent
from shared.runtime.postgres import Transaction


async def put_seller(tx: Transaction, wanted: SellingEntity) -> SellingEntity:
    """Create or change a selling entity.

    Raises:
        Invalid, Conflict: what `require_seller` refuses; `invoice_prefix_taken`.
    """
    require_prefix(wanted.invoice_prefix)  # before it is looked for: it may not even be text
    current = await parties.lock_seller_to_change(tx, wanted)
    issued = await parties.has_invoices(tx, wanted.selling_entity_id)
    require_seller(current, wanted, has_invoices=issued)
    if current != wanted:
        await parties.put_seller(tx, wanted)
        await tx.record(
            "selling-entity.changed",
            f"selling-entity/{wanted.selling_entity_id}",
            before=None if current is None else asdict(current),
            after=asdict(wanted),
        )
    return wanted


async def put_account(tx: Transaction, wanted: AccountChanged) -> AccountChanged:
    """Create or change an account, and tell. Drafts that wait for tax ask again when the place of
    taxation changed.

    Raises:
        Invalid: `selling_entity_unknown`, `currency_unknown`, `parent_account_unknown`,
            `account_is_its_own_parent`.
    """
    exponent(wanted.currency)
    current = await parties.lock_account(tx, wanted.account_id)
    if current == wanted:
        return wanted
    if await parties.find_seller(tx, wanted.selling_entity_id) is None:
        raise Invalid(
            "selling_entity_unknown", f"there is no selling entity {wanted.selling_entity_id}"
        )
    await _require_parent(tx, wanted)
    await parties.put_account(tx, wanted)
    if current is not None and current.tax_jurisdiction != wanted.tax_jurisdiction:
        await _ask_tax_again(tx, wanted.account_id)
    await tx.publish(wanted)
    await tx.record(
        "account.changed",
        wanted.subject(),
        before=None if current is None else current.model_dump(mode="json"),
        after=wanted.model_dump(mode="json"),
    )
    return wanted


async def _require_parent(tx: Transaction, wanted: AccountChanged) -> None:
    parent = wanted.parent_account_id
    if parent is None:
        return
    above = await parties.ancestors(tx, parent)
    if wanted.account_id in above or wanted.account_id == parent:
        raise Invalid("account_is_its_own_parent", f"{parent} is below {wanted.account_id}")
    if not above:
        raise Invalid("parent_account_unknown", f"there is no account {parent}")


async def _require_payer(tx: Transaction, wanted: ContractChanged) -> None:
    account = await parties.find_account(tx, wanted.account_id)
    if account is None:
        raise Invalid("account_unknown", f"there is no account {wanted.account_id}")
    if wanted.bill_to_account_id is None:
        return
    payer = await parties.find_account(tx, wanted.bill_to_account_id)
    if payer is None:
        raise Invalid("account_unknown", f"there is no account {wanted.bill_to_account_id}")
    if payer.selling_entity_id != account.selling_entity_id:
        raise Invalid(
            "bill_to_of_another_seller",
            f"{account.account_id} buys from {account.selling_entity_id}, "
            f"{payer.account_id} from {payer.selling_entity_id}",
        )


async def _ask_tax_again(tx: Transaction, account_id: str) -> None:
    waiting = await invoices.tax_held_of(tx, account_id)
    await parties.lock_contracts(tx, [contract_id for _, contract_id in waiting])
    for invoice_id, _ in await invoices.tax_held_of(tx, account_id):
        await redraft(tx, invoice_id)


async def put_contract(tx: Transaction, wanted: ContractChanged) -> ContractChanged:
    """Create or change a contract. A new version is published only if something changed.

    Raises:
        Invalid: what `require_valid` refuses; `account_unknown`, `bill_to_of_another_seller`.
        Conflict: `terms_fixed`.
    """
    require_valid(wanted)
    current = await parties.lock_contract_to_change(tx, wanted.contract_id)
    await _require_payer(tx, wanted)
    has_runs = await parties.has_runs(tx, wanted.contract_id)
    version = next_version(current, wanted, has_runs=has_runs)
    if version is None:
        return current or wanted
    await parties.put_contract(tx, version)
    await tx.publish(version)
    await tx.record(
        "contract.changed",
        version.subject(),
        before=None if current is None else current.model_dump(mode="json"),
        after=version.model_dump(mode="json"),
    )
    return version


async def add_item(tx: Transaction, contract_id: str, item: OneTimeItem) -> bool:
    """Sell something once. The same item again is no news. Returns whether it was added.

    Raises:
        NotFound: `contract_unknown`. Conflict: `item_changed` when the id names another item.
        Invalid: `quantity_not_positive`, `amount_out_of_bounds`, `currency_unknown`.
    """
    await parties.get_contract(tx, contract_id)
    exponent(item.cost_currency)
    if item.quantity <= 0:
        raise Invalid("quantity_not_positive", "sell at least something; credit by unit price")
    if abs(EXACT.multiply(item.quantity, item.unit_price)) >= AMOUNT_BOUND:
        raise Invalid("amount_out_of_bounds", "an amount has at most 15 digits before the point")
    if not await parties.add_item(tx, contract_id, item):
        if await parties.find_item(tx, contract_id, item.item_id) != item:
            raise Conflict(
                "item_changed", f"{item.item_id} of {contract_id} is another item already"
            )
        return False
    await tx.record(
        "one-time-item.added", f"contract/{contract_id}/item/{item.item_id}", after=asdict(item)
    )
    return True
