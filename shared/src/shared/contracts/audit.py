"""The audit trail on the bus: each service publishes its records to a topic of its own."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

from pydantic import JsonValue

from shared.contracts.envelope import Event, Id, Instant

AUDIT_TYPE = "tieout.{service}.audit-recorded.v1"
AUDIT_TOPIC = "tieout.{service}.audit.v1"


class AuditRecorded(Event):
    """One link of a service's hash chain, exactly as stored."""

    # Only the class of a service (`audit_event_class`) has a type and a topic.
    service: Id
    seq: int
    at: Instant
    actor: str
    action: str
    object: str
    before: JsonValue
    after: JsonValue
    reason: str | None
    correlation_id: str | None
    causation_id: str | None
    prev_hash: str
    hash: str

    def key(self) -> str:
        return self.service

    def subject(self) -> str:
        return f"audit/{self.service}/{self.seq}"


@cache
def audit_event_class(service: str) -> type[AuditRecorded]:
    """The service's own event class: one producer per topic, also for the audit trail."""
    attributes: dict[str, Any] = {
        "TYPE": AUDIT_TYPE.format(service=service),
        "TOPIC": AUDIT_TOPIC.format(service=service),
        "__annotations__": {"TYPE": ClassVar[str], "TOPIC": ClassVar[str]},
        "__doc__": AuditRecorded.__doc__,
        "__module__": __name__,
    }
    name = "".join(part.title() for part in service.split("-")) + "AuditRecorded"
    return type(name, (AuditRecorded,), attributes)
