"""Which contract bills, which rule wins, which price counts, and on which invoice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import rules
from rating.domain.cycles import boundary_for, charge_cycle, charge_starts, usage_boundary
from rating.domain.ownership import is_before_all, owner_of_change, owner_of_cycle
from rating.domain.pricing import PriceBook, licence_price, provider_price
from rating.domain.rules import (
    Base,
    CostPlus,
    Discount,
    Fixed,
    ListPrice,
    Markup,
    Minimum,
    Price,
    Rule,
    RuleKind,
    Scope,
)
from shared.contracts.invoicing import Timing
from shared.kernel.errors import Held, Invalid
from shared.kernel.periods import month_of
from support.rating_facts import PREMIUM, contract, day, fixed, rule, sheet_row

SUBJECT = Scope(
    RuleKind.USAGE,
    contract_id="C",
    customer_id="K",
    product_key="P",
    meter_category="VM",
    azure_subscription_id="AZ",
)
TODAY = date(2026, 4, 15)


def usage_rule(rule_id: str, **given: object) -> Rule:
    return rule(rule_id, ListPrice(), RuleKind.USAGE, **given)


# Each rule loses against the one after it.
LADDER = [
    usage_rule("any"),
    usage_rule("any, preferred", priority=1),
    usage_rule("category", meter_category="VM"),
    usage_rule("product", product_key="P"),
    usage_rule("azure", azure_subscription_id="AZ"),
    usage_rule("customer", customer_id="K"),
    usage_rule("customer, category", customer_id="K", meter_category="VM"),
    usage_rule("contract", contract_id="C"),
    usage_rule("contract, later", contract_id="C", valid_from=day("2026-04-15")),
    usage_rule("contract, preferred", contract_id="C", priority=5),
    usage_rule("contract, category", contract_id="C", meter_category="VM"),
    usage_rule("contract, azure", contract_id="C", azure_subscription_id="AZ"),
]


@given(data=st.data())
def test_the_most_specific_rule_wins(data: st.DataObject) -> None:
    """Scope, then priority, then date; the order in which rules were entered does not matter."""
    chosen = data.draw(st.lists(st.sampled_from(range(len(LADDER))), min_size=1, unique=True))
    winner = rules.select([LADDER[i] for i in chosen], SUBJECT, TODAY)
    assert winner == LADDER[max(chosen)]


@pytest.mark.parametrize(
    ("on", "version"),
    [("2026-03-31", None), ("2026-04-01", 1), ("2026-05-01", 3), ("2026-06-01", None)],
)
def test_a_version_replaces_the_earlier_ones_from_its_day_on(on: str, version: int | None) -> None:
    """Version 3 corrects version 2 of the same day, and ends; nothing older comes back."""
    versions = [
        usage_rule("r", valid_from=day("2026-04-01")),
        usage_rule("r", valid_from=day("2026-05-01"), version=2),
        usage_rule("r", valid_from=day("2026-05-01"), version=3, valid_until=day("2026-06-01")),
    ]
    found = rules.select(versions, SUBJECT, day(on))
    assert version == (found.version if found else None)


def test_a_newer_version_may_move_a_rule_elsewhere() -> None:
    """From its day on the rule is for another customer, and no longer for the first."""
    moved = [
        usage_rule("r", customer_id="K"),
        usage_rule("r", customer_id="other", version=2, valid_from=day("2026-04-10")),
    ]
    assert rules.select(moved, SUBJECT, TODAY) is None


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (Fixed(Decimal("22.55"), "USD"), "fixed 22.55 USD"),
        (ListPrice(), "list price"),
        (CostPlus(Decimal("18.0")), "cost +18 %"),
        (Discount(Decimal("2.50")), "list price −2.5 %"),
        (Markup(Decimal(10), Fraction(1, 3)), "unit price × (1 − PEC × 1/3), +10 %"),
        (Markup(Decimal(100), Fraction(0)), "unit price, +100 %"),
        (Markup(Decimal(7), Fraction(0), Base.COST), "cost, +7 %"),
        (Minimum(Decimal("25.00"), "EUR"), "at least 25.00 EUR a month"),
    ],
)
def test_rules_read_as_people_write_them(price: Price, text: str) -> None:
    """The text beside a figure names the price without loss."""
    assert text == rules.text(price)


def test_a_price_must_fit_its_kind() -> None:
    """A fixed price per month means nothing for metered usage."""
    with pytest.raises(Invalid, match="price_kind_not_allowed"):
        rule("r", Fixed(Decimal(1), "EUR"), RuleKind.USAGE)


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (None, "22.00"),
        (ListPrice(), "22.00"),
        (CostPlus(Decimal(18)), "21.29"),  # 18.04 × 1.18 = 21.2872
        (Discount(Decimal("12.5")), "19.25"),
        (Fixed(Decimal("22.55"), "USD"), "22.55"),
    ],
)
def test_licence_prices(price: Price | None, expected: str) -> None:
    """Unit prices are published, so they are rounded to the minor unit before they multiply."""
    given_rules = [rule("r", price)] if price else []
    book = PriceBook.of(given_rules, [sheet_row(PREMIUM, "18.04", "22.00")])
    assert Decimal(expected) == licence_price(book, contract(), PREMIUM, day("2025-10-01")).price


@pytest.mark.parametrize(
    ("term_start", "price", "cost"),
    [
        ("2025-10-01", "21.00", "10.00"),
        ("2026-04-02", "21.00", "20.00"),
        ("2026-08-01", "31.00", "30.00"),
    ],
)
def test_prices_are_as_of_the_term_or_the_start_of_the_contract(
    term_start: str, price: str, cost: str
) -> None:
    """The price begins with our contract at the earliest; the cost began with the term."""
    rows = [
        sheet_row(PREMIUM, "10.00", "11.00"),
        sheet_row(PREMIUM, "20.00", "21.00", effective_from=day("2026-01-01")),
        sheet_row(PREMIUM, "30.00", "31.00", effective_from=day("2026-07-01")),
    ]
    found = licence_price(PriceBook.of([], rows), contract(), PREMIUM, day(term_start))
    assert (Decimal(price), Decimal(cost)) == (found.price, found.cost)


@pytest.mark.parametrize(
    ("rows", "given_rules", "reason"),
    [
        ([], [fixed(PREMIUM, "1")], "unknown_product"),
        ([sheet_row(PREMIUM, "1", "2", currency="EUR")], [], "no_price_on_date"),
        ([sheet_row(PREMIUM, "1", "2", effective_from=day("2027-01-01"))], [], "no_price_on_date"),
        (
            [sheet_row(PREMIUM, "1", "2")],
            [fixed(PREMIUM, "1", currency="EUR")],
            "no_price_in_currency",
        ),
    ],
)
def test_no_silent_price(rows: list[object], given_rules: list[Rule], reason: str) -> None:
    """What is missing has a name, and there is no path to a price of zero."""
    book = PriceBook.of(given_rules, rows)  # type: ignore[arg-type]  # the table mixes row lists
    with pytest.raises(Held, match=reason):
        licence_price(book, contract(), PREMIUM, day("2026-04-01"))


def test_one_payer_per_day() -> None:
    """A contract that names the subscription goes first, then the one that started later."""
    everything = contract("ALL")
    named = contract("NAMED", subscription_ids=("A",), ends_on=day("2026-06-01"))
    later = contract("LATER", starts_on=day("2026-07-01"))
    known = [later, everything, named]
    days = ["2026-04-15", "2026-06-15", "2026-07-15"]
    owners = [owner_of_change(known, "A", day(d)) for d in days]
    assert [owner.contract_id if owner else None for owner in owners] == ["NAMED", "ALL", "LATER"]
    other = owner_of_change(known, "B", day("2026-04-15"))
    assert other is not None
    assert other.contract_id == "ALL"


def test_tenant_wide_purchases_go_to_the_contract_that_takes_all() -> None:
    """A contract of named subscriptions gets them only when there is no other."""
    named = contract("NAMED", subscription_ids=("A",))
    alone = owner_of_change([named], None, TODAY)
    both = owner_of_change([named, contract("ALL")], None, TODAY)
    assert (
        alone.contract_id if alone else None,
        both.contract_id if both else None,
    ) == ("NAMED", "ALL")


def test_cycles_are_owned_from_billed_through_on() -> None:
    """Changes are ours from `starts_on`, recurring service from `billed_through`."""
    known = [contract()]
    assert owner_of_cycle(known, "A", day("2026-04-01")) is None
    assert owner_of_cycle(known, "A", day("2026-05-01")) is not None
    assert owner_of_change(known, "A", day("2026-04-01")) is not None
    assert is_before_all(known, "A", day("2026-03-31"))
    assert not is_before_all([], "A", day("2026-03-31"))


@pytest.mark.parametrize(
    ("timing", "on", "boundary"),
    [
        (Timing.ADVANCE, "2026-04-12", "2026-04-12"),
        (Timing.ADVANCE, "2026-04-13", "2026-05-12"),
        (Timing.ADVANCE, "2026-04-11", "2026-04-12"),
        (Timing.ARREARS, "2026-04-12", "2026-05-12"),
        (Timing.ARREARS, "2026-04-11", "2026-04-12"),
    ],
)
def test_boundaries(timing: Timing, on: str, boundary: str) -> None:
    """In advance, what begins on a boundary is billed there; everything else at the end."""
    assert day(boundary) == boundary_for(contract(timing=timing, anchor_day=12), day(on))


@given(anchor=st.integers(1, 31), on=st.dates(date(2024, 1, 1), date(2030, 12, 31)))
def test_every_day_is_billed_at_one_later_boundary(anchor: int, on: date) -> None:
    """At most a cycle later, and for usage never before its month has ended."""
    for timing in Timing:
        terms = contract(timing=timing, anchor_day=anchor)
        assert on <= boundary_for(terms, on) <= on + timedelta(days=31)
        month = month_of(on)
        assert month.end <= usage_boundary(terms, month) <= month.end + timedelta(days=31)


@given(start=st.dates(date(2024, 1, 1), date(2027, 12, 31)), offset=st.integers(0, 1_200))
def test_upfront_cycles_tile_the_calendar(start: date, offset: int) -> None:
    """Every day of a term is in exactly one yearly cycle, also when it began on 29 February."""
    upfront = PREMIUM.model_copy(update={"billing_plan": "annual"})
    term = (start, date(2035, 1, 1))
    on = start + timedelta(days=offset)
    cycle = charge_cycle(contract(), upfront, term=term, day=on).whole
    following = charge_cycle(contract(), upfront, term=term, day=cycle.end).whole
    assert on in cycle
    assert following.start == cycle.end
    assert cycle.days in (365, 366)


def test_month_end_anchors_return() -> None:
    """Anchor 31 through a common February and a leap one: clipped, and back to 31 after it."""
    terms = contract(anchor_day=31, starts_on=day("2027-01-31"), billed_through=day("2027-01-31"))
    starts = charge_starts(
        terms, PREMIUM, term=(day("2027-01-31"), day("2028-01-31")), through=day("2028-04-30")
    )
    assert tuple(start.day for start in starts) == (
        31,
        28,
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
        31,
        29,
        31,
        30,
    )


def in_markets(**markets: tuple[str, str]) -> PriceBook:
    rows = [sheet_row(PREMIUM, *prices, market=name) for name, prices in markets.items()]
    return PriceBook.of([], rows)


def test_a_contract_is_priced_by_the_sheets_of_its_market() -> None:
    """Two markets, one currency, two prices: sale and cost are both of the contract's own."""
    book = in_markets(NL=("18.04", "22.00"), DE=("17.00", "21.00"))

    found = [
        licence_price(book, contract(market=market), PREMIUM, day("2026-04-01"))
        for market in ("NL", "DE")
    ]

    assert [f"{one.price} {one.cost}" for one in found] == ["22.00 18.04", "21.00 17.00"]


@pytest.mark.parametrize(
    ("market", "rules", "reason"),
    [
        (None, [], "market_ambiguous"),
        (None, [rule("r", CostPlus(Decimal(10)))], "market_ambiguous"),
        (None, [fixed(PREMIUM, "20.00")], "market_ambiguous"),  # the cost is of a sheet
        ("FR", [], "no_price_in_market"),
        ("FR", [fixed(PREMIUM, "20.00")], "no_price_in_market"),
    ],
)
def test_a_price_of_another_market_is_never_a_guess(
    market: str | None, rules: list[Rule], reason: str | None
) -> None:
    """A contract without a market is asked for it, where it makes a difference."""
    book = replace(in_markets(NL=("18.04", "22.00"), DE=("17.00", "21.00")), rules=tuple(rules))

    try:
        licence_price(book, contract(market=market), PREMIUM, day("2026-04-01"))
        found = None
    except Held as held:
        found = held.code

    assert found == reason


def test_markets_that_ask_the_same_need_no_choice() -> None:
    """Most contracts are of a partner with one market, or one price."""
    book = in_markets(NL=("18.04", "22.00"), DE=("18.04", "22.00"))

    assert licence_price(book, contract(), PREMIUM, day("2026-04-01")).price == Decimal("22.00")


BY_YEAR = [
    sheet_row(PREMIUM, cost, listed, market=market, effective_from=since, effective_until=until)
    for market, cost, listed, since, until in [
        ("NL", "18.04", "22.00", day("2025-01-01"), day("2026-01-01")),
        ("DE", "17.00", "22.00", day("2025-01-01"), day("2026-01-01")),
        ("NL", "19.00", "23.00", day("2026-01-01"), None),
        ("DE", "19.00", "23.00", day("2026-01-01"), None),
    ]
]


@pytest.mark.parametrize(
    ("term_start", "rules", "expected"),
    [
        ("2025-06-01", [], "market_ambiguous"),
        ("2025-06-01", [fixed(PREMIUM, "20.00")], "market_ambiguous"),
        ("2026-02-01", [], "23.00 19.00"),
        ("2026-02-01", [fixed(PREMIUM, "20.00")], "20.00 19.00"),
    ],
)
def test_markets_have_to_agree_on_the_day_whose_cost_is_ours(
    term_start: str, rules: list[Rule], expected: str
) -> None:
    """The cost is locked since the term began, the price since the contract did."""
    terms = contract(starts_on=day("2026-02-01"))

    try:
        price = licence_price(PriceBook.of(rules, BY_YEAR), terms, PREMIUM, day(term_start))
        found = f"{price.price} {price.cost}"
    except Held as held:
        found = held.code

    assert expected == found


def test_list_prices_of_two_markets_do_not_matter_under_a_fixed_price() -> None:
    """What we pay is the same, and nobody sells at the list price."""
    book = replace(
        in_markets(NL=("18.04", "22.00"), DE=("18.04", "21.00")),
        rules=(fixed(PREMIUM, "20.00"),),
    )

    found = licence_price(book, contract(), PREMIUM, day("2026-04-01"))

    assert (Decimal("20.00"), Decimal("18.04")) == (found.price, found.cost)


@pytest.mark.parametrize("currency", ["USD", "GBP"])
def test_a_cost_in_another_currency_is_of_one_market_too(currency: str) -> None:
    """A fixed price in GBP, and two sheets in other currencies: neither is taken for ours."""
    rows = [
        sheet_row(PREMIUM, "18.04", "22.00", market="NL", currency="EUR"),
        sheet_row(PREMIUM, "18.04", "22.00", market="US", currency=currency),
    ]
    book = PriceBook.of([rule("r", Fixed(Decimal("20.00"), "GBP"))], rows)
    terms = contract(currency="GBP")

    if currency == "GBP":
        assert licence_price(book, terms, PREMIUM, day("2026-04-01")).cost_currency == "GBP"
    else:
        with pytest.raises(Held, match="market_ambiguous"):
            licence_price(book, terms, PREMIUM, day("2026-04-01"))


def test_what_the_provider_asks_is_of_one_market() -> None:
    """Two markets in one currency: the same cost is an answer, two costs are none."""
    same = in_markets(NL=("18.04", "22.00"), DE=("18.04", "21.00"))
    differing = in_markets(NL=("18.04", "22.00"), DE=("17.00", "21.00"))

    assert provider_price(same, PREMIUM, "USD", day("2026-04-01")).unit_price == Decimal("18.04")
    with pytest.raises(Held, match="market_ambiguous"):
        provider_price(differing, PREMIUM, "USD", day("2026-04-01"))
