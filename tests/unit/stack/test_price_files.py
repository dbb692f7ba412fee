"""Price files: the documented example, the round trip of an export, and every mistake at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stack.prices import showing
from stack.prices.reader import PriceFileError, parse
from stack.prices.writing import price_file

PATH = Path("prices.yaml")
DOCUMENT = Path(__file__).parents[3] / "docs" / "prices.md"


def example() -> str:
    found = re.search(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_the_documentation_can_be_copied() -> None:
    """It is a price file as it stands."""
    body = parse(example(), PATH).body()
    assert {"rules", "promotions", "fx_rates"} == set(body)
    assert all(body.values())


def as_kept(body: dict[str, Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """What rating answers once the body is in its books."""
    return tuple([{**row, "version": 1} for row in rows] for rows in body.values())  # type: ignore[return-value]  # three lists


def test_an_export_applied_again_says_the_same() -> None:
    """Books → file → books, for every kind of price, promotion and rate."""
    body = parse(example(), PATH).body()
    text = price_file(*as_kept(body))
    assert body == parse(text, PATH).body()
    assert text == price_file(*as_kept(parse(text, PATH).body()))


def test_empty_books_are_a_file_too() -> None:
    """With a word of explanation."""
    assert parse(price_file([], [], []), PATH).body() == {
        "rules": [],
        "promotions": [],
        "fx_rates": [],
    }


MISTAKES = """\
reason: many mistakes
rules:
  A:
    price: {fixed: 22.55}
    from: 2026-04-01
  B:
    price: {cost_plus: 18}
    from: someday
  C:
    kind: minimum
    price: list
    from: 2026-04-01
  D:
    price: {margin: 100 %}
    until: 2026-04-01
    surprise: 1
promotions:
  P:
    percent_off: 10 %
    from: 2026-04-01
    until: 2026-03-01
    first_seats: none
fx_rates:
  - {from: USD, to: euro, on: 2026-04-30, rate: 0, source: ECB}
"""


def test_every_mistake_is_told_at_once_with_its_place() -> None:
    """Line and column of what is wrong, in words for somebody who does not know the parser."""
    with pytest.raises(PriceFileError) as caught:
        parse(MISTAKES, PATH)
    text = str(caught.value)
    for expected in (
        "prices.yaml:4:13: rules.A.price.fixed: write an amount with its currency such as 18.04",
        "prices.yaml:7:13: rules.B.price.cost_plus: write a percentage such as 8.875 %",
        "prices.yaml:8:5: rules.B.from: write a day of the calendar such as 2026-04-30",
        "prices.yaml:9:3: rules.C: a minimum rule has one of minimum",
        "prices.yaml:13:3: rules.D.from: this is missing",
        "a margin is less than 100 % of the price; for more, write cost_plus",
        "rules.D.surprise: there is no such field; see docs/prices.md",
        "euro is no currency",
        "fx_rates.0.rate: Input should be greater than 0",
    ):
        assert expected in text
    assert text.splitlines() == [line for line in text.splitlines() if line.startswith("prices.")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a list", "prices.yaml:1:1: a price file is a mapping"),
        ("rules: {a: [", "prices.yaml:1:13"),
        ("rules:\n  A: {price: list, from: 2026-01-01}\n  A: {price: list, from: 2026-01-01}\n",
         "prices.yaml:3:3: A is written twice"),
        ("rules: {A: {price: {}, from: 2026-01-01}}", "write list, or one of fixed, cost_plus"),
        ("rules: {A: {price: {fixed: 1 USD, pec_share: 1/3}, from: 2026-01-01}}",
         "pec_share and base belong to usage_markup"),
    ],
)  # fmt: skip
def test_what_is_no_price_file_says_so(text: str, expected: str) -> None:
    """Where it stands and what is expected there."""
    with pytest.raises(PriceFileError, match=re.escape(expected)):
        parse(text, PATH)


@pytest.mark.parametrize(
    ("before", "change", "what"),
    [
        (None, {}, "added"),
        ({"valid_until": None}, {"priority": 1}, "changed"),
        ({"valid_until": None}, {"valid_until": "2026-07-01"}, "ended"),
        ({"valid_until": "2026-08-01"}, {"valid_until": "2026-07-01"}, "ended"),
        ({"valid_until": "2026-06-01"}, {"valid_until": "2026-07-01"}, "changed"),
    ],
)
def test_a_change_is_named_for_what_it_does(
    before: dict[str, Any] | None, change: dict[str, Any], what: str
) -> None:
    """An end that comes sooner than before ends a rule; everything else changes it."""
    item = {"object": "price-rule/A", "valid_until": None, "priority": 0} | change
    known = {"priority": 0, **before} if before is not None else None
    assert what == showing.what_happens(item, known)
    console = Console(record=True, width=200)
    showing.show_items(console, [item | {"text": "list price"}], {"price-rule/A": known or {}})
    assert "price-rule/A  list price" in console.export_text()


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("term: 1Y", "is no term"),
        ("plan: montly", "is no billing plan"),
        ('product: "CFQ7TTC0LFLX:0001:P1Y:montly"', "is no billing plan"),
        ('product: "CFQ7TTC0LFLX:0001:1Y:monthly"', "is no term"),
    ],
)
def test_a_slip_in_a_term_or_plan_is_refused(scope: str, words: str) -> None:
    """A rule that can never fit is no rule."""
    text = f"rules: {{A: {{for: {{{scope}}}, price: list, from: 2026-01-01}}}}"
    with pytest.raises(PriceFileError, match=words):
        parse(text, PATH)


def test_a_contract_that_nobody_has_yet_is_a_warning() -> None:
    """It may come; the file names those it is for."""
    text = "rules: {A: {for: {contract: NOPE}, price: list, from: 2026-01-01}}"
    assert parse(text, PATH).contracts() == {"NOPE"}

    console = Console(width=200)
    with console.capture() as captured:
        showing.show_unknown(console, ["NOPE"])
    assert "warning: there is no contract NOPE" in captured.get()
