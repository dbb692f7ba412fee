"""What must come out of a story. Sections and fields left out are not compared."""

from __future__ import annotations

from datetime import date as Day  # fields are named `date`
from decimal import Decimal
from typing import Literal

from pydantic import Field

from stack.story.scalars import DaysOfCycle, Names, Written


class ExpectedLine(Written):
    """Fields left out are not compared."""

    product: str | None = None
    azure: str | None = None
    category: str | None = None
    kind: str | None = None
    quantity: Decimal | None = None
    net: Decimal
    tax: Decimal | None = None
    cost: Decimal | None = None
    days: DaysOfCycle | None = None
    source: Names | None = None  # event ids, usage line ids, purchase ids
    corrects: str | None = None  # <invoice date>/<line>
    site: str | None = None  # contract, on a consolidated invoice
    site_net: Decimal | None = None  # in that contract's currency


class ExpectedInvoice(Written):
    contract: str
    date: Day
    lines: list[ExpectedLine] | None = None
    line_count: int | None = None
    net: Decimal
    tax: Decimal | None = None
    total: Decimal | None = None


class ExpectedAddition(Written):
    product: str | None = None
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    extended: Decimal
    from_: Day | None = Field(default=None, alias="from")
    until: Day | None = None  # exclusive; left out: open-ended


class ExpectedAdditions(Written):
    """What ConnectWise must hold for one invoice, and nothing else."""

    contract: str
    invoice: Day
    lines: list[ExpectedAddition] | None = None
    extended: Decimal


class ExpectedCharge(Written):
    unit_price: Decimal
    unit_cost: Decimal | None = None
    date: Day | None = None


class ExpectedCharges(Written):
    """The Autotask Contract Charges of one invoice."""

    contract: str
    invoice: Day
    lines: list[ExpectedCharge] | None = None
    total: Decimal


class ExpectedAdjustment(Written):
    product: str | None = None
    effective: Day
    units: int
    unit_price: Decimal | None = None
    source: str | None = None  # event id


class ExpectedAdjustments(Written):
    """The Autotask Service Adjustments of a contract, in order, and the units they lead to."""

    contract: str
    lines: list[ExpectedAdjustment]


class ExpectedSeats(Written):
    subscription: str
    seats: int


class ExpectedPayment(Written):
    contract: str
    invoice: Day
    status: Literal["succeeded", "failed", "not_charged", "pending"]
    amount: Decimal | None = None


class ExpectedHold(Written):
    reason: str
    count: int | None = None


class Expect(Written):
    """What must come out. Sections left out are not compared, except holds: none unless listed."""

    invoices: list[ExpectedInvoice] | None = None
    additions: list[ExpectedAdditions] = []
    charges: list[ExpectedCharges] = []
    adjustments: list[ExpectedAdjustments] = []
    seats: list[ExpectedSeats] = []
    payments: list[ExpectedPayment] = []
    holds: list[ExpectedHold] = []
