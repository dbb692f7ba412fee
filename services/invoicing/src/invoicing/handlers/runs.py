"""From rated charges to a draft: keep what rating says, and draft when all of it is here."""

from __future__ import annotations

import structlog

from invoicing.domain.collect import ControlTotal, net_of, require_complete
from invoicing.domain.lifecycle import RunState
from invoicing.handlers import consolidating, drafting
from invoicing.store import charges, fx_rates, parties, runs
from shared.contracts.invoicing import ContractChanged, InvoiceDrafted, InvoiceLine
from shared.contracts.rating import ChargeRated, CycleRated, FxRateEntered
from shared.kernel.errors import Conflict, DomainError
from shared.kernel.fx import NO_FX_RATE
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction

log = structlog.get_logger()


async def on_charge_rated(event: ChargeRated, tx: Transaction) -> None:
    """Keep the revision. If it is news, a run that waits for charges is looked at again.

    Raises:
        Conflict: `charge_moved` when the charge is known under another contract.
    """
    await parties.lock_contract(tx, event.contract_id)
    owner = await charges.contract_of(tx, event.charge_id)
    if owner not in (None, event.contract_id):
        raise Conflict("charge_moved", f"charge {event.charge_id} belongs to contract {owner}")
    if not await charges.keep(tx, event):
        return
    waiting = await runs.lock_undrafted_hold(tx, event.contract_id)
    if waiting is not None:
        await _draft_or_hold(tx, waiting)


async def on_cycle_rated(event: CycleRated, tx: Transaction) -> None:
    """Rating has said all it has to say: draft if everything it counted is here.

    Raises:
        NotFound: `run_unknown`. Conflict: `run_mismatch` when run, contract and date disagree.
    """
    await parties.lock_contract(tx, event.contract_id)
    run = await runs.lock_run(tx, event.run_id)
    if (run.contract_id, run.invoice_date) != (event.contract_id, event.invoice_date):
        raise Conflict("run_mismatch", f"run {event.run_id} is of another contract or date")
    if run.invoice_id is not None or run.state not in (RunState.RATING, RunState.HELD):
        log.info("cycle_rated.repeated", run_id=run.run_id, state=run.state)
        return
    control = ControlTotal(event.charges, event.amount)
    await _draft_or_hold(tx, await runs.keep_answer(tx, run, control))


async def on_fx_rate_entered(event: FxRateEntered, tx: Transaction) -> None:
    """Keep the rate; consolidated invoices that waited for one are looked at again."""
    if not await fx_rates.add(tx, event):
        return
    waiting = await runs.held_for(tx, NO_FX_RATE)
    await parties.lock_contracts(tx, [contract_id for _, contract_id in waiting])
    for run_id, _ in await runs.held_for(tx, NO_FX_RATE):
        await _draft_or_hold(tx, await runs.lock_run(tx, run_id))


async def _draft_or_hold(tx: Transaction, run: runs.Run) -> None:
    """One contract's trouble is its own: whatever rule refuses the draft becomes its hold."""
    try:
        async with tx.savepoint():
            await _draft(tx, run)
    except DomainError as error:
        await hold(tx, run, error)


async def hold(tx: Transaction, run: runs.Run, why: DomainError) -> None:
    """Let the run wait with its reason; the same reason again is no news."""
    await runs.hold(tx, run, why)
    if run.hold is None or (run.hold.reason, run.hold.detail) != (why.code, why.detail):
        log.warning("invoice_run.held", run_id=run.run_id, reason=why.code)
        await tx.record(
            "invoice-run.held",
            f"invoice-run/{run.run_id}",
            before={"state": run.state},
            after={"state": RunState.HELD, "reason": why.code},
            reason=why.detail,
        )


async def _draft(tx: Transaction, run: runs.Run) -> None:
    contract = await parties.get_contract(tx, run.contract_id)
    if run.control is None:
        raise RuntimeError(f"run {run.run_id} is drafted before rating answered")
    found = await charges.control_total(tx, run.contract_id, run.invoice_date)
    require_complete(run.control, found)
    if contract.bill_to_account_id is not None:
        await consolidating.collect_for(tx, run, contract.bill_to_account_id)
        return
    lines = await drafting.lines_of(tx, run, currency=contract.currency)
    if not lines:
        await drafting.nothing_due(tx, [run])
        return
    draft = await _drafted(tx, run, contract, lines=lines)
    await drafting.begin(tx, draft, [run])


async def _drafted(
    tx: Transaction, run: runs.Run, contract: ContractChanged, *, lines: tuple[InvoiceLine, ...]
) -> InvoiceDrafted:
    account = await parties.get_account(tx, contract.account_id)
    seller = await parties.get_seller(tx, account.selling_entity_id)
    return InvoiceDrafted(
        invoice_id=derived_id("invoice", run.run_id),
        revision=1,
        account_id=account.account_id,
        contract_id=contract.contract_id,
        selling_entity_id=seller.selling_entity_id,
        seller_country=seller.country,
        tax_jurisdiction=account.tax_jurisdiction,
        tax_mode=seller.tax_mode,
        currency=contract.currency,
        invoice_date=run.invoice_date,
        lines=lines,
        net=net_of(lines),
    )
