"""Promotions and margins of a story: read as written, and refused where they name nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from stack.story.reader import StoryError, read_script

STORY = """\
story: promoted
starts: 2026-04-01
sellers:
  uk: {name: Harbor Cloud Ltd, country: GB, tax: per_group, invoice_prefix: HUK-}
products:
  e3: {name: E3, sku: a:b, term: P1Y, plan: monthly, cost: 28.90 GBP, list: 38.00 GBP}
customers:
  cedar:
    name: Cedar Foods
    seller: uk
    country: GB
    jurisdiction: GB
    currency: GBP
    subscriptions:
      main: {product: e3, seats: 18, term_starts: 2026-03-01}
contracts:
  CED-1:
    customer: cedar
    timing: advance
    starts: 2026-04-01
    prices:
      - {product: e3, margin: 20 %}
    promotions:
      - {product: PRODUCT, percent_off: 10 %, first_seats: 20, keeps: cycle, from: 2026-04-01}
    invoices: [2026-05-01]
"""


def written(tmp_path: Path, product: str) -> Path:
    path = tmp_path / "promoted.yaml"
    path.write_text(STORY.replace("PRODUCT", product))
    return path


def test_a_story_has_promotions_and_margins(tmp_path: Path) -> None:
    """A share of the price, a cap, and how long it is kept."""
    contract = read_script(written(tmp_path, "e3")).story.contracts["CED-1"]
    (promotion,) = contract.promotions
    assert (Decimal("0.1"), 20, "cycle", None) == (
        promotion.percent_off, promotion.first_seats, promotion.keeps, promotion.until,
    )  # fmt: skip
    assert Decimal("0.2") == contract.prices[0].margin


def test_a_promotion_for_nothing_known_is_a_mistake(tmp_path: Path) -> None:
    """With its place in the file."""
    with pytest.raises(StoryError, match=r"promoted.yaml:24:"):
        read_script(written(tmp_path, "e4"))
