"""Which events and usage lines of a story stand behind an invoice line, by the names in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stack.player.acting import Outcome
from stack.player.services import Services

Row = dict[str, Any]
ALLOCATION = "allocation/"


class Sources:
    """Follows a charge back to what a story calls its causes."""

    def __init__(self, services: Services, outcomes: Sequence[Outcome]) -> None:
        self._services = services
        self._event_of_audit = _events_by_audit_record(outcomes)

    async def charge(self, charge_id: str | None) -> Row:
        """The charge as rating has it."""
        if charge_id is None:
            return {}
        return dict(await self._services.get("rating", f"/v1/charges/{charge_id}"))

    async def of(self, line: Row) -> list[str]:
        """Story ids behind a line: events, usage lines, purchases; what has none keeps our id."""
        if line["charge_id"] is None:
            return [str(line["item_id"])]
        if line["kind"] == "usage":
            path = f"/v1/charges/{line['charge_id']}/usage-lines"
            rows = await self._services.pages("rating", path)
            return sorted({str(row["line_id"]) for row in rows})
        charge = await self.charge(line["charge_id"])
        return [await self._cause(source, line["kind"]) for source in charge["source_ids"]]

    async def of_log_entry(self, contract_id: str, entry_id: str | None) -> str:
        """The story id of the change that an entry of the License Change Log is about."""
        path = "/v1/licence-changes"
        for entry in await self._services.pages("rating", path, contract_id=contract_id):
            if entry["entry_id"] == entry_id:
                return await self._cause(str(entry["change_id"]), "licence")
        return "nothing in the License Change Log"

    async def _cause(self, source_id: str, kind: str) -> str:
        if kind == "purchase":
            found = await self._services.get("ingest", f"/v1/provider-lines/{source_id}")
            return str(found["line"]["orderId"])
        if source_id.startswith(ALLOCATION):
            path = f"/v1/allocations/{source_id.removeprefix(ALLOCATION)}"
            return str((await self._services.get("rating", path))["cause"])
        change = await self._services.get("ingest", f"/v1/changes/{source_id}")
        record = change.get("audit_record_id")
        return self._event_of_audit.get(record, source_id)


def _events_by_audit_record(outcomes: Sequence[Outcome]) -> dict[str | None, str]:
    found: dict[str | None, str] = {}
    for outcome in outcomes:
        try:
            answer = json.loads(outcome.answer)
        except ValueError:
            continue
        told = answer if isinstance(answer, dict) else {}
        for record in (told.get("audit_record"), *told.get("audit_records", ())):
            if isinstance(record, dict) and record.get("id"):
                found[str(record["id"])] = outcome.event
    return found
