"""What each PSA holds beside what was invoiced, contract by contract: they must be the same sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stack.player.collecting import Findings, Row
from stack.player.names import Names

LICENCES = frozenset({"recurring", "proration"})
ADJUSTMENTS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Tied:
    """A sum in a PSA and the sum of the invoice lines that it stands for."""

    story: str
    contract: str
    vendor: str
    invoices: str
    records: str
    held: Decimal
    invoiced: Decimal
    comparable: bool = True  # False: the PSA bills other periods than we do

    @property
    def agrees(self) -> bool:
        return not self.comparable or self.held == self.invoiced


def tie(findings: Findings, plays: Sequence[Names]) -> list[Tied]:
    """A row for every issued invoice of a contract that is in a PSA, one for licences that Autotask
    bills itself, and one for records that belong to no invoice."""
    own = {(n.story.story, name): n.own(name) for n in plays for name in n.story.contracts}
    rows: list[Tied] = []
    for place in findings.psa:
        key = (place["story"], place["contract"])
        issued = [
            _part(invoice, own[key])
            for invoice in findings.invoices
            if (invoice["story"], invoice["contract"]) == key and invoice["number"]
        ]
        rows += _rows(place, own[key], issued)
    return rows


def _part(invoice: Row, contract: str) -> Row:
    """Of a consolidated invoice the lines of one contract, in the contract's currency."""
    lines = [
        line | {"net": line["site"]["net"]} if line.get("site") else line
        for line in invoice["lines"]
        if not line.get("site") or line["site"]["contract_id"] == contract
    ]
    return invoice | {"lines": lines}


def _rows(place: Row, contract: str, issued: list[Row]) -> Iterator[Tied]:
    connectwise = "additions" in place
    what = "additions" if connectwise else "charges"
    head = (place["story"], contract, place["vendor"])
    for invoice in issued:
        mine = [record for record in place[what] if record["invoice"] == invoice["number"]]
        lines = [x for x in invoice["lines"] if connectwise or x["kind"] not in LICENCES]
        if lines or mine:
            yield Tied(*head, invoice["number"], _count(mine, what), _sum(mine), _net(lines))
    strays = [record for record in place[what] if record["invoice"] is None]
    if strays:
        yield Tied(*head, "none", _count(strays, what), _sum(strays), Decimal(0))
    if not connectwise:
        yield from _licences(place, head, issued)


def _licences(place: Row, head: tuple[str, str, str], issued: list[Row]) -> Iterator[Tied]:
    lines = [x for invoice in issued for x in invoice["lines"] if x["kind"] in LICENCES]
    if not lines and not place["adjustments"]:
        return
    with_licences = [
        invoice["number"]
        for invoice in issued
        if any(line["kind"] in LICENCES for line in invoice["lines"])
    ]
    cycles = set(place["cycles"])
    monthly = all(
        f"[{x['service_period']['start']}, {x['service_period']['end']})" in cycles
        for x in lines
        if x["kind"] == "recurring"
    )
    yield Tied(
        *head,
        ", ".join(with_licences) or "none yet",
        _units(place),
        Decimal(place["licences"]),
        _net(lines),
        comparable=monthly and bool(with_licences),
    )


def _units(place: Row) -> str:
    """`30 seats; +6 on 2026-06-15, …`."""
    opening = sum(service["opening_units"] for service in place["services"])
    changes = [f"{a['units']:+d} on {a['effective']}" for a in place["adjustments"]]
    shown = changes[:ADJUSTMENTS_SHOWN]
    if len(changes) > len(shown):
        shown.append(f"and {len(changes) - len(shown)} more adjustments")
    return "; ".join([f"{opening} seats", *([", ".join(shown)] if shown else [])])


def _sum(records: Sequence[Row]) -> Decimal:
    """Of what the PSA itself makes of quantity and unit price."""
    amounts = (
        Decimal(r["extended"]) if "extended" in r
        else Decimal(r["unit_price"]) * Decimal(r["quantity"])
        for r in records
    )  # fmt: skip
    return sum(amounts, Decimal(0))


def _net(lines: Sequence[Row]) -> Decimal:
    return sum((Decimal(line["net"]) for line in lines), Decimal(0))


def _count(records: Sequence[Row], what: str) -> str:
    return f"{len(records)} {what.removesuffix('s') if len(records) == 1 else what}"
