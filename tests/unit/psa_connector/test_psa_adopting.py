"""Cut-over: which lines of a PSA would be billed twice, and which of them can be taken over."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from psa_connector.domain.additions import AdditionRules, draft_additions
from psa_connector.domain.adjustments import Services, UnitRow, Units, draft_adjustment
from psa_connector.domain.adopting import (
    ExistingLine,
    adopted,
    cut_over_blocks,
    rivals,
    service_rivals,
)
from psa_connector.domain.mapping import Reason
from psa_connector.domain.operations import Addition, Product, ServiceAdjustment
from shared.kernel.errors import Conflict
from support.psa_facts import alder_may, change, day
from support.psa_world import CONNECTWISE_PRODUCTS

DRAFTS = draft_additions(
    alder_may(), mapped=CONNECTWISE_PRODUCTS, still_open=(), rules=AdditionRules()
)
ADDITIONS = [draft.operation for draft in DRAFTS]
SEATS, _, PRORATION, CREDIT, ONBOARDING = ADDITIONS
NONE: frozenset[str] = frozenset()


def there(operation: object = SEATS, **changes: Any) -> ExistingLine:
    """An equal line, entered by hand a year ago."""
    assert isinstance(operation, Addition)
    entered: dict[str, Any] = {"description": "By hand"}
    if operation.last_on is None:
        entered["effective_on"] = day("2025-06-01")
    return ExistingLine("10", replace(operation, **entered | changes))


def test_an_equal_line_stops_the_first_push_and_can_be_adopted_c7() -> None:
    """Its days, words and cost stay; what bills is equal."""
    line = there(unit_cost=Decimal("19.00"))
    (block,) = cut_over_blocks(ADDITIONS, [line], NONE)
    taken = adopted(SEATS, line)

    assert (block.reason, "the same" in block.detail) == (Reason.EXISTING_LINE, True)
    assert isinstance(taken, Addition)
    assert (taken.effective_on, taken.description) == (day("2025-06-01"), "By hand")
    assert (taken.quantity, taken.unit_price) == (Decimal(43), Decimal("22.55"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantity": Decimal(42)}, "quantity is 42, not 43"),
        ({"unit_price": Decimal(23)}, "price is 23, not 22.55"),
        ({"taxable": False}, "it is not taxable"),
        ({"last_on": day("2026-12-31")}, "it ends on 2026-12-31"),
    ],
)
def test_another_amount_stops_and_cannot_be_adopted_c7(changes: Any, words: str) -> None:
    """42 seats by hand and 43 of ours would bill 85: a person repairs it or dismisses it."""
    line = there(**changes)
    (block,) = cut_over_blocks(ADDITIONS, [line], NONE)
    with pytest.raises(Conflict, match=words):
        adopted(SEATS, line)
    assert words in block.detail


@pytest.mark.parametrize(
    "line",
    [
        there(product=Product("", "599")),
        there(charged=False),
        there(last_on=day("2026-04-30")),
        replace(there(), key="bcs-ours"),
    ],
)
def test_what_bills_nothing_again_stops_nothing_c7(line: ExistingLine) -> None:
    """Another product, no charge, ended before our month, or ours."""
    assert cut_over_blocks(ADDITIONS, [line], NONE) == ()
    with pytest.raises(Conflict):
        adopted(SEATS, line)


def test_a_decided_line_is_not_asked_about_again_c7() -> None:
    """Adopted by an intent, or dismissed."""
    assert cut_over_blocks(ADDITIONS, [there()], frozenset({"10"})) == ()


def test_a_recurring_line_is_no_proration_c4() -> None:
    """The same product twice: one that recurs, one for a part of the month."""
    assert rivals(PRORATION, [there()], NONE) == []
    assert rivals(SEATS, [there(PRORATION)], NONE) == []


def test_one_off_lines_of_the_same_month_are_told_apart_by_amount_c4() -> None:
    """Two prorations of one product: the equal one comes first."""
    lines = [there(CREDIT), replace(there(PRORATION), external_id="11")]
    found = rivals(PRORATION, lines, NONE)
    assert [(rival.external_id, rival.is_equal) for rival in found] == [("11", True), ("10", False)]


def test_a_one_off_line_keeps_its_own_days_c4() -> None:
    """Entered for one day of the month that ours covers."""
    line = there(ONBOARDING, effective_on=day("2026-05-12"), last_on=day("2026-05-12"))
    taken = adopted(ONBOARDING, line)
    assert isinstance(taken, Addition)
    assert (taken.effective_on, taken.last_on) == (day("2026-05-12"), day("2026-05-12"))


def test_an_obstacle_of_the_vendor_is_a_difference_a7() -> None:
    """Equal, and locked."""
    line = replace(there(), obstacles=("it is billed already",))
    (rival,) = rivals(SEATS, [line], NONE)
    assert rival.differences == ("it is billed already",)


def test_a_service_is_proposed_by_its_units_a1() -> None:
    """Two services of one product: the one with the right units first."""
    draft = draft_adjustment(change("e", 30, 22, "2026-06-09"), Product("p", "77"))
    assert draft is not None
    assert isinstance(draft.operation, ServiceAdjustment)

    def service(id: str, units: int) -> Units:
        return Units(id, (UnitRow(1, day("2026-05-12"), day("2027-05-11"), units),))

    seen = Services((service("9001", 12), service("9002", 30)))
    found = service_rivals(draft.operation, seen)

    assert [(rival.external_id, rival.is_equal) for rival in found] == [
        ("9002", True),
        ("9001", False),
    ]
    assert service_rivals(draft.operation, replace(seen, linked=True)) == []


def test_a_service_fits_as_the_writer_judges_it_a1() -> None:
    """An opening by the units of today; no units are no fit for a new subscription's zero."""
    draft = draft_adjustment(change("e", 0, 22, "2026-06-09"), Product("p", "77"))
    assert draft is not None
    assert isinstance(draft.operation, ServiceAdjustment)
    today = day("2026-07-20")
    opening = replace(draft.operation, opening=True, recorded_on=today)
    grown = Units("9001", (UnitRow(1, today, day("2027-05-11"), 22),))

    assert [r.is_equal for r in service_rivals(opening, Services((grown,)))] == [True]
    assert [r.is_equal for r in service_rivals(draft.operation, Services((grown,)))] == [False]
