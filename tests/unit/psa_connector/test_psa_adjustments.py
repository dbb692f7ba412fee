"""Service adjustments by comparing units: scenario 5 and the rules A1 to A3."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psa_connector.domain.adjustments import (
    Services,
    UnitRow,
    Units,
    draft_adjustment,
    judge_services,
    rows_are_deltas,
    units_on,
    within_contract,
)
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import Product, ServiceAdjustment
from psa_connector.domain.outcomes import Done, Drift, Write
from shared.contracts.ingest import ChangeKind
from support.psa_facts import change, day, elm_changes

SERVICE = Product("E3", "77")
EARLY_JUNE = datetime(2026, 6, 5, 9, tzinfo=UTC)
JUNE = (day("2026-06-01"), day("2026-06-30"))


def adjustment(
    before: int, after: int, effective: str = "2026-06-09", **facts: Any
) -> ServiceAdjustment:
    """An adjustment of E3, as an entry with these facts asks for it."""
    renamed = {"restates_price": "price_changed"}
    entry = {renamed.get(name, name): facts[name] for name in facts if name != "opening"}
    if facts.get("opening"):
        entry["kind"] = ChangeKind.OPENING
    draft = draft_adjustment(change("e", before, after, effective, **entry), SERVICE)
    assert draft is not None
    assert isinstance(draft.operation, ServiceAdjustment)
    return draft.operation


def judged(
    operation: ServiceAdjustment, seen: Services, *, answered: bool = False
) -> Done | Write | Drift:
    return judge_services(operation, seen, answered=answered)


def having(units: int, price: str | None = None) -> Services:
    """The linked service with these units all June."""
    return Services((service("9001", units, price),), linked=True)


def service(id: str, units: int, price: str | None = None) -> Units:
    shown = None if price is None else Decimal(price)
    return Units(id, (UnitRow(1, *JUNE, units, shown),))


def test_scenario_5_becomes_four_adjustments_c12() -> None:
    """Service, day, units and whether the price is restated, as the story lists them."""
    planned = [draft_adjustment(entry, SERVICE) for entry in elm_changes()]
    operations = [d.operation for d in planned if d]

    assert [
        (
            o.subscription_id,
            o.effective_on.isoformat(),
            o.units_after - o.units_before,
            o.unit_price,
            o.restates_price,
        )
        for o in operations
        if isinstance(o, ServiceAdjustment)
    ] == [
        ("sub-E3", "2026-06-09", -8, Decimal("36.80"), False),
        ("sub-E5", "2026-06-09", 8, Decimal("59.90"), True),
        ("sub-E3", "2026-07-12", -3, Decimal("37.42"), True),
        ("sub-E3", "2026-07-15", -2, Decimal("37.42"), False),
    ]


def test_a_change_of_a_name_adjusts_nothing_a2() -> None:
    """Neither units nor price: no record in the PSA."""
    renamed = change("e", 30, 30, "2026-06-09", kind=ChangeKind.UPDATED)

    assert draft_adjustment(renamed, SERVICE) is None


def test_an_unmapped_service_blocks_g5() -> None:
    """The entry is kept in order, and goes out once the product is mapped."""
    draft = draft_adjustment(change("e", 30, 22, "2026-06-09"), Product("E3", None))

    assert draft is not None
    assert draft.block is not None
    assert draft.block.reason is Reason.UNMAPPED_PRODUCT


def test_units_at_the_start_ask_for_the_difference_a2() -> None:
    """30 → 22 where the PSA has 30: minus eight, no price."""
    assert judged(adjustment(30, 22), having(30)) == Write("9001", -8)


def test_units_at_the_end_prove_an_earlier_request_a2() -> None:
    """A lost reply: the record is there, nothing is sent again."""
    assert judged(adjustment(30, 22), having(22)) == Done("9001")


def test_other_units_are_drift_and_stop_the_service_a2() -> None:
    """Somebody changed the PSA; nothing is overwritten."""
    verdict = judged(adjustment(30, 22), having(31))

    assert isinstance(verdict, Drift)
    assert verdict.block.reason is Reason.UNITS_DRIFTED
    assert "31 units" in verdict.block.detail


def test_a_price_change_restates_the_price_with_the_units_a2() -> None:
    """Scenario 5, adjustment 3."""
    renewed = adjustment(22, 19, restates_price=True, unit_price=Decimal("37.42"))

    assert judged(renewed, having(22, "36.80")) == Write("9001", -3, restate_price=True)


def test_a_price_alone_is_restated_with_no_units_a2() -> None:
    """Units agree already; the old price shows that the request is still to be made."""
    renewed = adjustment(22, 22, restates_price=True, unit_price=Decimal("37.42"))

    assert judged(renewed, having(22, "36.80")) == Write("9001", 0, restate_price=True)


@pytest.mark.parametrize("shown", ["37.42", "823.24"])
def test_a_price_is_recognised_per_unit_or_in_total_a2(shown: str) -> None:
    """Tenants differ in what a unit row's price means: 22 × 37.42 = 823.24."""
    renewed = adjustment(22, 22, restates_price=True, unit_price=Decimal("37.42"))

    assert judged(renewed, having(22, shown)) == Done("9001")


def test_an_invisible_price_is_written_once_and_then_believed_a2() -> None:
    """Rows without prices: write before the answer, trust the answer after it."""
    renewed = adjustment(22, 22, restates_price=True)

    assert judged(renewed, having(22)) == Write("9001", 0, restate_price=True)
    assert judged(renewed, having(22), answered=True) == Done("9001")


def test_the_first_change_of_a_subscription_creates_its_service_a1() -> None:
    """All units, with price; allowed to repeat a service that another subscription has."""
    purchase = adjustment(0, 8)

    assert judged(purchase, Services(())) == Write(None, 8, restate_price=True)
    assert judged(purchase, Services((), others=1)) == Write(
        None, 8, restate_price=True, repeats_service=True
    )


def test_a_service_made_by_a_lost_request_is_found_by_its_units_a1() -> None:
    """The one with eight units is ours; the one with fifty is somebody else's."""
    seen = Services((service("9001", 50), service("9002", 8)))

    assert judged(adjustment(0, 8), seen) == Done("9002")


def test_a_new_subscription_does_not_take_over_a_foreign_service_a1() -> None:
    """Fifty units that we know nothing of stay as they are."""
    seen = Services((service("9001", 50),))

    assert judged(adjustment(0, 8), seen) == Write(
        None, 8, restate_price=True, repeats_service=True
    )


def test_a_prepared_empty_service_is_used_with_our_price_a1() -> None:
    """An opening on a service that somebody put there without units."""
    opening = adjustment(0, 8, "2026-06-02", opening=True, recorded_at=EARLY_JUNE)

    assert judged(opening, Services((service("9001", 0),))) == Write("9001", 8, restate_price=True)


def test_two_services_that_fit_alike_are_for_a_person_a1() -> None:
    """Which of the two is whose cannot be seen from outside."""
    opening = adjustment(0, 8, "2026-06-02", opening=True, recorded_at=EARLY_JUNE)

    verdict = judged(opening, Services((service("9001", 8), service("9002", 8))))

    assert isinstance(verdict, Drift)
    assert verdict.block.reason is Reason.SERVICE_AMBIGUOUS


def test_a_missing_service_that_should_have_units_is_drift_a1() -> None:
    """Creating it with the rest would hide what is missing."""
    assert isinstance(judged(adjustment(30, 22), Services(())), Drift)


def test_an_opening_that_the_psa_holds_already_writes_nothing_a2() -> None:
    """30 seats were on the contract before us."""
    opening = adjustment(0, 30, "2025-07-12", opening=True, recorded_at=EARLY_JUNE)

    assert judged(opening, having(30)) == Done("9001")


def test_an_opening_against_other_units_is_drift_a2() -> None:
    """28 on the contract, 30 at the provider: a person decides."""
    opening = adjustment(0, 30, "2026-06-01", opening=True, recorded_at=EARLY_JUNE)

    assert isinstance(judged(opening, having(28)), Drift)


def test_an_opening_starts_with_the_contract_a3() -> None:
    """Service before the PSA contract was billed elsewhere."""
    opening = adjustment(0, 30, "2025-07-12", opening=True)
    real = adjustment(30, 22, "2025-07-12")

    assert within_contract(opening, day("2026-06-12")).effective_on == day("2026-06-12")
    assert within_contract(opening, None).effective_on == day("2025-07-12")
    assert within_contract(real, day("2026-06-12")).effective_on == day("2025-07-12")


@pytest.mark.parametrize("link", [{"supersedes": ("opened",)}, {"reverses": "opened"}])
def test_what_corrects_an_opening_starts_with_the_contract_too_a3(link: dict[str, Any]) -> None:
    """It lies on the opening's day, and nobody could ever unblock it there."""
    correction = adjustment(40, 44, "2025-07-12", **link)

    moved = within_contract(correction, day("2026-06-12"))

    assert moved == replace(correction, effective_on=day("2026-06-12"))
    assert within_contract(correction, None) == correction
    assert within_contract(correction, day("2025-07-01")) == correction


def test_a_correction_is_no_opening_a2() -> None:
    """Four seats bought since make 44 of 40: that the four of the correction are missing remains
    to be written, on its day."""
    correction = adjustment(40, 44, "2026-06-01", supersedes=("opened",), recorded_at=EARLY_JUNE)
    rows = (
        UnitRow(1, day("2026-06-01"), day("2026-06-03"), 40),
        UnitRow(2, day("2026-06-03"), day("2026-06-30"), 44),
    )

    found = judged(correction, Services((Units("9001", rows),), linked=True))

    assert found == Write("9001", 4, restate_price=False)


TOTAL = (
    UnitRow(1, day("2026-06-01"), day("2026-06-09"), 30),
    UnitRow(2, day("2026-06-09"), day("2026-06-30"), 22),
    UnitRow(3, day("2026-07-01"), day("2026-07-31"), 22),
)
TOTAL_TWICE_A_DAY = (
    UnitRow(1, day("2026-06-01"), day("2026-06-09"), 30),
    UnitRow(2, day("2026-06-09"), day("2026-06-09"), 22),
    UnitRow(3, day("2026-06-09"), day("2026-06-30"), 25),
)
DELTA = (
    UnitRow(1, day("2026-06-01"), day("2026-06-30"), 30),
    UnitRow(2, day("2026-06-09"), day("2026-06-30"), -8),
    UnitRow(3, day("2026-07-01"), day("2026-07-31"), 22),
)
DELTA_TWICE_A_DAY = (*DELTA[:2], UnitRow(4, day("2026-06-09"), day("2026-06-30"), 3))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (TOTAL, {"06-08": 30, "06-09": 22, "06-30": 22, "07-01": 22, "08-01": 0}),
        (DELTA, {"06-08": 30, "06-09": 22, "06-30": 22, "07-01": 22, "08-01": 0}),
        (TOTAL_TWICE_A_DAY, {"06-08": 30, "06-09": 25, "06-30": 25}),
        (DELTA_TWICE_A_DAY, {"06-08": 30, "06-09": 25, "06-30": 25}),
    ],
    ids=["total", "delta", "total twice a day", "delta twice a day"],
)
def test_units_of_a_day_in_both_readings_a2(
    rows: tuple[UnitRow, ...], expected: dict[str, int]
) -> None:
    """A row that ends where another starts hands over; rows side by side add up."""
    assert {when: units_on(rows, day(f"2026-{when}")) for when in expected} == expected


def test_the_reading_is_seen_in_the_rows_a2() -> None:
    """Side by side for longer than the day of a hand-over: deltas."""
    assert [rows_are_deltas(rows) for rows in (TOTAL, TOTAL_TWICE_A_DAY, DELTA)] == [
        False, False, True,
    ]  # fmt: skip


class Tenant:
    """A contract service that keeps its rows in one of the two ways."""

    def __init__(self, units: int, *, deltas: bool) -> None:
        self.rows = [UnitRow(1, *JUNE, units)]
        self.deltas = deltas

    def seen(self) -> Services:
        return Services((Units("9001", tuple(self.rows)),), linked=True)

    def post(self, on: date, change_by: int) -> None:
        number = len(self.rows) + 1
        if self.deltas:
            self.rows.append(UnitRow(number, on, JUNE[1], change_by))
            return
        last = self.rows[-1]
        self.rows[-1] = replace(last, ends_on=on)
        self.rows.append(UnitRow(number, on, JUNE[1], last.units + change_by))


@given(
    st.lists(st.tuples(st.integers(2, 29), st.integers(0, 50)), min_size=1, max_size=6),
    st.booleans(),
    st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_every_change_arrives_once_however_often_it_is_asked_a2(
    steps: list[tuple[int, int]], deltas: bool, replies_lost: list[bool]
) -> None:
    """Changes in order, several a day, replies lost at random: units end where the log ends."""
    steps = sorted(steps, key=lambda step: step[0])
    tenant, units = Tenant(30, deltas=deltas), 30

    for (on, after), lost in zip(steps, replies_lost, strict=False):
        if after == units:
            continue
        operation = adjustment(units, after, f"2026-06-{on:02}")
        for _ in range(2 if lost else 1):
            verdict = judged(operation, tenant.seen())
            if isinstance(verdict, Write):
                tenant.post(day(f"2026-06-{on:02}"), verdict.unit_change)
        assert judged(operation, tenant.seen()) == Done("9001")
        units = after

    assert units_on(tenant.rows, JUNE[1]) == units
