"""Promotions: seat caps, dates, who gets them, what happens at renewal, and what is taken off."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import timeline
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook
from rating.domain.promotions import Keeps, Promotion, first_terms
from rating.domain.rules import RuleKind, Scope
from shared.contracts.ingest import ChangeKind, SubscriptionChanged
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.errors import Invalid
from support.rating_facts import E3, change, contract, day, fixed, opening, sheet_row

CEDAR = contract(
    "CED-1", currency="GBP", provider_customer_id="cedar", starts_on=day("2026-03-01"),
    billed_through=day("2026-05-01"),
)  # fmt: skip
BUNDLE: dict[str, Any] = {"customer_id": "cedar", "product": E3, "product_name": "Secure Workplace"}


def promotion(**changes: Any) -> Promotion:
    """P10 of the story: 10 % off for the first 20 seats, by cycle, April to June."""
    facts: dict[str, Any] = {
        "promotion_id": "P10",
        "version": 1,
        "name": "P10",
        "scope": Scope(RuleKind.LICENCE, product_key=E3.key),
        "percent": Decimal(10),
        "starts": day("2026-04-01"),
        "ends": day("2026-07-01"),
        "keeps": Keeps.CYCLE,
        "seat_cap": 20,
    }
    return Promotion(**facts | changes)


def cedar_changes() -> list[SubscriptionChanged]:
    term = {"term_start": day("2026-03-01"), "term_end": day("2027-03-01")}
    return [
        opening("o", 18, effective="2026-03-01T00:00:00", **BUNDLE, **term),
        change("e1", (18, 21), "2026-05-11T07:30:00", version=2, **BUNDLE, **term),
    ]


def charges(
    changes: list[SubscriptionChanged], *promotions: Promotion, through: str = "2026-06-01"
) -> list[ChargeRated]:
    rows = [sheet_row(E3, "30.00", "38.00", currency="GBP")]
    book = PriceBook.of([fixed(E3, "38.00", currency="GBP")], rows, promotions)
    line = timeline.build(changes)
    terms = Terms(CEDAR, [CEDAR], book, day(through), first_terms([line]))
    return list(licence_charges(terms, line).charges)


def of_kind(found: Iterable[ChargeRated], kind: ChargeKind) -> list[ChargeRated]:
    return sorted((c for c in found if c.kind is kind), key=lambda c: (c.bill_on, -abs(c.amount)))


def off(found: Iterable[ChargeRated], bill_on: str = "2026-06-01") -> list[Decimal]:
    promoted = of_kind(found, ChargeKind.PROMOTION)
    return [c.amount for c in promoted if c.bill_on == day(bill_on)]


def test_the_bundle_of_the_story_is_reduced_to_the_penny() -> None:
    """L1 to L4: 21 seats of which 20 are promoted; of the 3 added seats only 19 and 20 are."""
    found = charges(cedar_changes(), promotion())
    june = [c.amount for c in found if c.bill_on == day("2026-06-01")]
    expected = [Decimal(x) for x in ("798.00", "-76.00", "77.23", "-5.15")]
    assert sorted(expected) == sorted(june)
    whole, part = [c for c in of_kind(found, ChargeKind.PROMOTION) if c.bill_on.month == 6]
    assert (Decimal(-20), Decimal("3.80")) == (whole.quantity, whole.price.unit_price)
    assert Decimal("-5.148387096774193548") == round(part.amount_exact, 18)
    assert whole.product.key == "promotion:P10"


def test_without_the_seat_cap_every_seat_is_reduced() -> None:
    """L2 is -79.80 then, and the three added seats are reduced together."""
    found = charges(cedar_changes(), promotion(seat_cap=None))
    assert [Decimal("-79.80"), Decimal("-7.72")] == off(found)


def test_the_end_of_a_promotion_is_exclusive() -> None:
    """The invoice of 1 July has no reduction; the one of 1 June still has."""
    found = charges(cedar_changes(), promotion(), through="2026-07-01")
    assert off(found, "2026-07-01") == []
    assert off(found)


def renewed(on: str) -> list[SubscriptionChanged]:
    """A term that began in April 2026 with 10 seats and renews a year later."""
    first = {"term_start": day("2026-04-01"), "term_end": day("2027-04-01")}
    second = {"term_start": day(on), "term_end": day("2028-04-01")}
    return [
        change("p", (0, 10), "2026-04-01T08:00:00", kind=ChangeKind.PURCHASED, **BUNDLE, **first),
        change("q", (10, 12), "2026-09-01T08:00:00", version=2, **BUNDLE, **first),
        change(
            "r", (12, 12), f"{on}T00:00:00", version=3, kind=ChangeKind.RENEWED, **BUNDLE, **second
        ),
    ]


@pytest.mark.parametrize(
    ("ends", "kept"), [("2026-07-01", False), ("2027-04-01", False), ("2027-04-02", True)]
)
def test_a_promotion_by_term_is_kept_until_renewal_and_then_only_inside_its_dates(
    ends: str, kept: bool
) -> None:
    """Closed to new buyers since July, it still holds for the term, for seats added later, too."""
    by_term = promotion(keeps=Keeps.TERM, ends=day(ends), seat_cap=None)
    found = charges(renewed("2027-04-01"), by_term, through="2027-04-01")
    assert [Decimal("-38.00")] == off(found, "2026-08-01")
    assert [Decimal("-45.60")] == off(found, "2027-03-01")
    assert ([Decimal("-45.60")] if kept else []) == off(found, "2027-04-01")


def test_a_first_purchase_is_promoted_once() -> None:
    """Not at renewal, and not for a second subscription of the product."""
    first = promotion(keeps=Keeps.TERM, first_purchase=True, ends=None, seat_cap=None)
    found = charges(renewed("2027-04-01"), first, through="2027-04-01")
    assert [Decimal("-45.60")] == off(found, "2027-03-01")
    assert off(found, "2027-04-01") == []
    lines = [
        timeline.build(renewed("2027-04-01")),
        timeline.build(
            [
                change(
                    "z", (0, 1), "2026-05-01T08:00:00", subscription_id="Z", **BUNDLE,
                    term_start=day("2026-05-01"), term_end=day("2027-05-01"),
                )
            ]
        ),
    ]  # fmt: skip
    assert first_terms(reversed(lines))[f"{E3.product_id}:{E3.sku_id}"].subscription_id == "A"


@pytest.mark.parametrize(
    ("scope", "applies"),
    [
        ({}, True),
        ({"term": "P1Y", "billing_plan": "monthly", "segment": "commercial"}, True),
        ({"term": "P1M"}, False),
        ({"billing_plan": "annual"}, False),
        ({"segment": "education"}, False),
        ({"customer_id": "somebody"}, False),
        ({"product_key": f"{E3.product_id}:{E3.sku_id}"}, True),
        ({"product_key": f"{E3.product_id}:000"}, False),
    ],
)
def test_a_promotion_is_for_what_its_scope_says(scope: dict[str, str], applies: bool) -> None:
    """Everything, or a term, plan, segment, customer or product with all its terms."""
    found = charges(cedar_changes(), promotion(scope=Scope(RuleKind.LICENCE, **scope)))
    assert applies is bool(off(found))


def test_promotions_do_not_add_up() -> None:
    """The more specific one wins over the more generous one; then priority, then percentage."""
    general = promotion(promotion_id="ALL", percent=Decimal(50), scope=Scope(RuleKind.LICENCE))
    own = promotion()
    better = promotion(promotion_id="P20", percent=Decimal(20))
    preferred = promotion(promotion_id="P05", percent=Decimal(5), priority=1)
    assert Decimal("-76.00") == off(charges(cedar_changes(), general, own))[0]
    assert Decimal("-152.00") == off(charges(cedar_changes(), general, own, better))[0]
    assert Decimal("-38.00") == off(charges(cedar_changes(), own, better, preferred))[0]


def test_a_later_version_replaces_the_earlier_from_its_start_on() -> None:
    """May keeps 10 %, June has what the second version says."""
    second = promotion(version=2, starts=day("2026-06-01"), percent=Decimal(5))
    found = charges(cedar_changes(), promotion(), second)
    assert [Decimal("-68.40")] == off(found, "2026-05-01")
    assert Decimal("-38.00") == off(found)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"percent": Decimal(0)},
        {"percent": Decimal(101)},
        {"seat_cap": 0},
        {"ends": day("2026-04-01")},
        {"scope": Scope(RuleKind.USAGE)},
    ],
)
def test_a_promotion_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    """With a reason, before it is in any book."""
    with pytest.raises(Invalid):
        replace(promotion(), **changes)


quantities = st.lists(st.integers(0, 40), min_size=1, max_size=5)


@given(steps=quantities, cap=st.one_of(st.none(), st.integers(1, 30)), on=st.integers(2, 28))
def test_what_is_added_and_taken_away_again_cancels(
    steps: list[int], cap: int | None, on: int
) -> None:
    """Whatever happens on a day and is undone on it, the exact promotion sums to nothing, and never
    is more taken off than the percentage of what is charged."""
    term = {"term_start": day("2026-03-01"), "term_end": day("2027-03-01")}
    path = [10, *steps, 10]
    changes = [opening("o", 10, effective="2026-03-01T00:00:00", **BUNDLE, **term)]
    for number, pair in enumerate(pairwise(path)):
        at = f"2026-05-{on:02}T10:{number:02}:00"
        changes.append(change(f"c{number}", pair, at, version=number + 2, **BUNDLE, **term))
    found = charges(changes, promotion(seat_cap=cap))
    in_may = [c for c in found if c.effective_at is not None and c.kind is ChargeKind.PROMOTION]
    assert abs(sum((c.amount_exact for c in in_may), Decimal(0))) < Decimal("1e-12")
    whole = [c for c in found if c.effective_at is None]
    by_kind = {kind: sum(c.amount for c in whole if c.kind is kind) for kind in ChargeKind}
    assert 0 <= -by_kind[ChargeKind.PROMOTION] <= by_kind[ChargeKind.RECURRING] / 10
