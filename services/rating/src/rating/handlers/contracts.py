"""Contracts and the runs that close their cycles."""

from __future__ import annotations

from rating.domain.desired import Hold
from rating.handlers.rating_usage import rerate
from rating.handlers.settling import settle_contract, settle_customer
from rating.store import charges, due, facts, holds, locks
from rating.store.due import DueKind
from rating.store.holds import Place
from shared.contracts.invoicing import ContractChanged, CycleClosed
from shared.contracts.rating import CycleRated
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction


async def on_contract_changed(event: ContractChanged, tx: Transaction) -> None:
    """Keep the version, conclude again about every customer it touches, answer waiting runs."""
    await locks.hold_contract(tx, event.contract_id)
    before = await facts.contract(tx, event.contract_id)
    if not await facts.add_contract(tx, event):
        return
    if before is not None and before.version > event.version:
        return  # history only: a newer version decides
    customers = await facts.customers_of(tx, event.contract_id)
    await locks.hold_customers(tx, customers)
    for customer_id in sorted(customers):
        if before is None or _matters_to_usage(before) != _matters_to_usage(event):
            await due.take_due(tx, DueKind.RERATE, customer_id)
            await rerate(tx, customer_id)
        await settle_customer(tx, customer_id)
    for run in await facts.unanswered(tx, event.contract_id):
        await _answer(tx, event, run)
    await holds.replace_holds(tx, _waiting_for(event.contract_id), [])


async def on_cycle_closed(event: CycleClosed, tx: Transaction) -> None:
    """Complete everything due in the cycle, then say so with the control total.

    A run may ask again, in a new message: it waits for an answer with the figures of now.
    """
    await locks.hold_contract(tx, event.contract_id)
    await facts.add_cycle(tx, event)
    contract = await facts.contract(tx, event.contract_id)
    if contract is None:
        hold = Hold(
            "contract_unknown",
            event.subject(),
            event.contract_id,
            "a run closed a cycle of a contract that has not arrived yet",
        )
        await holds.replace_holds(tx, _waiting_for(event.contract_id), [hold])
        return
    customer_id = contract.provider_customer_id
    await locks.hold_customers(tx, [customer_id])
    if await due.take_due(tx, DueKind.RERATE, customer_id):
        await rerate(tx, customer_id)
        await due.make_due(tx, DueKind.SETTLE, [customer_id])  # its other contracts, too
    await settle_contract(tx, contract)
    await _answer(tx, contract, event)


async def _answer(tx: Transaction, contract: ContractChanged, run: CycleClosed) -> None:
    """Same topic and key as the charges: who reads this has read them.

    The id is of this answer, not of the run: whoever asked twice must not take the second answer
    for a copy of the first.
    """
    total = await charges.control_total(tx, contract.contract_id, run.invoice_date)
    waiting = await holds.count_for(tx, contract.contract_id, contract.provider_customer_id)
    answer = CycleRated(
        contract_id=contract.contract_id,
        run_id=run.run_id,
        invoice_date=run.invoice_date,
        charges=total.charges,
        amount=total.amount,
        holds=waiting,
    )
    question = tx.cause.id if tx.cause else tx.new_id()
    await tx.publish(answer, id=derived_id("cycle-rated", run.run_id, question))
    await facts.mark_answered(tx, run.run_id)
    await tx.record("cycle.rated", answer.subject(), after=answer.model_dump(mode="json"))


def _matters_to_usage(contract: ContractChanged) -> tuple[object, ...]:
    """Terms that decide which lines are a contract's and in which currency."""
    return (
        contract.provider_customer_id,
        contract.subscription_ids,
        contract.starts_on,
        contract.ends_on,
        contract.currency,
    )


def _waiting_for(contract_id: str) -> Place:
    return Place(f"contract/{contract_id}/unknown", contract_id)
