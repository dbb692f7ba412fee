"""Asks an Autotask tenant whether our API user sees what pushes need, and how much of the shared
hourly quota is used."""

from __future__ import annotations

from psa_connector.clients.autotask.transport import Transport
from psa_connector.clients.psa import Refused
from psa_connector.domain.preflight_report import Probe, Right

_NEEDED = ("Companies", "Contracts", "Services", "ContractServices", "BillingCodes")
_USED_PERCENT = 75  # from here on others feel it, too


async def probe(transport: Transport, *, charge_type_label: str) -> Probe:
    """One count for each entity. Without a right the vendor shows nothing instead of refusing."""
    rights = [await _right(transport, entity) for entity in _NEEDED]
    told = await transport.fields("ContractCharges")
    labels = {
        str(value.get("label"))
        for field in told
        if field.get("name") == "chargeType"
        for value in field.get("picklistValues") or ()
    }
    known = charge_type_label in labels
    detail = charge_type_label if known else f"no {charge_type_label}: {', '.join(sorted(labels))}"
    rights.append(Right("charge type", granted=known, detail=detail))
    return Probe(
        rights=tuple(rights),
        notes=tuple(await _quota(transport)),
        server_time=transport.server_time,
    )


async def _right(transport: Transport, entity: str) -> Right:
    try:
        count = await transport.count(entity)
    except Refused as error:
        return Right(entity, granted=False, detail=str(error))
    may_be_empty = entity == "ContractServices"
    return Right(entity, granted=count > 0 or may_be_empty, detail=f"{count} visible")


async def _quota(transport: Transport) -> list[str]:
    told = await transport.threshold()
    limit = int(told.get("externalRequestThreshold") or 0)
    used = int(told.get("currentTimeframeRequestCount") or 0)
    if limit and used * 100 >= limit * _USED_PERCENT:
        return [f"{used} of {limit} requests of this hour are used, by all integrations together"]
    return []
