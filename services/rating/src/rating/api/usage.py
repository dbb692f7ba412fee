"""Routes that show usage files: what came, what became of it, and whether the sums agree."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from rating.api.paging import Named
from rating.domain.usage import HELD, NOT_BILLABLE, Outcome
from rating.handlers.terms import usage_terms
from rating.handlers.usage_lines import charge_of, line_json
from rating.store import charges, facts, usage, usage_files
from rating.store.usage_files import OutcomeTotal, UsageFile
from shared.kernel.errors import NotFound
from shared.runtime.postgres import Database
from shared.runtime.web import Reads, page

LineNumber = Annotated[int, Path(ge=1, le=2**62)]


def router(database: Database) -> APIRouter:
    routes = APIRouter()

    @routes.get("/usage-files/{file_id}", operation_id="usage-files.get")
    async def get_file(file_id: Named, caller: Reads) -> dict[str, Any]:
        """One version of a data set: announced, received, and every line accounted for."""
        async with database.read() as reader:
            file = await usage_files.find_file(reader, file_id)
            if file is None:
                raise NotFound("usage_file_unknown", f"nothing of file {file_id} came here")
            totals = await usage_files.outcome_totals(reader, file_id)
            stored = await usage_files.stored_lines(reader, file_id)
        return _file(file, totals, stored)

    @routes.get("/usage-files/{file_id}/lines/{line_number}", operation_id="usage-files.line")
    async def get_line(file_id: Named, line_number: LineNumber, caller: Reads) -> dict[str, Any]:
        """What became of one line of the provider's file, and which charge it is in."""
        async with database.read() as reader:
            file = await usage_files.find_file(reader, file_id)
            line = await usage.line_of_file(reader, file_id, line_number)
            if line is None or file is None:
                raise NotFound("usage_line_unknown", f"file {file_id} has no line {line_number}")
            contract_id = line.key.decision.contract_id
            contract = await facts.contract(reader, contract_id) if contract_id else None
            terms = await usage_terms(reader, contract) if contract else None
            identity = charge_of(line, file.billing_month)
            known = await charges.by_ids(reader, [identity]) if identity else {}
        return line_json(line, terms) | {"charge_id": identity if identity in known else None}

    @routes.get("/checks/usage", operation_id="checks.usage")
    async def check_usage(caller: Reads) -> dict[str, Any]:
        """Files whose lines are not all accounted for. Empty, or something is wrong."""
        async with database.read() as reader:
            return page(await usage_files.unaccounted(reader))

    return routes


def _file(file: UsageFile, totals: list[OutcomeTotal], stored: int) -> dict[str, Any]:
    control = file.control
    by_outcome = {Outcome(total.outcome): total.lines for total in totals}
    rated = by_outcome.get(Outcome.RATED, 0)
    held = sum(by_outcome.get(outcome, 0) for outcome in HELD)
    not_billable = sum(by_outcome.get(outcome, 0) for outcome in NOT_BILLABLE)
    return {
        "file_id": file.file_id,
        "data_set": file.data_set,
        "version": control.version if control else None,
        "state": file.state,
        "estimate": file.estimate,
        "invoice_number": file.invoice_number,
        "billing_month": f"{file.billing_month:%Y-%m}",
        "received": {
            "batches": file.batches,
            "lines": file.lines,
            "quantity": f"{file.quantity:f}",
            "billing_pretax": f"{file.billing_pretax:f}",
        },
        "announced": control.control.model_dump(mode="json") if control else None,
        "quarantined": control.quarantined if control else None,
        "rated": rated,
        "held": held,
        "not_billable": not_billable,
        "outcomes": [
            {
                "outcome": total.outcome,
                "lines": total.lines,
                "quantity": f"{total.quantity:f}",
                "billing_pretax": f"{total.billing_pretax:f}",
            }
            for total in totals
        ],
        "checks": [
            {
                "name": "received = rated + held + not billable",
                "expected": str(file.lines),
                "found": str(rated + held + not_billable),
                "holds": file.lines == rated + held + not_billable,
            },
            {
                "name": "received = stored",
                "expected": str(file.lines),
                "found": str(stored),
                "holds": file.lines == stored,
            },
        ],
    }
