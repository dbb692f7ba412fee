"""Gathers what a play left behind, from the services' own APIs and from what each PSA holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.topics import SERVICES
from stack.player.acting import Outcome
from stack.player.names import Names
from stack.player.psa_setup import CONNECTWISE, Target
from stack.player.services import Services

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
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0


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
    before: Sequence[Row] = (),
) -> Findings:
    """What came out of these plays, and nothing of earlier ones: `before` was waiting already."""
    found = Findings(outcomes=outcomes)
    for names in plays:
        for name in names.story.contracts:
            found.invoices += await _invoices(services, names, name)
        found.payments += await _payments(services, names)
        found.seats += await _seats(services, names)
    found.psa = await _psa(services, plays, targets)
    earlier = {_place(row) for row in before}
    for row in await waiting(services):
        if _place(row) not in earlier:
            rows = found.holds if row.pop("list") == "/v1/holds" else found.dead_letters
            rows.append(row)
    verdicts = await asyncio.gather(
        *(services.post(service, "/v1/audit:verify", {}) for service in SERVICES)
    )
    found.audit = dict(zip(SERVICES, verdicts, strict=True))
    found.usage_files = await _usage_files(services, plays)
    return found


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
    wanted = {
        f"{customer}/{sub}"
        for customer, written in names.story.customers.items()
        for sub in written.subscriptions
    }
    wanted |= {f"{e.customer}/{e.as_}" for e in names.story.events if e.kind == "buy"}
    rows = []
    for name in sorted(wanted):
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
            "effective": row["effectiveDate"][:10],
            "units": row["unitChange"],
            "unit_price": _text(row.get("adjustedUnitPrice")),
            "unit_cost": _text(row.get("adjustedUnitCost")),
        }
        for row in state["adjustments"]
        if row["contractServiceID"] in own
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
    return {"adjustments": adjustments, "charges": charges, "intents": _states(intents)}


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
