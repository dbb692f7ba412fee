"""Every program of the stack is killed while stories play; the figures are those of a calm day.

SIGKILL takes a service, the database or the broker while the work of a step is under way; the step
goes on when it is back. Nothing may be lost, and nothing may happen twice.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from e2e.theatre import Theatre, shipped
from shared.contracts.topics import SERVICES
from stack.play import Played
from stack.player.timeline import EventStep, Step, SyncStep

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.xdist_group("stack"),
    pytest.mark.timeout(600),
]

LATEST_S = 0.4  # by then most of a step's work is done, so kills fall before, into and after it


@dataclass
class Killer:
    """Kills one program after each step that makes work, at a moment drawn from a seed."""

    stage: Theatre
    victim: str
    moments: random.Random
    kills: list[float] = field(default_factory=list)

    async def __call__(self, step: Step) -> None:
        if isinstance(step, SyncStep) or (isinstance(step, EventStep) and step.event.refused):
            return
        moment = self.moments.uniform(0, LATEST_S)
        await asyncio.sleep(moment)
        await self.stage.stack.kill(self.victim)
        await self.stage.stack.restart(self.victim)
        self.kills.append(moment)


@pytest.mark.parametrize("victim", [*SERVICES, "postgres", "kafka"])
async def test_stories_tie_out_while_a_program_is_killed_again_and_again(
    stage: Theatre, victim: str
) -> None:
    """Alder and Birch, to the cent, and every record outside exactly once."""
    killer = Killer(stage, victim, random.Random(victim))

    played = await stage.play(shipped("alder-dental", "birch-logistics"), between_steps=killer)

    assert len(killer.kills) == 9
    assert played.differences == []
    assert orphans(played) == []
    invoices = {invoice["invoice_id"] for invoice in played.findings.invoices}
    assert await charged_at_stripe(stage, invoices) == sorted(invoices)
    assert await stage.violations() == []


def orphans(played: Played) -> list[object]:
    """Records in a PSA that belong to no invoice line: traces of a request sent twice."""
    return [
        record
        for place in played.findings.psa
        for record in (*place.get("additions", ()), *place.get("charges", ()))
        if record["invoice"] is None
    ]


async def charged_at_stripe(stage: Theatre, invoices: set[str]) -> list[str]:
    """The invoice behind every payment that Stripe took for these, repeats included."""
    state = await stage.services.simulator("GET", "/stripe/_control/state")
    paid = [intent for intent in state["payment_intents"] if intent["status"] == "succeeded"]
    found = [intent["metadata"].get("invoice_id") for intent in paid]
    return sorted(invoice for invoice in found if invoice in invoices)
