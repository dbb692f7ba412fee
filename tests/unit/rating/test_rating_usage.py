"""Usage, minimums and purchases: scenario 2 to the cent, customer side and provider side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating.domain.desired import Desired
from rating.domain.minimums import minimum_charges
from rating.domain.purchases import purchase_charge
from rating.domain.rules import Base, CostPlus, Discount, ListPrice, Markup, Minimum, Rule, RuleKind
from rating.domain.usage import (
    HELD,
    NOT_BILLABLE,
    Decider,
    Group,
    Outcome,
    UsageBook,
    group_lines,
)
from rating.domain.usage_charges import UsageSum, UsageTerms, meter_costs, usage_charges
from shared.contracts.invoicing import ContractChanged
from shared.contracts.rating import ChargeRated
from shared.contracts.usage_frame import UsageLine
from shared.kernel.errors import Held
from shared.kernel.fx import FxRate
from support.rating_facts import (
    april_lines,
    birch,
    birch_rules,
    day,
    late_lines,
    markup,
    reservation,
    rule,
    usage_line,
)

APRIL, MAY = date(2026, 4, 1), date(2026, 5, 1)
MINIMUM = rule(
    "AZ-2-MIN",
    Minimum(Decimal("25.00"), "EUR"),
    RuleKind.MINIMUM,
    contract_id="BIR-AZ",
    azure_subscription_id="AZ-2",
    valid_from=APRIL,
    valid_until=MAY,
)


def grouped(
    lines: Sequence[UsageLine],
    *,
    contracts: Iterable[ContractChanged] | None = None,
    rules: Sequence[Rule] | None = None,
    rates: Sequence[FxRate] = (),
) -> tuple[Group, ...]:
    known = [birch()] if contracts is None else list(contracts)
    rules = birch_rules() if rules is None else rules
    book = UsageBook({"birch-tenant": known}, rules, rates)
    return group_lines(lines, Decider(book, month_end=date(2026, 4, 30))).groups


def summed(groups: Iterable[Group], month: date, file_id: str) -> list[UsageSum]:
    return [UsageSum(g.key, month, g.lines, g.quantity, frozenset({file_id})) for g in groups]


def usage_terms(
    rules: Sequence[Rule] | None = None,
    *,
    terms: ContractChanged | None = None,
    through: str = "2026-05-01",
    rates: Sequence[FxRate] = (),
) -> UsageTerms:
    known = {(r.rule_id, r.version): r for r in (birch_rules() if rules is None else rules)}
    return UsageTerms(terms or birch(), known, rates, day(through))


def by_place(desired: Desired) -> dict[tuple[str | None, str], ChargeRated]:
    return {(c.subscription_id, c.product.name): c for c in desired.charges}


def april() -> list[UsageSum]:
    return summed(grouped(april_lines()), APRIL, "april")


def late() -> list[UsageSum]:
    return summed(grouped(late_lines()), MAY, "may")


@pytest.mark.parametrize(
    ("azure", "category", "net", "exact", "cost"),
    [
        ("AZ-1", "Azure Virtual Machines", "53.18", "53.17968", "43.24"),
        ("AZ-1", "Azure Storage", "30.38", "30.381835", "24.60"),
        ("AZ-1", "Azure Bandwidth", "7.60", "7.604127", "7.03"),
        ("AZ-1", "Azure SQL Database", "58.94", "58.936121", "48.82"),
        ("AZ-2", "Azure Virtual Machines", "4.50", "4.500013", "4.08"),
        ("AZ-2", "Azure Storage", "3.11", "3.110285", "2.70"),
    ],
)
def test_scenario_2_usage(azure: str, category: str, net: str, exact: str, cost: str) -> None:
    """L1 to L6: the rounded net, the exact figure before it, and the provider's cost."""
    charge = by_place(usage_charges(usage_terms(), april()))[azure, category]
    assert charge.amount == Decimal(net)
    assert f"{charge.amount_exact:f}".startswith(exact)
    assert charge.cost == Decimal(cost)
    assert charge.bill_on == day("2026-05-15")


def test_scenario_2_provider_side() -> None:
    """One provider line per meter, truncated twice, as its invoice has it."""
    expected = {
        ("vm-d4", "240.5", "0.19584", "47.09", "43.24"),
        ("disk-p10", "1", "16.7535", "16.75", "15.38"),
        ("blob-hot", "512.3377", "0.0196", "10.04", "9.22"),
        ("egress", "88.12", "0.087", "7.66", "7.03"),
        ("sql-gp", "310.25", "0.17136", "53.16", "48.82"),
        ("vm-b2", "96", "0.0464", "4.45", "4.08"),
        ("blob-hot", "150.25", "0.0196", "2.94", "2.70"),
    }
    found = set()
    for azure in ("AZ-1", "AZ-2"):
        for cost in meter_costs([u for u in april() if u.key.azure_subscription_id == azure]):
            figures = (cost.quantity, cost.unit_cost, cost.priced, cost.cost)
            found.add((cost.meter_name, *(f"{f.normalize():f}" for f in figures if f is not None)))
    normal = {(m, *(f"{Decimal(f).normalize():f}" for f in figures)) for m, *figures in expected}
    assert normal == found


def test_scenario_2_in_sum() -> None:
    """Provider cost 187.31, customer net 242.14, margin 54.83."""
    usage = usage_charges(usage_terms(), april())
    top_up = minimum_charges(
        usage_terms(), usage, minimums=[MINIMUM], known_months=frozenset({APRIL})
    )
    bought = purchase_charge(birch(), reservation(), [], [])
    charges = [*usage.charges, *top_up.charges, bought]
    assert sum(c.cost for c in charges) == Decimal("187.31")
    assert sum(c.amount for c in charges) == Decimal("242.14")


def test_scenario_2_reservation() -> None:
    """L8: list price at the provider's rate, no mark-up; the cost as the provider printed it."""
    charge = purchase_charge(birch(), reservation(), [], [])
    assert (charge.amount, charge.cost) == (Decimal("67.04"), Decimal("56.84"))
    assert charge.price.rule_text == "list price (73.00 USD) × 0.9184 (provider of 2026-04-30)"
    assert charge.bill_on == day("2026-05-15")


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (Markup(Decimal(10), Fraction(0)), "73.75"),
        (Markup(Decimal(10), Fraction(0), Base.COST), "62.53"),
        (CostPlus(Decimal(10)), "62.53"),
        (Discount(Decimal(5)), "63.69"),
        (ListPrice(), "67.04"),
    ],
)
def test_purchase_rules(price: Markup | CostPlus | Discount | ListPrice, expected: str) -> None:
    """Every kind of price that a purchase rule may have."""
    charge = purchase_charge(birch(), reservation(), [rule("r", price, RuleKind.PURCHASE)], [])
    assert charge.amount == Decimal(expected)


def test_a_purchase_in_a_third_currency_needs_a_rate() -> None:
    """Held until somebody enters one; then converted from the pricing currency."""
    terms = birch(currency="GBP")
    with pytest.raises(Held, match="no_fx_rate"):
        purchase_charge(terms, reservation(), [], [])
    rate = FxRate("USD", "GBP", day("2026-04-28"), 1, Decimal("0.75"), "ECB")
    assert purchase_charge(terms, reservation(), [], [rate]).amount == Decimal("54.75")


def test_late_usage_is_a_line_of_its_own_that_names_the_original() -> None:
    """u9 and u10 come with the May file at its rate: 3.44, linked to the April line."""
    first = usage_charges(usage_terms(), april())
    later = usage_charges(usage_terms(through="2026-06-01"), [*april(), *late()])
    original = by_place(first)["AZ-1", "Azure Virtual Machines"]
    new = [c for c in later.charges if c.charge_id not in {x.charge_id for x in first.charges}]
    assert [(Decimal("3.44"), day("2026-06-15"), original.charge_id)] == [
        (c.amount, c.bill_on, c.corrects) for c in new
    ]
    assert new[0].description == "AZ-1 Virtual Machines, usage month 2026-04"
    assert new[0].source_ids == ("may",)
    assert f"{new[0].amount_exact:f}".startswith("3.437456")
    assert set(first.charges) < set(later.charges)


def test_usage_waits_for_its_billing_month_to_end() -> None:
    """Nothing is due before the boundary on or after the end of the provider's month."""
    assert usage_charges(usage_terms(through="2026-04-30"), april()).charges == ()
    anchored = birch(anchor_day=12)
    terms = usage_terms(terms=anchored, through="2026-05-11")
    assert usage_charges(terms, april()).charges == ()
    due = usage_charges(usage_terms(terms=anchored, through="2026-05-12"), april()).charges
    assert {day("2026-05-26")} == {charge.bill_on for charge in due}


def test_a_rule_dated_later_leaves_earlier_usage_alone() -> None:
    """A mark-up of 2026-05-10 does not alter the April figures."""
    later = markup(
        "Virtual Machines", "12", contract_id="BIR-AZ", rule_id="new", valid_from=day("2026-05-10")
    )
    groups = grouped(april_lines(), rules=[*birch_rules(), later])
    assert groups == grouped(april_lines())


def test_a_rule_that_changes_inside_a_month_is_printed_with_both_prices() -> None:
    """Each line by the rule of its own day."""
    rules = [
        markup("Virtual Machines", "10", rule_id="vm"),
        markup("Virtual Machines", "20", rule_id="vm", version=2, valid_from=day("2026-04-10")),
    ]
    lines = april_lines()[:2]
    sums = summed(grouped(lines, rules=rules), APRIL, "f")
    charge = usage_charges(usage_terms(rules), sums).charges[0]
    base = Fraction("0.2304") * Fraction("0.95") * Fraction("0.9184")
    exact = base * (72 * Fraction("1.1") + Fraction("168.5") * Fraction("1.2"))
    assert Fraction(charge.amount_exact) == exact
    assert (charge.price.rule_id, charge.price.rule_version) == ("vm", 2)
    credit = "unit price × (1 − PEC × 1/3), "
    assert charge.price.rule_text == f"{credit}+10 %; {credit}+20 %"


def test_thirds_are_exact() -> None:
    """Three lines that each come to a third of half a cent sum to half a cent, which rounds up."""
    lines = [
        replace(
            usage_line("x", "2026-04-03", "AZ-1", "Storage", "m", quantity="1", price="0.0025"),
            pec_rate=Decimal(1), effective_unit_price=Decimal("0.001"), meter_id=str(number),
            provider_rate=Decimal(1),
        )
        for number in range(3)
    ]  # fmt: skip
    share = rule("r", Markup(Decimal(0), Fraction(1, 3)), RuleKind.USAGE)
    sums = summed(grouped(lines, rules=[share]), APRIL, "f")
    assert usage_charges(usage_terms([share]), sums).charges[0].amount == Decimal("0.01")


def outcomes(groups: Iterable[Group]) -> dict[Outcome, int]:
    found: dict[Outcome, int] = {}
    for group in groups:
        outcome = group.key.decision.outcome
        found[outcome] = found.get(outcome, 0) + group.lines
    return found


def test_every_line_has_one_outcome() -> None:
    """In = rated + held + not billable, by count."""
    base = april_lines()
    lines = [
        *base,
        replace(base[0], charge_type="Tax"),
        replace(base[1], effective_unit_price=Decimal(0), billing_pretax=Decimal(0)),
        replace(base[2], customer_id="stranger"),
        replace(base[3], usage_date=day("2026-03-31")),
        replace(base[4], unit_price=Decimal(0), effective_unit_price=Decimal(0)),
    ]
    found = outcomes(grouped(lines))
    assert found == {
        Outcome.RATED: 9,
        Outcome.TAX: 1,
        Outcome.COVERED: 1,
        Outcome.NO_CONTRACT: 1,
        Outcome.BEFORE_CONTRACT: 1,
    }
    assert set(Outcome) == {Outcome.RATED} | HELD | NOT_BILLABLE


def test_usage_without_a_rule_is_held_whole() -> None:
    """The line of the category waits as a whole; other categories go on."""
    rules = birch_rules()[:2]
    sums = summed(grouped(april_lines(), rules=rules), APRIL, "f")
    desired = usage_charges(usage_terms(rules), sums)
    assert len(desired.charges) == 4
    assert {
        ("no_price_rule", "azure-subscription/AZ-1", "Bandwidth"),
        ("no_price_rule", "azure-subscription/AZ-1", "SQL Database"),
    } == {(hold.reason, hold.object, hold.key) for hold in desired.holds}
    assert len(desired.held) == 2


def test_a_contract_in_the_pricing_currency_needs_no_rate() -> None:
    """USD contract, USD prices: the provider's rate to EUR does not touch the sale."""
    terms = birch(currency="USD")
    sums = summed(grouped(april_lines()[4:5], contracts=[terms]), APRIL, "f")
    charge = usage_charges(usage_terms(terms=terms), sums).charges[0]
    assert Fraction(charge.amount_exact) == Fraction("88.12") * Fraction("0.087") * Fraction("1.08")
    assert (charge.cost, charge.cost_currency) == (Decimal("7.03"), "EUR")
    assert charge.usage is not None
    assert charge.usage.fx_source == "same currency"


def test_a_third_currency_takes_the_latest_rate_on_or_before_the_providers() -> None:
    """A later rate does not count; without any the usage is held."""
    terms = birch(currency="GBP")
    rates = [
        FxRate("USD", "GBP", day("2026-04-28"), 1, Decimal("0.70"), "ECB"),
        FxRate("USD", "GBP", day("2026-04-28"), 2, Decimal("0.75"), "ECB"),
        FxRate("USD", "GBP", day("2026-05-02"), 1, Decimal("0.99"), "ECB"),
    ]
    sums = summed(grouped(april_lines()[4:5], contracts=[terms], rates=rates), APRIL, "f")
    charge = usage_charges(usage_terms(terms=terms, rates=rates), sums).charges[0]
    assert charge.usage is not None
    assert (charge.usage.fx_rate, charge.usage.fx_on) == (Decimal("0.75"), day("2026-04-28"))
    held = grouped(april_lines()[4:5], contracts=[terms], rates=rates[2:])
    assert outcomes(held) == {Outcome.NO_FX_RATE: 1}


def test_credits_rate_like_everything_else() -> None:
    """A negative line makes a negative line, rounded away from zero."""
    line = usage_line(
        "c", "2026-04-30", "AZ-1", "Storage", "m",
        quantity="1", price="-10.00", charge_type="customerCredit", rate="1",
    )  # fmt: skip
    sums = summed(grouped([line]), APRIL, "f")
    assert usage_charges(usage_terms(), sums).charges[0].amount == Decimal("-11.50")


def test_the_top_up_of_scenario_2() -> None:
    """L7: 25.00 minus the rounded lines of AZ-2, 4.50 and 3.11."""
    usage = usage_charges(usage_terms(), april())
    desired = minimum_charges(
        usage_terms(), usage, minimums=[MINIMUM], known_months=frozenset({APRIL})
    )
    assert [(Decimal("17.39"), "AZ-2", "AZ-2-MIN", day("2026-05-15"))] == [
        (c.amount, c.subscription_id, c.price.rule_id, c.bill_on) for c in desired.charges
    ]


def test_late_usage_shrinks_the_top_up() -> None:
    """Usage counts for the month in which it was used, also when it is billed later."""
    line = usage_line(
        "n", "2026-04-30", "AZ-2", "Storage", "blob-hot", quantity="100", price="0.10", rate="1"
    )
    sums = [*april(), *summed(grouped([line]), MAY, "may")]
    terms = usage_terms(through="2026-06-01")
    desired = minimum_charges(
        terms, usage_charges(terms, sums), minimums=[MINIMUM], known_months=frozenset({APRIL, MAY})
    )
    assert [Decimal("5.89")] == [charge.amount for charge in desired.charges]  # 17.39 − 11.50


def test_total_is_the_larger_of_minimum_and_usage() -> None:
    """No top-up where usage reaches the minimum; the full minimum where there was none."""
    low = replace(MINIMUM, price=Minimum(Decimal("7.61"), "EUR"))
    usage = usage_charges(usage_terms(), april())
    months = frozenset({APRIL})
    reached = minimum_charges(usage_terms(), usage, minimums=[low], known_months=months)
    idle = minimum_charges(usage_terms(), Desired(), minimums=[MINIMUM], known_months=months)
    assert reached.charges == ()
    assert [Decimal("25.00")] == [charge.amount for charge in idle.charges]


def test_a_minimum_out_of_bounds_is_held() -> None:
    """Sixteen digits stop the top-up, as they stop any other charge; one digit less is exact."""
    months = frozenset({APRIL})
    absurd = replace(MINIMUM, price=Minimum(Decimal(10) ** 15, "EUR"))
    figure = Decimal("999999999999999.990000000000000001")  # more digits than the default context
    exact = replace(MINIMUM, price=Minimum(figure, "EUR"))
    usage = usage_charges(usage_terms(), april())
    held = minimum_charges(usage_terms(), Desired(), minimums=[absurd], known_months=months)
    charged = minimum_charges(usage_terms(), usage, minimums=[exact], known_months=months)
    assert {"amount_out_of_bounds"} == {hold.reason for hold in held.holds}
    assert held.charges == ()
    assert len(held.held) == 1
    expected = (Decimal("999999999999992.38"), Decimal("999999999999992.380000000000000001"))
    assert [expected] == [(c.amount, c.amount_exact) for c in charged.charges]


def test_no_minimum_without_the_file_of_the_month() -> None:
    """A missing provider file holds the top-up instead of billing all of it."""
    desired = minimum_charges(
        usage_terms(), Desired(), minimums=[MINIMUM], known_months=frozenset()
    )
    assert ((), {"usage_file_missing"}) == (desired.charges, {h.reason for h in desired.holds})
    assert len(desired.held) == 1


def test_a_minimum_of_the_whole_contract() -> None:
    """Without an Azure subscription in its scope, all usage of the contract counts."""
    whole = rule("min", Minimum(Decimal("200.00"), "EUR"), RuleKind.MINIMUM, contract_id="BIR-AZ")
    usage = usage_charges(usage_terms(), april())
    desired = minimum_charges(
        usage_terms(), usage, minimums=[whole, MINIMUM], known_months=frozenset({APRIL})
    )
    expected = {None: Decimal("42.29"), "AZ-2": Decimal("17.39")}
    assert expected == {c.subscription_id: c.amount for c in desired.charges}


@given(
    cuts=st.lists(st.integers(0, 8), max_size=3),
    order=st.permutations(range(8)),
)
def test_cutting_and_shuffling_a_file_changes_no_charge(cuts: list[int], order: list[int]) -> None:
    """Rating does not depend on where batches are cut or on the order of lines."""
    lines = [april_lines()[i] for i in order]
    edges = [0, *sorted(cuts), 8]
    parts = [lines[a:b] for a, b in pairwise(edges)]
    merged: dict[object, UsageSum] = {}
    for usage in (u for part in parts for u in summed(grouped(part), APRIL, "april")):
        known = merged.get(usage.key, replace(usage, lines=0, quantity=Decimal(0)))
        merged[usage.key] = replace(
            usage, lines=known.lines + usage.lines, quantity=known.quantity + usage.quantity
        )
    desired = usage_charges(usage_terms(), merged.values())
    assert set(usage_charges(usage_terms(), april()).charges) == set(desired.charges)
