"""What counts as drift, and what the policy answers; no PSA needed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.adjustments import UnitRow
from psa_connector.domain.drift import (
    HEALABLE,
    POLICY,
    Action,
    DriftKind,
    Finding,
    action_for,
    find_records,
)
from psa_connector.domain.operations import (
    Addition,
    ContractCharge,
    Product,
    RecordRemoval,
    ServiceAdjustment,
)
from psa_connector.domain.preflight import TargetFacts
from psa_connector.domain.snapshots import (
    HeldRecord,
    HeldService,
    TargetSnapshot,
    Wanted,
    WantedRecord,
    WantedService,
    Words,
    is_billed,
)
from psa_connector.domain.unit_drift import find_services

MAY = date(2026, 5, 1)
TODAY = date(2026, 6, 10)
ADDITION = Addition(
    product=Product("p", "1"),
    quantity=Decimal(2),
    unit_price=Decimal(10),
    unit_cost=Decimal(8),
    effective_on=MAY,
    last_on=None,
    taxable=True,
    charged=True,
    description="x",
)
STEP = ServiceAdjustment(
    product=Product("p", "1"),
    subscription_id="sub",
    effective_on=date(2026, 6, 1),
    units_before=0,
    units_after=10,
    unit_price=Decimal(5),
    unit_cost=None,
    restates_price=True,
    opening=False,
    recorded_on=date(2026, 6, 1),
)


def in_words(record: Addition | ContractCharge) -> Words:
    assert isinstance(record, Addition)
    return {"quantity": f"{record.quantity:f}", "ends": str(record.last_on)}


def wanted(*ends: date | None) -> Wanted:
    one = WantedRecord("i", "bcs-1", "INV/1", "c", ADDITION, "7", frozenset(ends or (None,)))
    return Wanted("t", "co", "USD", (one,), keys=frozenset({"bcs-1"}))


def held(id: str, *, billed: bool = False, **words: str) -> HeldRecord:
    shown = {"quantity": "2", "ends": "None"} | words
    return HeldRecord(id, "bcs-1", shown, Decimal(20), billed)


def findings(expected: Wanted, *records: HeldRecord) -> list[Finding]:
    return list(find_records(expected, TargetSnapshot("t", TargetFacts("co"), records), in_words))


def test_only_unbilled_kinds_are_ever_healed_c7() -> None:
    """The table: what is billed, foreign or about the agreement is reported."""
    assert {kind for kind in DriftKind if "_after_" in kind} & HEALABLE == set()
    assert POLICY[DriftKind.RECORD_FOREIGN] is Action.REPORT
    assert POLICY.keys() == set(DriftKind)


@pytest.mark.parametrize("kind", list(DriftKind))
def test_a_setting_asks_for_less_never_for_more(kind: DriftKind) -> None:
    """`heal` cannot be chosen where the policy says report."""
    chosen = action_for(kind, {kind.value: "heal"})

    assert chosen is POLICY[kind]
    assert action_for(kind, {kind.value: "report"}) is Action.REPORT


def test_nothing_is_healed_by_itself_on_an_unsound_target_c1() -> None:
    """A person looks first."""
    assert action_for(DriftKind.RECORD_CHANGED, {}, target_is_sound=False) is Action.APPROVE


def test_a_record_as_we_left_it_is_no_drift() -> None:
    """Nor is one whose close is under way, in either form."""
    end = date(2026, 5, 31)

    assert findings(wanted(), held("7")) == []
    assert findings(wanted(None, end), held("7")) == []
    assert findings(wanted(None, end), held("7", ends=str(end))) == []


def test_of_two_records_the_billed_one_stays_and_then_the_lowest_id() -> None:
    """The others go, unless they are billed, too."""
    (doubled,) = findings(wanted(), held("9"), held("12"))
    assert doubled.repairs[0].operation == RecordRemoval("12", ADDITION)
    (doubled,) = findings(wanted(), held("9"), held("12", billed=True))
    assert doubled.repairs[0].operation == RecordRemoval("9", ADDITION)
    (doubled,) = findings(wanted(), held("9", billed=True), held("12", billed=True))
    assert (doubled.kind, doubled.repairs, doubled.difference) == (
        DriftKind.RECORD_DUPLICATED_AFTER_BILLING, (), Decimal(20),
    )  # fmt: skip


def test_the_last_seen_side_is_what_an_open_drift_showed() -> None:
    """Three sides: wanted 2, seen 3, now 4."""
    expected = wanted()
    seen = replace(expected.records[0], last_seen={"quantity": "3"})
    (changed,) = findings(replace(expected, records=(seen,)), held("7", quantity="4"))

    (field,) = changed.fields
    assert (field.wanted, field.last_seen, field.found) == ("2", "3", "4")


@pytest.mark.parametrize(
    ("starts", "ends", "invoiced", "expected"),
    [
        (MAY, None, {date(2026, 6, 1)}, True),
        (MAY, date(2026, 5, 31), {date(2026, 6, 1)}, False),
        (date(2026, 5, 20), date(2026, 5, 31), {MAY}, True),
        (MAY, None, {date(2026, 4, 1)}, False),
        (MAY, None, set(), False),
    ],
)
def test_invoiced_is_a_month_of_the_addition_on_a_psa_invoice_c9(
    starts: date, ends: date | None, invoiced: set[date], expected: bool
) -> None:
    """Whatever the PSA says of billed quantities."""
    addition = replace(ADDITION, effective_on=starts, last_on=ends)

    assert is_billed(addition, frozenset(invoiced)) is expected


def rows(levels: dict[date, int]) -> tuple[UnitRow, ...]:
    """Total rows to the end of the year."""
    starts = sorted(levels)
    ends = [*starts[1:], date(2026, 12, 31)]
    return tuple(
        UnitRow(number, start, end, levels[start], Decimal(5))
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


def services(levels: dict[date, int], posted: date | None = None) -> list[Finding]:
    one = WantedService("t/sub", "s", "i", "e", "c", (STEP,))
    expected = Wanted("t", "co", None, services=(one,))
    seen = TargetSnapshot(
        "t", TargetFacts("co"), services=(HeldService("s", rows(levels), posted),)
    )
    return list(find_services(expected, seen, TODAY))


@given(
    st.dictionaries(
        st.integers(0, 60).map(lambda days: date(2026, 6, 1) + timedelta(days=days)),
        st.integers(0, 30),
        max_size=6,
    )
)
def test_opposing_adjustments_restore_every_day_a2(edits: dict[date, int]) -> None:
    """Applied in order, each finds the units it expects, and afterwards no day deviates."""
    levels = {STEP.effective_on: 10} | edits
    steps: list[ServiceAdjustment] = []
    for finding in services(levels):
        for repair in finding.repairs:
            assert isinstance(repair.operation, ServiceAdjustment)
            steps.append(repair.operation)
    for step in steps:
        day = step.effective_on
        now = levels[max(start for start in levels if start <= day)]
        assert now == step.units_before
        change = step.units_after - step.units_before
        levels.setdefault(day, now)
        levels = {on: n + change if on >= day else n for on, n in levels.items()}

    assert services(levels) == []


def test_posted_days_are_reported_and_open_ones_healed_a3() -> None:
    """The heal begins on the first open day."""
    reported, healed = services({STEP.effective_on: 12}, posted=date(2026, 6, 14))

    assert (reported.kind, reported.repairs) == (DriftKind.UNITS_CHANGED_AFTER_POSTING, ())
    (repair,) = healed.repairs
    assert isinstance(repair.operation, ServiceAdjustment)
    assert repair.operation.effective_on == date(2026, 6, 15)
    assert (repair.operation.units_before, repair.operation.units_after) == (12, 10)
