"""Reads whole agreements of ConnectWise: a call per agreement's additions, few for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from psa_connector.clients.connectwise import fields
from psa_connector.clients.connectwise.fields import KeyField
from psa_connector.clients.connectwise.transport import Transport
from psa_connector.clients.psa import Edit, Unavailable, understood
from psa_connector.domain.snapshots import TargetSnapshot, Words

_IDS_PER_QUERY = 100  # keeps the URL below the vendor's 2,000 characters
# Every owned field; the values are never looked at.
_TEMPLATE: Words = dict.fromkeys(
    (
        "product", "quantity", "lessIncluded", "unitPrice", "unitCost", "billCustomer",
        "effectiveDate", "cancelledDate", "taxableFlag", "invoiceDescription", "purchaseItemFlag",
    ),
    "",
)  # fmt: skip


async def sweep(
    transport: Transport, key: KeyField, targets: Sequence[str]
) -> list[TargetSnapshot]:
    """The agreements with their additions and the months that are invoiced."""
    known = [target for target in targets if target.isdigit()]
    agreements = {
        str(one["id"]): one
        for ids in _in_parts(known)
        for one in await transport.scan(
            "/finance/agreements", {"conditions": f"id in ({','.join(ids)})"}
        )
    }
    invoiced = await invoiced_months(transport, list(agreements))
    cycles = await _cycles(transport, agreements.values())
    found = []
    for target in targets:
        agreement = agreements.get(target)
        if agreement is None:
            found.append(TargetSnapshot(target, None))
            continue
        months = invoiced.get(target, frozenset())
        shown = await transport.scan(f"/finance/agreements/{target}/additions", {})
        with understood(Unavailable):
            cycle = cycles.get(str((agreement.get("billingCycle") or {}).get("id")))
            records = [fields.held_record(one, key, months, _TEMPLATE) for one in shown]
            facts = fields.target_facts(agreement, cycle)
        found.append(TargetSnapshot(target, facts, tuple(records), invoiced=months))
    return found


async def invoiced_months(
    transport: Transport, agreements: Sequence[str]
) -> dict[str, frozenset[date]]:
    """Which calendar months stand on invoices of these agreements: the only evidence (C9).

    A deleted invoice is not listed, and its month is open again.
    """
    months: defaultdict[str, set[date]] = defaultdict(set)
    for ids in _in_parts(agreements):
        shown = await transport.scan(
            "/finance/invoices",
            {
                "conditions": f'type = "Agreement" and agreement/id in ({",".join(ids)})',
                "fields": "id,date,agreement",
            },
        )
        with understood(Unavailable):
            for one in shown:
                on = fields.day(one.get("date"))
                if on is not None:
                    months[str(one["agreement"]["id"])].add(on.replace(day=1))
    return {id: frozenset(starts) for id, starts in months.items()}


async def last_edit(transport: Transport, kind: str, external_id: str) -> Edit | None:
    """The newest entry of the vendor's audit trail of a record."""
    shown = await transport.first_page("/system/audittrail", {"type": kind, "id": external_id})
    with understood(Unavailable):
        entries = sorted(shown, key=lambda one: str(one.get("enteredDate")), reverse=True)
        if not entries:
            return None
        newest = entries[0]
        return Edit(
            by=str(newest.get("enteredBy") or "unknown"),
            at=str(newest.get("enteredDate") or ""),
            text=str(newest.get("text") or ""),
        )


async def _cycles(transport: Transport, agreements: Any) -> dict[str, str]:
    ids = {(one.get("billingCycle") or {}).get("id") for one in agreements} - {None}
    if not ids:
        return {}
    shown = await transport.scan("/finance/billingCycles", {})
    with understood(Unavailable):
        return {str(one["id"]): str(one.get("billingOptions")) for one in shown}


def _in_parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _IDS_PER_QUERY):
        yield ids[start : start + _IDS_PER_QUERY]
