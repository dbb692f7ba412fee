"""One play: set everything up, walk the timeline on the simulated clock, gather what came out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter, time

from shared.kernel.periods import start_of
from shared.runtime.clock import write_instant
from stack.player import psa_setup, service_setup
from stack.player.acting import Actor
from stack.player.collecting import Findings, before, collect
from stack.player.names import Names
from stack.player.provider_setup import add_provider_books, markets
from stack.player.services import Addresses, Services
from stack.player.settling import settle
from stack.player.timeline import EventStep, InvoiceStep, Step, SyncStep, UsageStep, steps_of


@dataclass(frozen=True)
class Disorder:
    """What a play may do to the provider's notifications before they reach us."""

    copies: int = 1  # each webhook is delivered so many times; 0: all are lost
    shuffle: int | None = None  # hold the webhooks of a day and release them in this seed's order


@dataclass
class Play:
    """A play of some stories on a running stack."""

    plays: Sequence[Names]
    files: dict[str, Path]
    services: Services
    addresses: Addresses
    clock_file: Path
    disorder: Disorder = field(default_factory=Disorder)
    progress: Callable[[str], None] = lambda what: None
    between_steps: Callable[[Step], object] | None = None  # fault tests hook in here

    async def run(self) -> Findings:
        started, started_at = perf_counter(), time()
        earlier = await before(self.services)
        targets = await self._set_up()
        actor = Actor(self.services, self.files)
        for step in steps_of(self.plays):
            await self._take(step, actor)
        self.progress("collecting what came out")
        findings = await collect(self.services, self.plays, targets, actor.outcomes, before=earlier)
        findings.started_at = started_at
        findings.seconds = perf_counter() - started
        return findings

    async def _set_up(self) -> dict[str, psa_setup.Target]:
        self._move(min(start_of(names.story.starts) for names in self.plays))
        self.progress("setting up customers, contracts, prices and mappings")
        # Contracts first, customers at the provider last: what is refused here leaves no licences
        # behind that nobody bills.
        await service_setup.set_up_billing(self.services, self.plays)
        targets = await psa_setup.set_up_psas(self.services, self.plays, self.addresses.simulators)
        await service_setup.set_up_payers(
            self.services, self.plays, self.addresses.http["payments"]
        )
        await add_provider_books(self.services, self.plays)
        await self.services.put_webhooks(copies=self.disorder.copies, hold=False)
        callback = f"{self.addresses.http['ingest']}/webhooks/partner-center"
        await self.services.post("ingest", "/v1/webhook-registrations", {"callback_url": callback})
        for market, currency in markets(self.plays):
            body = {"market": market, "currency": currency}
            first = self.plays[0]
            key = f"price sheet {market} {currency} {first.story.story} {first.play}"
            await self.services.post("ingest", "/v1/price-sheets:import", body, key=key)
        await settle(self.services)
        await self.services.post("ingest", "/v1/syncs", {}, key=f"first sync {perf_counter()}")
        await settle(self.services)
        return targets

    async def _take(self, step: Step, actor: Actor) -> None:
        self.progress(_sentence(step))
        self._move(step.at)
        await self._notifications(step)
        await actor.act(step)
        if self.between_steps is not None:
            hooked = self.between_steps(step)
            if asyncio.iscoroutine(hooked):
                await hooked
        await self.services.webhooks_out()
        await settle(self.services)

    async def _notifications(self, step: Step) -> None:
        """In a shuffled play webhooks wait until the provider is looked at anyway."""
        seed, copies = self.disorder.shuffle, self.disorder.copies
        if seed is None:
            return
        if isinstance(step, EventStep):
            await self.services.put_webhooks(copies=copies, hold=True)
        else:
            await self.services.release_webhooks(seed=seed, copies=copies)
            await self.services.webhooks_out()

    def _move(self, instant: datetime) -> None:
        write_instant(self.clock_file, instant)


def _sentence(step: Step) -> str:
    match step:
        case EventStep(at, names, event):
            return f"{at:%Y-%m-%d %H:%M}  {names.story.story}: {event.id} {event.kind}"
        case UsageStep(at, _, usage):
            return f"{at:%Y-%m-%d %H:%M}  provider invoice {usage.invoice}, usage of {usage.month}"
        case SyncStep(at):
            return f"{at:%Y-%m-%d %H:%M}  daily look at the provider's audit records"
        case InvoiceStep(_, day, _):
            return f"{day}  invoice run: {', '.join(step.contracts)}"
