"""Reads many contracts of Autotask at once: pages of 500, contracts named in one `in` list.

The hourly quota is shared with every other integration of the tenant, so a sweep asks three
questions for up to 400 contracts and none for a single one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

from psa_connector.clients.autotask import fields
from psa_connector.clients.autotask.transport import Transport
from psa_connector.clients.psa import Edit, Unavailable, understood
from psa_connector.domain.snapshots import HeldRecord, TargetSnapshot

TARGETS_MAX = 400  # below the vendor's 500 alternatives of one query
KEY_PREFIX = "bcs-"


async def sweep(transport: Transport, targets: Sequence[str], since: date) -> list[TargetSnapshot]:
    """The contracts with their services' units since a day, and the charges with a key of ours."""
    ids = [int(target) for target in targets if target.isdigit()]
    if not ids:
        return [TargetSnapshot(target, None) for target in targets]
    contracts = await transport.query("Contracts", [_among("id", ids)])
    charges = await transport.query(
        "ContractCharges",
        [
            _among("contractID", ids),
            {"op": "beginsWith", "field": "internalPurchaseOrderNumber", "value": KEY_PREFIX},
        ],
        fields=fields.SWEPT_CHARGE_FIELDS,
    )
    units = await transport.query(
        "ContractServiceUnits",
        [
            _among("contractID", ids),
            {"op": "gte", "field": "endDate", "value": fields.instant(since)},
        ],
        fields=fields.SWEPT_UNIT_FIELDS,
    )
    with understood(Unavailable):
        return _sorted_out(targets, contracts, charges, units)


def _sorted_out(
    targets: Sequence[str], contracts: Sequence[Any], charges: Sequence[Any], units: Sequence[Any]
) -> list[TargetSnapshot]:
    facts = {str(one["id"]): fields.target_facts(one) for one in contracts}
    records: defaultdict[str, list[HeldRecord]] = defaultdict(list)
    rows: defaultdict[str, defaultdict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for one in charges:
        records[str(one["contractID"])].append(fields.held_charge(one))
    for one in units:
        rows[str(one["contractID"])][str(one["contractServiceID"])].append(one)
    return [
        TargetSnapshot(
            target,
            facts.get(target),
            tuple(records[target]),
            tuple(fields.held_service(id, shown) for id, shown in rows[target].items()),
        )
        for target in targets
    ]


async def last_note(transport: Transport, contract: str, ours: int | None) -> Edit | None:
    """Every change of services leaves a note; the newest one that is not of our API user."""
    filters: list[dict[str, Any]] = [{"op": "eq", "field": "contractID", "value": int(contract)}]
    if ours is not None:
        filters.append({"op": "noteq", "field": "creatorResourceID", "value": ours})
    shown = await transport.query("ContractNotes", filters)
    with understood(Unavailable):
        notes = sorted(shown, key=lambda one: (str(one.get("createDateTime")), int(one["id"])))
        if not notes:
            return None
        newest = notes[-1]
        return Edit(
            by=f"resource {newest.get('creatorResourceID')}",
            at=str(newest.get("createDateTime") or ""),
            text=str(newest.get("description") or newest.get("title") or ""),
        )


def _among(field: str, ids: Sequence[int]) -> dict[str, Any]:
    if len(ids) == 1:
        return {"op": "eq", "field": field, "value": ids[0]}
    return {"op": "in", "field": field, "value": list(ids)}
