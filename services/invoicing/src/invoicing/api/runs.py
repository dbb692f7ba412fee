"""Invoice runs and holds over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from invoicing.api import views
from invoicing.api.fields import Day, DayQuery, Key, KeyPath, KeyQuery, after_day, after_instant
from invoicing.domain.lifecycle import RUN_DONE, RunState
from invoicing.handlers import requests
from invoicing.store import runs as store
from shared.contracts.envelope import Exact, PeriodField
from shared.runtime.postgres import Database
from shared.runtime.web import CursorParam, Limit, Operates, Reads, encode_cursor, page


class RunsBody(BaseModel):
    """Without `contract_ids`: every contract that has an invoice on this date."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"invoice_date": "2026-05-01", "contract_ids": ["ALD-1"]}]},
    )

    invoice_date: Day
    contract_ids: Annotated[list[Key], Field(max_length=10_000)] | None = None


class RunView(BaseModel):
    """One invoice date of one contract. `outcome` says what a request for it amounts to."""

    run_id: str
    contract_id: str
    invoice_date: date
    state: RunState
    outcome: str  # requested, in progress, already billed, nothing due
    recurring: PeriodField
    closed: PeriodField
    invoice_id: str | None
    charges: int | None  # what rating counted …
    amount: Exact | None  # … and what it summed to
    hold: views.HoldView | None
    requested_at: datetime
    changed_at: datetime


class RefusedView(BaseModel):
    contract_id: str
    code: str
    detail: str


class RequestedView(BaseModel):
    """The runs a request stands for; `refused` lists contracts that need a person first."""

    data: list[RunView]
    refused: list[RefusedView]


def router(database: Database) -> APIRouter:
    """Routes under /v1."""
    routes = APIRouter(prefix="/v1", tags=["invoice runs"])
    _commands(routes, database)
    _queries(routes, database)
    return routes


def _commands(routes: APIRouter, database: Database) -> None:
    @routes.post("/invoice-runs", operation_id="invoice-runs.request", status_code=202)
    async def request_runs(body: RunsBody, caller: Operates) -> RequestedView:
        """Request the invoices of a date. Contract and date make a repeat harmless: it answers with
        the same runs. Dates a contract missed before are requested with it, each for itself."""
        async with database.transaction(actor=caller.subject) as tx:
            requested = await requests.request_runs(tx, body.invoice_date, body.contract_ids)
        return RequestedView(
            data=[view(run, is_new=run.run_id in requested.added) for run in requested.runs],
            refused=[
                RefusedView(contract_id=one.contract_id, code=one.code, detail=one.detail)
                for one in requested.refused
            ],
        )

    @routes.post("/invoice-runs/{run_id}:retry", operation_id="invoice-runs.retry")
    async def retry_run(run_id: KeyPath, caller: Operates) -> RunView:
        """Ask rating again for a run that waits for its charges: new control totals, new look."""
        async with database.transaction(actor=caller.subject) as tx:
            return view(await requests.ask_again(tx, run_id))


def _queries(routes: APIRouter, database: Database) -> None:
    @routes.get("/invoice-runs", operation_id="invoice-runs.list")
    async def list_runs(
        caller: Reads,
        contract_id: KeyQuery = None,
        invoice_date: DayQuery = None,
        state: RunState | None = None,
        limit: Limit = 50,
        cursor: CursorParam = None,
    ) -> dict[str, Any]:
        """Runs by invoice date."""
        wanted = store.Filter(contract_id, invoice_date, state)
        async with database.read() as reader:
            rows = await store.list_runs(reader, wanted, after=after_day(cursor), limit=limit)
        last = rows[-1] if len(rows) == limit else None
        more = encode_cursor(last.invoice_date.isoformat(), last.run_id) if last else None
        return page([view(run).model_dump(mode="json") for run in rows], next_cursor=more)

    @routes.get("/invoice-runs/{run_id}", operation_id="invoice-runs.get")
    async def get_run(run_id: KeyPath, caller: Reads) -> RunView:
        """One run."""
        async with database.read() as reader:
            return view(await store.get_run(reader, run_id))

    @routes.get("/holds", operation_id="holds.list")
    async def list_holds(
        caller: Reads, limit: Limit = 50, cursor: CursorParam = None
    ) -> dict[str, Any]:
        """Runs and invoices that wait for a fact or a person, oldest first."""
        async with database.read() as reader:
            rows = await store.list_holds(reader, after=after_instant(cursor), limit=limit)
        last = rows[-1] if len(rows) == limit else None
        why = last and last.hold
        more = encode_cursor(why.since.isoformat(), last.run_id) if last and why else None
        return page([_hold(run) for run in rows], next_cursor=more)


def view(run: store.Run, *, is_new: bool = False) -> RunView:
    """A run as the API shows it."""
    return RunView(
        run_id=run.run_id,
        contract_id=run.contract_id,
        invoice_date=run.invoice_date,
        state=run.state,
        outcome=_outcome(run.state, is_new=is_new),
        recurring=PeriodField.of(run.due.recurring),
        closed=PeriodField.of(run.due.closed),
        invoice_id=run.invoice_id,
        charges=run.control and run.control.charges,
        amount=run.control and run.control.amount,
        hold=views.hold_of(run),
        requested_at=run.requested_at,
        changed_at=run.changed_at,
    )


def _outcome(state: RunState, *, is_new: bool) -> str:
    if state not in RUN_DONE:
        return "requested" if is_new else "in progress"
    return "already billed" if state is RunState.FINALISED else "nothing due"


def _hold(run: store.Run) -> dict[str, Any]:
    waiting = f"invoice/{run.invoice_id}" if run.invoice_id else f"invoice-run/{run.run_id}"
    why = views.hold_of(run)
    return {
        "id": run.run_id,
        **(why.model_dump() if why else {}),
        "object": waiting,
        "key": run.contract_id,
    }
