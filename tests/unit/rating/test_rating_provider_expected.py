"""The provider's side of real histories: facts in, expected lines with their causes out."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from rating.domain.pricing import PriceBook
from rating.domain.provider_expected import Expected, Premises, expected_of
from rating.domain.timeline import build
from shared.contracts.ingest import ChangeKind, SubscriptionChanged
from shared.kernel.errors import Held
from support.rating_facts import E3, E5, change, day, opening, sheet_row

E3_MONTHLY = E3.model_copy(update={"term": "P1M"})
BOOK = PriceBook.of(
    (),
    [
        sheet_row(E3, "30.00", "36.00"),
        sheet_row(E5, "60.00", "70.00"),
        sheet_row(E3_MONTHLY, "36.00", "40.00", effective_until=day("2026-07-01")),
        sheet_row(E3_MONTHLY, "39.00", "44.00", effective_from=day("2026-07-01")),
    ],
)
YEAR: dict[str, Any] = {
    "product": E3, "term_start": day("2026-06-01"), "term_end": day("2027-06-01"),
}  # fmt: skip
MONTH: dict[str, Any] = {
    "product": E3_MONTHLY, "term_start": day("2026-06-01"), "term_end": day("2026-07-01"),
}  # fmt: skip


def purchased(change_id: str, quantity: int, terms: dict[str, Any]) -> SubscriptionChanged:
    kind = {"kind": ChangeKind.PURCHASED}
    return change(change_id, (0, quantity), "2026-06-01T09:00:00", **terms | kind)


def told(through: str, *changes: SubscriptionChanged, **others: Any) -> Expected:
    premises = Premises(BOOK, "USD", day(through), others)
    return expected_of(build(changes), premises)


def brief(expected: Expected) -> list[tuple[Any, ...]]:
    shown = [(line.printed(), causes) for line, causes, _ in expected.lines]
    return [(x["charge_type"], x["start"], x["qty"], x["amount"], *causes) for x, causes in shown]


def test_every_line_names_the_change_that_caused_it() -> None:
    """A purchase, seats that come and go, and the cycles in between, in any order of arrival."""
    history = [
        purchased("bought", 10, YEAR),
        change("more", (10, 13), "2026-06-16T10:00:00", version=2, **YEAR),
        change("less", (13, 12), "2026-06-21T10:00:00", version=3, **YEAR),
    ]
    expected = [
        ("new", "2026-06-01", 10, "300.00", "bought"),
        ("addQuantity", "2026-06-16", 10, "-150.00", "more"),
        ("addQuantity", "2026-06-16", 13, "195.00", "more"),
        ("removeQuantity", "2026-06-21", 13, "-130.00", "less"),
        ("removeQuantity", "2026-06-21", 12, "120.00", "less"),
        ("cycleCharge", "2026-07-01", 12, "360.00", "less"),
        ("cycleCharge", "2026-08-01", 12, "360.00", "less"),
    ]

    for order in permutations(history):
        assert brief(told("2026-08-31", *order)) == expected


def test_a_fact_is_not_refused_by_a_window() -> None:
    """The provider let seats go months later: its answer stands, and the money comes back."""
    found = told(
        "2026-08-31",
        purchased("bought", 10, YEAR),
        change("less", (10, 4), "2026-08-16T10:00:00", version=2, **YEAR),
    )

    assert found.unexplained == ()
    assert brief(found)[-1] == ("removeQuantity", "2026-08-16", 4, "61.93", "less")
    assert found.seats == 4


def test_a_renewal_takes_the_price_of_its_day() -> None:
    """R-LOCK, whether a fact tells of the renewal or not."""
    renewed = change(
        "renewed", (10, 8), "2026-07-01T04:00:00", version=2, kind=ChangeKind.RENEWED,
        **MONTH | {"term_start": day("2026-07-01"), "term_end": day("2026-08-01")},
    )  # fmt: skip
    history = (purchased("bought", 10, MONTH),)

    assert brief(told("2026-07-31", *history, renewed))[1:] == [
        ("renew", "2026-07-01", 8, "312.00", "renewed")
    ]
    assert brief(told("2026-07-31", *history))[1:] == [
        ("renew", "2026-07-01", 10, "390.00", "bought")
    ]


def test_an_upgrade_of_some_seats_shows_on_both_subscriptions() -> None:
    """R-UPG partial: each side has its own half; the new one keeps the old one's cycle."""
    out = change(
        "out", (20, 12), "2026-06-16T10:00:00", version=2, kind=ChangeKind.MOVED_OUT,
        counterpart_subscription_id="B", **YEAR,
    )  # fmt: skip
    into = change(
        "in", (0, 8), "2026-06-16T10:00:00", kind=ChangeKind.MOVED_IN, subscription_id="B",
        counterpart_subscription_id="A", **YEAR | {"product": E5, "term_start": day("2026-06-16")},
    )  # fmt: skip
    source, target = build([purchased("bought", 20, YEAR), out]), build([into])
    premises = Premises(BOOK, "USD", day("2026-07-31"), {"A": source, "B": target})

    assert brief(expected_of(source, premises))[1:] == [
        ("convert", "2026-06-16", 8, "-120.00", "out"),
        ("cycleCharge", "2026-07-01", 12, "360.00", "out"),
    ]
    assert brief(expected_of(target, premises)) == [
        ("convert", "2026-06-16", 8, "240.00", "in"),
        ("cycleCharge", "2026-07-01", 8, "480.00", "in"),
    ]


def test_a_whole_upgrade_and_a_cancellation() -> None:
    """Both halves in one subscription, then the rest of the cycle back."""
    upgraded = change(
        "up", (10, 10), "2026-06-04T10:00:00", version=2, kind=ChangeKind.UPGRADED,
        **YEAR | {"product": E5, "product_name": "Microsoft 365 E5"},
    )  # fmt: skip
    gone = change(
        "gone", (10, 0), "2026-06-07T08:00:00", version=3, kind=ChangeKind.CANCELLED,
        status="deleted", **YEAR | {"product": E5},
    )  # fmt: skip

    assert brief(told("2026-08-31", purchased("bought", 10, YEAR), upgraded, gone))[1:] == [
        ("convert", "2026-06-04", 10, "-270.00", "up"),
        ("convert", "2026-06-04", 10, "540.00", "up"),
        ("cancelImmediate", "2026-06-07", 10, "-480.00", "gone"),
    ]


def test_what_was_there_before_we_looked_is_marked() -> None:
    """The quantity is that of the first sight, and nobody knows whether it always was."""
    found = told("2026-07-31", opening("seen", 5, effective="2026-06-20T00:00:00", **YEAR))

    assert [earlier for _, _, earlier in found.lines] == [True, False]
    assert [line.amount for line, _, _ in found.lines] == [Decimal("150.00"), Decimal("150.00")]


@pytest.mark.parametrize(
    ("kind", "status"), [(ChangeKind.EXPIRED, "expired"), (ChangeKind.CANCELLED, "deleted")]
)
def test_nothing_follows_the_end_of_a_term(kind: ChangeKind, status: str) -> None:
    """It ended on its day: neither a renewal nor an extended service term."""
    ended = change(
        "ended", (10, 0), "2026-07-01T01:00:00", version=2, kind=kind, status=status, **MONTH
    )

    assert brief(told("2026-12-31", purchased("bought", 10, MONTH), ended)) == [
        ("new", "2026-06-01", 10, "360.00", "bought")
    ]


def test_a_suspended_subscription_goes_on_costing() -> None:
    """R-SUSP, up to the end of its term and not beyond."""
    suspended = change(
        "stop", (10, 10), "2026-06-10T01:00:00", version=2, kind=ChangeKind.SUSPENDED,
        status="suspended", **YEAR,
    )  # fmt: skip

    assert len(told("2028-01-31", purchased("bought", 10, YEAR), suspended).lines) == 12


def test_a_missing_price_is_named() -> None:
    """The answer waits for a sheet instead of being zero."""
    with pytest.raises(Held) as held:
        expected_of(build([purchased("bought", 1, YEAR)]), Premises(BOOK, "NOK", day("2026-06-30")))

    assert held.value.code == "no_price_in_currency"


THREE_YEARS = E3.model_copy(update={"term": "P3Y"})
THREE_BY_YEAR = THREE_YEARS.model_copy(update={"billing_plan": "annual"})
EXTENDED = E3.model_copy(update={"sku_id": "EST1", "term": "P1M"})
MORE = PriceBook.of(
    (),
    [
        sheet_row(E3, "30.00", "36.00"),
        sheet_row(E3_MONTHLY, "36.00", "40.00"),
        sheet_row(THREE_YEARS, "20.00", "24.00"),
        sheet_row(THREE_BY_YEAR, "250.00", "290.00"),
        sheet_row(EXTENDED, "37.08", "44.00"),
    ],
)


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        (
            YEAR | {"term_start": day("2025-06-01"), "term_end": day("2026-06-01")},
            ("2026-06-01T02:00:00", ChangeKind.EXTENDED, EXTENDED, ("2026-06-01", "2026-07-01")),
            [("ANY", "2026-06-01", 10, "370.80", "then")],
        ),
        (
            MONTH,
            ("2026-06-16T10:00:00", ChangeKind.TERM_CHANGED, E3, ("2026-06-16", "2027-06-16")),
            [
                ("ANY", "2026-06-16", 10, "-180.00", "then"),
                ("ANY", "2026-06-16", 10, "300.00", "then"),
            ],
        ),
        (
            YEAR | {"product": THREE_YEARS, "term_end": day("2029-06-01")},
            (
                "2026-07-01T00:00:00", ChangeKind.PLAN_CHANGED, THREE_BY_YEAR,
                ("2026-06-01", "2029-06-01"),
            ),
            [("changeBillingPlan", "2026-07-01", 10, "2291.60", "then")],
        ),
        (
            MONTH | {"trial": True},
            ("2026-06-16T10:00:00", ChangeKind.TRIAL_CONVERTED, E3, ("2026-06-16", "2027-06-16")),
            [
                ("convert", "2026-06-16", 10, "0.00", "then"),
                ("convert", "2026-06-16", 10, "300.00", "then"),
            ],
        ),
        (
            YEAR,
            ("2026-07-16T10:00:00", ChangeKind.TRANSFERRED_OUT, E3, ("2026-06-01", "2027-06-01")),
            [("cycleCharge", "2026-07-01", 10, "300.00", "bought")],
        ),
    ],
)  # fmt: skip
def test_every_kind_of_change_is_told_to_the_rules(
    first: dict[str, Any], then: tuple[Any, ...], expected: list[tuple[Any, ...]]
) -> None:
    """A new term, plan, product or payer, as ingest names them."""
    at, kind, product, (start, end) = then
    bought = change(
        "bought", (0, 10), f"{first['term_start']}T09:00:00",
        **first | {"kind": ChangeKind.PURCHASED},
    )  # fmt: skip
    gone = kind is ChangeKind.TRANSFERRED_OUT
    changed = change(
        "then", (10, 0 if gone else 10), at, version=2, kind=kind, product=product,
        term_start=day(start), term_end=day(end),
    )  # fmt: skip

    found = expected_of(build([bought, changed]), Premises(MORE, "USD", day("2026-07-15")))

    assert found.unexplained == ()
    tail = [one for one in brief(found)[1:] if one[1] >= "2026-06-01"]
    assert tail[: len(expected)] == expected


def test_a_subscription_that_came_with_its_term_ends_with_it() -> None:
    """Transferred in the middle of its year: cycles go on as they were."""
    came = change(
        "came", (0, 4), "2026-09-10T09:00:00", **YEAR | {"kind": ChangeKind.TRANSFERRED_IN}
    )

    found = told("2026-10-31", came)

    assert [x[1] for x in brief(found)] == ["2026-09-10", "2026-10-01"]
    assert [f"{line.span.end}" for line, _, _ in found.lines] == ["2026-09-30", "2026-10-31"]


def test_a_list_price_of_two_markets_renews_nothing() -> None:
    """The markets part while the term runs: which price a renewal takes nobody can tell."""
    rows = [
        sheet_row(E3_MONTHLY, "36.00", "40.00", effective_until=day("2026-07-01")),
        sheet_row(E3_MONTHLY, "38.00", "44.00", market="DE", effective_from=day("2026-07-01")),
        sheet_row(E3_MONTHLY, "39.00", "44.00", market="NL", effective_from=day("2026-07-01")),
    ]
    premises = Premises(PriceBook.of((), rows), "USD", day("2026-07-31"))

    with pytest.raises(Held, match="market_ambiguous"):
        expected_of(build([purchased("bought", 10, MONTH)]), premises)
