"""Facts that tax publishes: how much tax, and why; or that it cannot tell yet."""

from __future__ import annotations

from datetime import date
from typing import ClassVar

from shared.contracts.envelope import Contract, Currency, Event, Exact, Id
from shared.contracts.invoicing import TaxMode, TaxTotal

DETERMINATIONS = "tieout.tax.determinations.v1"


class LineTax(Contract):
    number: int
    rate: Exact
    rate_id: Id  # the row of the rate table that decided
    tax: Exact | None  # rounded; None in per-group mode


class TaxDetermined(Event):
    TYPE: ClassVar[str] = "tieout.tax.tax-determined.v1"
    TOPIC: ClassVar[str] = DETERMINATIONS

    determination_id: Id
    invoice_id: Id
    revision: int  # of the draft it answers
    account_id: Id
    currency: Currency
    tax_date: date
    mode: TaxMode
    engine: str  # "embedded"
    engine_version: str  # version of the rate table
    lines: tuple[LineTax, ...]
    taxes: tuple[TaxTotal, ...]
    tax: Exact

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"


class TaxHeld(Event):
    """No answer yet. There is no path from here to "tax = 0"."""

    TYPE: ClassVar[str] = "tieout.tax.tax-held.v1"
    TOPIC: ClassVar[str] = DETERMINATIONS

    invoice_id: Id
    revision: int
    account_id: Id
    reason: Id  # no_rate_for_jurisdiction, tax_code_missing, …
    detail: str

    def key(self) -> str:
        return self.account_id

    def subject(self) -> str:
        return f"invoice/{self.invoice_id}"
