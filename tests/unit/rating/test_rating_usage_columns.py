"""The columnar path is the plain reference: same groups, same order, same digits."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rating.domain import frames
from rating.domain.usage import Decider, UsageBook, group_lines
from rating.domain.usage_columns import group_table
from shared.contracts.usage_frame import UsageLine, lines_of, open_frame
from shared.kernel.fx import FxRate
from support.rating_facts import april_lines, birch, birch_rules, day, markup, usage_file

RULES = [
    *birch_rules()[:2],
    markup("Bandwidth", "8", valid_from=day("2026-04-10"), valid_until=day("2026-04-20")),
    markup(None, "3", rule_id="one", customer_id="other", valid_from=day("2026-04-15")),
]
BOOK = UsageBook(
    {
        "birch-tenant": [birch()],
        "other": [
            birch(starts_on=day("2026-04-05"), ends_on=day("2026-04-25"), currency="GBP"),
            birch(starts_on=day("2026-04-12"), subscription_ids=("AZ-2",), currency="USD"),
        ],
    },
    RULES,
    [FxRate("USD", "GBP", day("2026-04-30"), 1, Decimal("0.75"), "ECB")],
)
DECIMALS = st.decimals(Decimal(-(10**19)), Decimal(10**19), places=18, allow_nan=False)
SMALL = st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("-2.5"), Decimal(1)])


@st.composite
def lines(draw: st.DrawFn) -> UsageLine:
    """Few distinct values, so that combinations repeat, and quantities of any size and sign."""
    return replace(
        draw(st.sampled_from(april_lines())),
        customer_id=draw(st.sampled_from(["birch-tenant", "other", "stranger", ""])),
        azure_subscription_id=draw(st.sampled_from(["AZ-1", "AZ-2"])),
        usage_date=draw(st.dates(date(2026, 3, 28), date(2026, 5, 3))),
        meter_category=draw(st.sampled_from(["Virtual Machines", "Bandwidth", "Other"])),
        charge_type=draw(st.sampled_from(["new", "Tax", "customerCredit"])),
        quantity=draw(st.one_of(SMALL, DECIMALS)),
        unit_price=draw(SMALL),
        effective_unit_price=draw(SMALL),
        billing_pretax=draw(st.one_of(SMALL, DECIMALS)),
        provider_rate_on=draw(st.sampled_from([None, day("2026-04-30"), day("2026-04-01")])),
    )


@given(found=st.lists(lines(), max_size=30))
def test_columns_equal_the_reference(found: list[UsageLine]) -> None:
    """Group by group and line by line, without losing a digit of the largest sums."""
    month_end = date(2026, 4, 30)
    expected = group_lines(found, Decider(BOOK, month_end))
    batches, _ = usage_file(found)
    if not batches:
        assert expected.groups == ()
        return
    _, table = open_frame(batches[0].frame)
    assert group_table(table, Decider(BOOK, month_end)) == expected


@given(found=st.lists(lines(), min_size=1, max_size=20))
def test_one_customers_lines_keep_their_rows(found: list[UsageLine]) -> None:
    """Re-rating a customer touches its lines only, at the addresses they have."""
    batches, _ = usage_file(found)
    _, table = open_frame(batches[0].frame)
    whole = lines_of(table)
    assert frames.customers(table) == sorted({line.customer_id for line in found})
    for customer_id in frames.customers(table):
        theirs = frames.of_customer(frames.numbered(table), customer_id)
        rows = [row for row, line in enumerate(whole) if line.customer_id == customer_id]
        assert list(theirs.rows) == rows
        assert lines_of(theirs.table) == [whole[row] for row in rows]


def test_an_empty_table_has_no_groups() -> None:
    """A customer whose lines are all gone is no special case."""
    batches, _ = usage_file(april_lines())
    _, table = open_frame(batches[0].frame)
    nobody = frames.of_customer(frames.numbered(table), "nobody")
    assert group_table(nobody.table, Decider(BOOK, date(2026, 4, 30))).groups == ()
