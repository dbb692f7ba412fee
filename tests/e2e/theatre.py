"""One whole stack and the plays on it: what the end-to-end tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import stack
from shared.runtime.clock import write_instant
from stack.home import Home
from stack.launcher import Plan, Stack, running_stack
from stack.play import Played, run
from stack.player.comparing import Difference
from stack.player.numbering import in_use, number_plays
from stack.player.playing import Disorder, Play
from stack.player.services import Addresses, Services
from stack.player.settling import settle
from stack.player.timeline import Step
from stack.ports import Ports, free_base
from stack.postgres import THROWAWAY
from stack.running import services_of
from stack.story.reader import read_scripts

SHIPPED = Path(stack.__file__).parent / "stories"
OWN = Path(__file__).parent / "stories"
# A killed server may lose nothing that it confirmed; a killed machine is not what is tested here.
DATABASE = {**THROWAWAY, "synchronous_commit": "on"}
SIMULATORS = ("partner-center", "connectwise", "autotask", "stripe", "issuer")
Hook = Callable[[Step], object]


def shipped(*names: str) -> list[Path]:
    """Stories that `tieout demo` plays, by name."""
    return [SHIPPED / f"{name}.yaml" for name in names]


@dataclass
class Theatre:
    """A running stack with clients of everything in it."""

    stack: Stack
    home: Home
    services: Services
    addresses: Addresses
    _plain: dict[str, Played] = field(default_factory=dict)

    async def play(
        self,
        stories: Sequence[Path],
        *,
        disorder: Disorder | None = None,
        between_steps: Hook | None = None,
    ) -> Played:
        """Play these stories together; each gets new names when it was played before."""
        scripts = read_scripts(stories)
        play = Play(
            plays=number_plays(scripts, await in_use(self.services)),
            files={script.story.story: script.path for script in scripts},
            services=self.services,
            addresses=self.addresses,
            clock_file=self.home.clock,
            disorder=disorder or Disorder(),
            between_steps=between_steps,
        )
        return await run(play)

    async def played(self, name: str) -> Played:
        """A shipped story without any disorder, played once for all tests that ask."""
        if name not in self._plain:
            self._plain[name] = await self.play(shipped(name))
        return self._plain[name]

    def at(self, instant: str) -> None:
        """Move business time."""
        write_instant(self.home.clock, datetime.fromisoformat(instant))

    async def rest(self) -> None:
        """Wait until nothing is under way anywhere."""
        await self.services.webhooks_out()
        await settle(self.services)

    async def invoice(self, contract_id: str, invoice_date: str) -> dict[str, Any]:
        """Run one invoice date of a contract and return the invoice."""
        body = {"invoice_date": invoice_date, "contract_ids": [contract_id]}
        await self.services.post("invoicing", "/v1/invoice-runs", body)
        await self.rest()
        return await self.found_invoice(contract_id, invoice_date)

    async def found_invoice(self, contract_id: str, invoice_date: str) -> dict[str, Any]:
        """The invoice of a contract and date, with its lines."""
        heads = await self.services.pages("invoicing", "/v1/invoices", contract_id=contract_id)
        [head] = [head for head in heads if head["invoice_date"] == invoice_date]
        invoice: dict[str, Any] = await self.services.get(
            "invoicing", f"/v1/invoices/{head['invoice_id']}"
        )
        return invoice

    async def hold_reasons(self, service: str) -> list[str]:
        """Why things wait at a service, once per thing."""
        return [row["reason"] for row in await self.services.pages(service, "/v1/holds")]

    async def violations(self) -> list[Any]:
        """Breaches of a vendor's contract, by either side, since the stack began."""
        found: list[Any] = []
        for simulator in SIMULATORS:
            answer = await self.services.simulator("GET", f"/{simulator}/_control/violations")
            found += answer["violations"]
        return found


@asynccontextmanager
async def theatre(root: Path) -> AsyncIterator[Theatre]:
    """Start everything on free ports with its state under `root`, and end it."""
    home, ports = Home(root), Ports(free_base())
    plan = Plan(home=home, ports=ports, environ={}, postgres_settings=DATABASE)
    async with running_stack(plan) as started, services_of(home, ports) as (services, addresses):
        yield Theatre(started, home, services, addresses)
    home.remove()


def of_story(played: Played, name: str) -> list[Difference]:
    """What differs in one story."""
    return [d for d in played.differences if d.where.startswith(f"{name}: ")]


def of_no_story(played: Played) -> list[Difference]:
    """What differs in the whole: holds, dead letters, audit trails."""
    names = tuple(f"{names.story.story}: " for names in played.plays)
    return [d for d in played.differences if not d.where.startswith(names)]
