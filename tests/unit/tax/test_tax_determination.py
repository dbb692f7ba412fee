"""How much tax a document carries: the two modes, currencies, credits, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.invoicing import TaxMode
from shared.kernel.errors import Held
from shared.kernel.money import Money, exponent
from tax.domain.determination import Document, Line, determine
from tax.domain.rates import Rate, RateTable

MAY = date(2026, 5, 1)


def rate(category: str, fraction: str, *, place: str = "US-NY", name: str = "Sales tax") -> Rate:
    return Rate(
        f"{place}-{category}".lower(), place, category, name, Decimal(fraction), date(2026, 1, 1)
    )


def table(*rows: Rate) -> RateTable:
    return RateTable("test", rows, frozenset(row.category for row in rows))


NEW_YORK = table(rate("licence", "0.08875"), rate("service", "0"))
NETHERLANDS = table(
    *(rate(c, "0.21", place="NL", name="VAT") for c in ("licence", "usage", "reservation"))
)


def document(
    lines: Sequence[tuple[str, str]],
    *,
    mode: TaxMode = TaxMode.PER_LINE,
    jurisdiction: str = "US-NY",
    currency: str = "USD",
    net: str | None = None,
) -> Document:
    nets = [Decimal(amount) for _, amount in lines]
    return Document(
        invoice_id="inv-1",
        revision=1,
        account_id="acc-1",
        jurisdiction=jurisdiction,
        mode=mode,
        currency=currency,
        tax_date=MAY,
        lines=tuple(Line(n, c, Decimal(a)) for n, (c, a) in enumerate(lines, start=1)),
        net=sum(nets, Decimal(0)) if net is None else Decimal(net),
    )


def test_per_line_tax_is_rounded_on_each_line_and_then_summed() -> None:
    """Scenario 1: New York, 8.875 % on licences, services not taxable."""
    draft = document(
        [
            ("licence", "969.65"),
            ("licence", "162.36"),
            ("licence", "63.89"),
            ("licence", "-19.54"),
            ("service", "150.00"),
        ]
    )

    result = determine(draft, NEW_YORK, engine="embedded")

    expected = [Decimal(t) for t in ("86.06", "14.41", "5.67", "-1.73", "0.00")]
    assert expected == [line.tax for line in result.lines]
    assert Decimal("104.41") == result.tax
    assert [(Decimal("0.08875"), Decimal("1176.36"), Decimal("104.41")), (0, 150, 0)] == [
        (t.rate, t.taxable, t.tax) for t in result.totals
    ]


def test_per_group_tax_is_one_amount_on_the_sum_of_the_rate() -> None:
    """Scenario 2: Dutch VAT on 242.14; the top-up to the minimum is taxed as usage."""
    nets = ("53.18", "30.38", "7.60", "58.94", "4.50", "3.11")
    lines = [("usage", net) for net in nets]
    draft = document(
        [*lines, ("minimum", "17.39"), ("reservation", "67.04")],
        mode=TaxMode.PER_GROUP,
        jurisdiction="NL",
        currency="EUR",
        net="242.14",
    )

    result = determine(draft, NETHERLANDS, engine="embedded")

    assert Decimal("50.85") == result.tax
    assert [("VAT", Decimal("0.21"), Decimal("242.14"), Decimal("50.85"))] == [
        (t.name, t.rate, t.taxable, t.tax) for t in result.totals
    ]
    assert {None} == {line.tax for line in result.lines}


@pytest.mark.parametrize(
    ("currency", "net", "tax"),
    [
        ("JPY", "113263", "11326"),  # scenario 4: 11326.3, in whole yen
        ("JPY", "5", "1"),  # 0.5 is a tie and rounds away from zero
        ("KWD", "1.005", "0.101"),  # 0.1005, three digits
        ("KWD", "-1.005", "-0.101"),
        ("EUR", "0.05", "0.01"),  # 0.005
        ("EUR", "-0.05", "-0.01"),
        ("EUR", "0.04", "0.00"),
    ],
)
def test_tax_is_rounded_half_away_to_the_currency(currency: str, net: str, tax: str) -> None:
    """The exponent is the currency's own, and a tie moves away from zero in both directions."""
    tenth = table(rate("licence", "0.10", place="XX"))
    for mode in TaxMode:
        draft = document([("licence", net)], mode=mode, jurisdiction="XX", currency=currency)

        result = determine(draft, tenth, engine="embedded")

        assert Decimal(tax) == result.tax


def test_lines_of_one_rate_and_two_names_make_one_group() -> None:
    """The group is the rate; both names are printed."""
    rows = table(
        rate("licence", "0.10", name="GST"), rate("usage", "0.100", name="Goods and services tax")
    )
    draft = document([("licence", "0.04"), ("usage", "0.04")], mode=TaxMode.PER_GROUP)

    result = determine(draft, rows, engine="embedded")

    assert [("GST / Goods and services tax", Decimal("0.01"))] == [
        (t.name, t.tax) for t in result.totals
    ]


def test_every_line_without_a_rate_is_named() -> None:
    """A hold says everything that is missing, so that one person can supply it at once."""
    draft = document([("licence", "1.00"), ("usage", "1.00"), ("", "1.00")])
    known = RateTable("test", NEW_YORK.rows, frozenset({"licence", "service", "usage"}))

    with pytest.raises(Held) as held:
        determine(draft, known, engine="embedded")

    assert held.value.code == "no_rate_for_jurisdiction"
    assert "line 2" in held.value.detail
    assert "line 3" in held.value.detail


@pytest.mark.parametrize(
    ("category", "jurisdiction", "code"),
    [
        ("", "US-NY", "tax_code_missing"),
        ("crystal-balls", "US-NY", "tax_code_missing"),
        ("licence", "US-NJ", "no_rate_for_jurisdiction"),
        ("licence", "", "no_rate_for_jurisdiction"),
    ],
)
def test_a_missing_rate_holds_even_a_line_of_zero(
    category: str, jurisdiction: str, code: str
) -> None:
    """There is no path from a missing rate to a tax of zero."""
    draft = document([(category, "0.00")], jurisdiction=jurisdiction)

    with pytest.raises(Held) as held:
        determine(draft, NEW_YORK, engine="embedded")

    assert code == held.value.code


@pytest.mark.parametrize(
    "draft",
    [
        document([("licence", "1.00"), ("licence", "2.00")], net="3.01"),
        document([("licence", "1.005")]),
    ],
    ids=["sum", "fractions"],
)
def test_a_draft_that_contradicts_itself_is_held(draft: Document) -> None:
    """Tax is not computed on figures that cannot be right."""
    with pytest.raises(Held) as held:
        determine(draft, NEW_YORK, engine="embedded")

    assert held.value.code == "amount_mismatch"


def test_a_draft_without_lines_owes_nothing() -> None:
    """An empty document is complete: nothing was left untaxed."""
    result = determine(document([]), NEW_YORK, engine="embedded")

    assert Decimal(0) == result.tax
    assert result.totals == ()


CATEGORIES = ("licence", "usage", "service")
amounts = st.integers(min_value=-10_000_000, max_value=10_000_000)
fractions = st.integers(min_value=0, max_value=100_000).map(lambda n: Decimal(n).scaleb(-5))
lines_of_cents = st.lists(st.tuples(st.sampled_from(CATEGORIES), amounts), max_size=12)


def _case(
    lines: list[tuple[str, int]], rates: list[Decimal], currency: str
) -> tuple[list[tuple[str, str]], RateTable]:
    scale = -exponent(currency)
    rows = table(*(rate(c, f"{r:f}") for c, r in zip(CATEGORIES, rates, strict=True)))
    return [(c, f"{Decimal(units).scaleb(scale):f}") for c, units in lines], rows


cases = st.builds(
    _case,
    lines_of_cents,
    st.lists(fractions, min_size=3, max_size=3),
    st.just("EUR"),
)


@given(cases, st.sampled_from(TaxMode))
def test_totals_add_up(case: tuple[list[tuple[str, str]], RateTable], mode: TaxMode) -> None:
    """Bases sum to the net, amounts to the tax, and every amount is whole in its currency."""
    lines, rows = case

    result = determine(document(lines, mode=mode, currency="EUR"), rows, engine="embedded")

    assert sum((Decimal(a) for _, a in lines), Decimal(0)) == sum(t.taxable for t in result.totals)
    assert result.tax == sum(t.tax for t in result.totals)
    assert isinstance(Money(result.tax, "EUR").minor, int)
    if mode is TaxMode.PER_LINE:
        assert result.tax == sum(line.tax for line in result.lines if line.tax is not None)


@given(cases)
def test_modes_differ_by_at_most_half_a_unit_a_line_and_a_group(
    case: tuple[list[tuple[str, str]], RateTable],
) -> None:
    """Rounding is the only difference between the modes."""
    lines, rows = case

    by_line = determine(document(lines, currency="EUR"), rows, engine="embedded")
    by_group = determine(
        document(lines, mode=TaxMode.PER_GROUP, currency="EUR"), rows, engine="embedded"
    )

    roundings = len(by_line.lines) + len(by_group.totals)
    assert abs(by_line.tax - by_group.tax) <= Decimal("0.005") * roundings


@given(cases, st.sampled_from(TaxMode))
def test_a_credit_mirrors_its_charge(
    case: tuple[list[tuple[str, str]], RateTable], mode: TaxMode
) -> None:
    """The same document with the signs turned carries the same tax with the sign turned."""
    lines, rows = case
    turned = [(c, f"{-Decimal(a):f}") for c, a in lines]

    charge = determine(document(lines, mode=mode, currency="EUR"), rows, engine="embedded")
    credit = determine(document(turned, mode=mode, currency="EUR"), rows, engine="embedded")

    assert -charge.tax == credit.tax


@given(cases, st.sampled_from(TaxMode), st.randoms(use_true_random=False))
def test_the_order_of_lines_is_irrelevant(
    case: tuple[list[tuple[str, str]], RateTable], mode: TaxMode, random: object
) -> None:
    """Totals and tax do not depend on how a document happens to be sorted."""
    lines, rows = case
    shuffled = list(lines)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis hands out a Random

    one = determine(document(lines, mode=mode, currency="EUR"), rows, engine="embedded")
    other = determine(document(shuffled, mode=mode, currency="EUR"), rows, engine="embedded")

    assert one.tax == other.tax
    assert {(t.rate, t.taxable, t.tax) for t in one.totals} == {
        (t.rate, t.taxable, t.tax) for t in other.totals
    }
