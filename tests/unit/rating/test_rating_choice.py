"""Which customer rule wins, by which step of the order, and why the others lost; unit prices as
they are published; who may decide a price change."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import price_changes, rules
from rating.domain.price_changes import ChangeState, Monthly, at_stake, numbered, require_current
from rating.domain.pricing import PriceBook, licence_price
from rating.domain.rules import (
    ORDER,
    CostPlus,
    Discount,
    ListPrice,
    Margin,
    Price,
    Rule,
    RuleKind,
    Scope,
)
from shared.kernel.errors import Conflict, Invalid
from shared.kernel.fx import FxRate
from support.rating_facts import E3, contract, day, rule, sheet_row

SUBJECT = Scope(
    RuleKind.LICENCE, contract_id="C", customer_id="K", product_key=E3.key, term="P1Y",
    billing_plan="monthly", segment="commercial",
)  # fmt: skip
TODAY = day("2026-04-15")


def made(rule_id: str, *, scope: dict[str, str] | None = None, **given: Any) -> Rule:
    facts: dict[str, Any] = {"version": 1, "valid_from": day("2020-01-01"), "price": ListPrice()}
    return Rule(rule_id=rule_id, scope=Scope(RuleKind.LICENCE, **scope or {}), **facts | given)


# Winner, rival, and the step of the order that tells them apart.
STEPS = [
    (made("w", scope={"contract_id": "C"}), made("r", scope={"customer_id": "K"}, priority=9), 0),
    (made("w", scope={"customer_id": "K"}), made("r", scope={"product_key": E3.key}), 0),
    (
        made("w", scope={"product_key": E3.key}),
        made("r", scope={"product_key": f"{E3.product_id}:{E3.sku_id}", "term": "P1Y"}),
        2,
    ),
    (made("w", scope={"product_key": E3.product_id}), made("r", scope={"term": "P1Y"}), 2),
    (
        made("w", scope={"term": "P1Y", "billing_plan": "monthly"}),
        made("r", scope={"segment": "commercial"}, priority=9),
        3,
    ),
    (made("w", priority=1), made("r", valid_from=day("2026-04-01")), 4),
    (made("w", valid_from=day("2026-04-01")), made("r", version=7), 5),
    (made("w", version=2), made("r"), 6),
    (made("a"), made("b"), 7),
]


@pytest.mark.parametrize(("winner", "rival", "step"), STEPS)
def test_every_step_of_the_order_decides(winner: Rule, rival: Rule, step: int) -> None:
    """The order of ORDER is the order of the engine, told to whoever asks."""
    choice = rules.choose_rule([rival, winner], SUBJECT, TODAY)
    assert (winner, ORDER[step]) == (choice.rule, choice.reason)
    assert f"{winner.rule_id} goes first: {ORDER[step]}" == choice.lost[0].reason


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        (made("x", scope={"term": "P3Y"}), "it is for something else"),
        (made("x", scope={"product_key": "CFQ7TTC0LFL"}), "it is for something else"),
        (made("x", valid_from=day("2026-05-01")), "it begins on 2026-05-01"),
        (made("x", valid_until=day("2026-04-01")), "it ended on 2026-04-01"),
        (made("w", version=1), "a later version of the rule replaced it"),
    ],
)
def test_a_rule_that_does_not_count_says_why(lost: Rule, reason: str) -> None:
    """And leaves the winner the only one in force."""
    winner = made("w", version=2)
    choice = rules.choose_rule([lost, winner], SUBJECT, TODAY)
    assert (winner, "the only rule in force that takes it") == (choice.rule, choice.reason)
    assert [(lost, reason)] == [(one.rule, one.reason) for one in choice.lost]


def test_without_a_rule_the_list_price_is_chosen() -> None:
    """Also where there are rules, but none takes the subject."""
    choice = rules.choose_rule([made("x", scope={"segment": "charity"})], SUBJECT, TODAY)
    assert (choice.rule, choice.reason) == (None, "no rule takes it: the list price")


scopes = st.fixed_dictionaries(
    {},
    optional={
        "contract_id": st.sampled_from(["C", "D"]),
        "customer_id": st.just("K"),
        "product_key": st.sampled_from([E3.key, E3.product_id, "other"]),
        "term": st.sampled_from(["P1Y", "P1M"]),
        "segment": st.just("commercial"),
    },
)
some_rules = st.lists(
    st.builds(
        lambda name, scope, priority, starts: made(
            name, scope=scope, priority=priority, valid_from=date(2026, 4, starts)
        ),
        st.sampled_from("abcdef"), scopes, st.integers(-1, 1), st.integers(1, 30),
    ),
    max_size=6,
    unique_by=lambda r: r.rule_id,
)  # fmt: skip


@given(known=some_rules, seed=st.randoms())
def test_the_choice_does_not_depend_on_the_order_and_agrees_with_the_engine(
    known: list[Rule], seed: Any
) -> None:
    """One rule wins or none, every other has a reason, whatever order they come in."""
    choice = rules.choose_rule(known, SUBJECT, TODAY)
    shuffled = list(known)
    seed.shuffle(shuffled)
    assert choice.rule == rules.choose_rule(shuffled, SUBJECT, TODAY).rule
    assert choice.rule == rules.select(shuffled, SUBJECT, TODAY)
    assert len(known) - (choice.rule is not None) == len(choice.lost)
    assert all(one.reason for one in choice.lost)


@pytest.mark.parametrize(
    ("price", "currency", "expected"),
    [
        (CostPlus(Decimal(18)), "AUD", "37.42"),  # 31.71 × 1.18 = 37.4178, scenario 5
        (Margin(Decimal(18)), "AUD", "38.67"),  # 31.71 ÷ 0.82 = 38.6707…
        (Discount(Decimal("2.5")), "AUD", "39.00"),  # 40.00 × 0.975
        (Discount(Decimal("0.0125")), "AUD", "40.00"),  # 39.995, a tie
        (CostPlus(Decimal(18)), "JPY", "37"),
        (CostPlus(Decimal(18)), "KWD", "37.418"),
    ],
)
def test_a_computed_unit_price_is_published_in_minor_units(
    price: Price, currency: str, expected: str
) -> None:
    """Half away from zero, once, before it is multiplied by seats."""
    book = PriceBook.of([rule("r", price)], [sheet_row(E3, "31.71", "40.00", currency=currency)])
    found = licence_price(book, contract(currency=currency), E3, day("2026-04-01"))
    assert Decimal(expected) == found.price


def test_a_margin_is_a_share_of_the_price_and_a_mark_up_one_of_the_cost() -> None:
    """20 % of 100.00 each: 125.00 and 120.00; both say in words which they are."""
    assert rules.text(CostPlus(Decimal(20))) == "cost +20 %"
    assert rules.text(Margin(Decimal(20))) == "cost with a margin of 20 % of the price"
    with pytest.raises(Invalid, match="margin_impossible"):
        Margin(Decimal(100))


@pytest.mark.parametrize(
    ("stake", "needed"),
    [
        ({}, False),
        ({"USD": Decimal("100.00")}, False),
        ({"USD": Decimal("100.01")}, True),
        ({"USD": Decimal(1), "EUR": Decimal("0.01")}, True),
    ],
)
def test_a_second_person_is_needed_above_the_threshold_of_any_currency(
    stake: dict[str, Decimal], needed: bool
) -> None:
    """A currency without a threshold of its own has that of `*`."""
    thresholds = {"USD": Decimal(100), "*": Decimal(0)}
    assert needed is price_changes.needs_second_person(stake, thresholds)


def test_ups_and_downs_of_contracts_do_not_hide_each_other() -> None:
    """100 more here and 100 less there put 200 at stake; inside a contract they are netted."""
    rows = [("A", "0", "100"), ("B", "100", "0"), ("C", "0", "50"), ("C", "50", "0")]
    monthly = [
        Monthly(name, f"s{number}", "E3", "USD", 1, Decimal(before), Decimal(after))
        for number, (name, before, after) in enumerate(rows)
    ]
    assert {"USD": Decimal(200)} == at_stake([], monthly)


@pytest.mark.parametrize(
    ("state", "by", "code"),
    [
        (ChangeState.WAITING, "ann", "approver_is_author"),
        (ChangeState.ACTIVE, "bob", "price_change_decided"),
        (ChangeState.REJECTED, "bob", "price_change_decided"),
    ],
)
def test_who_may_not_decide_is_told_why(state: ChangeState, by: str, code: str) -> None:
    """Neither its author, nor anybody once it is decided."""
    with pytest.raises(Conflict, match=code):
        price_changes.decide(state, "ann", by)
    price_changes.decide(ChangeState.WAITING, "ann", "bob")


def test_a_rate_is_never_overwritten() -> None:
    """A corrected rate is the next version, a repeat is none, and a stale proposal is refused."""
    first = FxRate("USD", "EUR", day("2026-04-30"), 1, Decimal("0.9184"), "ECB")
    assert numbered(FxRate("USD", "EUR", first.on, 0, first.rate, "ECB"), first) is None
    corrected = numbered(FxRate("USD", "EUR", first.on, 0, Decimal("0.92"), "ECB"), first)
    assert corrected is not None
    assert (corrected.item.version, corrected.base) == (2, 1)
    with pytest.raises(Conflict, match="price_change_stale"):
        require_current(corrected, corrected.item)
