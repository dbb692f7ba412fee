"""Any figure can be followed back to what the provider told us."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from e2e.theatre import Theatre
from stack.explaining import explanation

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]


async def test_a_licence_line_is_explained_down_to_the_webhook(stage: Theatre) -> None:
    """Line 3 of Alder's invoice: five seats for 17 of 30 days, because of event e1."""
    tree = await explained(stage, "alder-dental", invoice=0, line=3)

    assert "63.89 USD" in tree
    assert "17 of 30 days" in tree
    assert "63.891666" in tree
    assert "40 → 45" in tree
    assert "Partner Center audit record" in tree
    assert "webhook subscription-updated, received 2026-04-14T09:12:00" in tree


async def test_a_usage_line_is_explained_down_to_its_rows(stage: Theatre) -> None:
    """Line 1 of Birch's invoice: two rows, a third of the partner credit, the provider's rate."""
    tree = await explained(stage, "birch-logistics", invoice=0, line=1)

    assert "53.18 EUR" in tree
    assert "exchange rate 0.9184 of 2026-04-30" in tree
    assert "provider invoice G000426001" in tree
    assert "u1: 2026-04-03" in tree
    assert "u2: 2026-04-12" in tree


async def test_a_late_line_names_the_line_it_supplements(stage: Theatre) -> None:
    """The correction of April on the June invoice points at April's line."""
    played = await stage.played("birch-logistics")
    first = played.findings.invoices[0]["number"]

    tree = await explained(stage, "birch-logistics", invoice=1, line=1)

    assert f"supplements line {first}/1 of a closed invoice" in tree
    assert "u10: 2026-04-12" in tree


async def explained(stage: Theatre, story: str, *, invoice: int, line: int) -> str:
    """The tree as a person reads it."""
    played = await stage.played(story)
    number = played.findings.invoices[invoice]["number"]
    shown = io.StringIO()
    told = await explanation(stage.services, number, line)
    assert told.problems == []
    Console(file=shown, width=300).print(told.tree)
    return shown.getvalue()
