"""Billing stories tie out to the cent: those that ship with Tieout, and further ones beside this.

Every invoice line, PSA record, payment and hold is compared with figures computed by hand.
"""

from __future__ import annotations

import pytest

from e2e.theatre import OWN, Theatre, of_no_story, of_story
from stack.play import Played

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("stack"), pytest.mark.timeout(600)]


SHIPPED = (
    "alder-dental",
    "birch-logistics",
    "delta-hotels",
    "elm-legal",
    "elm-upgrade",
    "multi-cloud",
)


@pytest.mark.parametrize("name", SHIPPED)
async def test_a_shipped_story_ties_out(stage: Theatre, name: str) -> None:
    """What the demo shows is what comes out."""
    played = await stage.played(name)

    assert played.differences == []
    assert played.checked > 0


@pytest.mark.slow
async def test_a_month_of_azure_with_3000_rows_ties_out(stage: Theatre) -> None:
    """The same at the size of a small partner's month."""
    played = await stage.played("azure-month")

    assert played.differences == []


@pytest.mark.parametrize("name", sorted(path.stem for path in OWN.glob("*.yaml")))
async def test_a_further_story_ties_out(further: Played, name: str) -> None:
    """Rounding, calendars, holds and refusals, each by the arithmetic in its comments."""
    assert of_story(further, name) == []


async def test_nothing_else_is_held_and_every_audit_trail_is_intact(further: Played) -> None:
    """What is held is what the stories say, no message is dead, no chain is broken."""
    assert of_no_story(further) == []


async def test_no_vendor_saw_a_request_it_does_not_document(
    stage: Theatre, further: Played
) -> None:
    """The simulators check both sides against the vendors' contracts."""
    assert further.checked > 0
    assert await stage.violations() == []
