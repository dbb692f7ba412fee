"""Requests for invoice runs: which dates they ask for, and starting them one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from invoicing.domain.cycles import Due, due_on, missed_and_due
from invoicing.domain.lifecycle import RUN_DONE, RunState
from invoicing.domain.terms import terms_of
from invoicing.store import parties, runs
from shared.contracts.envelope import PeriodField
from shared.contracts.invoicing import ContractChanged, CycleClosed
from shared.kernel.errors import Conflict, Invalid, NotFound
from shared.kernel.ids import derived_id
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Transaction

START_RUNS = "start-runs"  # the job that closes cycles


@dataclass(frozen=True, slots=True)
class Refused:
    """A contract whose runs cannot be requested, while those of the others are."""

    contract_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Requested:
    """The runs a request stands for, and which of them it added."""

    runs: list[runs.Run]
    added: frozenset[str]
    refused: list[Refused]


async def request_runs(
    tx: Transaction, invoice_date: date, contract_ids: Sequence[str] | None
) -> Requested:
    """Request the runs of a date: of the named contracts, or of all that are due then.

    The same request finds the same runs. Dates of a contract that were missed before are added.

    Raises:
        Invalid: `invoice_date_in_future`; of a named contract what `missed_and_due` raises.
        NotFound: `contract_unknown`.
    """
    if invoice_date > utc_day(tx.now):
        raise Invalid("invoice_date_in_future", f"{invoice_date} has not begun (UTC)")
    contracts = await _to_bill(tx, invoice_date, contract_ids)
    last_dates = await runs.last_dates(tx, [one.contract_id for one in contracts])
    wanted: list[tuple[str, Due]] = []
    refused: list[Refused] = []
    for contract in contracts:
        last_run = last_dates.get(contract.contract_id)
        try:
            dues = missed_and_due(terms_of(contract), invoice_date=invoice_date, last_run=last_run)
        except Invalid as error:
            if contract_ids is not None:
                raise
            refused.append(Refused(contract.contract_id, error.code, error.detail))
            continue
        wanted += [(contract.contract_id, due) for due in dues]
    added = await _add(tx, wanted)
    asked = [runs.run_id_of(one.contract_id, invoice_date) for one in contracts]
    found = await runs.find_runs(tx, [*asked, *added])
    return Requested(found, frozenset(added), refused)


async def _to_bill(
    tx: Transaction, invoice_date: date, contract_ids: Sequence[str] | None
) -> list[ContractChanged]:
    """The named contracts with those on the same consolidated invoices, or all that are due."""
    if contract_ids is None:
        contracts = await parties.contracts_to_bill(tx, None)
        return [one for one in contracts if due_on(terms_of(one), invoice_date)]
    named = set(contract_ids)
    together = await parties.billed_together(tx, contract_ids)
    contracts = await parties.contracts_to_bill(tx, sorted(named.union(together)))
    unknown = named - {contract.contract_id for contract in contracts}
    if unknown:
        raise NotFound("contract_unknown", f"there is no contract {min(unknown)}")
    return [
        one for one in contracts if one.contract_id in named or due_on(terms_of(one), invoice_date)
    ]


async def _add(tx: Transaction, wanted: Sequence[tuple[str, Due]]) -> set[str]:
    added = await runs.add_runs(tx, wanted)
    for contract_id, due in wanted:
        run_id = runs.run_id_of(contract_id, due.invoice_date)
        if run_id in added:
            await tx.record(
                "invoice-run.requested",
                f"invoice-run/{run_id}",
                after={"contract_id": contract_id, "invoice_date": due.invoice_date.isoformat()},
            )
    if added:
        tx.wake(START_RUNS)
    return added


async def start_next(tx: Transaction) -> bool:
    """Close the cycle of one requested run. False when none may start."""
    run = await runs.next_startable(tx)
    if run is None:
        return False
    tx.correlation_id = run.correlation_id
    contract = await parties.get_contract(tx, run.contract_id)
    if due_on(terms_of(contract), run.invoice_date) != run.due:
        await runs.move(tx, run, RunState.EMPTY)
        await _record(tx, run, RunState.EMPTY, "the contract was ended before this date")
        tx.wake(START_RUNS)
        return True
    await _close_cycle(tx, run)
    return True


async def ask_again(tx: Transaction, run_id: str) -> runs.Run:
    """Ask rating once more for a run that waits for its charges.

    Raises:
        NotFound: `run_unknown`. Conflict: `run_not_waiting` for a run that has its draft.
    """
    found = await runs.get_run(tx, run_id)
    await parties.lock_contract(tx, found.contract_id)
    run = await runs.lock_run(tx, run_id)
    if run.state in RUN_DONE or run.invoice_id or run.state is RunState.REQUESTED:
        raise Conflict("run_not_waiting", f"the run is {run.state}; rating has nothing to add")
    return await _close_cycle(tx, run)


async def _close_cycle(tx: Transaction, run: runs.Run) -> runs.Run:
    attempt = await runs.count_question(tx, run)
    moved = await runs.move(tx, run, RunState.RATING)
    await _record(tx, run, RunState.RATING)
    event = CycleClosed(
        contract_id=run.contract_id,
        run_id=run.run_id,
        invoice_date=run.invoice_date,
        recurring=PeriodField.of(run.due.recurring),
        closed=PeriodField.of(run.due.closed),
    )
    await tx.publish(event, id=derived_id("cycle-closed", run.run_id, attempt))
    return moved


async def _record(tx: Transaction, run: runs.Run, to: RunState, reason: str | None = None) -> None:
    await tx.record(
        f"invoice-run.{to}",
        f"invoice-run/{run.run_id}",
        before={"state": run.state},
        after={"state": to},
        reason=reason,
    )
