"""When each change left the provider, crossed the bus, and arrived at Autotask.

Vendors' ends are read from the simulators' journals; the two crossings from the records on the
broker, which carry the moment at which it appended them. Each change is followed by its own ids.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from tests.benchmarks.crowd import Change, body_of, subscription_of_services

from shared.contracts import registry
from shared.contracts.envelope import Envelope, Event
from shared.contracts.ingest import SUBSCRIPTIONS, SubscriptionChanged
from shared.contracts.rating import LICENCE_CHANGES, LicenceChangeRated
from stack.player.services import Services

STAGES = ("ingest", "rating", "psa-connector")


@dataclass(frozen=True, slots=True)
class Trace:
    """Moments in seconds: webhook sent, change on the bus, rated on the bus, POST received."""

    moments: tuple[float, float, float, float]

    @property
    def found_before_notified(self) -> bool:
        """Whether a look for another change found it before its own webhook left."""
        return self.moments[1] < self.moments[0]

    @property
    def total_ms(self) -> float:
        return (self.moments[-1] - self.moments[0]) * 1000

    @property
    def stages_ms(self) -> tuple[float, ...]:
        """Time until the end of each stage since the one before; the broker's share is in them."""
        pairs = zip(self.moments, self.moments[1:], strict=False)
        return tuple((later - earlier) * 1000 for earlier, later in pairs)


class Lost(Exception):
    """A change that did not arrive exactly once; the text says how many."""


async def traces(
    services: Services,
    bootstrap_servers: str,
    changes: Sequence[Change],
    contracts: dict[str, str],
) -> list[Trace]:
    """One trace per change.

    Raises:
        Lost: when a change is missing somewhere, or is in Autotask more than once.
    """
    left = await _webhooks(services)
    told, rated = await _crossings(bootstrap_servers)
    arrived = await _adjustments(services, contracts)
    found, lost = [], 0
    for change in changes:
        change_id, on_bus = told.get(change.audit_record_id, ("", 0.0))
        posts = arrived[change.subscription_id, change.units]
        complete = change.audit_record_id in left and change_id in rated and len(posts) == 1
        if not complete:
            lost += 1
            continue
        sent = left[change.audit_record_id]
        found.append(Trace((sent, on_bus, rated[change_id], posts[0])))
    if lost:
        raise Lost(f"{lost} of {len(changes)} changes did not arrive exactly once")
    return found


async def _journal(services: Services, simulator: str, query: str) -> list[dict[str, Any]]:
    path = f"/{simulator}/_control/journal?{query}&limit=50000"
    return list((await services.simulator("GET", path))["entries"])


async def _webhooks(services: Services) -> dict[str, float]:
    """The first attempt at a notification, by the audit record it names."""
    found: dict[str, float] = {}
    for entry in await _journal(services, "partner-center", "direction=out"):
        record = str(body_of(entry).get("AuditUri", "")).rpartition("/")[2]
        found.setdefault(record, float(entry["at"]))
    return found


async def _adjustments(
    services: Services, contracts: dict[str, str]
) -> Mapping[tuple[str, int], list[float]]:
    """Moments at which adjustments arrived, by subscription and units."""
    state = await services.simulator("GET", "/autotask/_control/state")
    subscription_of = subscription_of_services(state, contracts)
    query = "direction=in&method=POST&path=ContractServiceAdjustments"
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for entry in await _journal(services, "autotask", query):
        body = body_of(entry)
        subscription = subscription_of.get(int(str(body["contractServiceID"])))
        if subscription is not None:
            found[subscription, int(str(body["unitChange"]))].append(float(entry["at"]))
    return found


async def _crossings(
    bootstrap_servers: str,
) -> tuple[dict[str, tuple[str, float]], dict[str, float]]:
    """Audit record → (change id, moment on the bus), and change id → moment rated."""
    told: dict[str, tuple[str, float]] = {}
    rated: dict[str, float] = {}
    async for event, at in _events(bootstrap_servers, (SUBSCRIPTIONS, LICENCE_CHANGES)):
        match event:
            case SubscriptionChanged(source=source) if source.audit_record_id is not None:
                told[source.audit_record_id] = (event.change_id, at)
            case LicenceChangeRated():
                rated[event.change_id] = at
    return told, rated


async def _events(
    bootstrap_servers: str, topics: Iterable[str]
) -> AsyncIterator[tuple[Event, float]]:
    """Everything on these topics up to now, with the broker's time in seconds."""
    consumer = AIOKafkaConsumer(
        *topics, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()  # without a group it has all partitions
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    envelope = Envelope.from_headers(record.headers)
                    yield registry.decode(envelope, record.value), record.timestamp / 1000
    finally:
        await consumer.stop()
