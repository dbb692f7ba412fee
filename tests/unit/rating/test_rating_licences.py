"""Licence charges: scenarios 1 and 5 to the cent, and what must hold for any history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain import revisions, timeline
from rating.domain.desired import Desired, merge
from rating.domain.licences import Terms, licence_charges
from rating.domain.pricing import PriceBook
from rating.domain.rules import CostPlus, ListPrice
from shared.contracts.ingest import ChangeKind, LicenceProduct, SubscriptionChanged
from shared.contracts.invoicing import ContractChanged, Timing
from shared.contracts.rating import ChargeKind, ChargeRated
from shared.kernel.money import Rounding, round_to
from support.rating_facts import (
    E3,
    E5,
    PREMIUM,
    alder_book,
    alder_changes,
    at,
    change,
    contract,
    day,
    fixed,
    opening,
    rule,
    sheet_row,
)


def rated(
    changes: Iterable[SubscriptionChanged],
    *,
    terms: ContractChanged | None = None,
    book: PriceBook | None = None,
    through: str | None = None,
) -> Desired:
    """Everything the contract owes for all its subscriptions."""
    terms = terms or contract()
    by_subscription: dict[str, list[SubscriptionChanged]] = {}
    for one in changes:
        by_subscription.setdefault(one.subscription_id, []).append(one)
    given_terms = Terms(terms, [terms], book or alder_book(), day(through) if through else None)
    return merge(
        licence_charges(given_terms, timeline.build(group)) for group in by_subscription.values()
    )


def invoice(desired: Desired, on: str) -> list[Decimal]:
    """The amounts due on one invoice date, largest first."""
    due = [charge for charge in desired.charges if charge.bill_on == day(on)]
    return sorted((charge.amount for charge in due), reverse=True)


def of_kind(desired: Desired, kind: ChargeKind) -> list[ChargeRated]:
    return [charge for charge in desired.charges if charge.kind is kind]


SCENARIO_1 = [Decimal(n) for n in ("969.65", "162.36", "63.89", "-19.54")]


def test_scenario_1_lines() -> None:
    """The May invoice of Alder has L1 to L4, to the cent."""
    assert invoice(rated(alder_changes(), through="2026-05-01"), "2026-05-01") == SCENARIO_1


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_scenario_1_in_every_order_and_doubled(order: Sequence[int]) -> None:
    """Neither order of arrival nor repeats change a charge or a log entry."""
    facts = alder_changes()
    shuffled = [facts[i] for i in order]
    expected = rated(facts, through="2026-05-01")
    actual = rated([*shuffled, *shuffled], through="2026-05-01")
    by_id = {charge.charge_id: charge for charge in expected.charges}
    assert by_id == {charge.charge_id: charge for charge in actual.charges}
    assert set(expected.entries) == set(actual.entries)


def test_scenario_1_lineage() -> None:
    """L3 knows its change, its price, its days and the figure before rounding."""
    charges = of_kind(rated(alder_changes()), ChargeKind.PRORATION)
    line = next(charge for charge in charges if charge.source_ids == ("e1",))
    assert line.proration is not None
    assert (line.proration.days, line.proration.cycle_days) == (17, 30)
    assert Decimal("22.55") == line.price.unit_price
    assert Decimal("63.891666666666666667") == line.amount_exact
    assert (
        str(line.service_period.start),
        str(line.service_period.end),
    ) == ("2026-04-14", "2026-05-01")


def test_scenario_1_costs_in_the_documented_mode() -> None:
    """The cost of a change truncates the unit price of the rest of the cycle: 51.10 and −15.62."""
    charges = of_kind(rated(alder_changes()), ChargeKind.PRORATION)
    assert {"e1": Decimal("51.10"), "e2": Decimal("-15.62")} == {
        charge.source_ids[0]: charge.cost for charge in charges
    }


def test_prorations_need_no_closed_cycle_and_recurring_charges_do() -> None:
    """A change is rated at once; a cycle is rated when a run closes it."""
    desired = rated(alder_changes())
    assert of_kind(desired, ChargeKind.RECURRING) == []
    assert len(of_kind(desired, ChargeKind.PRORATION)) == 2


ELM = contract(
    "ELM-1",
    currency="AUD",
    anchor_day=12,
    starts_on=day("2026-05-12"),
    billed_through=day("2026-06-12"),
)
ELM_BOOK = PriceBook.of(
    [
        fixed(E3, "36.80", currency="AUD", rule_id="e3"),
        rule(
            "e3", CostPlus(Decimal(18)),
            product_key=E3.key, version=2, valid_from=day("2026-07-01"),
        ),
        fixed(E5, "59.90", currency="AUD"),
    ],
    [
        sheet_row(E3, "30.20", "40.00", currency="AUD", effective_until=day("2026-07-01")),
        sheet_row(E3, "31.71", "41.00", currency="AUD", effective_from=day("2026-07-01")),
        sheet_row(E5, "50.00", "60.00", currency="AUD"),
    ],
)  # fmt: skip


def elm_changes() -> list[SubscriptionChanged]:
    """Scenario 5, as ingest tells it."""
    old = {"product": E3, "term_start": day("2025-07-12"), "term_end": day("2026-07-12")}
    new = {"product": E3, "term_start": day("2026-07-12"), "term_end": day("2027-07-12")}
    e5 = {
        "product": E5, "subscription_id": "E5", "kind": ChangeKind.PURCHASED,
        "term_start": day("2026-06-09"), "term_end": day("2026-07-12"),
    }  # fmt: skip
    renewed = {"kind": ChangeKind.RENEWED, **new}
    return [
        opening("o", 30, **old),
        change("e1", (30, 22), "2026-06-09T10:00:00", version=2, **old),
        change("e1-e5", (0, 8), "2026-06-09T10:00:00", **e5),
        change("e2", (22, 19), "2026-07-12T00:00:00", version=3, **renewed),
        change("e3", (19, 17), "2026-07-15T09:00:00", version=4, **new),
    ]


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("2026-06-12", ["809.60", "479.20", "46.37", "-28.49"]),
        ("2026-07-12", ["710.98", "479.20"]),
        ("2026-08-12", ["636.14", "479.20", "-67.60"]),
    ],
)
def test_scenario_5_invoices(on: str, expected: list[str]) -> None:
    """Partial upgrade, renewal at a new price, reduction in the renewal window."""
    desired = rated(elm_changes(), terms=ELM, book=ELM_BOOK, through="2026-08-12")
    assert [Decimal(amount) for amount in expected] == invoice(desired, on)


def test_scenario_5_adjustments() -> None:
    """What Autotask has to be told: units, prices and costs, and that the renewal restates them."""
    entries = rated(elm_changes(), terms=ELM, book=ELM_BOOK).entries
    told = {
        e.change_id: (
            str(e.effective_on), e.quantity_after - e.quantity_before,
            e.unit_price, e.unit_cost, e.price_changed,
        )
        for e in entries
        if e.change_id != "o"
    }  # fmt: skip
    assert {
        "e1": ("2026-06-09", -8, Decimal("36.80"), Decimal("30.20"), False),
        "e1-e5": ("2026-06-09", 8, Decimal("59.90"), Decimal("50.00"), False),
        "e2": ("2026-07-12", -3, Decimal("37.42"), Decimal("31.71"), True),
        "e3": ("2026-07-15", -2, Decimal("37.42"), Decimal("31.71"), False),
    } == told


def test_a_price_change_inside_a_term_changes_nothing() -> None:
    """A rule and a sheet that begin mid-term wait for the renewal."""
    later = fixed(PREMIUM, "99.00", rule_id="later", valid_from=day("2026-04-10"))
    rows = [row for rows in alder_book().rows.values() for row in rows]
    book = PriceBook.of([*alder_book().rules, later], rows)
    desired = rated(alder_changes(), book=book, through="2026-05-01")
    assert invoice(desired, "2026-05-01") == SCENARIO_1


def test_a_renewal_inside_a_cycle_moves_the_old_units_to_the_new_price() -> None:
    """Old units at the old price until then, new units at the new price from then."""
    elm = ELM.model_copy(update={"anchor_day": 1, "billed_through": day("2026-07-01")})
    desired = rated(elm_changes()[:4], terms=elm, book=ELM_BOOK, through="2026-07-01")
    share = Fraction(20, 31)
    expected = {
        "from": round_to(-22 * Fraction("36.80") * share, 2, Rounding.HALF_AWAY),
        "to": round_to(19 * Fraction("37.42") * share, 2, Rounding.HALF_AWAY),
    }
    charges = [c for c in of_kind(desired, ChargeKind.PRORATION) if c.source_ids == ("e2",)]
    assert sorted(expected.values()) == sorted(charge.amount for charge in charges)
    entry = next(e for e in desired.entries if e.change_id == "e2")
    assert sum(expected.values()) == entry.prorated_amount
    assert entry.price_changed


def test_a_full_upgrade_is_two_products() -> None:
    """All seats change product under one subscription id: one product leaves, the other comes."""
    upgrade = {"kind": ChangeKind.UPDATED, "product": E5, "version": 2}
    facts = [
        opening("o", 10, product=E3),
        change("up", (10, 10), "2026-04-16T08:00:00", **upgrade),
    ]
    book = PriceBook.of(
        [fixed(E3, "30"), fixed(E5, "60")], [sheet_row(E3, "1", "1"), sheet_row(E5, "2", "2")]
    )
    desired = rated(facts, book=book)
    assert [Decimal("-150.00"), Decimal("300.00")] == [c.amount for c in desired.charges]
    assert [(E3.key, 10, 0), (E5.key, 0, 10)] == [
        (e.product.key, e.quantity_before, e.quantity_after) for e in desired.entries[1:]
    ]
    assert [Decimal("-150.00"), Decimal("300.00")] == [
        e.prorated_amount for e in desired.entries[1:]
    ]


def test_a_change_on_the_first_day_of_a_cycle_is_not_prorated() -> None:
    """Only the recurring quantity of that very cycle shows it."""
    facts = [opening("o", 40), change("e", (40, 45), "2026-05-01T23:59:59", version=2)]
    desired = rated(facts, through="2026-05-01")
    assert [Decimal("1014.75")] == [charge.amount for charge in desired.charges]
    assert [entry.change_id for entry in desired.entries] == ["o", "e"]


def test_the_utc_day_decides() -> None:
    """23:59 UTC belongs to its own day, 00:00 to the next; local time does not matter."""
    evening = at("2026-04-14T20:30:00-04:00")  # the 15th in UTC
    facts = [opening("o", 40), change("e", (40, 41), "2026-04-14", version=2, effective_at=evening)]
    charge = rated(facts).charges[0]
    assert charge.proration is not None
    assert charge.proration.days == 16


def test_two_changes_of_one_instant_stay_two_lines() -> None:
    """Same day, same second: both survive, ordered by version."""
    facts = [
        opening("o", 10),
        change("a", (10, 30), "2026-04-11T08:00:00", version=2),
        change("b", (30, 65), "2026-04-11T08:00:00", version=3),
    ]
    charges = of_kind(rated(facts), ChargeKind.PRORATION)
    assert [charge.quantity for charge in charges] == [20, 35]
    assert len({charge.charge_id for charge in charges}) == 2


def test_arrears_bill_the_ended_cycle() -> None:
    """The quantity of its first day, its prorations, all at its end."""
    terms = contract(
        timing=Timing.ARREARS, invoice_offset_days=14, billed_through=day("2026-04-01")
    )
    desired = rated(alder_changes()[:1] + alder_changes()[2:], terms=terms, through="2026-05-01")
    assert [Decimal(n) for n in ("902.00", "63.89", "-19.54")] == invoice(desired, "2026-05-15")
    assert len(desired.charges) == 3


def test_service_before_billed_through_was_billed_elsewhere() -> None:
    """No recurring charge of an earlier cycle, however late the first run is."""
    desired = rated(alder_changes(), through="2026-07-01")
    starts = {str(c.service_period.start) for c in of_kind(desired, ChargeKind.RECURRING)}
    assert {"2026-05-01", "2026-06-01", "2026-07-01"} == starts


def test_changes_before_the_contract_are_what_it_begins_with() -> None:
    """No charge and no entry of their own; PSAs are told the seats of the contract's first day."""
    facts = [
        opening("o", 40),
        change("e", (40, 45), "2026-03-31T23:00:00", version=2),
        change("f", (45, 44), "2026-04-01T08:00:00", version=3),
    ]
    desired = rated(facts)
    assert desired.charges == ()
    assert [(e.change_id, e.quantity_before, e.quantity_after) for e in desired.entries] == [
        ("o", 0, 45),
        ("f", 45, 44),
    ]
    assert {day("2026-04-01")} == {entry.effective_on for entry in desired.entries}


def test_an_opening_is_told_once() -> None:
    """By the contract that has the subscription first; its successor takes over without a word."""
    first = contract(ends_on=day("2026-06-01"))
    second = contract("ALD-2", starts_on=day("2026-06-01"), billed_through=day("2026-06-01"))
    line = timeline.build([opening("o", 40)])
    both = [Terms(one, [second, first], alder_book()) for one in (first, second)]
    told = [[e.contract_id for e in licence_charges(terms, line).entries] for terms in both]
    assert told == [["ALD-1"], []]


def test_a_contract_that_ended_bills_no_later_cycle() -> None:
    """Cycles that start on or after `ends_on`, and changes from then on, belong to nobody here."""
    terms = contract(ends_on=day("2026-06-01"))
    facts = [*alder_changes(), change("e9", (43, 50), "2026-06-02T00:00:00", version=4)]
    desired = rated(facts, terms=terms, through="2026-08-01")
    assert {"2026-05-01"} == {
        str(c.service_period.start) for c in of_kind(desired, ChargeKind.RECURRING)
    }
    assert "e9" not in {entry.change_id for entry in desired.entries}


def test_bought_and_cancelled_on_one_day_costs_nothing() -> None:
    """Purchase and cancellation cancel out to the cent."""
    facts = [
        change("in", (0, 6), "2026-04-15T08:00:00", kind=ChangeKind.PURCHASED),
        change("out", (6, 0), "2026-04-15T18:00:00", kind=ChangeKind.CANCELLED, version=2),
    ]
    desired = rated(facts, through="2026-05-01")
    assert Decimal(0) == sum(charge.amount for charge in desired.charges)
    assert len(desired.charges) == 2


UPFRONT = LicenceProduct(product_id="P", sku_id="1", term="P1Y", billing_plan="annual")
UPFRONT_BOOK = PriceBook.of([fixed(UPFRONT, "365")], [sheet_row(UPFRONT, "300", "400")])
UPFRONT_TERM = {"product": UPFRONT, "term_start": day("2026-04-10"), "term_end": day("2027-04-10")}


def test_an_upfront_licence_is_charged_once_a_year() -> None:
    """Bought mid-cycle it is billed at the end of that cycle, and not again with the next ones."""
    facts = [change("in", (0, 2), "2026-04-10T08:00:00", kind=ChangeKind.PURCHASED, **UPFRONT_TERM)]
    desired = rated(facts, book=UPFRONT_BOOK, through="2026-09-01")
    assert [Decimal("730.00")] == [charge.amount for charge in desired.charges]
    assert day("2026-05-01") == desired.charges[0].bill_on
    assert ChargeKind.RECURRING is desired.charges[0].kind
    assert rated(facts, book=UPFRONT_BOOK, through="2026-04-01").charges == ()


def test_seats_added_to_an_upfront_licence_pay_to_the_end_of_its_year() -> None:
    """The charge cycle of the licence, not the contract's month, is the denominator."""
    facts = [
        change("in", (0, 2), "2026-04-10T08:00:00", kind=ChangeKind.PURCHASED, **UPFRONT_TERM),
        change("more", (2, 3), "2026-07-19T08:00:00", version=2, **UPFRONT_TERM),
    ]
    charges = of_kind(rated(facts, book=UPFRONT_BOOK), ChargeKind.PRORATION)
    assert [(Decimal("265.00"), day("2026-08-01"))] == [(c.amount, c.bill_on) for c in charges]


def test_an_unknown_plan_is_held() -> None:
    """Never guess how often something is charged."""
    odd = UPFRONT.model_copy(update={"billing_plan": "fortnightly"})
    facts = [opening("o", 3, product=odd)]
    book = PriceBook.of([fixed(odd, "1")], [sheet_row(odd, "1", "1")])
    desired = rated(facts, book=book, through="2026-05-01")
    assert ({"unknown_billing_plan"}, ()) == ({h.reason for h in desired.holds}, desired.charges)


def test_a_missing_price_holds_what_needs_it_and_nothing_else() -> None:
    """Subscription B is rated although nobody knows the product of A."""
    book = PriceBook.of(
        alder_book().rules, [r for rows in alder_book().rows.values() for r in rows][1:]
    )
    desired = rated(alder_changes(), book=book, through="2026-05-01")
    assert [Decimal("162.36")] == [charge.amount for charge in desired.charges]
    assert {("unknown_product", "subscription/A", PREMIUM.key)} == {
        (hold.reason, hold.object, hold.key) for hold in desired.holds
    }


def test_a_held_charge_is_not_taken_back() -> None:
    """Not to know a price any more is no reason to credit what was charged."""
    before = rated(alder_changes(), through="2026-05-01")
    published = {charge.charge_id: charge for charge in before.charges}
    after = rated(alder_changes(), book=PriceBook.of([], []), through="2026-05-01")
    assert revisions.revise(after, published) == []


def test_fewer_than_no_seats_is_held() -> None:
    """A history that cannot be is not billed."""
    facts = [opening("o", 3), change("e", (8, 2), "2026-04-10T00:00:00", version=3)]
    desired = rated(facts, through="2026-05-01")
    assert ({"quantity_negative"}, ()) == ({h.reason for h in desired.holds}, desired.charges)


def test_the_list_price_applies_without_a_rule() -> None:
    """Nobody agreed anything: the provider's suggested price."""
    book = PriceBook.of([], [sheet_row(PREMIUM, "18.04", "22.00")])
    desired = rated([opening("o", 1)], book=book, through="2026-05-01")
    assert [(Decimal("22.00"), "list-price", 0)] == [
        (c.amount, c.price.rule_id, c.price.rule_version) for c in desired.charges
    ]
    listed = PriceBook.of([rule("r", ListPrice())], [sheet_row(PREMIUM, "18.04", "22.00")])
    assert (
        Decimal("22.00")
        == rated([opening("o", 1)], book=listed, through="2026-05-01").charges[0].amount
    )


@st.composite
def histories(draw: st.DrawFn) -> list[SubscriptionChanged]:
    """A true history: every step begins where the one before it ended."""
    quantity = draw(st.integers(0, 50))
    facts = [opening("o", quantity, effective="2026-01-01T00:00:00")]
    days = draw(st.lists(st.integers(0, 200), max_size=8))
    for version, offset in enumerate(sorted(days), 2):
        after = draw(st.integers(0, 50))
        effective = date(2026, 1, 1) + timedelta(days=offset)
        facts.append(
            change(f"c{version}", (quantity, after), f"{effective}T12:00:00", version=version)
        )
        quantity = after
    return facts


ALL_YEAR = {"starts_on": day("2026-01-01"), "billed_through": day("2026-01-01")}


@given(facts=histories(), anchor=st.integers(1, 31), data=st.data())
def test_charges_are_seat_days(
    facts: list[SubscriptionChanged], anchor: int, data: st.DataObject
) -> None:
    """For whole cycles, what is charged exactly is price × seats × days ÷ days of each cycle: no
    day is charged twice or never, whatever the anchor and the order of arrival."""
    terms = contract(anchor_day=anchor, **ALL_YEAR)
    shuffled = data.draw(st.permutations(facts))
    desired = rated(shuffled, terms=terms, through="2026-12-31")
    line = timeline.build(facts)
    recurring = of_kind(desired, ChargeKind.RECURRING)
    prorations = of_kind(desired, ChargeKind.PRORATION)
    for whole in recurring:
        cycle = whole.service_period.period()
        parts = [c for c in prorations if c.proration and c.proration.cycle.period() == cycle]
        exact = sum((_exact(c) for c in (whole, *parts)), Fraction(0))
        seat_days = sum(
            line.on(cycle.start + timedelta(days=i)).quantity for i in range(cycle.days)
        )
        assert exact == Fraction("22.55") * seat_days / cycle.days


def _exact(charge: ChargeRated) -> Fraction:
    share = charge.proration
    part = Fraction(share.days, share.cycle_days) if share else Fraction(1)
    return Fraction(charge.quantity) * Fraction("22.55") * part


@given(facts=histories(), cut=st.integers(0, 9))
def test_replaying_any_prefix_changes_nothing(facts: list[SubscriptionChanged], cut: int) -> None:
    """Publishing what a prefix asks for, then all, ends where publishing all at once ends; and a
    second time there is nothing to publish."""
    terms = contract(**ALL_YEAR)
    published: dict[str, ChargeRated] = {}
    for known in (facts[: cut + 1], facts, facts):
        desired = rated(known, terms=terms, through="2026-07-01")
        news = revisions.revise(desired, published)
        published |= {charge.charge_id: charge for charge in news}
    assert revisions.revise(desired, published) == []
    wanted = {c.charge_id: c.amount for c in desired.charges}
    assert wanted == {i: c.amount for i, c in published.items() if not revisions.is_withdrawn(c)}


@given(quantity=st.integers(1, 500), on=st.integers(2, 30))
def test_split_changes_sum_to_the_whole(quantity: int, on: int) -> None:
    """Adding seats in two steps on one day costs exactly what adding them at once costs."""
    split, when = 1 + quantity // 2, f"2026-04-{on:02d}T00:00:00"
    once = rated([opening("o", 1), change("x", (1, 1 + quantity), when, version=2)])
    twice = rated(
        [
            opening("o", 1),
            change("x", (1, split), when, version=2),
            change("y", (split, 1 + quantity), when, version=3),
        ]
    )
    at_once = sum(map(_exact, once.charges), Fraction(0))
    assert at_once == sum(map(_exact, twice.charges), Fraction(0))
