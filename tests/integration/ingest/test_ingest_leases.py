"""Syncs, sweeps and imports that take longer than a lease: nobody else gets them meanwhile, and who
lost one leaves the row to its holder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from ingest.handlers import PRICE_SHEETS, SWEEPS, SYNCS, pricing, sweeping
from ingest.store import price_sheets, syncs
from integration.ingest.conftest import Scene
from support.partner_center import ALDER


@dataclass(frozen=True)
class Kind:
    """A kind of work: how there comes to be some, and where it can be held up."""

    job: str
    table: str
    store: ModuleType
    handlers: ModuleType
    step: str
    claim: Callable[..., Awaitable[object]]

    async def order(self, scene: Scene) -> None:
        """One piece of this work is due."""
        if self.job == PRICE_SHEETS:
            body = {"market": "US", "currency": "USD"}
            await scene.ingest.ok("POST", "/v1/price-sheets:import", json=body)
            return
        await scene.ingest.ok("POST", "/v1/syncs", json={})
        if self.job == SWEEPS:
            await scene.ingest.work(SYNCS)
            await scene.execute("DELETE FROM sync_customer WHERE customer_id <> $1", ALDER)

    async def row(self, scene: Scene) -> dict[str, Any]:
        [row] = await scene.fetch(f"SELECT * FROM {self.table}")
        return row


KINDS = [
    Kind(SYNCS, "sync", syncs, sweeping, "_pull_records", syncs.claim_sync),
    Kind(SWEEPS, "sync_customer", syncs, sweeping, "_sweep", syncs.claim_customer),
    Kind(PRICE_SHEETS, "price_sheet_import", price_sheets, pricing, "_import",
         price_sheets.claim_import),
]  # fmt: skip
LEASE_S = 1.5  # a third of it is more than a busy machine stands still
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table)


@each_kind
async def test_a_lease_lasts_as_long_as_the_work(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """A provider with many customers, or a slow one."""
    await kind.order(scene)
    monkeypatch.setattr(kind.store, "LEASE_S", LEASE_S)
    step, claims = getattr(kind.handlers, kind.step), []

    async def slow(*given: Any) -> None:
        first = (await kind.row(scene))["leased_until"]
        async with asyncio.timeout(10):
            while not await scene.fetch(
                "SELECT true WHERE now() > $1::timestamptz + $2 * interval '1 second'",
                first,
                LEASE_S,
            ):
                async with scene.ingest.service.database.transaction() as tx:
                    claims.append(await kind.claim(tx, "other", account_id="default"))
        await step(*given)

    with monkeypatch.context() as patched:
        patched.setattr(kind.handlers, kind.step, slow)
        await scene.ingest.work(kind.job)

    row = await kind.row(scene)
    assert claims
    assert set(claims) == {None}
    assert (row["lease"], row["attempts"], row["reason"]) == (None, 0, None)
    assert row["state"] in ("running", "done")


@each_kind
async def test_work_whose_lease_was_taken_ends_and_changes_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """The other worker's row stays as it is."""
    await kind.order(scene)
    monkeypatch.setattr(kind.store, "LEASE_S", 0.06)

    async def robbed(*_: object) -> None:
        await scene.execute(
            f"UPDATE {kind.table} SET lease = 'other', leased_until = now() + interval '1 hour'"
        )
        await asyncio.Event().wait()

    monkeypatch.setattr(kind.handlers, kind.step, robbed)
    async with asyncio.timeout(10):
        await scene.ingest.work(kind.job)

    row = await kind.row(scene)
    assert (row["lease"], row["attempts"], row["reason"]) == ("other", 0, None)
