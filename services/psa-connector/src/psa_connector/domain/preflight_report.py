"""Preflight as a report for people: what was checked, what was found, and what to do about it.

The same checks stop a push; here they are asked for beforehand, for a whole connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from psa_connector.domain.discovery import Offer
from psa_connector.domain.mapping import Block, Reason
from psa_connector.domain.preflight import (
    BillingCycle,
    Expectation,
    TargetFacts,
    check,
)

CLOCK_TOLERANCE = timedelta(minutes=2)
ENDS_SOON = timedelta(days=90)


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # pushes go on
    BLOCKS = "blocks"  # pushes stop


@dataclass(frozen=True, slots=True)
class Right:
    """Something the API user must be able to see, and whether it can."""

    name: str
    granted: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a PSA says of itself and of what we may see there."""

    rights: tuple[Right, ...]
    notes: tuple[str, ...] = ()  # worth a look, nothing stops
    server_time: datetime | None = None  # None: the PSA tells no time
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Level
    code: str
    object: str
    detail: str
    advice: str = ""


ADVICE: Mapping[Reason, str] = {
    Reason.UNMAPPED_COMPANY: "map the contract: tieout psa mappings suggest",
    Reason.UNMAPPED_AGREEMENT: "the mapped id is gone or not visible: map the contract again",
    Reason.UNMAPPED_PRODUCT: "the mapped id is gone or not visible: map the product again",
    Reason.CURRENCY_MISMATCH: "give the agreement the contract's currency, or map another one",
    Reason.AGREEMENT_PRORATES: "switch off proration and invoicing of prorated additions on it",
    Reason.AGREEMENT_INACTIVE: "make it active, or map the contract to another one",
    Reason.AGREEMENT_COMPANY_MISMATCH: "map the contract to the company the agreement belongs to",
    Reason.BILLING_CYCLE_UNSUPPORTED: "bill it monthly or once, or allow it in the connection's "
    "settings (other_billing_cycles)",
    Reason.PRODUCT_INACTIVE: "make the product active, or map another one",
    Reason.PRODUCT_BUNDLE: "map a product that is no bundle",
    Reason.PRODUCT_AUTO_REPRICE: "switch off automatic price updates of the product",
    Reason.CONTRACT_NOT_RECURRING: "map the contract to a recurring-service contract",
}


def report_connection(probe: Probe, now: datetime) -> list[Finding]:
    """Permissions and clock of a connection."""
    found = [_right(right) for right in probe.rights]
    found += [Finding(Level.WARNING, "note", "connection", note) for note in probe.notes]
    found.append(_clock(probe, now))
    return found


def report_target(
    expected: Expectation, target: TargetFacts | None, contract_id: str, *, today: date
) -> list[Finding]:
    """Flags, currency, dates and posted periods of one agreement or contract."""
    name = f"contract/{contract_id}"
    found = [blocked(block, name) for block in check(expected, target, {})]
    if target is not None:
        found += _worth_knowing(expected, target, name, today=today)
    if not any(finding.level is Level.BLOCKS for finding in found):
        detail = f"{expected.target_id} can take what is pushed"
        found.insert(0, Finding(Level.OK, "target_ready", name, detail))
    return found


def report_products(mapped: Mapping[str, str], offers: Iterable[Offer]) -> list[Finding]:
    """Every mapped product that the PSA does not offer, or would re-price by itself."""
    by_id = {offer.external_id: offer for offer in offers}
    found = []
    for key, external_id in sorted(mapped.items()):
        offer = by_id.get(external_id)
        if offer is None:
            detail = f"{key} is mapped to {external_id}, which is no active product"
            found.append(blocked(Block(Reason.PRODUCT_INACTIVE, detail), f"product/{key}"))
        elif offer.reprices:
            detail = f"{key} is mapped to {external_id}, which re-prices its lines by itself"
            found.append(blocked(Block(Reason.PRODUCT_AUTO_REPRICE, detail), f"product/{key}"))
    if mapped and not found:
        detail = f"{len(mapped)} mapped products are usable"
        found.append(Finding(Level.OK, "products_ready", "products", detail))
    return found


def blocked(block: Block, object: str) -> Finding:
    """A reason of preflight with what to do about it."""
    advice = ADVICE.get(block.reason, "repair it in the PSA, then retry what waits")
    return Finding(Level.BLOCKS, block.reason.value, object, block.detail, advice)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the whole report."""
    levels = {finding.level for finding in findings}
    return next((one for one in (Level.BLOCKS, Level.WARNING) if one in levels), Level.OK)


def _right(right: Right) -> Finding:
    if right.granted:
        return Finding(Level.OK, "visible", right.name, right.detail or "visible")
    return Finding(
        Level.BLOCKS,
        "not_visible_to_us",
        right.name,
        right.detail or "the API user does not see it",
        "give the API user's security role the right to see it",
    )


def _clock(probe: Probe, now: datetime) -> Finding:
    zone = f", time zone {probe.time_zone}" if probe.time_zone else ""
    if probe.server_time is None:
        return Finding(Level.OK, "clock_unknown", "clock", f"the PSA tells no time{zone}")
    apart = abs(probe.server_time - now)
    if apart > CLOCK_TOLERANCE:
        detail = f"the PSA's clock and ours are {int(apart.total_seconds())} seconds apart{zone}"
        advice = "set this host's clock by NTP: days of changes depend on it"
        return Finding(Level.WARNING, "clock_differs", "clock", detail, advice)
    return Finding(Level.OK, "clock_agrees", "clock", f"within two minutes of ours{zone}")


def _worth_knowing(
    expected: Expectation, target: TargetFacts, name: str, *, today: date
) -> Iterable[Finding]:
    """What stops nothing today and may tomorrow."""
    if target.invoiced_before is not None and target.cycle is BillingCycle.MONTHLY:
        detail = f"{expected.target_id} is invoiced up to before {target.invoiced_before}"
        advice = "one-off lines of earlier months would wait (period_already_invoiced)"
        yield Finding(Level.OK, "posted_period", name, detail, advice)
    if target.ends_on is not None:
        detail = f"{expected.target_id} ends on {target.ends_on}"
        advice = "renew it in the PSA before changes fall after that day"
        level = Level.WARNING if target.ends_on - today <= ENDS_SOON else Level.OK
        yield Finding(level, "target_ends", name, detail, advice)
    if not target.takes_services:
        detail = f"{expected.target_id} takes charges, but no recurring services"
        advice = ADVICE[Reason.CONTRACT_NOT_RECURRING]
        yield Finding(Level.WARNING, "charges_only", name, detail, advice)
