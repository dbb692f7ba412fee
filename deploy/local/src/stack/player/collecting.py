"""Gathers what a play left behind, from the services' own APIs and from what each PSA holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from shared.contracts.topics import SERVICES
from shared.kernel.periods import Period
from stack.player.acting import Outcome
from stack.player.autotask_bill import Adjustment, Cycle, Service, licences_billed
from stack.player.names import Names
from stack.player.psa_setup import AUTOTASK, CONNECTWISE, Target
from stack.player.services import Services
from stack.story.format import subscription_names

Row = dict[str, Any]
HOLDING = ("rating", "invoicing", "tax", "psa-connector", "payments")


@dataclass
class Findings:
    """Everything a report is made of; amounts are decimal strings as the services gave them."""

    invoices: list[Row] = field(default_factory=list)
    psa: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    holds: list[Row] = field(default_factory=list)
    dead_letters: list[Row] = field(default_factory=list)
    usage_files: list[Row] = field(default_factory=list)
    seats: list[Row] = field(default_factory=list)
    audit: dict[str, Row] = field(default_factory=dict)
    audit_before: dict[str, Row] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    started_at: float = 0.0  # real time, seconds since 1970
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Before:
    """What a stack had already when a play began; it is no finding of that play."""

    waiting: list[Row]
    audit: dict[str, Row]


async def before(services: Services) -> Before:
    """To be asked before anything is written."""
    return Before(await waiting(services), await _trails(services))


async def waiting(services: Services) -> list[Row]:
    """Everything that is held or dead at the moment, with the list it stands in."""
    lists: list[tuple[str, str, str | None]] = [(name, "/v1/holds", None) for name in HOLDING]
    lists += [(name, "/v1/dead-letters", "pending") for name in SERVICES]
    rows: list[Row] = []
    for service, path, status in lists:
        found = await services.pages(service, path, status=status)
        rows += [{"service": service, "list": path, **row} for row in found]
    return rows


async def collect(
    services: Services,
    plays: Sequence[Names],
    targets: dict[str, Target],
    outcomes: list[Outcome],
    *,
    before: Before,
) -> Findings:
    """What came out of these plays, and nothing of earlier ones."""
    found = Findings(outcomes=outcomes, audit_before=before.audit)
    for names in plays:
        for name in names.story.contracts:
            found.invoices += await _invoices(services, names, name)
        found.payments += await _payments(services, names)
        found.seats += await _seats(services, names)
    found.psa = await _psa(services, plays, targets)
    earlier = {_place(row) for row in before.waiting}
    for row in await waiting(services):
        if _place(row) not in earlier:
            rows = found.holds if row.pop("list") == "/v1/holds" else found.dead_letters
            rows.append(row)
    found.holds = _once(found.holds)
    found.audit = await _trails(services)
    found.usage_files = await _usage_files(services, plays)
    return found


async def _trails(services: Services) -> dict[str, Row]:
    """The verdict on every service's audit trail."""
    verdicts = await asyncio.gather(
        *(services.post(service, "/v1/audit:verify", {}) for service in SERVICES)
    )
    return dict(zip(SERVICES, verdicts, strict=True))


def _once(holds: list[Row]) -> list[Row]:
    """One thing that waits for one reason, however many services wait for it."""
    found: dict[tuple[str, str], Row] = {}
    for row in holds:
        found.setdefault((row["reason"], str(row["object"])), row)
    return list(found.values())


def _place(row: Row) -> tuple[str, str, str]:
    return (row["service"], row["list"], str(row["id"]))


async def _invoices(services: Services, names: Names, contract: str) -> list[Row]:
    heads = await services.pages("invoicing", "/v1/invoices", contract_id=names.own(contract))
    whole = [
        await services.get("invoicing", f"/v1/invoices/{head['invoice_id']}") for head in heads
    ]
    return [{**invoice, "story": names.story.story, "contract": contract} for invoice in whole]


async def _payments(services: Services, names: Names) -> list[Row]:
    rows = []
    for name in names.story.customers:
        found = await services.pages("payments", "/v1/attempts", account_id=names.own(name))
        rows += [{**row, "story": names.story.story, "customer": name} for row in found]
    return rows


async def _seats(services: Services, names: Names) -> list[Row]:
    """Seats in force by the mirror, by the story's name; none of what was cancelled."""
    rows = []
    for name in sorted(subscription_names(names.story)):
        path = f"/v1/subscriptions/{names.subscription(name)}"
        mirror = await services.get("ingest", path)
        rows.append(
            {"subscription": name, "seats": mirror["state"]["quantity"], "story": names.story.story}
        )
    return rows


async def _psa(services: Services, plays: Sequence[Names], targets: dict[str, Target]) -> list[Row]:
    states = {
        vendor: await services.simulator("GET", f"/{vendor}/_control/state")
        for vendor in {target.vendor for target in targets.values()}
    }
    intents = {
        vendor: await services.pages("psa-connector", "/v1/intents", connection_id=vendor)
        for vendor in states
    }
    rows = []
    for names in plays:
        for name, contract in names.story.contracts.items():
            target = targets.get(names.own(name))
            if target is None:
                continue
            mine = [i for i in intents[target.vendor] if i["contract_id"] == names.own(name)]
            read = _connectwise if target.vendor == CONNECTWISE else _autotask
            held = read(states[target.vendor], target, mine)
            if target.vendor == AUTOTASK:
                held |= await _licences(services, names, name, held)
            rows.append(
                {"story": names.story.story, "contract": name, "vendor": contract.psa, **held}
            )
    return rows


def _connectwise(state: Row, target: Target, intents: list[Row]) -> Row:
    by_id = _by_external_id(intents, "addition")
    catalogue = {item["id"]: item for item in state["catalog"]}
    additions = [
        {
            **_source(by_id.get(str(addition["id"]))),
            "product": catalogue[addition["product"]["id"]].get("integrationXRef"),
            "quantity": str(addition["quantity"]),
            "unit_price": str(addition["unitPrice"]),
            "extended": str(addition["extPrice"]),
            "from": addition["effectiveDate"][:10],
            "until": (addition.get("cancelledDate") or "")[:10] or None,
            "text": addition.get("invoiceDescription"),
        }
        for addition in state["addition_views"]
        if addition["agreementId"] == target.target_id
    ]
    return {"additions": additions, "intents": _states(intents)}


def _autotask(state: Row, target: Target, intents: list[Row]) -> Row:
    by_charge = _by_external_id(intents, "contract_charge")
    by_adjustment = _by_external_id(intents, "adjustment")
    services = {row["id"]: row for row in state["services"]}
    own = {
        row["id"]: row
        for row in state["contract_services"]
        if row["contractID"] == target.target_id
    }
    adjustments = [
        {
            "service": services[own[row["contractServiceID"]]["serviceID"]]["name"],
            "product": services[own[row["contractServiceID"]]["serviceID"]].get("description"),
            "contract_service": row["contractServiceID"],
            "log_entry": by_adjustment.get(str(row["id"]), {}).get("source_id"),
            "effective": row["effectiveDate"][:10],
            "units": row["unitChange"],
            "unit_price": _text(row.get("adjustedUnitPrice")),
            "unit_cost": _text(row.get("adjustedUnitCost")),
        }
        for row in state["adjustments"]
        if row["contractServiceID"] in own
    ]
    opened = state["openings"]
    on_contract = [
        {
            "service": services[row["serviceID"]]["name"],
            "product": services[row["serviceID"]].get("description"),
            "contract_service": id,
            "unit_price": str(row["unitPrice"]),
            "opening_units": int(opened.get(str(id), {}).get("units", 0)),
            "opened_on": opened.get(str(id), {}).get("on", "")[:10] or None,
        }
        for id, row in own.items()
    ]
    charges = [
        {
            **_source(by_charge.get(str(row["id"]))),
            "name": row["name"],
            "date": row["datePurchased"][:10],
            "quantity": str(row["unitQuantity"]),
            "unit_price": str(row["unitPrice"]),
            "unit_cost": _text(row.get("unitCost")),
        }
        for row in state["charges"]
        if row["contractID"] == target.target_id
    ]
    return {
        "services": on_contract,
        "adjustments": adjustments,
        "charges": charges,
        "intents": _states(intents),
    }


async def _licences(services: Services, names: Names, contract: str, held: Row) -> Row:
    """What Autotask's own billing makes of the licences, for the cycles that we invoiced."""
    written = names.story.contracts[contract]
    runs = await services.pages("invoicing", "/v1/invoice-runs", contract_id=names.own(contract))
    cycles = [
        Cycle(_period(run["recurring"]), _period(run["closed"]))
        for run in runs
        if run["state"] in ("finalised", "empty")
    ]
    amount = licences_billed(
        [_service(row, held["adjustments"]) for row in held["services"]],
        cycles,
        recurring_from=written.billed_through or written.starts,
        changes_from=written.starts,
        currency=names.story.customers[written.customer].currency,
    )
    return {"licences": str(amount), "cycles": [str(cycle.recurring) for cycle in cycles]}


def _service(row: Row, adjustments: Sequence[Row]) -> Service:
    return Service(
        unit_price=Decimal(row["unit_price"]),
        opening_units=row["opening_units"],
        opened_on=date.fromisoformat(row["opened_on"]) if row["opened_on"] else date.min,
        adjustments=tuple(
            Adjustment(
                date.fromisoformat(one["effective"]),
                one["units"],
                Decimal(one["unit_price"]) if one["unit_price"] else None,
            )
            for one in adjustments
            if one["contract_service"] == row["contract_service"]
        ),
    )


def _period(row: Row) -> Period:
    return Period(date.fromisoformat(row["start"]), date.fromisoformat(row["end"]))


async def _usage_files(services: Services, plays: Sequence[Names]) -> list[Row]:
    numbers = {n.provider_invoice(u.invoice) for n in plays for u in n.story.usage}
    exports = await services.pages("ingest", "/v1/usage-exports")
    rows = []
    for export in exports:
        if export["invoice_number"] not in numbers or export["file_id"] is None:
            continue
        rated = await services.get("rating", f"/v1/usage-files/{export['file_id']}")
        rows.append({"export": export, "rated": rated})
    return rows


def _by_external_id(intents: list[Row], kind: str) -> dict[str, Row]:
    return {str(i["external_id"]): i for i in intents if i["external_id"] and kind in i["kind"]}


def _source(intent: Row | None) -> Row:
    if intent is None:
        return {"invoice": None, "line": None}
    number, _, line = str(intent["source_id"]).rpartition("/")
    return {"invoice": number, "line": int(line) if line.isdigit() else None}


def _states(intents: list[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for intent in intents:
        counts[intent["state"]] = counts.get(intent["state"], 0) + 1
    return counts


def _text(value: object) -> str | None:
    return None if value is None else str(value)
