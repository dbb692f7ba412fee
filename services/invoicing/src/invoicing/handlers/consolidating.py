"""One invoice for several contracts: each run waits until all of the date are complete."""

from __future__ import annotations

from invoicing.domain.collect import net_of
from invoicing.domain.consolidate import Part, consolidated
from invoicing.domain.lifecycle import RunState
from invoicing.handlers import drafting
from invoicing.store import fx_rates, parties, runs
from shared.contracts.invoicing import AccountChanged, InvoiceDrafted
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction


async def collect_for(tx: Transaction, run: runs.Run, bill_to_account_id: str) -> None:
    """This run is complete; draft if it was the last of its invoice. The caller holds all contracts
    of the account.

    Raises:
        Held: `no_fx_rate` when a line cannot be shown in the account's currency.
    """
    await runs.move(tx, run, RunState.COLLECTED)
    group = await runs.of_group(tx, bill_to_account_id, run.invoice_date)
    waiting = [one for one in group if one.state is not RunState.EMPTY]
    if any(one.state is not RunState.COLLECTED for one in waiting):
        return
    account = await parties.get_account(tx, bill_to_account_id)
    parts = [await _part(tx, one) for one in waiting]
    if not any(part.lines for part in parts):
        await drafting.nothing_due(tx, waiting)
        return
    draft = await _drafted(tx, waiting[0], account, parts)
    await drafting.begin(tx, draft, waiting)


async def _part(tx: Transaction, run: runs.Run) -> Part:
    contract = await parties.get_contract(tx, run.contract_id)
    account = await parties.get_account(tx, contract.account_id)
    lines = await drafting.lines_of(tx, run, currency=contract.currency)
    return Part(contract, account, lines)


async def _drafted(
    tx: Transaction, lead: runs.Run, account: AccountChanged, parts: list[Part]
) -> InvoiceDrafted:
    seller = await parties.get_seller(tx, account.selling_entity_id)
    rates = await fx_rates.into(tx, account.currency)
    lines = consolidated(parts, account.currency, rates, on=lead.invoice_date)
    return InvoiceDrafted(
        invoice_id=derived_id("invoice", lead.run_id),
        revision=1,
        account_id=account.account_id,
        contract_id=lead.contract_id,
        selling_entity_id=seller.selling_entity_id,
        seller_country=seller.country,
        tax_jurisdiction=account.tax_jurisdiction,
        tax_mode=seller.tax_mode,
        currency=account.currency,
        invoice_date=lead.invoice_date,
        lines=lines,
        net=net_of(lines),
    )
