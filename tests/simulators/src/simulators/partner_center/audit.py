"""The activity log: what was tried, by whom, with the resource before and after."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from shared.kernel.periods import utc_day
from simulators.exact_json import Document, dumps
from simulators.partner_center.books import Books
from simulators.partner_center.instants import precise, ticks
from simulators.partner_center.records import AuditRecord, Customer
from simulators.partner_center.refusals import Refusal

RETENTION_DAYS = 90
DEFAULT_RANGE_DAYS = 30


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something: a person (`user`), an application, or the vendor itself (neither)."""

    user: str = ""
    application_id: str = ""
    correlation_id: str = ""

    def with_correlation(self, correlation_id: str) -> Actor:
        return replace(self, correlation_id=correlation_id)


@dataclass(frozen=True, slots=True)
class Activity:
    """What was done to which resource; a `refusal` makes it a failed attempt."""

    resource_type: str
    operation_type: str
    resource_id: str
    before: Document | None = None
    after: Document | None = None
    refusal: Refusal | None = None
    data: tuple[tuple[str, str | None], ...] = ()


class AuditTrail:
    def __init__(self, books: Books) -> None:
        self._books = books
        self._taken = {(r.resource_id, r.at) for r in books.audit_records}

    def record(
        self, activity: Activity, actor: Actor, customer: Customer | None, at: datetime
    ) -> AuditRecord:
        tenant = customer.tenant_id if customer else self._books.tenants[0].id
        data = list(activity.data)
        if activity.refusal is not None:
            data.append(("ErrorCode", str(activity.refusal.code)))
            data.append(("ErrorDescription", activity.refusal.description))
        at = self._free_instant(activity.resource_id, at)
        echoed = self._books.switches.audit_correlation == "ours"
        correlation = (echoed and actor.correlation_id) or self._books.next_id("correlation")
        record = AuditRecord(
            id=_new_id(tenant, activity, at),
            resource_id=activity.resource_id,
            tenant_id=tenant,
            customer_id=customer.id if customer else None,
            customer_name=customer.name if customer else "",
            user=actor.user,
            application_id=actor.application_id,
            resource_type=activity.resource_type,
            resource_old=_text(activity.before),
            resource_new=_text(activity.after),
            operation_type=activity.operation_type,
            correlation_id=correlation,
            at=at,
            status="succeeded" if activity.refusal is None else "failed",
            data=data,
        )
        self._books.add_audit(record)
        return record

    def find(self, tenant_id: str, query: AuditQuery, now: datetime) -> list[AuditRecord]:
        """Newest first.

        Raises:
            Refusal: the range begins more than 90 days back.
        """
        today = utc_day(now)
        start = query.start or today - timedelta(days=DEFAULT_RANGE_DAYS)
        end = query.end or today
        if start < today - timedelta(days=RETENTION_DAYS):
            raise Refusal(800002)
        found = [
            r
            for r in self._books.audit_records
            if r.tenant_id == tenant_id and start <= utc_day(r.at) <= end and query.holds(r)
        ]
        return sorted(found, key=lambda r: (r.at, r.id), reverse=True)

    def _free_instant(self, resource_id: str, at: datetime) -> datetime:
        """Simulated time stands still between two changes; real time would not, so step on."""
        while (resource_id, at) in self._taken:
            at += timedelta(microseconds=1)
        self._taken.add((resource_id, at))
        return at


@dataclass(frozen=True, slots=True)
class AuditQuery:
    start: date | None
    end: date | None
    field: str | None = None
    value: str = ""
    operator: str = "equals"

    @classmethod
    def parse(cls, parameters: dict[str, str]) -> AuditQuery:
        """From the query string; `filter` is JSON.

        Raises:
            Refusal: dates or filter cannot be read.
        """
        try:
            start, end = (
                date.fromisoformat(parameters[k][:10]) if parameters.get(k) else None
                for k in ("startDate", "endDate")
            )
            wanted = json.loads(parameters.get("filter") or "null") or {}
            return cls(
                start,
                end,
                wanted.get("Field"),
                str(wanted.get("Value", "")),
                str(wanted.get("Operator", "equals")).lower(),
            )
        except (ValueError, AttributeError) as error:
            raise Refusal(3000) from error

    def holds(self, record: AuditRecord) -> bool:
        values = {
            "CompanyName": record.customer_name,
            "CustomerId": record.customer_id or "",
            "ResourceType": record.resource_type,
        }
        if self.field is None:
            return True
        if self.field not in values or self.operator not in ("equals", "substring"):
            raise Refusal(3000)
        held, wanted = values[self.field].lower(), self.value.lower()
        return wanted in held if self.operator == "substring" else wanted == held


def _new_id(tenant: str, activity: Activity, at: datetime) -> str:
    """`<partner>_<resource>_<operation>_<ticks>`."""
    operation = activity.operation_type.replace("_", "")
    return f"{tenant}_{activity.resource_id}_{operation}_{ticks(at)}"


def audit_resource(record: AuditRecord) -> Document:
    document: Document = {
        "id": record.id,
        "partnerId": record.tenant_id,
        "customerId": record.customer_id,
        "customerName": record.customer_name,
        "userPrincipalName": record.user,
        "applicationId": record.application_id,
        "resourceType": record.resource_type,
        "resourceOldValue": record.resource_old,
        "resourceNewValue": record.resource_new,
        "operationType": record.operation_type,
        "originalCorrelationId": record.correlation_id,
        "operationDate": precise(record.at),
        "operationStatus": record.status,
        "customizedData": [{"key": k, "value": v} for k, v in record.data],
        "attributes": {"objectType": "AuditRecord"},
    }
    return document


def pascal(value: Any) -> Any:
    """The same document with every property name capitalised."""
    if isinstance(value, dict):
        return {k[:1].upper() + k[1:]: pascal(v) for k, v in value.items()}
    if isinstance(value, list):
        return [pascal(v) for v in value]
    return value


def _text(resource: Document | None) -> str | None:
    return dumps(pascal(resource)).decode() if resource is not None else None
