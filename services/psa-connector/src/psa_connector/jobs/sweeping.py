"""Reads a connection back, some targets at a time: look, compare, write down, go on.

A target that is written to meanwhile is left to the next sweep: a difference that our own writer
makes is no drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import chain

import structlog

from psa_connector.clients.psa import Count, Denied, Edit, PsaClient, PsaError, Throttled, counted
from psa_connector.clients.vendors import Clients, profile_of
from psa_connector.domain.connection import Connection
from psa_connector.domain.drift import (
    DriftKind,
    Finding,
    action_for,
    find_records,
    find_target,
)
from psa_connector.domain.snapshots import TargetSnapshot, Wanted, Words
from psa_connector.domain.unit_drift import find_services, window_start
from psa_connector.handlers import sweeping
from psa_connector.handlers.drifting import Found
from psa_connector.jobs.sending import DENIED_S
from psa_connector.store import connections, drifts, sweeps, wanted
from psa_connector.store.drifts import Drift, Whereabouts
from psa_connector.store.sweeps import Progress, Sweep
from shared.kernel.periods import utc_day
from shared.runtime.postgres import Database

log = structlog.get_logger()

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 120.0
BY_SCHEDULE = "schedule"


async def schedule(database: Database, every: timedelta) -> bool:
    """Request the sweeps whose time has come."""
    async with database.transaction() as tx:
        due = await sweeps.due(tx, tx.now, every)
        for connection_id in due:
            await sweeping.request(tx, connection_id, by=BY_SCHEDULE)
    return False


@dataclass(frozen=True, slots=True)
class _Part:
    """Targets of one step: what the ledger said before the PSA was asked, and what is there."""

    targets: list[str]
    prints: dict[str, wanted.Fingerprint]
    expected: dict[str, Wanted]
    known: list[Drift]
    snapshots: list[TargetSnapshot]


class Sweeper:
    """The step of the sweeping job."""

    def __init__(self, database: Database, clients: Clients) -> None:
        self._database = database
        self._clients = clients

    async def step(self) -> bool:
        """Read back the next targets of some sweep."""
        async with self._database.transaction() as tx:
            claimed = await sweeps.claim(tx)
        if claimed is None:
            return False
        sweep, connection = claimed
        with counted() as count:
            try:
                await self._step(sweep, connection, count)
            except PsaError as error:
                await self._wait(sweep, error, calls=count.calls)
        return True

    async def _step(self, sweep: Sweep, connection: Connection, count: Count) -> None:
        client = self._clients.of(connection)
        at_once = profile_of(connection.vendor).sweeps_at_once
        async with self._database.read() as reader:
            targets = await wanted.next_targets(
                reader, connection.id, after=sweep.cursor, limit=at_once
            )
        if not targets:
            async with self._database.transaction() as tx:
                if await sweeps.holds_lease(tx, sweep):
                    await sweeps.finish(tx, sweep)
            log.info("sweep.done", sweep_id=sweep.id, connection_id=connection.id)
            return
        part = await self._read(client, connection, targets)
        found = await self._found(client, sweep, connection, part)
        await self._take_in(sweep, connection, part, found, calls=count.calls)

    async def _read(self, client: PsaClient, connection: Connection, targets: list[str]) -> _Part:
        async with self._database.read() as reader:
            known = await drifts.open_of(reader, connection.id, targets)
            seen: dict[str, Words] = sweeping.last_seen(known)
            prints = await wanted.fingerprints(reader, connection.id, targets)
            expected = await wanted.of_targets(reader, connection.id, targets, seen)
            today = utc_day(reader.now)
        snapshots = await client.sweep(targets, window_start(today))
        return _Part(targets, prints, {one.target_id: one for one in expected}, known, snapshots)

    async def _found(
        self, client: PsaClient, sweep: Sweep, connection: Connection, part: _Part
    ) -> list[Found]:
        known = {(one.object, one.kind): one for one in part.known}
        async with self._database.read() as reader:
            today = utc_day(reader.now)
        found = []
        for snapshot in part.snapshots:
            expected = part.expected.get(snapshot.target_id)
            if expected is None:
                continue
            blocked = find_target(expected, snapshot)
            rest: Iterator[Finding] = iter(())
            if snapshot.facts is not None:
                rest = chain(
                    find_records(expected, snapshot, client.words),
                    find_services(expected, snapshot, today),
                )
            for finding in chain(blocked, rest):
                one = _located(sweep, connection, expected, finding, sound=not blocked)
                old = known.get((finding.object, finding.kind))
                if old is None or not sweeping.is_same(old.fields, finding.fields):
                    one = replace(one, edit=await _edit(client, snapshot.target_id, finding))
                found.append(one)
        return found

    async def _take_in(
        self,
        sweep: Sweep,
        connection: Connection,
        part: _Part,
        found: Sequence[Found],
        *,
        calls: int,
    ) -> None:
        async with self._database.transaction() as tx:
            if not await sweeps.holds_lease(tx, sweep):
                return
            now = await wanted.fingerprints(tx, connection.id, part.targets)
            still = [
                target
                for target in part.targets
                if now.get(target) == part.prints.get(target) and not part.prints[target].moving
            ]
            known = await sweeping.reload(tx, connection.id, part.targets)
            kept = [one for one in found if one.at.target_id in still]
            news = await sweeping.take_in(tx, kept, known, still)
            records = sum(len(one.records) + _rows(one) for one in part.snapshots)
            await sweeps.advance(
                tx,
                sweep,
                Progress(
                    cursor=part.targets[-1],
                    targets=len(part.targets),
                    records=records,
                    calls=calls,
                    found=news,
                    skipped=len(part.targets) - len(still),
                ),
            )

    async def _wait(self, sweep: Sweep, error: PsaError, *, calls: int) -> None:
        """Not now; what was read so far stands."""
        seconds = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(sweep.failures, 10))
        async with self._database.transaction() as tx:
            match error:
                case Throttled(wait_s=wait_s):
                    await connections.pause(
                        tx, sweep.connection_id, wait_s, reason="throttled", detail=str(error)
                    )
                case Denied():
                    await connections.pause(
                        tx,
                        sweep.connection_id,
                        DENIED_S,
                        reason="credentials_refused",
                        detail=str(error),
                    )
            await sweeps.wait(tx, sweep, detail=str(error), calls=calls, seconds=seconds)
        log.info("sweep.waits", sweep_id=sweep.id, error=str(error))


def _located(
    sweep: Sweep, connection: Connection, expected: Wanted, finding: Finding, *, sound: bool
) -> Found:
    sources = {one.intent_id: (one.contract_id, one.source_id) for one in expected.records}
    sources |= {one.intent_id: (one.contract_id, one.source_id) for one in expected.services}
    any_contract = next(iter(sources.values()), (None, None))[0]
    contract_id, source_id = sources.get(finding.intent_id or "", (any_contract, None))
    at = Whereabouts(connection.id, expected.target_id, sweep.id, contract_id, source_id)
    action = action_for(finding.kind, connection.drift_choices, target_is_sound=sound)
    return Found(at, finding, action)


async def _edit(client: PsaClient, target: str, finding: Finding) -> Edit | None:
    """Who did it, as far as the vendor tells; not knowing is no reason to miss a drift."""
    if finding.kind is DriftKind.RECORD_FOREIGN or finding.external_id is None:
        return None
    try:
        return await client.last_edit(target, finding.object, finding.external_id)
    except (Throttled, Denied):
        raise
    except PsaError as error:
        log.info("sweep.no_evidence", target=target, error=str(error))
        return None


def _rows(snapshot: TargetSnapshot) -> int:
    return sum(len(service.rows) for service in snapshot.services)
