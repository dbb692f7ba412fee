"""What a person reads who wrote a story wrong: every mistake at once, at its place in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.story.reader import StoryError, StoryErrors, read_script, read_scripts

STORY = """\
story: small
starts: 2026-04-01
sellers:
  us: {name: Harbor Cloud Inc., country: US, tax: per_line, invoice_prefix: ACME-}
products:
  e3: {name: E3, sku: a:b, term: P1Y, plan: monthly, cost: 28.90 USD, list: 36.00 USD}
  help: {name: Help, kind: service}
customers:
  acme:
    name: Acme
    seller: us
    country: US
    jurisdiction: US-WA
    currency: USD
    subscriptions:
      main: {product: e3, seats: 10, term_starts: 2026-01-01}
contracts:
  ACME-1:
    customer: acme
    timing: advance
    starts: 2026-04-01
    prices:
      - {product: e3, fixed: 34.50}
    invoices: [2026-05-01]
events:
  - {id: more, at: 2026-04-16T10:00Z, subscription: acme/main, seats: 12}
expect:
  payments:
    - {contract: ACME-1, invoice: 2026-05-01, status: succeeded}
"""


def mistakes(folder: Path, *changes: tuple[str, str]) -> list[str]:
    """What is said about the story with these changes, without the path."""
    text = STORY
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "story.yaml"
    path.write_text(text)
    try:
        read_script(path)
    except StoryError as error:
        return [line.removeprefix(f"{path}:") for line in str(error).splitlines()]
    return []


def test_the_story_itself_is_right(tmp_path: Path) -> None:
    """So that each mistake below is the only one."""
    assert mistakes(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seller: us", "seller: uk", "11:5: customers.acme.seller: there is no seller uk"),
        ("main: {product: e3", "main: {product: e5", "16:14: customers.acme.subscriptions.main."),
        ("main: {product: e3", "main: {product: help", "help is a service; only licences have"),
        ("    customer: acme", "    customer: acm", "19:5: contracts.ACME-1.customer: there is no"),
        ("    customer: acme", "    customer: acm", "did you mean acme?"),
        ("- {product: e3", "- {product: e9", "23:10: contracts.ACME-1.prices.0.product: there is"),
        ("acme/main", "acme/mein", "26:39: events.0.subscription: there is no subscription"),
        ("contract: ACME-1", "contract: ACME-2", "29:8: expect.payments.0.contract: there is no"),
        ("2026-04-16T", "2026-03-16T", "26:16: events.0.at: this is before the story starts"),
        ("[2026-05-01]", "[2026-05-02]", "24:16: contracts.ACME-1.invoices.0: ACME-1 has no"),
        ("[2026-05-01]", "[2026-05-02]", "near it: 2026-04-01, 2026-05-01, 2026-06-01"),
        ("ACME-}", "ACME1}", "4:61: sellers.us.invoice_prefix: a prefix has up to"),
        ("currency: USD", "currency: usd", "14:5: customers.acme.currency: usd is no currency"),
        ("timing: advance", "timing: late", "20:5: contracts.ACME-1.timing: write 'advance'"),
        ("    seller: us\n", "", "9:3: customers.acme.seller: this is missing"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_where_it_stands(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Line, column, what it is about, and what would be right."""
    [told] = mistakes(tmp_path, (old, new))

    assert said in told


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        ("seats: 12", "seat: 12", "did you mean seats? Allowed: id, at, subscription, seats,"),
        ("status: succ", "state: succ", "Allowed: contract, invoice, status, amount"),
        ("fixed: 34.50", "fixed: 1, per: 2", "Allowed: product, usage, azure, purchase, fixed,"),
    ],
)
def test_an_unknown_field_is_answered_with_the_fields_there_are(
    tmp_path: Path, old: str, new: str, fields: str
) -> None:
    """Nobody has to guess; the names are those a person writes (`as`, `from`)."""
    assert any(fields in told for told in mistakes(tmp_path, (old, new)))


def test_a_price_event_is_checked_as_a_rule_and_once(tmp_path: Path) -> None:
    """A price is an amount or a rule; a mistake in a rule is not also a bad amount."""
    event = "contract: ACME-1, price: {product: e3, fixd: 3}"

    [told] = mistakes(tmp_path, ("subscription: acme/main, seats: 12", event))

    assert told.startswith(
        "26:78: there is no field fixd here; did you mean fixed? Allowed: product,"
    )


def test_all_mistakes_are_told_at_once_and_in_order(tmp_path: Path) -> None:
    """Wrong fields do not hide names that lead nowhere."""
    told = mistakes(
        tmp_path, ("seller: us", "seller: uk"), ("timing: advance", "timing: late"),
        ("acme/main", "acme/mein"), ("US, tax", "USA, tax"),
    )  # fmt: skip

    assert [one.split(":")[0] for one in told] == ["4", "11", "20", "26"]


def test_two_sellers_of_one_prefix_and_two_events_of_one_name(tmp_path: Path) -> None:
    """Both would be found out in the middle of a play, if at all."""
    other = "  uk: {name: Harbor, country: GB, tax: per_line, invoice_prefix: ACME-}\nproducts:"
    twice = "seats: 12}\n  - {id: more, at: 2026-04-17T10:00Z, subscription: acme/main, seats: 13}"

    told = mistakes(tmp_path, ("products:", other), ("seats: 12}", twice))

    assert told[0] == "5:50: sellers.uk.invoice_prefix: ACME- is the prefix of us already"
    assert [one.endswith("2 events are called more") for one in told[1:]] == [True, True]


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    """Without a line and a column, which they do not have."""
    with pytest.raises(StoryErrors) as caught:
        read_scripts([tmp_path / "none.yaml", tmp_path])

    assert str(caught.value).splitlines() == [
        f"no such file: {tmp_path / 'none.yaml'}",
        f"{tmp_path} is a folder; name the story file in it",
    ]


def test_a_cost_file_that_is_not_there_is_found_before_the_play(tmp_path: Path) -> None:
    """At the line that names it."""
    usage = (
        "usage:\n  - invoice: G1\n    month: 2026-04\n    published: 2026-05-08T06:00Z\n"
        "    currency: USD\n    focus: {file: cost.csv, customer: acme}\nevents:"
    )

    [told] = mistakes(tmp_path, ("events:", usage))

    assert told == f"30:13: usage.0.focus.file: no such file: {tmp_path / 'cost.csv'}"
