"""A provider in a few lines: a subscription that changes, its records, and who mirrors it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.domain.audit_records import AuditRecord, read_audit_record
from ingest.domain.chains import Link
from ingest.domain.changes import Chain, Detection, Known, Step, build_chain
from ingest.domain.snapshots import Snapshot, State, read_snapshot
from shared.contracts.ingest import ChangeKind

CUSTOMER = "0c39d6d5-c70d-4c55-bc02-f620844f3fd1"
SUBSCRIPTION = "3f0c1a52-0000-4000-8000-000000000001"
START = datetime(2026, 4, 1, tzinfo=UTC)


def resource(**changes: Any) -> dict[str, Any]:
    """A subscription resource of a one-year term billed monthly, 40 seats."""
    return {
        "id": SUBSCRIPTION,
        "offerId": "CFQ7TTC0LCHC:0002:CFQ7TTC0K5NR",
        "offerName": "Microsoft 365 Business Premium",
        "friendlyName": "Microsoft 365 Business Premium",
        "quantity": 40,
        "unitType": "Licenses",
        "creationDate": "2025-10-01T08:15:30.1234567Z",
        "effectiveStartDate": "2025-10-01T00:00:00Z",
        "commitmentEndDate": "2026-09-30T00:00:00Z",
        "status": "active",
        "autoRenewEnabled": True,
        "billingType": "license",
        "billingCycle": "monthly",
        "termDuration": "P1Y",
        **changes,
    }


def pascal(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name[:1].upper() + name[1:]: value for name, value in document.items()}


def record_of(
    key: str | None,
    at: datetime,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    status: str = "succeeded",
    operation: str = "update_subscription",
    resource_type: str = "subscription",
    data: Mapping[str, str] | None = None,
) -> AuditRecord:
    """An activity record as the provider prints it, read back."""
    document = {
        "id": key,
        "customerId": CUSTOMER,
        "userPrincipalName": "admin@partner.example",
        "resourceType": resource_type,
        "resourceOldValue": json.dumps(pascal(before)) if before is not None else None,
        "resourceNewValue": json.dumps(pascal(after)) if after is not None else None,
        "operationType": operation,
        "operationDate": at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
        "operationStatus": status,
        "customizedData": [{"key": k, "value": v} for k, v in (data or {}).items()],
    }
    return read_audit_record({k: v for k, v in document.items() if v is not None})


def snapshot_of(document: Mapping[str, Any]) -> Snapshot:
    return read_snapshot(document, customer_id=CUSTOMER)


@dataclass
class Provider:
    """One subscription; `change` alters it and leaves a record."""

    current: dict[str, Any] = field(default_factory=resource)
    records: list[AuditRecord] = field(default_factory=list)
    now: datetime = START

    def change(self, after: timedelta = timedelta(hours=1), **changes: Any) -> AuditRecord:
        self.now += after
        before, self.current = self.current, {**self.current, **changes}
        record = record_of(f"r{len(self.records)}", self.now, before, self.current)
        self.records.append(record)
        return record

    def snapshot(self) -> Snapshot:
        return snapshot_of(self.current)


@dataclass
class Mirror:
    """What the store keeps between two looks."""

    start: State | None = None
    started_at: datetime = START
    steps: list[Step] = field(default_factory=list)

    @property
    def known(self) -> Known | None:
        if self.start is None:
            return None
        replaced = {s.supersedes for s in self.steps}
        later = [s for s in self.steps if s.before is not None and id_of(s) not in replaced]
        published = tuple(
            Link(at_of(s), s.before, s.after, guess=id_of(s) if s.estimated else None)
            for s in later
        )
        applied = frozenset(s.record.key for s in self.steps if s.record)
        return Known(self.start, self.started_at, published, applied)

    def look(self, provider: Provider, visible: Sequence[AuditRecord], **how: Any) -> Chain:
        snapshot = provider.snapshot()
        detection = Detection(how.pop("at", provider.now), **how)
        chain = build_chain(self.known, visible, snapshot, detection)
        if self.start is None:
            first = chain.steps[0] if chain.steps else None
            self.start = first.after if first else snapshot.state
            self.started_at = first.effective_at if first else detection.observed_at
        self.steps += chain.steps
        return chain

    @property
    def facts(self) -> list[tuple[Any, ...]]:
        """What was published, in an order that does not depend on when it was found."""
        return sorted(
            (s.effective_at, s.kind, s.quantity_before, s.after.quantity, s.record and s.record.key)
            for s in self.steps
        )


def id_of(step: Step) -> str:
    """As good as the real one: of the record, or of the moment we guessed."""
    return step.record.key if step.record else f"guess at {step.effective_at.isoformat()}"


def at_of(step: Step) -> datetime:
    return step.record.at if step.record else step.effective_at


def opened(provider: Provider) -> Mirror:
    mirror = Mirror()
    mirror.look(provider, ())
    return mirror


def told(steps: Sequence[Step]) -> list[tuple[ChangeKind, int, int]]:
    return [(s.kind, s.quantity_before, s.after.quantity) for s in steps]
