"""What comes out: charge lines, refusals, states. Their printed form is that of the case table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rating.domain.provider_lines.cycles import Cycle
from rating.domain.provider_lines.figures import DOCUMENTED, PRINTED, Figure, Rounding
from shared.kernel.money import exponent

Any_ = "ANY"  # the charge type is not documented; the amount is


@dataclass(frozen=True, slots=True)
class Span:
    """The days that a line is for, and which share of a whole price they are."""

    start: date
    end: date | None  # inclusive; None for what has no end
    days_used: int | None
    days_in_period: int | None
    share: Fraction = Fraction(1)
    months: tuple[int, int] | None = None  # used, of the whole: changes of billing plan

    @classmethod
    def rest(cls, cycle: Cycle, day: date, months: tuple[int, int] | None = None) -> Span:
        """From `day` to the end of a charge cycle."""
        share = cycle.share_from(day)
        return cls(day, cycle.end, cycle.days_from(day), cycle.full_days, share, months)

    @classmethod
    def whole(cls, cycle: Cycle) -> Span:
        return cls.rest(cycle, cycle.start)

    @classmethod
    def one(cls, day: date) -> Span:
        """A day that is charged like a whole cycle."""
        return cls(day, day, 1, 1)

    @classmethod
    def for_good(cls, start: date) -> Span:
        return cls(start, None, None, None)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the reconciliation file."""

    charge_type: str
    subscription: str
    order_date: date
    span: Span
    figure: Figure
    source: int  # the event that caused it
    extras: tuple[tuple[str, Any], ...] = ()

    @property
    def mode(self) -> Rounding:
        """How the amount that is shown was rounded, by the documented default."""
        if self.figure.rate is not None:
            return Rounding.UNIT
        return DOCUMENTED.get(self.charge_type, Rounding.LINE)

    @property
    def rounding(self) -> Rounding:
        """The mode's name for people: `none` where it makes no difference."""
        amounts = self.figure.amounts
        by_months = self.span.months is not None
        agree = amounts[Rounding.UNIT] == amounts[Rounding.LINE]
        return Rounding.NONE if agree and not by_months else self.mode

    @property
    def amount(self) -> Decimal:
        return self.figure.amounts[self.mode]

    def printed(self) -> dict[str, Any]:
        """JSON of the case table's shape, and `amounts` by mode; money as decimal strings."""
        figure, amounts = self.figure, self.figure.amounts
        shown = {
            "charge_type": self.charge_type,
            "subscription": self.subscription,
            "order_date": self.order_date.isoformat(),
            "start": self.span.start.isoformat(),
            "end": self.span.end.isoformat() if self.span.end else None,
            "qty": _number(abs(figure.quantity)),
            "days_used": self.span.days_used,
            "days_in_period": self.span.days_in_period,
            "unit_price": f"{_at_least(figure.price, exponent(figure.currency)):f}",
            "effective_unit_price": f"{figure.printed_unit(self._printing):f}",
            "amount": f"{self.amount:f}",
            "rounding": self.rounding.value,
        }
        if self.rounding is Rounding.UNIT:
            shown["amount_line_rounding"] = f"{amounts[Rounding.LINE]:f}"
        if figure.rate is not None:
            shown["pc_to_bc_rate"] = f"{figure.rate.rate:f}"
            shown["billing_currency"] = figure.rate.billing_currency
        shown["invoice_month"] = f"{self.order_date:%Y-%m}"
        if self.span.months is not None:
            shown["months_used"], shown["months_in_period"] = self.span.months
        return {
            **shown,
            **dict(self.extras),
            "amounts": {mode.value: f"{amounts[mode]:f}" for mode in PRINTED},
        }

    @property
    def _printing(self) -> Rounding:
        """Only conversions and changes of plan show a truncated unit price."""
        if self.charge_type == "convert":
            return Rounding.UNIT
        return Rounding.MONTH_FRACTION if self.span.months is not None else Rounding.LINE


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the provider would answer instead of doing it. `source` is the index of the event."""

    source: int
    code: str | None  # None where the documentation names none
    note: str | None = None

    def printed(self) -> dict[str, Any]:
        note = {} if self.note is None else {"note": self.note}
        return {
            "charge_type": "REJECTED",
            "event": self.source,
            "error_code": self.code,
            "amount": "0.00",
            **note,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """A status that begins on a day, and what else is said of it."""

    source: int
    at: date
    status: str
    extras: tuple[tuple[str, Any], ...] = field(default=())

    def printed(self) -> dict[str, Any]:
        return {
            "charge_type": "STATE",
            "at": self.at.isoformat(),
            "status": self.status,
            "amount": "0.00",
            **dict(self.extras),
        }


Outcome = Line | Refusal | Standing


def _number(value: Decimal) -> int | str:
    return int(value) if value == value.to_integral_value() else f"{value:f}"


def _at_least(value: Decimal, places: int) -> Decimal:
    missing = places + int(value.as_tuple().exponent)
    return value.quantize(Decimal(1).scaleb(-places)) if missing > 0 else value
