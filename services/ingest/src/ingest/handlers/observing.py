"""Compares what a subscription is with what we hold, and publishes the steps in between.

Everything happens in the caller's transaction, with the mirror locked: the known state, the chain
computed from it, the events and the new mirror belong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ingest.domain.changes import Chain, Detection, Step, build_chain, change_id_of
from ingest.domain.documents import Fields
from ingest.domain.order_outcomes import is_ours
from ingest.domain.snapshots import Scheduled, Snapshot, state_to_json
from ingest.handlers.context import Account
from ingest.store import audit_records, subscription_orders, subscriptions, syncs
from ingest.store.subscriptions import Evidence, Mirror, Observation
from ingest.store.webhooks import Delivery
from shared.contracts.ingest import ChangeSource, RenewalScheduled, SubscriptionChanged
from shared.kernel.errors import Invalid
from shared.kernel.ids import derived_id
from shared.runtime.postgres import Transaction


class Verdict(StrEnum):
    """What came of a look. Only a settled one has moved the mirror."""

    SETTLED = "settled"
    UNLISTED = "unlisted"  # records that were not listed yet may explain it
    UNSETTLED = "unsettled"  # a moment later we may know more
    STALE = "stale"  # a fresher answer is mirrored already


@dataclass(frozen=True, slots=True)
class Look:
    """Why we look and what we know beforehand."""

    account: Account
    channel: str  # webhook, audit, sweep
    deliveries: Sequence[Delivery] = ()
    listed: bool = False  # the customer's records have been listed for this look
    may_estimate: bool = True

    def detection(self, observed_at: datetime, history_begins: datetime | None) -> Detection:
        told = [
            d.changed_at for d in self.deliveries if d.changed_at and d.changed_at <= observed_at
        ]
        return Detection(observed_at, max(told, default=None), history_begins)

    def webhook_of(self, step: Step) -> str | None:
        """The delivery that named the step's record, or the last one that made us look."""
        named = [
            d.id for d in self.deliveries if step.record and d.audit_record_id == step.record.key
        ]
        return next(iter([*named, *(d.id for d in self.deliveries[-1:])]), None)


@dataclass(frozen=True, slots=True)
class Seen:
    verdict: Verdict
    steps: int = 0
    since: datetime | None = None  # of an unlisted look: the last step we know


async def observe(tx: Transaction, observation: Observation, look: Look) -> Seen:
    """Bring the mirror to the observed snapshot and publish the steps that lead there.

    Raises:
        Invalid: `subscription_of_another_account`.
    """
    snapshot = observation.snapshot
    mirror = await subscriptions.find_mirror(tx, snapshot.subscription_id, lock=True)
    if mirror is not None and mirror.account_id != look.account.id:
        # Two accounts would undo each other's steps, and whoever bills it could be either.
        words = f"{snapshot.subscription_id} was sold through account {mirror.account_id}"
        raise Invalid("subscription_of_another_account", words)
    if mirror is not None and mirror.read_at > observation.read_at:
        return Seen(Verdict.STALE)
    if mirror is None and snapshot.licence and not look.listed:
        return Seen(Verdict.UNLISTED)
    account = await syncs.find_account(tx, look.account.id) if mirror is None else None
    history_begins = account.first_synced_at if account else None
    records = await audit_records.records_of(tx, look.account.id, snapshot.subscription_id)
    detection = look.detection(observation.observed_at, history_begins)
    chain = build_chain(mirror.known if mirror else None, records, snapshot, detection)
    if chain.unsettled and not look.listed:
        return Seen(Verdict.UNLISTED, since=mirror.last_step_at if mirror else None)
    if chain.unsettled and not look.may_estimate:
        return Seen(Verdict.UNSETTLED)
    return await _move(tx, mirror, observation, chain, look)


async def _move(
    tx: Transaction, mirror: Mirror | None, observation: Observation, chain: Chain, look: Look
) -> Seen:
    snapshot = observation.snapshot
    version = mirror.version if mirror else 0
    known = mirror.scheduled if mirror else Scheduled()
    is_rescheduled = snapshot.licence and snapshot.scheduled != known
    unchanged = (
        mirror is not None
        and mirror.state == snapshot.state
        and not chain.steps
        and not is_rescheduled
    )
    if mirror is not None and unchanged:
        snapshot_id = mirror.snapshot_id
    else:
        snapshot_id = await subscriptions.keep_snapshot(tx, observation)
    last = version + len(chain.steps)
    if mirror is None:
        first = chain.steps[0] if chain.steps else None
        created = await subscriptions.create_mirror(
            tx,
            observation,
            start=first.after if first else snapshot.state,
            started_at=first.effective_at if first else observation.observed_at,
            version=last,
            snapshot_id=snapshot_id,
        )
        if not created:
            raise MirrorMoved(snapshot.subscription_id)
    else:
        await subscriptions.move_mirror(tx, observation, version=last, snapshot_id=snapshot_id)
    for number, step in enumerate(chain.steps, start=version + 1):
        await _publish(tx, snapshot, step, look, version=number, snapshot_id=snapshot_id)
    if is_rescheduled:
        await _publish_schedule(tx, observation, snapshot_id)
    return Seen(Verdict.SETTLED, len(chain.steps))


async def _publish_schedule(tx: Transaction, observation: Observation, snapshot_id: int) -> None:
    """No step: nothing of a bill has changed yet."""
    snapshot = observation.snapshot
    event = RenewalScheduled(
        customer_id=snapshot.customer_id,
        subscription_id=snapshot.subscription_id,
        term_end=snapshot.state.term_end,
        next_term=snapshot.scheduled.next_term,
        at_term_end=snapshot.scheduled.at_term_end,
        observed_at=observation.observed_at,
        snapshot=snapshot_id,
    )
    event_id = derived_id("renewal-scheduled", snapshot.subscription_id, snapshot_id)
    await tx.publish(event, id=event_id)
    await tx.record(
        "renewal.scheduled",
        f"subscription/{snapshot.subscription_id}",
        after=event.model_dump(mode="json", include={"term_end", "next_term", "at_term_end"}),
    )


class MirrorMoved(Exception):
    """Two first looks at one subscription met; the transaction rolls back and is repeated."""


async def _publish(
    tx: Transaction, snapshot: Snapshot, step: Step, look: Look, *, version: int, snapshot_id: int
) -> None:
    sub = snapshot.subscription_id
    webhook_id = look.webhook_of(step)
    change_id = change_id_of(sub, step, version=version)
    evidence = Evidence(change_id, version, look.channel, webhook_id, snapshot_id)
    await subscriptions.keep_step(tx, sub, step, evidence)
    correlation = step.record.correlation_id if step.record else ""
    order_id = await _order_behind(tx, step, sub, look)
    event = SubscriptionChanged(
        change_id=change_id,
        kind=step.kind,
        provider_account=look.account.tenant_id,
        customer_id=snapshot.customer_id,
        subscription_id=sub,
        product=step.after.product(),
        product_name=step.after.product_name,
        quantity_before=step.quantity_before,
        quantity_after=step.after.quantity,
        status=step.after.status,
        term_start=step.after.term_start,
        term_end=step.after.term_end,
        effective_at=step.effective_at,
        detected_at=tx.now,
        version=version,
        source=ChangeSource(
            channel=look.channel,
            audit_record_id=step.record.key if step.record else None,
            webhook_id=webhook_id,
            actor=step.record.actor if step.record else None,
            estimated_time=step.estimated,
            correlation_id=correlation or None,
            order_id=order_id,
        ),
        counterpart_subscription_id=_counterpart(snapshot, step),
        trial=step.after.trial,
        auto_renew=step.after.auto_renew,
        supersedes=step.supersedes,
    )
    event_id = derived_id("subscription-changed", change_id)
    await tx.publish(event, id=event_id, occurred_at=step.effective_at)
    await tx.record(
        "subscription.changed",
        f"subscription/{sub}",
        before=state_to_json(step.before) if step.before else None,
        after=state_to_json(step.after),
        reason=f"{step.kind.value}, seen by {look.channel}",
    )


async def _order_behind(tx: Transaction, step: Step, sub: str, look: Look) -> str | None:
    """Our order, by its correlation id or by the very change; what two could claim is nobody's."""
    record = step.record
    if record is None:
        return None
    if record.correlation_id:
        named = await subscription_orders.order_behind(tx, record.correlation_id)
        if named is not None:
            return named
    calls = await subscription_orders.calls_sent(tx, sub, look.account.application_id)
    found = [order_id for order_id, call in calls if is_ours(record, call)]
    return found[0] if len(found) == 1 else None


def _counterpart(snapshot: Snapshot, step: Step) -> str | None:
    """The subscription whose seats these were, or became."""
    if step.record is not None and step.record.is_upgrade:
        return step.record.counterpart_of(snapshot.subscription_id)
    if step.before is None:
        return Fields(snapshot.resource).ident("migratedFromSubscriptionId") or None
    return None
