"""What Autotask bills by the units and adjustments it holds, computed by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from shared.kernel.periods import Period
from stack.player.autotask_bill import Adjustment, Cycle, Service, licences_billed

JUNE, JULY = (
    Period(date(2026, 6, 12), date(2026, 7, 12)),
    Period(date(2026, 7, 12), date(2026, 8, 12)),
)
ELM = Service(
    Decimal("36.80"),
    30,
    date(2025, 6, 12),
    (
        Adjustment(date(2026, 6, 15), 6),
        Adjustment(date(2026, 6, 18), -2),
        Adjustment(date(2026, 6, 25), 1),
        Adjustment(date(2026, 6, 25), 3),
    ),
)


def billed(*services: Service, cycles: tuple[Cycle, ...], recurring_from: date = JULY.start) -> str:
    return str(
        licences_billed(
            services,
            cycles,
            recurring_from=recurring_from,
            changes_from=JUNE.start,
            currency="AUD",
        )
    )


@pytest.mark.parametrize(
    ("services", "cycles", "expected"),
    [
        # 38 × 36.80 + 198.72 − 58.88 + 20.8533 + 62.56
        ((ELM,), (Cycle(JULY, JUNE),), "1621.65"),
        # arrears: 30 units at the start were billed elsewhere, before recurring_from
        ((ELM,), (Cycle(JUNE, JUNE),), "223.25"),
        # a change on the first day of a period is in its units and in no share of a period
        (
            (Service(Decimal(10), 5, date.min, (Adjustment(JULY.start, 2),)),),
            (Cycle(JULY, JUNE),),
            "70",
        ),
        # a dearer price holds for all units: (3 × 12 − 2 × 10) × 15/30
        (
            (Service(Decimal(10), 2, date.min, (Adjustment(date(2026, 6, 27), 1, Decimal(12)),)),),
            (Cycle(JULY, JUNE),),
            "44.00",
        ),
        ((), (Cycle(JULY, JUNE),), "0"),
        ((ELM,), (), "0"),
    ],
)
def test_units_whole_and_changes_for_the_rest_of_their_period(
    services: tuple[Service, ...], cycles: tuple[Cycle, ...], expected: str
) -> None:
    """One column of figures a clerk would write."""
    assert Decimal(billed(*services, cycles=cycles)) == Decimal(expected)
