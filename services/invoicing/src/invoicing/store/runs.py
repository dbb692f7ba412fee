"""Invoice runs: one row per contract and invoice date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from invoicing.domain.collect import ControlTotal
from invoicing.domain.cycles import Due
from invoicing.domain.lifecycle import RunState, step_run
from shared.kernel.errors import DomainError, NotFound
from shared.kernel.ids import derived_id
from shared.kernel.periods import Period
from shared.runtime.postgres import Reader, Record, Transaction

LAST_DATES = """
SELECT contract_id, max(invoice_date) AS invoice_date FROM invoice_run
WHERE contract_id = ANY($1::text[]) GROUP BY contract_id
"""
ADD_RUNS = """
INSERT INTO invoice_run (run_id, contract_id, invoice_date, recurring_start, recurring_end,
                         closed_start, closed_end, state, correlation_id, requested_at,
                         requested_by, changed_at)
SELECT run_id, contract_id, invoice_date, recurring_start, recurring_end, closed_start, closed_end,
       'requested', $8, $9::timestamptz, $10, $9::timestamptz
FROM unnest($1::text[], $2::text[], $3::date[], $4::date[], $5::date[], $6::date[], $7::date[])
     AS due (run_id, contract_id, invoice_date, recurring_start, recurring_end, closed_start,
             closed_end)
ORDER BY contract_id, invoice_date
ON CONFLICT (contract_id, invoice_date) DO NOTHING
RETURNING run_id
"""
FIND_RUNS = """
SELECT * FROM invoice_run WHERE run_id = ANY($1::text[]) ORDER BY contract_id, invoice_date
"""
FIND_RUN = "SELECT * FROM invoice_run WHERE run_id = $1"
LOCK_RUN = "SELECT * FROM invoice_run WHERE run_id = $1 FOR NO KEY UPDATE"
LOCK_UNDRAFTED_HOLD = """
SELECT * FROM invoice_run
WHERE contract_id = $1 AND state = 'held' AND invoice_id IS NULL AND control_charges IS NOT NULL
FOR NO KEY UPDATE
"""
# Only the earliest open date of a contract may start: the next must see what it bills.
NEXT_STARTABLE = """
SELECT * FROM invoice_run r
WHERE state = 'requested'
  AND NOT EXISTS (SELECT FROM invoice_run e
                  WHERE e.contract_id = r.contract_id AND e.invoice_date < r.invoice_date
                    AND e.state NOT IN ('finalised', 'empty'))
ORDER BY invoice_date, contract_id LIMIT 1
FOR NO KEY UPDATE OF r SKIP LOCKED
"""
COUNT_STARTABLE = """
SELECT count(*) FROM invoice_run r
WHERE state = 'requested'
  AND NOT EXISTS (SELECT FROM invoice_run e
                  WHERE e.contract_id = r.contract_id AND e.invoice_date < r.invoice_date
                    AND e.state NOT IN ('finalised', 'empty'))
"""
MOVE = """
UPDATE invoice_run SET state = $2, held_reason = NULL, held_detail = NULL, held_since = NULL,
                       changed_at = $3
WHERE run_id = $1
"""
HOLD = """
UPDATE invoice_run SET state = 'held', held_reason = $2, held_detail = $3,
                       held_since = coalesce(held_since, $4), changed_at = $4
WHERE run_id = $1
"""
ASKED = "UPDATE invoice_run SET attempt = attempt + 1 WHERE run_id = $1 RETURNING attempt"
ANSWERED = """
UPDATE invoice_run SET control_charges = $2, control_amount = $3 WHERE run_id = $1
"""
DRAFTED = "UPDATE invoice_run SET invoice_id = $2 WHERE run_id = $1"
LIST_RUNS = """
SELECT * FROM invoice_run
WHERE ($1::text IS NULL OR contract_id = $1)
  AND ($2::date IS NULL OR invoice_date = $2)
  AND ($3::text IS NULL OR state = $3)
  AND ($4::date IS NULL OR (invoice_date, run_id) > ($4::date, $5::text))
ORDER BY invoice_date, run_id LIMIT $6
"""
RUNS_OF_GROUP = """
SELECT r.* FROM invoice_run r JOIN contract c USING (contract_id)
WHERE c.bill_to_account_id = $1 AND r.invoice_date = $2
ORDER BY r.contract_id FOR NO KEY UPDATE OF r
"""
RUNS_OF_INVOICE = """
SELECT * FROM invoice_run WHERE invoice_id = $1 ORDER BY contract_id FOR NO KEY UPDATE
"""
HELD_FOR = """
SELECT run_id, contract_id FROM invoice_run
WHERE state = 'held' AND held_reason = $1 AND invoice_id IS NULL ORDER BY contract_id, run_id
"""
LIST_HOLDS = """
SELECT * FROM invoice_run
WHERE state = 'held'
  AND ($1::timestamptz IS NULL OR (held_since, run_id) > ($1::timestamptz, $2::text))
ORDER BY held_since, run_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a run waits, and since when."""

    reason: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One invoice date of one contract."""

    run_id: str
    contract_id: str
    state: RunState
    due: Due
    attempt: int
    control: ControlTotal | None
    hold: Hold | None
    invoice_id: str | None
    correlation_id: str
    requested_at: datetime
    changed_at: datetime

    @property
    def invoice_date(self) -> date:
        return self.due.invoice_date


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs to list; None asks for all."""

    contract_id: str | None = None
    invoice_date: date | None = None
    state: RunState | None = None


def run_id_of(contract_id: str, invoice_date: date) -> str:
    """The same for every request that asks for this date."""
    return derived_id("invoice-run", contract_id, invoice_date.isoformat())


async def last_dates(reader: Reader, contract_ids: Sequence[str]) -> dict[str, date]:
    """The latest invoice date with a run, per contract that has any."""
    rows = await reader.fetch(LAST_DATES, list(contract_ids))
    return {row["contract_id"]: row["invoice_date"] for row in rows}


async def add_runs(tx: Transaction, wanted: Sequence[tuple[str, Due]]) -> set[str]:
    """Request runs; dates that have one already are left alone. Returns the ids of the new ones."""
    rows = await tx.fetch(
        ADD_RUNS,
        [run_id_of(contract_id, due.invoice_date) for contract_id, due in wanted],
        [contract_id for contract_id, _ in wanted],
        [due.invoice_date for _, due in wanted],
        [due.recurring.start for _, due in wanted],
        [due.recurring.end for _, due in wanted],
        [due.closed.start for _, due in wanted],
        [due.closed.end for _, due in wanted],
        tx.correlation_id,
        tx.now,
        tx.actor,
    )
    return {row["run_id"] for row in rows}


async def find_runs(reader: Reader, run_ids: Sequence[str]) -> list[Run]:
    return [_run(row) for row in await reader.fetch(FIND_RUNS, list(run_ids))]


async def get_run(reader: Reader, run_id: str) -> Run:
    """Raises NotFound: `run_unknown`."""
    return _found(await reader.fetchrow(FIND_RUN, run_id), run_id)


async def lock_run(tx: Transaction, run_id: str) -> Run:
    """Raises NotFound: `run_unknown`."""
    return _found(await tx.fetchrow(LOCK_RUN, run_id), run_id)


async def lock_undrafted_hold(tx: Transaction, contract_id: str) -> Run | None:
    """The run of this contract that rating has answered and that waits before its draft."""
    row = await tx.fetchrow(LOCK_UNDRAFTED_HOLD, contract_id)
    return None if row is None else _run(row)


async def next_startable(tx: Transaction) -> Run | None:
    """A requested run whose contract has no earlier open one; locked."""
    row = await tx.fetchrow(NEXT_STARTABLE)
    return None if row is None else _run(row)


async def count_startable(reader: Reader) -> int:
    return int(await reader.fetchval(COUNT_STARTABLE))


async def move(tx: Transaction, run: Run, to: RunState) -> Run:
    """Take a declared step; a hold ends with it."""
    await tx.execute(MOVE, run.run_id, step_run(run.state, to).value, tx.now)
    return replace(run, state=to, hold=None)


async def hold(tx: Transaction, run: Run, why: DomainError) -> None:
    """Make the run wait, visibly, with the reason it has now."""
    step_run(run.state, RunState.HELD)
    await tx.execute(HOLD, run.run_id, why.code, why.detail, tx.now)


async def count_question(tx: Transaction, run: Run) -> int:
    """Rating is asked once more. Returns how often by now."""
    return int(await tx.fetchval(ASKED, run.run_id))


async def keep_answer(tx: Transaction, run: Run, control: ControlTotal) -> Run:
    await tx.execute(ANSWERED, run.run_id, control.charges, control.amount)
    return replace(run, control=control)


async def attach_invoice(tx: Transaction, run: Run, invoice_id: str) -> None:
    await tx.execute(DRAFTED, run.run_id, invoice_id)


async def of_group(tx: Transaction, bill_to_account_id: str, invoice_date: date) -> list[Run]:
    """The runs that end up on one consolidated invoice, locked, by contract."""
    return [_run(row) for row in await tx.fetch(RUNS_OF_GROUP, bill_to_account_id, invoice_date)]


async def of_invoice(tx: Transaction, invoice_id: str) -> list[Run]:
    """Every run on an invoice, locked, by contract."""
    return [_run(row) for row in await tx.fetch(RUNS_OF_INVOICE, invoice_id)]


async def held_for(reader: Reader, reason: str) -> list[tuple[str, str]]:
    """Runs that wait for this reason before their draft, as (run id, contract id)."""
    rows = await reader.fetch(HELD_FOR, reason)
    return [(row["run_id"], row["contract_id"]) for row in rows]


async def list_runs(
    reader: Reader, wanted: Filter, *, after: tuple[date, str] | None, limit: int
) -> list[Run]:
    day, run_id = after or (None, "")
    rows = await reader.fetch(
        LIST_RUNS, wanted.contract_id, wanted.invoice_date, wanted.state, day, run_id, limit
    )
    return [_run(row) for row in rows]


async def list_holds(
    reader: Reader, *, after: tuple[datetime, str] | None, limit: int
) -> list[Run]:
    since, run_id = after or (None, "")
    return [_run(row) for row in await reader.fetch(LIST_HOLDS, since, run_id, limit)]


def _found(row: Record | None, run_id: str) -> Run:
    if row is None:
        raise NotFound("run_unknown", f"nobody here asked for run {run_id}")
    return _run(row)


def _run(row: Record) -> Run:
    charges, reason = row["control_charges"], row["held_reason"]
    return Run(
        run_id=row["run_id"],
        contract_id=row["contract_id"],
        state=RunState(row["state"]),
        due=Due(
            row["invoice_date"],
            Period(row["recurring_start"], row["recurring_end"]),
            Period(row["closed_start"], row["closed_end"]),
        ),
        attempt=row["attempt"],
        control=None if charges is None else ControlTotal(charges, row["control_amount"]),
        hold=None if reason is None else Hold(reason, row["held_detail"], row["held_since"]),
        invoice_id=row["invoice_id"],
        correlation_id=row["correlation_id"],
        requested_at=row["requested_at"],
        changed_at=row["changed_at"],
    )
