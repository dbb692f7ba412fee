"""Units and prices of services that are not as our adjustments left them.

Adjustments cannot be read back, so the rows of units are compared day by day. Each step in the
deviation is undone by an opposing adjustment on its day; days already posted are only reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from psa_connector.domain.adjustments import UnitRow, price_shows, priced_row, units_on
from psa_connector.domain.drift import DriftKind, FieldDrift, Finding, Repair
from psa_connector.domain.operations import ServiceAdjustment
from psa_connector.domain.snapshots import HeldService, TargetSnapshot, Wanted, WantedService

LOOK_BACK = timedelta(days=62)
"""Deviations older than the longest open period of a monthly contract stay with the audit trail."""


@dataclass(frozen=True, slots=True)
class _Day:
    """What should be in force on a day, and what is."""

    on: date
    step: ServiceAdjustment
    wanted: int
    found: int

    @property
    def off(self) -> int:
        return self.found - self.wanted


def window_start(today: date) -> date:
    """The first day whose unit rows a sweep needs."""
    return today - LOOK_BACK


def find_services(wanted: Wanted, seen: TargetSnapshot, today: date) -> Iterator[Finding]:
    """Every service whose units or price deviate on some day of the window."""
    held = {one.service: one for one in seen.services}
    for one in wanted.services:
        found = held.get(one.service, HeldService(one.service, ()))
        days = _days(one, found, seen, today)
        opens = _first_open_day(found)
        yield from _units(one, [day for day in days if day.on < opens], posted=True)
        open_days = [day for day in days if day.on >= opens]
        yield from _units(one, open_days, posted=False)
        yield from _prices(one, found, days, opens)


def _first_open_day(found: HeldService) -> date:
    posted = found.posted_through
    return date.min if posted is None else posted + timedelta(days=1)


def _days(
    wanted: WantedService, found: HeldService, seen: TargetSnapshot, today: date
) -> list[_Day]:
    """The days on which something changes, here or there, and today."""
    steps = sorted(wanted.steps, key=lambda step: step.effective_on)
    starts_on = (seen.facts.starts_on if seen.facts else None) or date.min
    ends_on = (seen.facts.ends_on if seen.facts else None) or date.max
    first = max(steps[0].effective_on, starts_on, window_start(today))
    asked = {first, max(today, first), _first_open_day(found)}
    asked |= {row.starts_on for row in found.rows} | {step.effective_on for step in steps}
    return [
        _Day(on, step, step.units_after, units_on(found.rows, on))
        for on in sorted(asked)
        if first <= on <= ends_on and (step := _in_force(steps, on)) is not None
    ]


def _in_force(steps: Sequence[ServiceAdjustment], on: date) -> ServiceAdjustment | None:
    return next((step for step in reversed(steps) if step.effective_on <= on), None)


def _units(wanted: WantedService, days: Sequence[_Day], *, posted: bool) -> Iterator[Finding]:
    wrong = [day for day in days if day.off]
    if not wrong:
        return
    yield Finding(
        kind=DriftKind.UNITS_CHANGED_AFTER_POSTING if posted else DriftKind.UNITS_CHANGED,
        object=f"service/{wanted.service}",
        external_id=wanted.service,
        intent_id=wanted.intent_id,
        fields=tuple(
            FieldDrift(f"units on {day.on}", str(day.wanted), str(day.wanted), str(day.found))
            for day in wrong
        ),
        repairs=() if posted else tuple(_opposing(days)),
    )


def _opposing(days: Sequence[_Day]) -> Iterator[Repair]:
    """One adjustment per step of the deviation; the ones before it count as done."""
    undone = 0
    for day in days:
        if day.off == undone:
            continue
        yield Repair(
            replace(
                day.step,
                effective_on=day.on,
                units_before=day.found - undone,
                units_after=day.wanted,
                restates_price=False,
                opening=False,
            )
        )
        undone = day.off


def _prices(
    wanted: WantedService, found: HeldService, days: Sequence[_Day], opens: date
) -> Iterator[Finding]:
    """Only prices that we have put there: a service that was found with a price keeps it."""
    wrong = [
        (day, price, shown)
        for day in days
        if (price := _our_price(wanted, day.on)) is not None and day.found > 0
        for shown in [_shown_price(found.rows, day.on, price)]
        if shown is not None
    ]
    for posted in (True, False):
        those = [one for one in wrong if (one[0].on < opens) is posted]
        if those:
            yield _price_finding(wanted, those, posted=posted)


def _price_finding(
    wanted: WantedService, wrong: Sequence[tuple[_Day, Decimal, Decimal]], *, posted: bool
) -> Finding:
    day, price, _ = wrong[0]
    restating = replace(
        day.step,
        effective_on=day.on,
        units_before=day.wanted,
        units_after=day.wanted,
        unit_price=price,
        restates_price=True,
        opening=False,
    )
    return Finding(
        kind=DriftKind.PRICE_CHANGED_AFTER_POSTING if posted else DriftKind.PRICE_CHANGED,
        object=f"service/{wanted.service}",
        external_id=wanted.service,
        intent_id=wanted.intent_id,
        fields=tuple(
            FieldDrift(f"price on {one.on}", f"{ours:f}", f"{ours:f}", f"{shown:f}")
            for one, ours, shown in wrong
        ),
        repairs=() if posted else (Repair(restating),),
    )


def _our_price(wanted: WantedService, on: date) -> Decimal | None:
    ours = [
        step
        for step in sorted(wanted.steps, key=lambda step: step.effective_on)
        if step.effective_on <= on
        and (step.restates_price or (step.units_before == 0 and not step.opening))
    ]
    return ours[-1].unit_price if ours else None


def _shown_price(rows: Sequence[UnitRow], on: date, price: Decimal) -> Decimal | None:
    """The price a row of that day shows, when it is not ours."""
    row = priced_row(rows, on)
    return None if row is None or price_shows(row, price) else row.price
