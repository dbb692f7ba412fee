"""README and docs/stories.md say what is: their examples are read, their counts are counted."""

from __future__ import annotations

import re
from pathlib import Path

from stack.demo import SHOWN, STORIES
from stack.story.expectations import Expect
from stack.story.fields import fields_at
from stack.story.reader import read_script, read_story

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
STORIES_PAGE = (ROOT / "docs" / "stories.md").read_text()
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def test_the_readme_counts_the_customers_and_invoices_of_the_demo() -> None:
    """One of the invoices is shown, the rest is counted."""
    stories = [read_story(STORIES / f"{name}.yaml") for name in SHOWN]
    customers = sum(len(story.customers) for story in stories)
    invoices = sum(len(c.invoices) for story in stories for c in story.contracts.values())

    assert f"plays {WORDS[customers]} customers' stories" in README
    assert f"… {WORDS[invoices - 1]} more invoices …" in README


def test_the_recipe_for_a_token_follows_the_ports() -> None:
    """A reader whose ports are taken shifts all of them."""
    recipe = README[README.index("The APIs want a token") :].split("\n\n")[1]

    assert "${TIEOUT_PORT_BASE:-27000}" in recipe
    assert re.findall(r"127\.0\.0\.1:(\S+?)/", recipe) == ["$((BASE+3))", "$((BASE+12))"]


def test_the_example_of_every_expectation_is_one(tmp_path: Path) -> None:
    """Played or not, each line is accepted by the format, and each section has one."""
    first, expect = re.findall(r"```yaml\n(.*?)```", STORIES_PAGE, re.DOTALL)
    usage = (
        "\nusage:\n  - {invoice: G1, month: 2026-04, published: 2026-05-08T06:00Z, currency: USD}\n"
    )
    path = tmp_path / "documented.yaml"
    path.write_text(first[: first.index("expect:")] + expect + usage)

    found = read_script(path).story.expect

    assert found is not None
    assert [name for name in Expect.model_fields if not getattr(found, name)] == []


def test_every_field_of_the_format_is_on_the_page() -> None:
    """What a person may write can be looked up."""
    places = [
        ["sellers", "x"], ["tax_rates", 0], ["products", "x"], ["customers", "x"],
        ["customers", "x", "subscriptions", "x"], ["contracts", "x"], ["usage", 0],
        ["usage", 0, "lines", 0], ["usage", 0, "purchases", 0], ["events", 0], ["expect"],
        ["contracts", "x", "prices", 0], ["expect", "invoices", 0, "lines", 0],
        ["expect", "additions", 0, "lines", 0], ["expect", "charges", 0, "lines", 0],
        ["expect", "payments", 0], ["expect", "seats", 0], ["expect", "holds", 0],
    ]  # fmt: skip

    missing = {
        f"{'.'.join(map(str, place))}.{name}"
        for place in places
        for name in fields_at(place)
        if not re.search(rf"(?<![\w]){name}(?![\w])", STORIES_PAGE)
    }

    assert missing == set()


def test_a_folder_for_ones_own_stories_is_ignored_by_git() -> None:
    """Nobody commits the contracts of real customers by accident."""
    assert "my-stories/" in (ROOT / ".gitignore").read_text().splitlines()
    assert "my-stories" in STORIES_PAGE
