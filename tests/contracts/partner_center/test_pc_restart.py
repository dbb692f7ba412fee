"""What the simulated vendor knows is there again after a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from simulators.exact_json import Document
from simulators.frame import World
from support.partner_center import ANNUAL, BIRCH, SEED, Receiver, signed_in

HOOKS = "/webhooks/v1/registration"
USAGE: Document = {
    "invoice_number": "G000000426",
    "billing_month": "2026-04",
    "currency": "EUR",
    "lines": [{"customerId": BIRCH, "usageDate": "2026-04-03", "quantity": 1, "unitPrice": 2}],
}


async def test_state_exports_and_held_webhooks_survive(
    world: World, tmp_path: Path, receiver: Receiver
) -> None:
    """Down and up again: same subscription, same records, same files, same events still to come."""
    world = replace(world, home=tmp_path)
    async with signed_in(world) as partner:
        await partner.pull("PUT", "/state", SEED)
        body = {"WebhookUrl": "http://tieout/hook", "WebhookEvents": ["subscription-updated"]}
        await partner.call("POST", HOOKS, body)
        await partner.pull("PUT", "/webhooks", {"mode": "hold"})
        await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "quantity": 45})
        published = await partner.pull("POST", "/usage", USAGE)
        before = await partner.pull("GET", "/state")
    async with signed_in(world) as partner:
        assert await partner.pull("GET", "/state") == before
        assert (await partner.subscription())["quantity"] == 45
        await partner.pull("POST", "/webhooks/release")
        await partner.settled()
        assert await partner.pull("POST", "/usage", USAGE) == published
    assert len(receiver.calls) == 1


async def test_what_was_on_its_way_is_sent_after_the_restart(
    world: World, tmp_path: Path, receiver: Receiver
) -> None:
    """An event whose receiver was down is not forgotten by a restart."""
    world = replace(world, home=tmp_path)
    receiver.statuses = [503]
    async with signed_in(world) as partner:
        await partner.pull("PUT", "/state", SEED)
        body = {"WebhookUrl": "http://tieout/hook", "WebhookEvents": ["subscription-updated"]}
        await partner.call("POST", HOOKS, body)
        await partner.pull("PUT", "/webhooks", {"delays": [3600.0]})
        await partner.pull("POST", "/changes", {"subscription_id": ANNUAL, "quantity": 45})
        await receiver.reached.wait()
    async with signed_in(world) as partner:
        await partner.simulator.start()
        await partner.settled()
        told = await partner.pull("GET", "/webhooks")
    assert (len(receiver.calls), told["counts"]) == (2, {"delivered": 1})
