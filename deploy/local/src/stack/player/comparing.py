"""Holds what came out against what a story expects; a difference names place and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from stack.player.collecting import Findings, Row
from stack.player.names import Names
from stack.player.sources import Sources
from stack.story.expectations import (
    Expect,
    ExpectedAdditions,
    ExpectedAdjustments,
    ExpectedCharges,
    ExpectedInvoice,
    ExpectedLine,
    ExpectedPayment,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that is not what the story expects."""

    where: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, found {self.found}"


class Comparison:
    """Collects differences of one story."""

    def __init__(self, names: Names, findings: Findings, sources: Sources) -> None:
        self._names = names
        self._findings = findings
        self._sources = sources
        self.differences: list[Difference] = []
        self.checked = 0

    async def run(self) -> list[Difference]:
        """Every section the story expects, and that nothing was refused or held unexpectedly."""
        story = self._names.story
        self._refusals()
        expect = story.expect
        if expect is None:
            return self.differences
        for invoice in expect.invoices or ():
            await self._invoice(invoice)
        if expect.invoices is not None:
            self._no_other_invoices(expect.invoices)
        await self._psa(expect)
        for seats in expect.seats:
            found = next(
                (
                    r
                    for r in self._mine(self._findings.seats)
                    if r["subscription"] == seats.subscription
                ),
                {},
            )
            self._same(f"seats of {seats.subscription}", seats.seats, found.get("seats"))
        for payment in expect.payments:
            self._payment(payment)
        return self.differences

    # -- invoices ------------------------------------------------------------------------------

    async def _invoice(self, expected: ExpectedInvoice) -> None:
        where = f"{expected.contract}, invoice of {expected.date}"
        found = self._found_invoice(expected.contract, expected.date.isoformat())
        if found is None or found["number"] is None:
            self._differ(where, "an issued invoice", _state(found))
            return
        where = f"{where} ({found['number']})"
        for name in ("net", "tax", "total"):
            wanted = getattr(expected, name)
            if wanted is not None:
                self._same(f"{where}, {name}", wanted, found[name])
        if expected.line_count is not None:
            self._same(f"{where}, lines", expected.line_count, len(found["lines"]))
        pairs = zip_longest(expected.lines or (), found["lines"] if expected.lines else ())
        for number, (wanted_line, line) in enumerate(pairs, start=1):
            at = f"{where}, line {number}"
            if wanted_line is None:
                self._differ(at, "no such line", f"{line['description']} {line['net']}")
            elif line is None:
                self._differ(at, f"{wanted_line.net}", "no such line")
            else:
                await self._line(at, wanted_line, line)

    async def _line(self, where: str, expected: ExpectedLine, line: Row) -> None:
        self._same(f"{where}, net", expected.net, line["net"])
        plain: list[tuple[str, Any, Any]] = [
            ("kind", expected.kind, line["kind"]),
            ("quantity", expected.quantity, line["quantity"]),
            ("tax", expected.tax, line["tax"]),
            ("cost", expected.cost, line["cost"]),
        ]
        site = line.get("site") or {}
        if expected.site is not None:
            plain.append(("site", self._names.own(expected.site), site.get("contract_id")))
        plain.append(("amount of the site", expected.site_net, site.get("net")))
        if expected.product is not None:
            key = self._names.product_key(expected.product)
            plain.append(("product", key, line["product_key"]))
        if expected.category is not None:
            plain.append(("category", f"azure:{expected.category}", line["product_key"]))
        if expected.azure is not None:
            azure = self._names.azure(expected.azure)
            plain.append(("Azure subscription", azure, line["subscription_id"]))
        if expected.corrects is not None:
            plain.append(("corrects", self._numbered(expected.corrects, line), line["corrects"]))
        for name, wanted, found in plain:
            if wanted is not None:
                self._same(f"{where}, {name}", wanted, found)
        if expected.days is not None:
            days, cycle = expected.days
            self._same(f"{where}, days", f"{days}/{cycle}", await self._days(line))
        if expected.source is not None:
            found_sources = sorted(await self._sources.of(line))
            self._same(f"{where}, source", sorted(expected.source), found_sources)

    async def _days(self, line: Row) -> str:
        charge = await self._sources.charge(line["charge_id"])
        proration = charge.get("proration")
        return f"{proration['days']}/{proration['cycle_days']}" if proration else "none"

    def _numbered(self, corrects: str, line: Row) -> str:
        """`2026-05-15/1` → the number of that invoice and the line."""
        day, _, number = corrects.partition("/")
        contract = next(
            i["contract"] for i in self._mine(self._findings.invoices) if line in i["lines"]
        )
        invoice = self._found_invoice(contract, day)
        return f"{invoice['number'] if invoice else '?'}/{number}"

    def _no_other_invoices(self, expected: Sequence[ExpectedInvoice]) -> None:
        wanted = {(e.contract, e.date.isoformat()) for e in expected}
        for invoice in self._mine(self._findings.invoices):
            if (invoice["contract"], invoice["invoice_date"]) not in wanted:
                where = f"{invoice['contract']}, invoice of {invoice['invoice_date']}"
                self._differ(where, "no invoice", f"{invoice['number']} net {invoice['net']}")

    def _found_invoice(self, contract: str, day: str) -> Row | None:
        return next(
            (
                i
                for i in self._mine(self._findings.invoices)
                if (i["contract"], i["invoice_date"]) == (contract, day)
            ),
            None,
        )

    # -- PSAs ------------------------------------------------------------------------------------

    async def _psa(self, expect: Expect) -> None:
        for additions in expect.additions:
            self._additions(additions)
        for charges in expect.charges:
            self._charges(charges)
        for adjustments in expect.adjustments:
            await self._adjustments(adjustments)

    def _additions(self, expected: ExpectedAdditions) -> None:
        where = f"{expected.contract}, ConnectWise additions for {expected.invoice}"
        held = self._held(expected.contract, expected.invoice.isoformat(), "additions")
        extended = sum((Decimal(a["extended"]) for a in held), Decimal(0))
        self._same(f"{where}, extended", expected.extended, extended)
        pairs = zip_longest(expected.lines or (), held if expected.lines else ())
        for number, (wanted, found) in enumerate(pairs, start=1):
            at = f"{where}, {number}"
            if wanted is None or found is None:
                self._differ(at, _brief(wanted), _brief(found))
                continue
            product = wanted.product and self._names.product_key(wanted.product)
            until = wanted.until and (wanted.until - timedelta(days=1)).isoformat()
            for name, left, right in (
                ("extended", wanted.extended, found["extended"]),
                ("quantity", wanted.quantity, found["quantity"]),
                ("unit price", wanted.unit_price, found["unit_price"]),
                ("product", product, found["product"]),
                ("from", wanted.from_, found["from"]),
            ):
                if left is not None:
                    self._same(f"{at}, {name}", left, right)
            if wanted.from_ is not None:
                self._same(f"{at}, last day", until or "open", found["until"] or "open")

    def _charges(self, expected: ExpectedCharges) -> None:
        where = f"{expected.contract}, Autotask charges for {expected.invoice}"
        held = self._held(expected.contract, expected.invoice.isoformat(), "charges")
        total = sum((Decimal(c["unit_price"]) * Decimal(c["quantity"]) for c in held), Decimal(0))
        self._same(f"{where}, total", expected.total, total)
        pairs = zip_longest(expected.lines or (), held if expected.lines else ())
        for number, (wanted, found) in enumerate(pairs, start=1):
            at = f"{where}, {number}"
            if wanted is None or found is None:
                self._differ(at, _brief(wanted), _brief(found))
                continue
            self._same(f"{at}, unit price", wanted.unit_price, found["unit_price"])
            if wanted.unit_cost is not None:
                self._same(f"{at}, unit cost", wanted.unit_cost, found["unit_cost"])
            if wanted.date is not None:
                self._same(f"{at}, date", wanted.date.isoformat(), found["date"])

    async def _adjustments(self, expected: ExpectedAdjustments) -> None:
        where = f"{expected.contract}, Autotask adjustments"
        place = self._place(expected.contract)
        held = place.get("adjustments", []) if place else []
        lines = list(expected.lines)
        if all(line.product is not None for line in lines):
            # Adjustments of one service have an order; those of two have none.
            lines.sort(key=lambda line: self._names.product_key(line.product or ""))
            held = sorted(held, key=lambda row: row["product"] or "")
        for number, (wanted, found) in enumerate(zip_longest(lines, held), start=1):
            at = f"{where}, {number}"
            if wanted is None or found is None:
                self._differ(at, _brief(wanted), _brief(found))
                continue
            self._same(f"{at}, effective", wanted.effective.isoformat(), found["effective"])
            self._same(f"{at}, units", wanted.units, found["units"])
            if wanted.product is not None:
                key = self._names.product_key(wanted.product)
                self._same(f"{at}, product", key, found["product"])
            if wanted.unit_price is not None:
                self._same(f"{at}, unit price", wanted.unit_price, found["unit_price"])
            if wanted.source is not None:
                contract = self._names.own(expected.contract)
                source = await self._sources.of_log_entry(contract, found["log_entry"])
                self._same(f"{at}, source", wanted.source, source)

    def _held(self, contract: str, day: str, what: str) -> list[Row]:
        """The records of one invoice, by its line numbers; foreign records belong to none."""
        place, invoice = self._place(contract), self._found_invoice(contract, day)
        if place is None or invoice is None:
            return []
        mine = [row for row in place[what] if row["invoice"] == invoice["number"]]
        return sorted(mine, key=lambda row: row["line"] or 0)

    def _place(self, contract: str) -> Row | None:
        mine = self._mine(self._findings.psa)
        return next((row for row in mine if row["contract"] == contract), None)

    # -- the rest --------------------------------------------------------------------------------

    def _payment(self, expected: ExpectedPayment) -> None:
        where = f"payment of {expected.contract}, {expected.invoice}"
        invoice = self._found_invoice(expected.contract, expected.invoice.isoformat())
        if invoice is None:
            self._differ(where, expected.status, "no invoice")
            return
        found = [
            p
            for p in self._mine(self._findings.payments)
            if p["invoice_id"] == invoice["invoice_id"]
        ]
        if len(found) != 1:
            self._differ(where, f"one attempt, {expected.status}", f"{len(found)} attempts")
            return
        self._same(f"{where}, status", expected.status, found[0]["state"])
        if expected.amount is not None:
            self._same(f"{where}, amount", expected.amount, found[0]["amount"])

    def _refusals(self) -> None:
        wanted = {e.id: e.refused for e in self._names.story.events}
        for outcome in self._findings.outcomes:
            if outcome.story != self._names.story.story:
                continue
            if outcome.refused == wanted[outcome.event]:
                self.checked += 1
            else:
                expected = "refused" if wanted[outcome.event] else "accepted"
                self._differ(
                    f"event {outcome.event}", f"{expected} by the provider", outcome.answer
                )

    def _mine(self, rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if row["story"] == self._names.story.story]

    def _same(self, where: str, expected: Any, found: Any) -> None:
        """Numbers are compared as numbers, everything else as text."""
        if isinstance(expected, Decimal | int) and not isinstance(expected, bool):
            equal = found is not None and Decimal(str(found)) == Decimal(expected)
        else:
            equal = str(expected) == str(found)
        if equal:
            self.checked += 1
        else:
            self._differ(where, str(expected), str(found))

    def _differ(self, where: str, expected: str, found: str) -> None:
        self.checked += 1
        self.differences.append(Difference(f"{self._names.story.story}: {where}", expected, found))


def _state(invoice: Row | None) -> str:
    return "no invoice" if invoice is None else f"a draft in state {invoice['state']}"


def _brief(record: object) -> str:
    return "nothing" if record is None else str(record)[:160]
