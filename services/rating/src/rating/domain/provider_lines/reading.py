"""Reads a case: one subscription's premises and what happened to it.

The names are those of the case table. A fault names the field and the event it was found in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from rating.domain.provider_lines.cycles import PLAN_MONTHS, TERM_MONTHS
from rating.domain.provider_lines.figures import Rate
from shared.kernel.errors import Invalid
from shared.kernel.money import exponent
from shared.kernel.periods import utc_day

TERMS = (*TERM_MONTHS, "none")
PLANS = (*PLAN_MONTHS, "one_time")
EVENTS = frozenset(
    {
        "purchase", "add_seats", "remove_seats", "cancel", "renew", "cycle", "upgrade",
        "change_billing_plan", "change_term", "schedule_change", "schedule_action",
        "set_auto_renew", "end_of_term", "price_list_change", "suspend", "resume", "convert_trial",
        "convert", "trial_end", "extend_trial", "migrate", "est_start", "moved_out", "moved_in",
        "transferred_out",
    }
)  # fmt: skip
_QUANTITIES = ("qty", "to_existing_qty", "promotion_max_seats")
_PRICES = (
    "unit_price", "to_unit_price", "monthly_term_unit_price", "est_unit_price",
    "telecom_unit_price", "to_telecom_unit_price",
)  # fmt: skip
_DAYS = ("custom_term_end_date", "promotion_end", "to_cycle_start", "to_term_end", "term_start")
_INSTANTS = ("completed_at", "to_purchased_at")
MAX_DIGITS = 28
YEARS = range(2000, 2100)  # a history is charged cycle by cycle: it has to end


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `index` is its place in the input."""

    index: int
    at: datetime
    type: str
    fields: Mapping[str, Any]

    @property
    def day(self) -> date:
        """The UTC day on which it counts (R-UTC)."""
        return utc_day(self.at)

    @property
    def subscription(self) -> str | None:
        return self.text("subscription")

    def text(self, name: str) -> str | None:
        found = self.fields.get(name)
        if found is None or isinstance(found, str):
            return found or None
        raise self.fault(name, "is no text")

    def flag(self, name: str) -> bool | None:
        found = self.fields.get(name)
        if found is None or isinstance(found, bool):
            return found
        raise self.fault(name, "is neither true nor false")

    def number(self, name: str) -> Decimal | None:
        return _decimal(self.fields.get(name), lambda words: self.fault(name, words))

    def needed_number(self, name: str) -> Decimal:
        """A number that this event has to tell.

        Raises:
            Invalid: `event_field_missing`.
        """
        found = self.number(name)
        if found is None:
            raise Invalid("event_field_missing", f"event {self.index} ({self.type}): {name}")
        return found

    def quantity(self, name: str = "qty") -> int | None:
        found = self.number(name)
        if found is None:
            return None
        if found != found.to_integral_value() or found < 0 or found > 10**9:
            raise self.fault(name, "is no number of seats")
        return int(found)

    def seats(self) -> int:
        """The quantity, which this event needs.

        Raises:
            Invalid: `event_field_missing`.
        """
        found = self.quantity()
        if not found:
            raise Invalid("event_field_missing", f"event {self.index} ({self.type}): qty")
        return found

    def day_of(self, name: str) -> date | None:
        found = self.text(name)
        return None if found is None else _date(found, lambda words: self.fault(name, words))

    def days_of(self, name: str) -> tuple[date, ...] | None:
        found = self.fields.get(name)
        if found is None:
            return None
        if not isinstance(found, Sequence) or isinstance(found, str):
            raise self.fault(name, "is no list of dates")
        return tuple(_date(one, lambda words: self.fault(name, words)) for one in found)

    def instant(self, name: str) -> datetime | None:
        found = self.text(name)
        return None if found is None else _instant(found, lambda words: self.fault(name, words))

    def check(self) -> None:
        """Every field that some event may carry is of its kind, whether this one needs it or not.

        Raises:
            Invalid: `event_field_invalid`.
        """
        for name in _QUANTITIES:
            self.quantity(name)
        for name in _PRICES:
            price = self.number(name)
            if price is not None and price < 0:
                raise self.fault(name, "is negative")
        for name in _DAYS:
            self.day_of(name)
        for name in _INSTANTS:
            self.instant(name)
        for name, allowed in (("to_term", TERM_MONTHS), ("to_billing_plan", PLAN_MONTHS)):
            told = self.text(name)
            if told is not None and told not in allowed:
                raise self.fault(name, f"{told!r} is none of {', '.join(allowed)}")
        share = self.number("promotion_percent")
        if share is not None and not 0 <= share <= 1:
            raise self.fault("promotion_percent", "is no share of 1")

    def part(self, name: str, price: Decimal) -> Fraction | None:
        """Which part of a price another price is.

        Raises:
            Invalid: `event_field_invalid` for more than all of it.
        """
        found = self.number(name)
        if found is None:
            return None
        if found > price or not price:
            raise self.fault(name, f"is no part of {price}")
        return Fraction(found) / Fraction(price)

    def rate(self) -> Rate | None:
        """An exchange rate told with the event."""
        rate, currency = self.number("pc_to_bc_rate"), self.text("billing_currency")
        if rate is None:
            return None
        if rate <= 0 or currency is None:
            raise self.fault("pc_to_bc_rate", "is no rate into a billing_currency")
        exponent(currency)
        return Rate(rate, currency)

    def fault(self, name: str, words: str) -> Invalid:
        return Invalid("event_field_invalid", f"event {self.index} ({self.type}): {name} {words}")


@dataclass(frozen=True, slots=True)
class Case:
    """The premises of one history."""

    term: str
    plan: str
    unit_price: Decimal  # per seat and charge cycle, pricing currency
    currency: str
    term_start: date
    events: tuple[Event, ...]
    title: str | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)  # by month of the charge, "2025-03"
    happened: bool = False  # facts, not wishes: what the provider did is not refused by its rules


def read_case(given: Mapping[str, Any]) -> Case:
    """A case from JSON.

    Raises:
        Invalid: `case_field_missing`, `case_field_invalid`, `event_type_unknown`,
            `event_field_invalid`, `event_field_missing`.
    """
    for name in ("term", "billing_plan", "unit_price", "currency", "term_start", "events"):
        if given.get(name) in (None, ""):
            raise Invalid("case_field_missing", name)
    term, plan = _one_of(given, "term", TERMS), _one_of(given, "billing_plan", PLANS)
    price = _decimal(given["unit_price"], lambda words: _fault("unit_price", words))
    if price is None or price < 0:
        raise _fault("unit_price", "is no price")
    currency = str(given["currency"])
    exponent(currency)
    if term != "none" and plan in {"monthly", "annual", "triennial"}:
        _require_fit(term, plan)
    title = given.get("sku_title")
    return Case(
        term=term,
        plan=plan,
        unit_price=price,
        currency=currency,
        term_start=_date(given["term_start"], lambda words: _fault("term_start", words)),
        events=_events(given["events"]),
        title=str(title) if title else None,
        rates=_rates(given.get("pc_to_bc_rates")),
        happened=given.get("happened") is True,
    )


def _events(given: object) -> tuple[Event, ...]:
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise _fault("events", "is no list of events")
    found = []
    for index, one in enumerate(given):
        if not isinstance(one, Mapping) or "type" not in one or "at" not in one:
            raise Invalid("event_field_missing", f"event {index}: at and type")
        if not isinstance(one["type"], str) or one["type"] not in EVENTS:
            raise Invalid("event_type_unknown", f"event {index}: {one['type']}")
        at = _instant(one["at"], lambda words, i=index: _fault(f"events[{i}].at", words))
        event = Event(index, at, one["type"], one)
        event.check()
        found.append(event)
    return tuple(sorted(found, key=lambda event: (event.at, event.index)))


def _rates(given: object) -> dict[str, Rate]:
    """`{"2025-03": {"rate": "1.08", "billing_currency": "USD"}}`."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _fault("pc_to_bc_rates", "is no object")
    found = {}
    for month, one in given.items():
        if not isinstance(one, Mapping):
            raise _fault("pc_to_bc_rates", f"of {month} is no object")
        rate = _decimal(one.get("rate"), lambda words: _fault("pc_to_bc_rates", words))
        currency = str(one.get("billing_currency", ""))
        if rate is None or rate <= 0:
            raise _fault("pc_to_bc_rates", f"of {month} is no rate")
        exponent(currency)
        found[str(month)] = Rate(rate, currency)
    return found


def _require_fit(term: str, plan: str) -> None:
    if PLAN_MONTHS[plan] > TERM_MONTHS[term]:
        raise _fault("billing_plan", f"{plan} is longer than the term {term}")


def _one_of(given: Mapping[str, Any], name: str, allowed: Sequence[str]) -> str:
    if given[name] not in allowed:
        raise _fault(name, f"{given[name]!r} is none of {', '.join(allowed)}")
    return str(given[name])


def _fault(name: str, words: str) -> Invalid:
    return Invalid("case_field_invalid", f"{name} {words}")


def _decimal(given: object, fault: Any) -> Decimal | None:
    if given is None or given == "":
        return None
    if isinstance(given, bool | float) or not isinstance(given, str | int | Decimal):
        raise fault("is no decimal text")
    try:
        found = Decimal(given)
    except InvalidOperation as error:
        raise fault("is no decimal") from error
    if not found.is_finite() or len(found.as_tuple().digits) > MAX_DIGITS or found.adjusted() > 18:
        raise fault("is out of range")
    return found


def _date(given: object, fault: Any) -> date:
    try:
        found = date.fromisoformat(str(given))
    except ValueError as error:
        raise fault(f"{given!r} is no date") from error
    if found.year not in YEARS:
        raise fault(f"{given!r} is not in {YEARS.start}..{YEARS.stop - 1}")
    return found


def _instant(given: object, fault: Any) -> datetime:
    try:
        found = datetime.fromisoformat(str(given))
    except ValueError as error:
        raise fault(f"{given!r} is no instant") from error
    if found.tzinfo is None:
        raise fault(f"{given!r} has no time zone")
    if found.year not in YEARS:
        raise fault(f"{given!r} is not in {YEARS.start}..{YEARS.stop - 1}")
    return found.astimezone(UTC)
