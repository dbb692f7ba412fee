"""Asks a ConnectWise tenant what it is, and whether our API member sees what pushes need."""

from __future__ import annotations

from psa_connector.clients.connectwise.fields import KEY_CAPTION, KeyField
from psa_connector.clients.connectwise.transport import Transport
from psa_connector.clients.psa import Denied, Refused
from psa_connector.domain.preflight_report import Probe, Right

_NEEDED = (
    ("companies", "/company/companies/count"),
    ("agreements", "/finance/agreements/count"),
    ("catalog", "/procurement/catalog/count"),
    ("agreement invoices", "/finance/invoices/count"),
)


async def probe(transport: Transport, key: KeyField) -> Probe:
    """One small read for each right. A count of nothing is no right: roles hide, they do not
    refuse."""
    info = await transport.get("/system/info") or {}
    rights = [await _right(transport, name, path) for name, path in _NEEDED]
    notes = []
    if key.id is None:
        notes.append(
            f"additions have no custom field {KEY_CAPTION}; our key stands in the serial number, "
            "which customers may see"
        )
    zone = info.get("serverTimeZone")
    return Probe(
        rights=tuple(rights),
        notes=tuple(notes),
        server_time=transport.server_time,
        time_zone=None if zone is None else str(zone),
    )


async def _right(transport: Transport, name: str, path: str) -> Right:
    try:
        told = await transport.get(path)
    except (Denied, Refused) as error:
        return Right(name, granted=False, detail=str(error))
    count = int((told or {}).get("count") or 0)
    may_be_empty = name == "agreement invoices"
    return Right(name, granted=count > 0 or may_be_empty, detail=f"{count} visible")
