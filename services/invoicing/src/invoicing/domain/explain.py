"""Where the chain of a line continues: the addresses in rating, ingest and tax that explain it.

Addresses are relative to the named service; source ids of a charge are changes, usage files or
purchases depending on its kind.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.rating import ChargeKind, ChargeRated


@dataclass(frozen=True, slots=True)
class Link:
    """`GET path` at `service` answers `what`."""

    what: str
    service: str
    path: str


def links_of(charge: ChargeRated | None, invoice_id: str) -> tuple[Link, ...]:
    """What to read next, nearest first."""
    tax = Link("tax determination", "tax", f"/v1/determinations/{invoice_id}")
    if charge is None:
        return (tax,)
    own = Link("charge", "rating", f"/v1/charges/{charge.charge_id}/explain")
    return (own, *_sources(charge), tax)


def _sources(charge: ChargeRated) -> tuple[Link, ...]:
    match charge.kind:
        case ChargeKind.RECURRING | ChargeKind.PRORATION | ChargeKind.PROMOTION:
            return tuple(
                Link("provider change", "ingest", f"/v1/changes/{source}")
                for source in charge.source_ids
            )
        case ChargeKind.USAGE:
            lines = Link("usage lines", "rating", f"/v1/charges/{charge.charge_id}/usage-lines")
            files = (
                Link("usage file", "ingest", f"/v1/usage-files/{source}")
                for source in charge.source_ids
            )
            return (lines, *files)
        case ChargeKind.MINIMUM | ChargeKind.PURCHASE:
            return ()  # rating's explanation names the provider's own line
