"""The figures written into the Azure stories are those of the CSV files, computed independently."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

import stack
from golden.focus_expectations import azure_month, billed_month, billed_total
from stack.story.format import Story
from stack.story.reader import read_story

STORIES = Path(stack.__file__).parent / "stories"
AZURE = STORIES / "data/azure_2026_05.focus-1.2.csv"
REAL = STORIES / "data/anonymised_2024_09.focus-1.0.csv"


def expected(story: Story, contract: str) -> tuple[int | None, Decimal]:
    assert story.expect is not None
    assert story.expect.invoices is not None
    invoice = next(i for i in story.expect.invoices if i.contract == contract)
    return invoice.line_count, invoice.net


@pytest.mark.parametrize(
    ("contract", "customer", "usage", "purchase"),
    [
        ("CED-AZ", "cedar", Fraction(110, 100), Fraction(1)),
        ("DOG-AZ", "dogwood", Fraction(108, 100), Fraction(105, 100)),
    ],
)
def test_the_azure_month_expects_what_the_file_gives(
    contract: str, customer: str, usage: Fraction, purchase: Fraction
) -> None:
    """Usage marked up on contracted prices, commitments as purchases."""
    story = read_story(STORIES / "azure-month.yaml")
    focus = story.usage[0].focus
    assert focus is not None
    accounts = {account for account, name in focus.customers.items() if name == customer}

    assert expected(story, contract) == azure_month(AZURE, accounts, usage, purchase)


def test_the_real_rows_expect_what_the_file_gives() -> None:
    """Real rows are marked up on billed cost: their unit prices are rounded at the origin."""
    story = read_story(STORIES / "multi-cloud.yaml")

    assert expected(story, "SUN-AZ") == billed_month(REAL, Fraction(110, 100))


@pytest.mark.parametrize(
    ("path", "billed"), [(AZURE, "120748.624052851232"), (REAL, "5.49511988561")]
)
def test_the_files_are_the_published_ones(path: Path, billed: str) -> None:
    """Their totals, to the last digit."""
    assert Decimal(billed) == billed_total(path)
